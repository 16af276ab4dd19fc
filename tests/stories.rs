//! Stories of users, on the testing kit: runs that end in every way, and runs that resume.
#![cfg(test)]

use std::time::Duration;

use flow::{
    Ended, Epochs, OnError, RunError, Stream,
    testing::{Event, Harness},
};

/// The running total of each of seven keys.
fn totals(numbers: Stream<u64>) -> Stream<(u64, u64)> {
    numbers
        .key_on(|n| n % 7)
        .stateful_map(|sum: &mut u64, n| {
            *sum += n;
            *sum
        })
        .named("total")
        .map(|pair| pair)
}

/// The results of [`totals`] for `numbers`, in order.
fn expected(numbers: impl IntoIterator<Item = u64>) -> Vec<(u64, u64)> {
    let mut sums = [0; 7];
    let total = |n: u64| {
        let sum = &mut sums[usize::try_from(n % 7).unwrap()];
        *sum += n;
        (n % 7, *sum)
    };
    numbers.into_iter().map(total).collect()
}

/// The results of each key, in order, which are the same with any number of workers.
fn by_key(mut results: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    results.sort_by_key(|(key, _)| *key);
    results
}

fn every_epochs() -> [Epochs; 4] {
    [
        Epochs::every_record(),
        Epochs::records(3),
        Epochs::every(Duration::from_secs(1)),
        Epochs::every(Duration::from_millis(1)),
    ]
}

#[test]
fn a_run_goes_on_where_the_last_one_ended_with_any_number_of_workers() {
    for epochs in every_epochs() {
        for workers in [[1, 1, 1], [1, 2, 4], [4, 3, 2]] {
            let mut test = Harness::new(totals);
            test.epochs(epochs);
            for (round, workers) in workers.into_iter().enumerate() {
                let from = round as u64 * 20;
                test.feed(from..from + 20).workers(workers);
                let outcome = test.run().unwrap();
                assert_eq!((outcome.records, outcome.ended), (20, Ended::Finished));
            }
            assert_eq!(by_key(test.outputs()), by_key(expected(0..60)));
            assert_eq!(test.run().unwrap().records, 0, "nothing is read twice");
            assert_eq!(test.outputs().len(), 60, "nothing comes out twice");
        }
    }
}

#[test]
fn with_one_worker_everything_stays_in_order() {
    for epochs in every_epochs() {
        let mut test = Harness::new(totals);
        test.epochs(epochs).feed(0..1000).run().unwrap();
        assert_eq!(test.outputs(), expected(0..1000));
    }
}

#[test]
fn what_was_not_durable_when_a_run_was_cut_short_comes_again_and_counts_once() {
    for epochs in every_epochs() {
        for workers in [1, 2, 3] {
            let mut test = Harness::new(totals);
            test.epochs(epochs).workers(workers);
            for start in (0..100).step_by(10) {
                let records = (start..start + 10).map(Event::Record);
                test.feed_events("items", records.chain([Event::Kill]));
            }
            let mut aborted = 0;
            while let Err(error) = test.run() {
                assert!(matches!(error, RunError::CutShort { .. }), "{error}");
                aborted += 1;
                assert!(aborted <= 10);
            }
            assert_eq!(aborted, 10);
            assert_eq!(by_key(test.outputs()), by_key(expected(0..100)));
        }
    }
}

#[test]
fn a_run_that_is_asked_to_stop_commits_what_it_has_read() {
    for epochs in every_epochs() {
        let mut test = Harness::new(totals);
        test.epochs(epochs);
        let events = (0..30).map(Event::Record).chain([Event::Stop]);
        test.feed_events("items", events).feed(30..40);
        let outcome = test.run().unwrap();
        assert_eq!((outcome.ended, outcome.records), (Ended::Stopped, 30));
        assert_eq!(test.outputs(), expected(0..30));
        assert_eq!(test.run().unwrap().records, 10);
        assert_eq!(test.outputs(), expected(0..40));
    }
}

