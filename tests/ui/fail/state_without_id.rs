use flow::prelude::*;

#[dataflow]
fn totals(orders: KeyedStream<String, u64>) {
    orders
        .stateful_map(|sum: &mut u64, cents| {
            *sum += cents;
            *sum
        })
        .sink(JsonLines::stdout());
}

fn main() {}
