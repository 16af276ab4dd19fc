use flow::prelude::*;

#[derive(Default)]
struct Cart {
    paid: u64,
}

fn joiner(cart: &mut Cart, cents: u64) -> u64 {
    cart.paid += cents;
    cart.paid
}

#[dataflow]
fn carts(orders: KeyedStream<String, u64>) -> KeyedStream<String, u64> {
    orders.stateful_map(joiner)
}

fn main() {}