/// Like [`totals`], but fails on a number.
fn failing_on(bad: u64) -> impl Fn(Stream<u64>) -> Stream<(u64, u64)> {
    move |numbers| {
        let checked = numbers.try_map(move |n| {
            if n == bad {
                Err(format!("{n} is bad"))
            } else {
                Ok(n)
            }
        });
        totals(checked)
    }
}

#[test]
fn a_record_that_fails_stops_the_flow_exactly_there() {
    for epochs in every_epochs() {
        for workers in [1, 2, 4] {
            let mut test = Harness::new(failing_on(55));
            test.epochs(epochs).workers(workers).feed(0..100);
            for times in 1..=3 {
                let error = test.run().unwrap_err();
                let RunError::Record(error) = error else {
                    panic!("{error}");
                };
                assert_eq!(error.times, times);
                assert_eq!(error.to_string().contains("OnError::Skip"), times == 3);
                assert_eq!(error.position.as_deref(), Some("event 56"));
                assert_eq!(error.cause.to_string(), "55 is bad");
                assert_eq!(by_key(test.outputs()), by_key(expected(0..55)));
            }
            test.change(failing_on(1000)).run().unwrap();
            assert_eq!(by_key(test.outputs()), by_key(expected(0..100)));
        }
    }
}

#[test]
fn one_partition_fails_and_the_others_keep_what_they_have_read() {
    for workers in [1, 2, 3] {
        let mut test = Harness::new(failing_on(2007));
        test.workers(workers).epochs(Epochs::records(5));
        for partition in 0..3u64 {
            let records = (0..50).map(|n| Event::Record(partition * 1000 + n));
            test.feed_events(&format!("p{partition}"), records);
        }
        let error = test.run().unwrap_err();
        assert!(error.to_string().contains("p2"), "{error}");
        let first = test.outputs().len();
        assert!((7..150).contains(&first));
        test.change(failing_on(u64::MAX)).run().unwrap();
        let all = (0..3).flat_map(|partition| (0..50).map(move |n| partition * 1000 + n));
        let count: u64 = all.clone().sum();
        let mut last = [0; 7];
        for (key, total) in test.outputs() {
            last[usize::try_from(key).unwrap()] = total;
        }
        assert_eq!(last.iter().sum::<u64>(), count, "each record counts once");
        assert_eq!(test.outputs().len(), 150);
    }
}

#[test]
fn nothing_of_a_failed_record_leaves_by_another_branch() {
    let mut test = Harness::new(|numbers: Stream<u64>| {
        let fine = numbers.clone().map(|n| (n, 0));
        let doubled = numbers.flat_map(|n| [n, n]).try_map(|n| {
            let even = n % 2 == 0;
            even.then_some((n, 1)).ok_or("odd")
        });
        fine.merge(doubled)
    });
    test.feed([2, 4, 5, 6]).epochs(Epochs::records(100));
    test.run().unwrap_err();
    let mut seen = test.outputs();
    seen.sort_unstable();
    assert_eq!(seen, [(2, 0), (2, 1), (2, 1), (4, 0), (4, 1), (4, 1)]);
}

#[test]
fn a_source_that_fails_stops_the_flow_exactly_there() {
    let mut test = Harness::new(totals);
    test.epochs(Epochs::records(100)).feed(0..10);
    test.feed_events("items", [Event::Fail("line 11 is no number".into())]);
    let error = test.run().unwrap_err();
    assert!(
        error.to_string().contains("line 11 is no number"),
        "{error}"
    );
    assert!(error.to_string().contains("`input`"), "{error}");
    assert_eq!(test.outputs(), expected(0..10));
}

