use flow::prelude::*;

#[derive(Default, Serialize)]
struct Cart {
    paid: u64,
}

#[dataflow]
fn carts(orders: KeyedStream<String, u64>) -> KeyedStream<String, u64> {
    let paid = orders.stateful_map_opt(|cart: &mut Option<Cart>, cents| {
        let cart = cart.get_or_insert_default();
        cart.paid += cents;
        cart.paid
    });
    paid
}

fn main() {}
