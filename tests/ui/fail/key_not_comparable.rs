use flow::prelude::*;

#[derive(Clone)]
struct Place(u64);

fn count(seen: &mut u64, _order: u64) -> u64 {
    *seen += 1;
    *seen
}

#[dataflow]
fn by_place(orders: Stream<u64>) -> KeyedStream<Place, u64> {
    orders.key_on(|order| Place(*order)).stateful_map(count)
}

fn main() {}
