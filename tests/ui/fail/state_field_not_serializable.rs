// serde's own message: it names the field and its type, and this crate adds nothing to it.
use flow::prelude::*;

#[derive(Default, Deserialize)]
struct Money {
    cents: u64,
}

#[derive(Default, Serialize, Deserialize)]
struct Cart {
    paid: Money,
}

fn joiner(cart: &mut Cart, cents: u64) -> u64 {
    cart.paid.cents += cents;
    cart.paid.cents
}

#[dataflow]
fn carts(orders: KeyedStream<String, u64>) -> KeyedStream<String, u64> {
    orders.stateful_map(joiner)
}

fn main() {}
