//! One record that becomes very many.
#![cfg(test)]

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering::SeqCst},
};

use flow::{Ended, Epochs, Recovery, RunHandle, Runner, sink, source};

/// How many items a step has made that the sink has not got, and the most that these ever were.
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

/// A few records of which each becomes very many: what comes of it is taken in before more is made.
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

/// What a record becomes belongs to its epoch, however long it takes.
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
