use flow::prelude::*;

fn total(sum: &mut u64, cents: u64) -> u64 {
    *sum += cents;
    *sum
}

#[dataflow]
fn totals(regions: Vec<KeyedStream<String, u64>>) {
    for orders in regions {
        orders.stateful_map(total).sink(JsonLines::stdout());
    }
}

fn main() {}
