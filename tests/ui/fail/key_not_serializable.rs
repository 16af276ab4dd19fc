use flow::prelude::*;

#[derive(Clone, PartialEq, Eq, Hash)]
struct UserId(u64);

fn user_id(order: &u64) -> UserId {
    UserId(*order)
}

fn total(sum: &mut u64, order: u64) -> u64 {
    *sum += order;
    *sum
}

#[dataflow]
fn totals(orders: Stream<u64>) -> KeyedStream<UserId, u64> {
    orders.key_on(user_id).stateful_map(total)
}

fn main() {}
