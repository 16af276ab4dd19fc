use std::time::Duration;

use flow::{EventTime, NoKey, Timestamp, prelude::*};

struct Order {
    paid: Timestamp,
    sent: Timestamp,
}

#[dataflow]
fn sent(orders: Stream<Order>) -> Stream<Order, NoKey, EventTime> {
    let paid = orders.event_time(|order| order.paid, Duration::from_secs(10));
    paid.event_time(|order| order.sent, Duration::from_secs(10))
}

fn main() {}
