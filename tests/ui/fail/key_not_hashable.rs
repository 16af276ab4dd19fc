use flow::prelude::*;

fn price(order: &f64) -> f64 {
    *order
}

fn count(seen: &mut u64, _order: f64) -> u64 {
    *seen += 1;
    *seen
}

#[dataflow]
fn by_price(orders: Stream<f64>) -> KeyedStream<f64, u64> {
    orders.key_on(price).stateful_map(count)
}

fn main() {}
