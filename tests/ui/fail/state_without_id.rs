use flow::prelude::*;

#[dataflow]
fn totals(orders: Stream<u64, String>) {
    orders
        .stateful_map(|sum: &mut u64, cents| {
            *sum += cents;
            *sum
        })
        .sink(JsonLines::stdout());
}

fn main() {}
