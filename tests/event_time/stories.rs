//! What happens to windows and late records when a flow runs again, changes or fails.

use std::time::Duration;

use flow::{
    Dead, Ended, NoKey, ResumeError, RunError, Stream, WindowedStreams, Windows,
    prelude::*,
    sink,
    source::{self, RawLine},
    testing::{Event as Happens, Harness},
};
use flow_store::{KEY_GROUPS, Look};

use crate::{Event, at, second, support};

type Gathered = WindowedStreams<Event, Vec<u64>, u64, flow::EventTime>;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn gather(events: Stream<Event, NoKey, flow::EventTime>, length: u64) -> Gathered {
    let ids = |ids: &mut Vec<u64>, event: Event| ids.push(event.id);
    let keyed = events.key_on(|event| event.key);
    let gathered = keyed.fold_window(Windows::tumbling(seconds(length)), Vec::new, ids);
    gathered.named("gathered")
}

/// The results and the late records, as texts.
fn lines(gathered: Gathered) -> Stream<String> {
    let windows = gathered
        .values
        .map(|(_, ids)| format!("{} {:?}", second(ids.window.open), ids.value));
    let late = gathered.late.map(|(_, late)| {
        let open = second(late.window.open);
        format!("late {} for {open}", late.value.id)
    });
    windows.merge(late).drop_time()
}

/// Windows of ten seconds, for which records have five to come.
fn usual(events: Stream<Event>) -> Stream<String> {
    lines(gather(events.event_time(at, seconds(5)), 10))
}

fn event(id: u64, at: i64) -> Event {
    Event { id, key: 0, at }
}

fn record(id: u64, at: i64) -> Happens<Event> {
    Happens::Record(event(id, at))
}

/// The rows of a step in the store: the key's bytes of each.
fn keys(harness_store: &std::path::Path, step: &str) -> Vec<Vec<u8>> {
    support::look(harness_store, |look: &Look| {
        let step = look.steps().iter().find(|stored| stored.id == step);
        let rows = look.rows(step.unwrap().number, 0..KEY_GROUPS).unwrap();
        rows.map(|row| row.unwrap().key.to_vec()).collect()
    })
}

#[test]
fn a_late_record_stays_late_when_the_step_of_its_time_is_renamed() {
    let mut harness = Harness::new(usual);
    let events = [record(1, 1), record(2, 30), record(3, 2), Happens::Stop];
    harness.feed_events("items", events);
    harness.feed_events("items", [record(4, 24), record(5, 25), record(6, 3)]);
    assert_eq!(harness.run().unwrap().ended, Ended::Stopped);
    assert_eq!(harness.outputs(), ["0 [1]", "late 3 for 0"]);
    harness.change(|events: Stream<Event>| {
        let timed = events.event_time(at, seconds(5)).named("happened");
        lines(gather(timed.renamed_from("event_time"), 10))
    });
    assert_eq!(harness.run().unwrap().ended, Ended::Finished);
    let outputs = harness.outputs();
    assert_eq!(outputs[2..], ["late 6 for 0", "20 [4, 5]", "30 [2]"]);
}

#[test]
fn another_length_is_refused_while_windows_are_open() {
    let longer = |events: Stream<Event>| lines(gather(events.event_time(at, seconds(5)), 60));
    let mut harness = Harness::new(usual);
    harness.feed_events("items", [record(1, 1), Happens::Stop, record(2, 61)]);
    assert_eq!(harness.run().unwrap().ended, Ended::Stopped);
    harness.change(longer);
    for workers in 1..=3 {
        let error = harness.workers(workers).run().unwrap_err();
        let RunError::Resume(refused) = &error else {
            panic!("{error}");
        };
        assert!(matches!(refused, ResumeError::WindowsChanged { .. }));
        assert_eq!(refused.kind(), "windows-changed");
        assert_eq!(refused.step(), Some("gathered"));
        assert_eq!(
            refused.to_string(),
            "step `gathered` has open windows of tumbling(10s), and the flow now has windows of \
             tumbling(60s)\nhelp: go back to the windows that are stored, or give up the open \
             windows with `--drop-state gathered`"
        );
    }
    // It has changed nothing.
    harness.change(usual);
    harness.run().unwrap();
    assert_eq!(harness.outputs(), ["0 [1]", "60 [2]"]);
    // The way out that the help names.
    harness.change(longer);
    harness.recovery(|recovery| recovery.drop_state("gathered"));
    harness.feed_events("items", [record(3, 62)]);
    harness.run().unwrap();
    assert_eq!(harness.outputs()[2..], ["60 [3]"]);
}

