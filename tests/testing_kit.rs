//! The testing kit: the effects of its events are exact and the same in every run, even on a busy
//! machine.
#![cfg(test)]

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use flow::{
    Ended, Epochs, Recovery, RunError, Runner, Stream,
    testing::{Event, Harness, TestSink, TestSource},
};

/// The running total of each number's parity, with the number.
fn totals(numbers: Stream<u64>) -> Stream<(u64, u64)> {
    let add = |sum: &mut u64, n: u64| {
        *sum += n;
        (n, *sum)
    };
    let sums = numbers.key_on(|n| n % 2).stateful_map(add);
    sums.named("total").map(|(_, sum)| sum)
}

fn records(numbers: impl IntoIterator<Item = u64>) -> impl Iterator<Item = Event<u64>> {
    numbers.into_iter().map(Event::Record)
}

#[track_caller]
fn assert_cut_short(result: Result<flow::Outcome, RunError>) {
    let error = result.unwrap_err();
    assert!(matches!(error, RunError::CutShort { .. }), "{error}");
}

fn every_epochs() -> [Epochs; 4] {
    [
        Epochs::every_record(),
        Epochs::records(2),
        Epochs::records(1000),
        Epochs::every(Duration::from_secs(3600)),
    ]
}

#[test]
fn everything_before_an_abort_is_durable() {
    for epochs in every_epochs() {
        for workers in [1, 2, 3] {
            let mut test = Harness::new(totals);
            test.epochs(epochs).workers(workers);
            let before = records([1, 2, 3]).chain([Event::Abort]);
            test.feed_events("items", before.chain(records([4, 5])));
            assert_cut_short(test.run());
            let mut seen = test.outputs();
            seen.sort_unstable();
            assert_eq!(seen, [(1, 1), (2, 2), (3, 4)], "{epochs:?}");
            // What has no epoch has not ended one.
            assert!(test.seen().iter().all(|seen| seen.epoch.is_some()));
            let outcome = test.workers(4 - workers).run().unwrap();
            assert_eq!(outcome.records, 2, "{epochs:?}");
            let mut seen = test.run_outputs();
            seen.sort_unstable();
            assert_eq!(seen, [(4, 6), (5, 9)], "{epochs:?}");
            assert_eq!(test.outputs().len(), 5);
        }
    }
}

#[test]
fn a_kill_costs_the_open_epoch_and_no_other() {
    for workers in [1, 2, 3] {
        let mut test = Harness::new(totals);
        test.epochs(Epochs::records(2)).workers(workers);
        let before = records([1, 2, 3, 4, 5]).chain([Event::Kill]);
        test.feed_events("items", before.chain(records([6])));
        assert_cut_short(test.run());
        // The 5 was in the open epoch, and comes again.
        assert_eq!(test.run().unwrap().records, 2);
        let mut seen = test.outputs();
        seen.sort_unstable();
        assert_eq!(seen, [(1, 1), (2, 2), (3, 4), (4, 6), (5, 9), (6, 12)]);
    }
}

#[test]
fn an_epoch_that_an_event_ends_survives_a_kill() {
    let mut test = Harness::new(totals);
    test.epochs(Epochs::every(Duration::from_secs(3600)));
    let events = records([1]).chain([Event::EndEpoch]).chain(records([3, 5]));
    test.feed_events("items", events.chain([Event::Kill]));
    assert_cut_short(test.run());
    let outcome = test.run().unwrap();
    assert_eq!(outcome.records, 2);
    assert_eq!(test.outputs(), [(1, 1), (3, 4), (5, 9)]);
}

#[test]
fn aborts_may_come_first_last_and_in_a_row() {
    for event in [Event::Abort, Event::Kill] {
        for workers in [1, 3] {
            let mut test = Harness::new(totals);
            let twice = [event.clone(), event.clone()];
            let events = twice.clone().into_iter().chain(records([1])).chain(twice);
            test.workers(workers).feed_events("items", events);
            for outputs in [0, 0, 1, 1] {
                assert_cut_short(test.run());
                assert_eq!(test.outputs().len(), outputs);
            }
            assert_eq!(test.run().unwrap().ended, Ended::Finished);
            assert_eq!(test.outputs(), [(1, 1)]);
            assert_eq!(test.run().unwrap().records, 0);
        }
    }
}

#[test]
fn partitions_have_their_own_events() {
    for workers in [1, 2, 5] {
        let mut test = Harness::new(totals);
        test.workers(workers);
        test.feed_events("ends", records([1]).chain([Event::Eof]).chain(records([3])));
        test.feed_events("fails", [Event::Pause(Duration::from_secs(60))]);
        test.feed_events("plain", records([5, 7]));
        test.run().unwrap();
        let mut seen: Vec<_> = test.run_outputs().iter().map(|(n, _)| *n).collect();
        seen.sort_unstable();
        assert_eq!(seen, [1, 5, 7], "one partition ends, and the others go on");
        test.feed_events("fails", [Event::Fail("no more".into())]);
        for _ in 0..2 {
            let error = test.run().unwrap_err().to_string();
            assert!(
                error.contains("fails") && error.contains("no more"),
                "{error}"
            );
        }
        let mut all: Vec<_> = test.outputs().iter().map(|(n, _)| *n).collect();
        all.sort_unstable();
        assert!(all == [1, 5, 7] || all == [1, 3, 5, 7], "{all:?}");
    }
}

