use flow::prelude::*;

#[dataflow]
fn totals(orders: Stream<u64>) {
    let totals = orders.stateful_map(|sum: &mut u64, cents| {
        *sum += cents;
        *sum
    });
    totals.named("totals").sink(JsonLines::stdout());
}

fn main() {}
