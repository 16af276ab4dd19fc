use flow::prelude::*;

struct Total {
    cents: u64,
}

#[dataflow]
fn totals(orders: Stream<u64>) {
    orders
        .map(|cents| Total { cents })
        .sink(JsonLines::stdout());
}

fn main() {}