#[test]
fn another_length_is_accepted_when_no_window_is_open() {
    // The windows of an even record are those that count.
    let build = |length| {
        move |events: Stream<Event>| {
            let timed = events.event_time(at, seconds(0));
            lines(gather(timed.filter(|event| event.key == 0), length))
        }
    };
    let other = |at| Happens::Record(Event { id: 0, key: 1, at });
    let mut harness = Harness::new(build(10));
    harness.feed_events("items", [record(1, 1), other(20), Happens::Stop]);
    assert_eq!(harness.run().unwrap().ended, Ended::Stopped);
    assert_eq!(harness.outputs(), ["0 [1]"]);
    harness.change(build(60));
    harness.feed_events("items", [record(2, 21), record(3, 61)]);
    harness.run().unwrap();
    assert_eq!(harness.outputs()[1..], ["0 [2]", "60 [3]"]);
    // What is stored now are windows of the new length.
    harness.change(build(10));
    let error = harness.run().unwrap_err().to_string();
    assert!(error.contains("open windows of tumbling(60s)"), "{error}");
}

#[test]
fn a_closed_window_leaves_no_row_but_that_of_the_step() {
    let mut harness = Harness::new(usual);
    harness.workers(2);
    let events = (0..100).map(|id| {
        Happens::Record(Event {
            id,
            key: id % 7,
            at: 0,
        })
    });
    harness.feed_events("items", events);
    harness.feed_events("items", [Happens::Stop]);
    assert_eq!(harness.run().unwrap().ended, Ended::Stopped);
    let open = keys(harness.store(), "gathered");
    assert_eq!(open.len(), 7 + 1, "{open:?}");
    // The first closes all windows. The second is late, and the third opens its own.
    harness.feed_events("items", [record(101, 15), record(102, 1), Happens::Stop]);
    assert_eq!(harness.run().unwrap().ended, Ended::Stopped);
    let open = keys(harness.store(), "gathered");
    assert_eq!(open.len(), 1 + 1, "{open:?}");
    assert_eq!(open.iter().filter(|key| key.is_empty()).count(), 1);
    assert_eq!(harness.outputs().len(), 7 + 1);
}

#[test]
fn without_a_store() {
    for workers in [1, 3] {
        let (out, seen) = sink::collect();
        let runner = Runner::new(move |flow| {
            let events = [event(1, 1), event(2, 30), event(3, 2), event(4, 35)];
            let events = flow.source(source::from_iter(events));
            usual(events).sink(out.clone());
        });
        runner.workers(workers).run().unwrap();
        let mut lines = seen.take();
        lines.sort();
        assert_eq!(lines, ["0 [1]", "30 [2, 4]", "late 3 for 0"]);
    }
}

/// A dead letter is no record, so it has no time, and moves no watermark.
#[test]
fn behind_a_source_that_gives_away_what_it_can_not_read() {
    let directory = tempfile::tempdir().unwrap();
    let input = directory.path().join("in");
    let record = |id, at| serde_json::to_string(&event(id, at)).unwrap() + "\n";
    let text = [record(1, 1), "x\n".into(), record(2, 30), record(3, 2)];
    std::fs::write(&input, text.concat()).unwrap();
    for (workers, block) in [(1, None), (3, Some(1)), (2, Some(3))] {
        let ((out, seen), (bad, dead)) = (sink::collect(), sink::collect());
        let input = input.clone();
        let runner = Runner::new(move |flow| {
            let (events, dead) = flow.source_or_dead(JsonLines::open::<Event>(&input));
            usual(events).sink(out.clone());
            dead.sink(bad.clone());
        });
        let runner = runner.workers(workers);
        let runner = match block {
            Some(lines) => runner.blocks_of(lines),
            None => runner,
        };
        runner.run().unwrap();
        let mut lines = seen.take();
        lines.sort();
        assert_eq!(lines, ["0 [1]", "30 [2]", "late 3 for 0"]);
        let dead: Vec<Dead<RawLine, String>> = dead.take();
        assert_eq!(dead.len(), 1);
        assert_eq!(dead[0].record.line, 2);
    }
}

