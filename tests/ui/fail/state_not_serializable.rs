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
fn carts(orders: Stream<u64, String>) -> Stream<u64, String> {
    orders.stateful_map(joiner)
}

fn main() {}
