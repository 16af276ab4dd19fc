use std::marker::PhantomData;

use flow::prelude::*;

#[derive(Serialize, Deserialize)]
struct Order {
    cents: u64,
    raw: PhantomData<*const u8>,
}

fn total(sum: &mut u64, order: Order) -> u64 {
    *sum += order.cents;
    *sum
}

#[dataflow]
fn totals(orders: Stream<Order>) -> KeyedStream<bool, u64> {
    orders.key_on(|order| order.cents > 100).stateful_map(total)
}

fn main() {}
