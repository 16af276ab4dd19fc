use flow::prelude::*;

fn total(sum: &mut u64, cents: u64) -> u64 {
    *sum += cents;
    *sum
}

#[dataflow]
fn totals(orders: Stream<u64>) {
    orders.stateful().map(total).sink(JsonLines::stdout());
}

fn main() {}