#[test]
fn an_end_counts_as_read_in_the_runs_behind_it() {
    let mut test = Harness::new(totals);
    let events = records([1]).chain([Event::Eof]);
    let events = events.chain([Event::Eof]).chain(records([3]));
    test.feed_events("items", events.chain([Event::Eof]));
    for expected in [vec![(1, 1)], vec![], vec![(3, 4)], vec![], vec![]] {
        test.run().unwrap();
        assert_eq!(test.run_outputs(), expected);
    }
}

#[test]
fn a_pause_moves_a_manual_clock_and_waits_for_the_systems() {
    let pause = Duration::from_millis(30);
    let events = || {
        records([1])
            .chain([Event::Pause(pause)])
            .chain(records([3]))
    };
    let mut test = Harness::new(totals);
    let start = test.clock().now();
    test.feed_events("items", events()).run().unwrap();
    assert_eq!(test.clock().now() - start, pause);

    let mut test = Harness::new(totals);
    let start = Instant::now();
    test.system_clock().feed_events("items", events());
    test.run().unwrap();
    assert!(start.elapsed() >= pause);
    assert_eq!(test.outputs(), [(1, 1), (3, 4)]);

    // It is read once: a run behind it has nothing to wait for.
    test.feed_events("items", [Event::Pause(Duration::MAX), Event::Stop]);
    let runner = test.runner();
    let handle = runner.handle();
    let run = std::thread::spawn(move || runner.run());
    handle.stop();
    assert_eq!(run.join().unwrap().unwrap().ended, Ended::Stopped);
}

/// Events are read like records: a process that is restarted with the same events does not read
/// them again.
#[test]
fn events_count_as_read_for_a_source_that_remembers_nothing() {
    let home = tempfile::tempdir().unwrap();
    let out = TestSink::new();
    let run = || {
        let source = TestSource::new();
        let events = [Event::Abort, 1.into(), Event::Abort, Event::Abort];
        source.feed_events("items", events);
        source.feed_events("items", [2.into(), Event::Stop, 3.into(), Event::Eof]);
        let out = out.clone();
        let runner = Runner::new(move |flow| {
            let numbers = flow.source(source.clone()).named("numbers");
            numbers.sink(out.clone()).named("out");
        });
        runner
            .recover(Recovery::at(home.path().join("state")))
            .run()
    };
    for seen in [vec![], vec![1], vec![]] {
        assert_cut_short(run());
        assert_eq!(out.run_items(), seen);
    }
    assert_eq!(run().unwrap().ended, Ended::Stopped);
    assert_eq!(run().unwrap().ended, Ended::Finished);
    assert_eq!(out.items(), [1, 2, 3]);
}

#[test]
fn a_source_that_lost_events_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let out = TestSink::new();
    let run = |events: u64| {
        let out = out.clone();
        let source = TestSource::new();
        source.feed(0..events);
        let runner = Runner::new(move |flow| {
            let numbers = flow.source(source.clone()).named("numbers");
            numbers.sink(out.clone()).named("out");
        });
        runner
            .recover(Recovery::at(home.path().join("state")))
            .run()
    };
    run(3).unwrap();
    let error = run(2).unwrap_err().to_string();
    assert!(
        error.contains("items has 2 events, but 3 had been read"),
        "{error}"
    );
}

#[test]
fn without_a_store_an_abort_comes_when_everything_before_it_has_come_out() {
    let (source, out) = (TestSource::new(), TestSink::new());
    source.feed_events("items", records(1..=40).chain([Event::Abort, 41.into()]));
    let (input, output) = (source.clone(), out.clone());
    let runner = Runner::new(move |flow| {
        flow.source(input.clone()).sink(output.clone());
    });
    assert_cut_short(runner.run());
    assert_eq!(out.items(), (1..=40).collect::<Vec<_>>());
}

#[test]
fn each_item_may_have_an_epoch_of_its_own_on_any_number_of_workers() {
    for workers in [1, 2, 4] {
        let mut test = Harness::new(totals);
        test.epoch_per_record().workers(workers);
        for partition in 0..5 {
            test.feed_events(
                &format!("p{partition}"),
                records(partition * 10..partition * 10 + 7),
            );
        }
        test.run().unwrap();
        let epochs: BTreeSet<_> = test
            .seen()
            .into_iter()
            .map(|seen| seen.epoch.unwrap())
            .collect();
        assert_eq!(epochs.len(), 35);
    }
}