#[test]
fn a_failure_behind_a_shuffle_gives_up_the_open_epoch_and_names_the_step() {
    fn with_check(limit: u64) -> impl Fn(Stream<u64>) -> Stream<(u64, u64)> {
        move |numbers| {
            totals(numbers).try_map(move |(key, total)| {
                if total > limit {
                    Err(format!("{total} is above {limit}"))
                } else {
                    Ok((key, total))
                }
            })
        }
    }
    for workers in [1, 2, 4] {
        let mut test = Harness::new(with_check(300));
        test.workers(workers).feed(0..100);
        let error = test.run().unwrap_err();
        assert!(matches!(error, RunError::Step { .. }), "{error}");
        assert!(error.to_string().contains("`try_map`"), "{error}");
        test.change(with_check(u64::MAX)).run().unwrap();
        assert_eq!(by_key(test.outputs()), by_key(expected(0..100)));
    }
}

#[test]
fn a_panic_names_its_step_and_costs_only_what_was_not_durable() {
    fn with_panic(at: u64) -> impl Fn(Stream<u64>) -> Stream<(u64, u64)> {
        move |numbers| {
            let checked = numbers.inspect(move |n| assert!(*n != at, "{n} is poison"));
            totals(checked.map(|n| n))
        }
    }
    for workers in [1, 2, 4] {
        let mut test = Harness::new(with_panic(77));
        test.workers(workers)
            .feed(0..100)
            .epochs(Epochs::records(10));
        // Few records at a time after the first panic, then one by one: all good ones get through.
        for _ in 0..4 {
            let error = test.run().unwrap_err();
            assert!(matches!(error, RunError::Panicked { .. }), "{error}");
            assert!(
                error
                    .to_string()
                    .contains("step `inspect` panicked: 77 is poison"),
                "{error}"
            );
        }
        assert_eq!(
            by_key(test.outputs()),
            by_key(expected(0..77)),
            "{workers} workers"
        );
        test.change(with_panic(u64::MAX)).run().unwrap();
        assert_eq!(by_key(test.outputs()), by_key(expected(0..100)));
    }
}

#[test]
fn a_panic_while_the_flow_is_built_is_an_error() {
    let mut test = Harness::new(|_: Stream<u64>| -> Stream<u64> { panic!("no flow today") });
    let error = test.feed([1]).run().unwrap_err();
    assert!(matches!(error, RunError::Build(_)), "{error}");
    assert!(error.to_string().contains("no flow today"), "{error}");
    assert!(!test.store().exists(), "nothing has been made");
}

#[test]
fn skipped_records_are_counted_and_not_read_again() {
    let mut test = Harness::new(|numbers: Stream<u64>| {
        numbers
            .try_map_with(
                |n| if n % 2 == 0 { Ok(n) } else { Err("odd") },
                OnError::Skip,
            )
            .named("even_only")
    });
    let outcome = test.feed(0..9).run().unwrap();
    assert_eq!(outcome.skipped, [("even_only".to_owned(), 4)]);
    assert_eq!(outcome.records, 9);
    assert_eq!(test.outputs(), [0, 2, 4, 6, 8]);
    assert_eq!(test.run().unwrap().records, 0);
}

#[test]
fn a_key_whose_state_is_taken_is_forgotten() {
    fn pairs(numbers: Stream<u64>) -> Stream<(u64, Option<u64>)> {
        let pair = |waiting: &mut Option<u64>, n: u64| match waiting.take() {
            Some(first) => Some(first + n),
            None => {
                *waiting = Some(n);
                None
            }
        };
        let pairs = numbers.key_on(|n| n % 3).stateful_map_opt(pair);
        pairs.named("pair").map(|pair| pair)
    }
    let mut test = Harness::new(pairs);
    test.feed([0, 1, 2, 3]).run().unwrap();
    test.workers(2).feed([4, 5, 6]).run().unwrap();
    let sums: Vec<_> = test.outputs().into_iter().map(|(_, sum)| sum).collect();
    assert_eq!(sums.iter().flatten().count(), 3);
    assert_eq!(
        by_key_opt(&test.outputs()),
        [
            (0, vec![None, Some(3), None]),
            (1, vec![None, Some(5)]),
            (2, vec![None, Some(7)])
        ]
    );
}

