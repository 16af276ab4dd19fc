use std::time::Duration;

use flow::{EventTime, NoKey, Windows, prelude::*};

#[dataflow]
fn totals(orders: Stream<u64, NoKey, EventTime>) {
    let hours = Windows::tumbling(Duration::from_secs(3600));
    let totals = orders.fold_window(hours, || 0, |sum: &mut u64, cents| *sum += cents);
    totals.named("hours").drop_late().sink(JsonLines::stdout());
}

fn main() {}
