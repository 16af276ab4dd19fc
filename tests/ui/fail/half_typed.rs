// Rust's own message and nothing else.
use flow::prelude::*;

#[dataflow]
fn half_typed(orders: KeyedStream<String, u64>) {
    orders.clone().stateful_map(|sum: &mut u64, cents| *sum + cents);
    let _totals = orders.
}

fn main() {}
