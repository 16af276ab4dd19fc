use flow::{EventTime, prelude::*};

#[dataflow]
fn sums(orders: Stream<u64>) -> KeyedStream<String, u64> {
    orders.into_keyed(|cents| ("all".to_owned(), cents))
}

#[dataflow]
fn latest(sums: Stream<u64, String, EventTime>) {
    sums.sink(JsonLines::stdout());
}

#[dataflow]
fn all(orders: Stream<u64>) {
    latest(sums(orders));
}

fn main() {}
