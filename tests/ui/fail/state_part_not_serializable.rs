use flow::prelude::*;

struct Money {
    cents: u64,
}

fn history(paid: &mut Vec<Money>, cents: u64) -> usize {
    paid.push(Money { cents });
    paid.len()
}

#[dataflow]
fn payments(orders: KeyedStream<String, u64>) -> KeyedStream<String, usize> {
    orders.stateful_map(history)
}

fn main() {}