#[test]
fn items_come_with_their_epoch_their_worker_and_their_run() {
    let mut test = Harness::new(|numbers: Stream<u64>| numbers.map(|n| n));
    test.workers(3)
        .epochs(Epochs::every(Duration::from_secs(3600)));
    let epochs = [1.into(), 2.into(), Event::EndEpoch, 3.into(), Event::Abort];
    test.feed_events("one partition", epochs);
    assert_cut_short(test.run());
    test.feed_events("one partition", records([4]))
        .run()
        .unwrap();
    let seen: Vec<_> = test.seen();
    let of = |seen: &flow::testing::Seen<u64>| {
        let epoch = seen.epoch.unwrap();
        (seen.item, epoch.execution(), epoch.number(), seen.run)
    };
    let stamps: Vec<_> = seen.iter().map(of).collect();
    assert_eq!(
        stamps,
        [(1, 1, 1, 1), (2, 1, 1, 1), (3, 1, 2, 1), (4, 2, 1, 2)]
    );
    assert!(
        seen.iter().all(|seen| seen.worker == 0),
        "it has the partition"
    );

    // And what several workers make says so.
    let mut test = Harness::new(|numbers: Stream<u64>| numbers.map(|n| n));
    for (worker, partition) in ["a", "b", "c"].into_iter().enumerate() {
        test.feed_events(partition, records([worker as u64; 3]));
    }
    test.workers(3).run().unwrap();
    for seen in test.seen() {
        assert_eq!(seen.worker as u64, seen.item);
    }
}

/// With a stopped clock, each epoch has exactly the requested length, from the first one on, even
/// in the run after an abort.
#[test]
fn epochs_do_not_depend_on_the_machine() {
    let mut test = Harness::new(|numbers: Stream<u64>| numbers.map(|n| n));
    test.epochs(Epochs::records(100));
    test.feed_events("items", records(0..1000).chain([Event::Abort]));
    assert_cut_short(test.run());
    test.feed(1000..2000).run().unwrap();
    for seen in test.seen() {
        let epoch = seen.epoch.unwrap();
        assert_eq!(epoch.number(), seen.item % 1000 / 100 + 1, "{seen:?}");
    }
}

#[test]
fn an_epoch_that_ended_early_is_followed_by_full_ones() {
    let mut test = Harness::new(|numbers: Stream<u64>| numbers.map(|n| n));
    test.epochs(Epochs::records(10));
    let early = records(0..3).chain([Event::EndEpoch]);
    test.feed_events("items", early.chain(records(3..43)));
    test.run().unwrap();
    for seen in test.seen() {
        let full = seen.item.checked_sub(3).map_or(0, |after| after / 10 + 1);
        assert_eq!(seen.epoch.unwrap().number(), full + 1, "{seen:?}");
    }
}

#[test]
fn what_this_run_gave_out_is_nothing_when_it_was_refused() {
    let mut test = Harness::new(totals);
    test.feed([1, 2]).run().unwrap();
    assert_eq!(test.run_outputs().len(), 2);
    test.change(|numbers| numbers.map(|n| (n, n)));
    let error = test.run().unwrap_err();
    assert!(matches!(error, RunError::Resume(_)), "{error}");
    assert_eq!(test.run_outputs(), []);
    assert_eq!(test.outputs(), [(1, 1), (2, 2)]);
    test.change(totals).feed([3]).run().unwrap();
    assert_eq!(test.run_outputs(), [(3, 4)]);
}

#[test]
fn a_source_that_was_fed_nothing_ends_at_once_and_may_be_fed_later() {
    for workers in [1, 2] {
        let mut test = Harness::new(totals);
        test.workers(workers);
        assert_eq!(test.run().unwrap().records, 0);
        test.feed([]);
        assert_eq!(test.run().unwrap().records, 0);
        test.feed([1]);
        assert_eq!(test.run().unwrap().records, 1);
        assert_eq!(test.outputs(), [(1, 1)]);
    }
}

/// Three inputs, one of which becomes keyed, with an abort in each of them.
#[test]
fn a_dataflow_may_have_several_inputs_and_outputs() {
    type Streams = (Stream<u64>, Stream<String>, Stream<bool>);
    let dataflow = |(numbers, texts, flags): Streams| {
        let count = |count: &mut u64, _: bool| {
            *count += 1;
            *count
        };
        let sums = numbers.map(|n| n + 1);
        let counts = flags
            .key_on(|flag| *flag)
            .stateful_map(count)
            .named("counts");
        (sums, texts.map(|text| text.len()), counts)
    };
    for workers in [1, 2] {
        let mut test = Harness::new(dataflow);
        let (numbers, texts, flags) = test.sources();
        numbers.feed_events("items", [1.into(), Event::Abort, 2.into()]);
        texts.feed_events("items", ["one".to_owned().into(), Event::Abort]);
        flags.feed_events("items", [true.into(), Event::Abort, true.into()]);
        for _ in 0..3 {
            assert_cut_short(test.run());
        }
        test.workers(workers).run().unwrap();
        let (sums, lengths, counts) = test.sinks();
        assert_eq!(sums.items(), [2, 3]);
        assert_eq!(lengths.items(), [3]);
        assert_eq!(counts.items(), [(true, 1), (true, 2)]);
    }
}
