use flow::prelude::*;

#[dataflow]
fn doubled(orders: Stream<u64>) {
    orders
        .map_values(|cents| cents * 2)
        .sink(JsonLines::stdout());
}

fn main() {}
