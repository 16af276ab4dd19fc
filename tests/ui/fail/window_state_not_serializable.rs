use std::time::Duration;

use flow::{EventTime, Windows, prelude::*};

#[derive(Default)]
struct Total {
    paid: u64,
}

#[dataflow]
fn totals(orders: KeyedStream<String, u64, EventTime>) -> KeyedStream<String, u64> {
    let hours = Windows::tumbling(Duration::from_secs(3600));
    let totals = orders.fold_window(hours, Total::default, |total: &mut Total, cents| {
        total.paid += cents;
    });
    let totals = totals.named("hours").drop_late();
    totals.map_values(|hour| hour.value.paid).drop_time()
}

fn main() {}
