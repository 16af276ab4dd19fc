use flow::prelude::*;

fn total(sum: &mut u64, cents: u64) -> u64 {
    *sum += cents;
    *sum
}

#[dataflow]
fn totals(flow: &Flow, orders: KeyedStream<String, u64>) {
    let _ = flow;
    orders.clone().stateful_map(total).sink(JsonLines::stdout());
    let total = orders
        .clone()
        .stateful_map(|sum: &mut u64, cents| *sum + cents);
    total.sink(JsonLines::stdout()).named("second");
    orders
        .stateful_map(|sum: &mut u64, cents| *sum + cents)
        .named("total")
        .sink(JsonLines::stdout())
        .named("third");
}

fn main() {}
