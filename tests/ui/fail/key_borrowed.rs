use flow::prelude::*;

#[derive(Clone, Serialize, Deserialize)]
struct Order {
    user_id: String,
}

fn user_id(order: &Order) -> &str {
    &order.user_id
}

fn count(seen: &mut u64, _order: Order) -> u64 {
    *seen += 1;
    *seen
}

#[dataflow]
fn by_user(orders: Stream<Order>) {
    orders
        .key_on(user_id)
        .stateful_map(count)
        .sink(JsonLines::stdout());
}

fn main() {}