fn by_key_opt(results: &[(u64, Option<u64>)]) -> Vec<(u64, Vec<Option<u64>>)> {
    let of = |key| results.iter().filter(move |(k, _)| *k == key);
    (0..3)
        .map(|key| (key, of(key).map(|(_, sum)| *sum).collect()))
        .collect()
}

#[test]
fn an_epoch_ends_when_its_time_has_come() {
    let mut test = Harness::new(totals);
    test.epochs(Epochs::every(Duration::from_secs(10)));
    let wait = || Event::Pause(Duration::from_secs(11));
    test.feed(0..5)
        .feed_events("items", [wait(), Event::Abort])
        .feed(5..8);
    test.run().unwrap_err();
    let outcome = test.run().unwrap();
    assert!(
        outcome.records == 3 || outcome.records == 8,
        "the epoch that was cut is durable or lost as a whole"
    );
    assert_eq!(test.outputs(), expected(0..8));
}

#[test]
fn a_budget_of_one_record_holds_nothing_up() {
    for workers in [1, 3] {
        let mut test = Harness::new(totals);
        test.epochs(Epochs::every(Duration::from_secs(3600)));
        test.records_in_flight(1).workers(workers);
        for partition in ["a", "b", "c", "d"] {
            test.feed_events(partition, (0..10).map(Event::Record));
        }
        assert_eq!(test.run().unwrap().records, 40);
        assert_eq!(test.outputs().len(), 40);
    }
}

#[test]
fn records_that_fail_in_a_step_go_into_a_stream_of_their_own_exactly_once() {
    let mut test = Harness::new(|numbers: Stream<u64>| {
        let parse = |n: u64| if n.is_multiple_of(5) { Err(n) } else { Ok(n) };
        let (good, dead) = numbers.try_map_or_dead(parse);
        let dead = dead.map(|dead| {
            assert_eq!(dead.record, dead.cause);
            (7, dead.record)
        });
        totals(good).merge(dead)
    });
    test.epochs(Epochs::records(3));
    for start in (0..60).step_by(20) {
        let records = (start..start + 20).map(Event::Record);
        test.feed_events("items", records.chain([Event::Abort]));
        test.run().unwrap_err();
    }
    test.workers(2).run().unwrap();
    let (mut dead, good): (Vec<_>, Vec<_>) = test.outputs().into_iter().partition(|(k, _)| *k == 7);
    dead.sort_unstable();
    assert_eq!(dead, (0..60).step_by(5).map(|n| (7, n)).collect::<Vec<_>>());
    assert_eq!(
        by_key(good),
        by_key(expected((0..60).filter(|n: &u64| !n.is_multiple_of(5))))
    );
}

#[test]
fn a_stateful_step_that_fails_leaves_the_state_as_it_was() {
    fn checked(on_error: OnError) -> impl Fn(Stream<u64>) -> Stream<(u64, u64)> {
        move |numbers| {
            let add = |sum: &mut u64, n: u64| {
                *sum += n;
                if n == 33 { Err("33") } else { Ok(*sum) }
            };
            let keyed = numbers.key_on(|n| n % 7);
            let sums = keyed.try_stateful_map_with(add, on_error).named("total");
            sums.map(|pair| pair)
        }
    }
    for workers in [1, 2] {
        let mut test = Harness::new(checked(OnError::Fail));
        test.workers(workers).feed(0..50);
        for run in 1..=3 {
            let error = test.run().unwrap_err();
            assert!(matches!(error, RunError::Step { .. }), "{error}");
            let text = error.to_string();
            assert!(
                text.contains("step `total` failed: for key 5: 33"),
                "{text}"
            );
            let hint =
                "This is run 3 in a row that ends like this. If such records are to be left out";
            assert_eq!(text.contains(hint), run == 3, "{text}");
        }
        let outcome = test.change(checked(OnError::Skip)).run().unwrap();
        assert_eq!(outcome.skipped, [("total".to_owned(), 1)]);
        let good = (0..50).filter(|n| *n != 33);
        assert_eq!(by_key(test.outputs()), by_key(expected(good)));
    }
}
