use flow::prelude::*;

#[dataflow]
fn cents(orders: Stream<u64>) {
    orders.drop_time().sink(JsonLines::stdout());
}

fn main() {}
