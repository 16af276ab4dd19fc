use flow::prelude::*;

#[derive(Default, Serialize)]
struct Cart {
    paid: u64,
}

#[dataflow]
fn carts(orders: Stream<u64, String>) -> Stream<u64, String> {
    let paid = orders.stateful_map_opt(|cart: &mut Option<Cart>, cents| {
        let cart = cart.get_or_insert_default();
        cart.paid += cents;
        cart.paid
    });
    paid
}

fn main() {}
