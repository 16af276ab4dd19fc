//! A record that becomes very many records.
#![cfg(test)]

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering::SeqCst},
};

use flow::{Ended, Epochs, Recovery, RunHandle, Runner, sink, source};

/// The number of items that a step has made and the sink has not received, and the greatest such
/// number.
#[derive(Clone, Default)]
struct Between {
    made: Arc<AtomicU64>,
    taken: Arc<AtomicU64>,
    most: Arc<AtomicU64>,
}

impl Between {
    fn make(&self) {
        let made = self.made.fetch_add(1, SeqCst) + 1;
        self.most.fetch_max(made - self.taken.load(SeqCst), SeqCst);
    }

    fn take(&self) {
        self.taken.fetch_add(1, SeqCst);
    }
}

/// A few records, each of which becomes very many: results are consumed before more are made.
#[test]
fn a_record_that_becomes_millions_is_never_whole_in_memory() {
    const EACH: u64 = 300_000;
    for shape in 0..4 {
        let between = Between::default();
        let counts = between.clone();
        let runner = Runner::new(move |flow| {
            let (made, taken) = (counts.clone(), counts.clone());
            let numbers = flow.source(source::from_iter(1..=3u64));
            let many = move |n: u64| {
                let made = made.clone();
                (0..EACH).map(move |m| {
                    made.make();
                    n * EACH + m
                })
            };
            let many = match shape {
                0 => numbers.flat_map(many),
                1 => numbers.try_map(Ok::<u64, String>).flat_map(many),
                // Each of many records becomes some, and the other way round.
                2 => numbers
                    .flat_map(many)
                    .flat_map(|m| [m, m])
                    .filter(|m| m % 2 == 0)
                    .flat_map(|m| [m]),
                _ => numbers.flat_map(|n| [n]).flat_map(many).inspect(|_| ()),
            };
            let counted = many.key_on(|m| m % 10).stateful_map(|n: &mut u64, m: u64| {
                *n += 1;
                m
            });
            counted
                .named("count")
                .sink(sink::from_fn(move |_: (u64, u64)| taken.take()));
        });
        let outcome = runner.run().unwrap();
        assert_eq!(outcome.records, 3);
        let taken = between.taken.load(SeqCst);
        assert_eq!(taken, 3 * EACH, "shape {shape}");
        let most = between.most.load(SeqCst);
        assert!(most < EACH, "shape {shape}: {most} at a time");
    }
}

/// The results of a record belong to its epoch, even if they take long.
#[test]
fn a_stop_in_the_middle_of_a_record_that_becomes_very_many_has_all_of_it() {
    const EACH: u64 = 100_000;
    for workers in [1, 2] {
        let directory = tempfile::tempdir().unwrap();
        let handle: Arc<Mutex<Option<RunHandle>>> = Arc::default();
        let run = |seen: sink::CollectSink<u64>| {
            let handle = handle.clone();
            Runner::new(move |flow| {
                let handle = handle.clone();
                let numbers = flow.source(source::from_iter(0..5u64));
                let many = numbers.flat_map(move |n| {
                    let handle = handle.clone();
                    (0..EACH).map(move |m| {
                        if (n, m) == (1, EACH / 2)
                            && let Some(run) = &*handle.lock().unwrap()
                        {
                            run.stop();
                        }
                        n * EACH + m
                    })
                });
                many.sink(seen.clone());
            })
            .workers(workers)
            .epochs(Epochs::records(1))
            .recover(Recovery::at(directory.path().join("state")))
        };
        let (out, seen) = sink::collect();
        let first = run(out);
        *handle.lock().unwrap() = Some(first.handle());
        let outcome = first.run().unwrap();
        assert_eq!((outcome.ended, outcome.records), (Ended::Stopped, 2));
        assert_eq!(seen.take().len() as u64, 2 * EACH);

        let (out, seen) = sink::collect();
        *handle.lock().unwrap() = None;
        assert_eq!(run(out).run().unwrap().records, 3);
        let mut rest = seen.take();
        rest.sort_unstable();
        assert!(rest.into_iter().eq(2 * EACH..5 * EACH));
    }
}

/// A source that can't resume pushes records one by one if a step may fail. The next record waits
/// while a step rests inside the present one.
#[test]
fn what_rests_in_one_record_is_not_lost_to_the_next_one() {
    let (sender, channel) = source::from_channel(1000);
    let (out, seen) = sink::collect();
    let runner = Runner::new(move |flow| {
        let many = |n: u64| (0..if n == 300 { 50_000 } else { 1 }).map(move |_| n);
        let numbers = flow.source(channel.clone());
        let good = numbers.try_map(Ok::<u64, String>);
        good.flat_map(many).sink(out.clone());
    });
    (0..400).for_each(|n| sender.send(n).unwrap());
    drop(sender);
    assert_eq!(runner.run().unwrap().records, 400);
    assert_eq!(seen.take().len(), 50_000 + 399);
}

/// A step that may not rest pushes more than once, into a branch with a step that does.
#[test]
fn a_step_that_rests_in_a_later_branch_gets_one_batch_at_a_time() {
    for fails_at in [None, Some(250)] {
        let ((out, seen), (other, tried)) = (sink::collect(), sink::collect());
        let runner = Runner::new(move |flow| {
            let numbers = flow.source(source::from_iter(0..300u64));
            let many = numbers.flat_map(|n| (0..20u64).map(move |m| (n, m)));
            let check = move |(n, m): (u64, u64)| match fails_at == Some(n) && m == 19 {
                true => Err("the last one of this record"),
                false => Ok(n),
            };
            many.clone()
                .try_map(check)
                .sink(other.clone())
                .named("tried");
            let more = many.flat_map(|(n, _)| (0..10).map(move |_| n));
            more.sink(out.clone()).named("more");
        });
        let records = fails_at.unwrap_or(300);
        assert_eq!(runner.run().is_err(), fails_at.is_some());
        assert_eq!(tried.take().len() as u64, records * 20);
        assert_eq!(seen.take().len() as u64, records * 200);
    }
}