/// A record that becomes very many rests in between, and the clock with it.
#[test]
fn behind_a_record_that_becomes_very_many() {
    const EACH: i64 = 20_000;
    for (workers, rounds) in [(1, 1), (2, 2)] {
        let mut harness = Harness::new(|events: Stream<Event>| {
            let many = events.flat_map(|event| {
                (0..EACH).map(move |n| Event {
                    id: event.id * 1_000_000 + n as u64,
                    // The last of each thousand is that of the thousand before.
                    at: match n % 1000 {
                        999 => n / 1000 - 1,
                        _ => n / 1000,
                    },
                    ..event
                })
            });
            let timed = many.event_time(at, seconds(0));
            let keyed = timed.key_on(|event| event.key);
            let second_each = Windows::tumbling(seconds(1));
            let count = |count: &mut u64, _: Event| *count += 1;
            let counted = keyed.fold_window(second_each, || 0, count).named("counted");
            let windows = counted.values.map(|(_, count)| count.value);
            // A late record counts a million.
            let late = counted.late.map(|_| 1_000_000u64);
            windows.merge(late).drop_time()
        });
        harness.workers(workers);
        for round in 1..=rounds {
            harness.feed_events("items", [record(round, 0)]);
            assert_eq!(harness.run().unwrap().ended, Ended::Finished);
        }
        let outputs = harness.outputs();
        let late = outputs.iter().filter(|count| **count == 1_000_000).count();
        let counts: Vec<u64> = outputs.into_iter().filter(|n| *n < 1_000_000).collect();
        // Of the first record the twentieth part of a thousandth is late. Of the second, all that
        // is before the last window.
        let all = EACH as usize;
        match rounds {
            1 => assert_eq!((late, counts.len()), (20, 20)),
            _ => assert_eq!((late, counts.len()), (20 + all - 999, 20 + 1)),
        }
        assert!(counts[..20].iter().all(|count| *count == 999), "{counts:?}");
        if rounds == 2 {
            assert_eq!(counts[20], 2 * 999);
        }
    }
}

#[test]
fn a_panic_in_the_function_of_a_time_names_the_step_and_the_record() {
    let directory = tempfile::tempdir().unwrap();
    let input = directory.path().join("in");
    let text = [1, 2, 3].map(|id| serde_json::to_string(&event(id, 0)).unwrap() + "\n");
    std::fs::write(&input, text.concat()).unwrap();
    for workers in [1, 2] {
        let path = input.clone();
        let runner = Runner::new(move |flow| {
            let events = flow.source(JsonLines::open::<Event>(&path));
            let timed = events.event_time(
                |event: &Event| {
                    assert!(event.id != 2, "no time on purpose");
                    at(event)
                },
                seconds(0),
            );
            let gathered = gather(timed.named("happened"), 10);
            lines(gathered).sink(sink::from_fn(|_: String| ()));
        });
        let error = runner.workers(workers).run().unwrap_err();
        let text = error.to_string();
        assert!(text.contains("`happened`"), "{text}");
        assert!(text.contains("no time on purpose"), "{text}");
        let line = format!("{}, line 2", input.display());
        assert!(text.contains(&line), "{text}");
    }
}

#[test]
fn windows_of_another_type_are_refused_or_converted() {
    let joined = |convert: bool| {
        move |events: Stream<Event>| {
            let keyed = events.event_time(at, seconds(5)).key_on(|event| event.key);
            let tens = Windows::tumbling(seconds(10));
            let joined = keyed.fold_window(tens, String::new, |text: &mut String, event| {
                *text += &format!("{}.", event.id);
            });
            let joined = joined.named("gathered");
            let joined = match convert {
                true => joined.migrate_from(|ids: Vec<u64>| format!("{ids:?}")),
                false => joined,
            };
            let values = joined.drop_late().map(|(_, text)| text.value);
            values.drop_time()
        }
    };
    let mut harness = Harness::new(usual);
    harness.feed_events("items", [record(1, 1), record(2, 12), Happens::Stop]);
    assert_eq!(harness.run().unwrap().ended, Ended::Stopped);
    harness.change(joined(false));
    let error = harness.run().unwrap_err().to_string();
    let expected = [
        "the states of step `gathered` (tests/event_time/stories.rs:",
        "`[].2` was [u64] and is String",
        "convert them with `.migrate_from::<Old>(..)`",
        "`--drop-state gathered`",
    ];
    for part in expected {
        assert!(error.contains(part), "{error}");
    }
    harness.change(joined(true));
    harness.feed_events("items", [record(3, 13), Happens::Stop]);
    assert_eq!(harness.workers(2).run().unwrap().ended, Ended::Stopped);
    // What was converted is stored, so the conversion may go.
    harness.change(joined(false));
    harness.run().unwrap();
    assert_eq!(harness.outputs(), ["[1]", "[2]3."]);
}
