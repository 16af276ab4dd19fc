use std::time::Duration;

use flow::{EventTime, Timestamp, prelude::*};

struct Order {
    customer: String,
    paid: Timestamp,
}

#[dataflow]
fn paid(orders: Stream<Order>) -> KeyedStream<String, Order, EventTime> {
    let by_customer = orders.key_on(|order| order.customer.clone());
    by_customer.event_time(|order| order.paid, Duration::from_secs(10))
}

fn main() {}
