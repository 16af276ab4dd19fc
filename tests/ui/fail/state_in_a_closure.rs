use flow::prelude::*;

fn total(sum: &mut u64, cents: u64) -> u64 {
    *sum += cents;
    *sum
}

#[dataflow]
fn totals(regions: Vec<Stream<u64, String>>) -> Vec<Stream<u64, String>> {
    regions
        .into_iter()
        .map(|orders| orders.stateful_map(total))
        .collect()
}

fn main() {}
