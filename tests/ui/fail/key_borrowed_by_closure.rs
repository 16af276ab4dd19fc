use flow::prelude::*;

#[derive(Clone, Serialize, Deserialize)]
struct Order {
    user_id: String,
}

fn count(seen: &mut u64, _order: Order) -> u64 {
    *seen += 1;
    *seen
}

#[dataflow]
fn by_user(orders: Stream<Order>) {
    orders
        .key_on(|order| order.user_id.as_str())
        .stateful_map(count)
        .sink(JsonLines::stdout());
}

fn main() {}
