//! Which records are late, and what every window holds, depends on the content of each partition
//! alone.
#![cfg(test)]

mod campaign;
mod reference;
mod stories;
#[path = "../support/mod.rs"]
mod support;

use std::time::Duration;

use flow::{Timestamp, Windows, prelude::*};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Event {
    id: u64,
    key: u64,
    at: i64,
}

fn at(event: &Event) -> Timestamp {
    Timestamp::from_second(event.at).unwrap()
}

fn second(at: Timestamp) -> i64 {
    at.as_second()
}

/// A stop is not an end, and what was given out at an end is given out again where it has changed.
#[test]
fn windows_close_as_time_goes_on_and_at_the_end_but_not_at_a_stop() {
    use flow::testing::{Event as Happens, Harness};
    let mut harness = Harness::new(|events: Stream<Event>| {
        events
            .event_time(at, Duration::from_secs(5))
            .key_on(|event| event.key)
            .fold_window(
                Windows::tumbling(Duration::from_secs(10)),
                Vec::new,
                |ids: &mut Vec<u64>, event| {
                    ids.push(event.id);
                },
            )
            .named("gathered")
            .drop_late()
            .map(|(_, ids)| format!("{} {:?}", second(ids.window.open), ids.value))
            .drop_time()
    });
    let record = |id, at| Happens::Record(Event { id, key: 0, at });
    let events = [
        record(1, 1),
        record(2, 12),
        record(3, 9),
        record(4, 16),
        record(5, 8),
        Happens::Stop,
        record(6, 14),
        record(7, 21),
    ];
    harness.feed_events("items", events);
    assert_eq!(harness.run().unwrap().ended, flow::Ended::Stopped);
    // Closed by record 4; record 5 is late.
    assert_eq!(harness.outputs(), ["0 [1, 3]"]);
    harness.workers(2);
    assert_eq!(harness.run().unwrap().ended, flow::Ended::Finished);
    assert_eq!(harness.outputs(), ["0 [1, 3]", "10 [2, 4, 6]", "20 [7]"]);
    // Nothing new: nothing comes out again.
    harness.run().unwrap();
    assert_eq!(harness.outputs().len(), 3);
    harness.feed_events("items", [record(8, 19), record(9, 31)]);
    harness.workers(3).run().unwrap();
    let all = harness.outputs();
    assert_eq!(all[3..], ["10 [2, 4, 6, 8]", "30 [9]"]);
}
