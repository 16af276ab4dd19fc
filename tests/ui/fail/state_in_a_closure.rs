use flow::prelude::*;

fn total(sum: &mut u64, cents: u64) -> u64 {
    *sum += cents;
    *sum
}

#[dataflow]
fn totals(regions: Vec<KeyedStream<String, u64>>) -> Vec<KeyedStream<String, u64>> {
    regions
        .into_iter()
        .map(|orders| orders.stateful_map(total))
        .collect()
}

fn main() {}
