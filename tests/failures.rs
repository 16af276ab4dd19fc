//! Failures in user code, at every place of a call: a typed error names the step, no run hangs, and
//! the next run is right.
#![cfg(test)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    task::Waker,
    time::Duration,
};

use flow::{
    Epochs, Recovery, RunError, Runner, Stream,
    prelude::{Deserialize, Serialize},
    sink::{self, NoResume, OutputId, Shards, Sink, SinkError, SyncOutput, Writer},
    source::{self, At, Next, Reader, Source, SourceError},
    testing::Harness,
};

/// Panics at a chosen place, for a chosen number.
#[derive(Debug)]
struct Bomb {
    n: u64,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Nowhere,
    Clone,
    Drop,
    Serialize,
    Hash,
    Eq,
}

impl Bomb {
    fn trip(&self, place: Place) {
        let goes_off = self.place == place && self.n == 60;
        assert!(!goes_off || std::thread::panicking(), "bomb in {place:?}");
    }
}

impl Clone for Bomb {
    fn clone(&self) -> Self {
        self.trip(Place::Clone);
        Bomb {
            n: self.n,
            place: self.place,
        }
    }
}

impl Drop for Bomb {
    fn drop(&mut self) {
        self.trip(Place::Drop);
    }
}

impl Serialize for Bomb {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.trip(Place::Serialize);
        // A key without its bomb is the same key.
        self.n.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Bomb {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let n = Deserialize::deserialize(from)?;
        let place = Place::Nowhere;
        Ok(Bomb { n, place })
    }
}

impl PartialEq for Bomb {
    fn eq(&self, other: &Self) -> bool {
        self.trip(Place::Eq);
        self.n == other.n
    }
}

impl Eq for Bomb {}

impl std::hash::Hash for Bomb {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.trip(Place::Hash);
        self.n.hash(state);
    }
}

/// Counts bombs, keyed by themselves. As records, keys and states they are cloned, dropped,
/// compared and written.
fn counted(place: Place) -> impl Fn(Stream<u64>) -> Stream<u64> {
    move |numbers| {
        let bombs = numbers.map(move |n| Bomb { n: n % 100, place });
        let branch = bombs.clone().filter(|_| false).map(|bomb| bomb.n);
        let count = |last: &mut Option<Bomb>, bomb: Bomb| {
            let n = bomb.n;
            *last = Some(bomb);
            n
        };
        let keyed = bombs.key_on(|bomb| Bomb {
            n: bomb.n,
            place: bomb.place,
        });
        let counts = keyed.stateful_map_opt(count).named("count");
        counts.map(|(_, n)| n).merge(branch)
    }
}

#[test]
fn a_panic_anywhere_in_a_type_is_an_error_and_the_next_run_is_right() {
    for place in [
        Place::Clone,
        Place::Drop,
        Place::Serialize,
        Place::Hash,
        Place::Eq,
    ] {
        for workers in [1, 3] {
            let mut test = Harness::new(counted(place));
            test.workers(workers)
                .epochs(Epochs::records(7))
                .feed(0..200);
            let error = test.run().unwrap_err();
            assert!(
                matches!(error, RunError::Panicked { .. }),
                "{place:?}: {error}"
            );
            assert!(error.to_string().contains("bomb in"), "{error}");
            test.change(counted(Place::Nowhere)).run().unwrap();
            let mut seen = test.outputs();
            seen.sort_unstable();
            let expected: Vec<u64> = (0..200).map(|n| n / 2).collect();
            assert_eq!(seen, expected, "{place:?}, {workers} workers");
        }
    }
}

/// A source and a sink that fail or panic at a chosen place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    None,
    ReaderPanics,
    TokenPanics,
    WriterFails,
    WriterPanics,
    CloseFails,
    SyncFails,
    SyncPanics,
    StartFails,
    WriterDropPanics,
}

#[derive(Clone)]
struct Shaky {
    trouble: Trouble,
    out: Arc<std::sync::Mutex<Vec<u64>>>,
}

struct ShakyReader {
    trouble: Trouble,
    next: u64,
    batch: u64,
}

impl Source for Shaky {
    type Item = u64;
    type Token = u64;
    type Reader = ShakyReader;

    fn partitions(&self) -> Result<Vec<String>, SourceError> {
        Ok(vec!["numbers".to_owned()])
    }

    fn open(&self, _: &str, at: At<u64>) -> Result<ShakyReader, SourceError> {
        Ok(ShakyReader {
            trouble: self.trouble,
            next: at.token().unwrap_or(0),
            batch: 0,
        })
    }
}

impl Reader for ShakyReader {
    type Item = u64;
    type Token = u64;

    fn read(&mut self, out: &mut Vec<u64>, _: &Waker) -> Result<Next, SourceError> {
        assert!(
            self.trouble != Trouble::ReaderPanics || self.next < 50,
            "reader"
        );
        self.batch = (100 - self.next).min(10);
        out.extend(self.next..self.next + self.batch);
        self.next += self.batch;
        Ok(if self.batch == 0 {
            Next::End
        } else {
            Next::Ready
        })
    }

    fn token(&self, index: usize) -> u64 {
        assert!(
            self.trouble != Trouble::TokenPanics || self.next < 50,
            "token"
        );
        self.next - self.batch + index as u64
    }
}

impl Sink for Shaky {
    type Item = u64;
    type Position = u64;
    type Writer = ShakyWriter;

    fn shards(&self) -> Shards {
        Shards::One
    }

    fn open(&self, _: &OutputId, resume: Option<u64>) -> Result<ShakyWriter, SinkError> {
        Ok(ShakyWriter {
            shaky: self.clone(),
            written: resume.unwrap_or(0),
        })
    }
}

struct ShakyWriter {
    shaky: Shaky,
    written: u64,
}

impl ShakyWriter {
    fn trip(&self, trouble: Trouble) -> Result<(), SinkError> {
        if self.shaky.trouble == trouble && self.written >= 50 {
            return Err(SinkError::new(format!("{trouble:?}")));
        }
        Ok(())
    }
}

impl Drop for ShakyWriter {
    fn drop(&mut self) {
        let panics = self.shaky.trouble == Trouble::WriterDropPanics && self.written >= 50;
        assert!(!panics || std::thread::panicking(), "dropped");
    }
}

impl Writer for ShakyWriter {
    type Item = u64;
    type Position = u64;

    fn position(&self) -> u64 {
        self.written
    }

    fn start(&mut self) -> Result<(), SinkError> {
        if self.shaky.trouble == Trouble::StartFails {
            return Err(SinkError::new("StartFails"));
        }
        let written = usize::try_from(self.written).unwrap();
        self.shaky.out.lock().unwrap().truncate(written);
        Ok(())
    }

    fn write(&mut self, items: &mut Vec<u64>) -> Result<(), SinkError> {
        self.trip(Trouble::WriterFails)?;
        assert!(
            self.shaky.trouble != Trouble::WriterPanics || self.written < 50,
            "writer"
        );
        self.written += items.len() as u64;
        self.shaky.out.lock().unwrap().append(items);
        Ok(())
    }

    fn close_epoch(&mut self) -> Result<(u64, Option<SyncOutput>), SinkError> {
        self.trip(Trouble::CloseFails)?;
        let (trouble, late) = (self.shaky.trouble, self.written >= 50);
        let sync = SyncOutput::new(move || match trouble {
            Trouble::SyncFails if late => Err(std::io::Error::other("SyncFails")),
            Trouble::SyncPanics if late => panic!("sync"),
            _ => Ok(()),
        });
        Ok((self.written, Some(sync)))
    }
}

#[test]
fn a_source_or_sink_that_fails_or_panics_names_itself_and_the_next_run_is_right() {
    for (trouble, words) in [
        (Trouble::ReaderPanics, ["`numbers`", "reader"]),
        (Trouble::TokenPanics, ["`numbers`", "token"]),
        (Trouble::WriterFails, ["`results`", "WriterFails"]),
        (Trouble::WriterPanics, ["`results`", "writer"]),
        (Trouble::CloseFails, ["`results`", "CloseFails"]),
        (Trouble::SyncFails, ["`results`", "SyncFails"]),
        (Trouble::SyncPanics, ["`results`", "it panicked: sync"]),
        (Trouble::WriterDropPanics, ["`results`", "dropped"]),
        (Trouble::StartFails, ["`results`", "StartFails"]),
    ] {
        for workers in [1, 2] {
            let directory = tempfile::tempdir().unwrap();
            let store = directory.path().join("state");
            let out = Arc::default();
            let run = |trouble| {
                let shaky = Shaky {
                    trouble,
                    out: Arc::clone(&out),
                };
                Runner::new(move |flow| {
                    let numbers = flow.source(shaky.clone()).named("numbers");
                    numbers.sink(shaky.clone()).named("results");
                })
                .workers(workers)
                .epochs(Epochs::records(4))
                .recover(Recovery::at(&store))
                .run()
            };
            let error = run(trouble).unwrap_err().to_string();
            assert!(
                words.iter().all(|word| error.contains(word)),
                "{trouble:?}: {error}"
            );
            run(Trouble::None).unwrap();
            let expected: Vec<u64> = (0..100).collect();
            assert_eq!(
                *out.lock().unwrap(),
                expected,
                "{trouble:?}, {workers} workers"
            );
        }
    }
}

#[test]
fn a_stop_that_user_code_holds_up_ends_in_time_and_names_the_step() {
    let released = Arc::new(AtomicBool::new(false));
    let (entered, inside) = std::sync::mpsc::channel();
    let gate = released.clone();
    let runner = Runner::new(move |flow| {
        let (gate, entered) = (gate.clone(), entered.clone());
        let numbers = flow.source(source::from_iter(0..10u64));
        let stuck = numbers.map(move |n| {
            while !gate.load(SeqCst) {
                let _ = entered.send(());
                std::thread::yield_now();
            }
            n
        });
        stuck.named("stuck").sink(sink::from_fn(|_: u64| ()));
    })
    .drain_within(Duration::from_millis(100));
    let handle = runner.handle();
    let run = std::thread::spawn(move || runner.run());
    inside.recv().unwrap();
    handle.stop();
    let error = run.join().unwrap().unwrap_err();
    released.store(true, SeqCst);
    assert!(matches!(error, RunError::StopTimedOut { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains("worker 0 was last in step `stuck`"),
        "{error}"
    );
}

#[test]
fn a_failure_while_the_flow_stops_for_another_one_is_told_too() {
    struct Never;
    impl Sink for Never {
        type Item = u64;
        type Position = NoResume;
        type Writer = Never;
        fn shards(&self) -> Shards {
            Shards::One
        }
        fn open(&self, _: &OutputId, _: Option<NoResume>) -> Result<Never, SinkError> {
            Ok(Never)
        }
    }
    impl Writer for Never {
        type Item = u64;
        type Position = NoResume;
        fn position(&self) -> NoResume {
            NoResume
        }
        fn write(&mut self, _: &mut Vec<u64>) -> Result<(), SinkError> {
            Ok(())
        }
        fn close_epoch(&mut self) -> Result<(NoResume, Option<SyncOutput>), SinkError> {
            Err(SinkError::new("the disk is gone"))
        }
    }
    let runner = Runner::new(|flow| {
        let numbers = flow.source(source::from_iter(0..10u64));
        let checked = numbers.try_map(|n| if n == 1 { Err("one") } else { Ok(n) });
        checked.sink(Never);
    });
    // As many records are in flight from the beginning, so the first epoch is open when the second
    // one fails.
    let runner = runner
        .workers(2)
        .epochs(Epochs::every(Duration::from_secs(3600)));
    let error = runner.run().unwrap_err();
    assert!(matches!(error, RunError::WhileStopping { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("the disk is gone") && text.contains("one"),
        "{text}"
    );
}

#[test]
fn a_panic_before_the_run_starts_names_its_step_and_changes_nothing() {
    #[derive(Clone, Copy)]
    struct Early(&'static str);
    impl Source for Early {
        type Item = u64;
        type Token = u64;
        type Reader = ShakyReader;
        fn partitions(&self) -> Result<Vec<String>, SourceError> {
            assert!(self.0 != "partitions", "in partitions");
            Ok(vec!["one".to_owned()])
        }
        fn open(&self, _: &str, _: At<u64>) -> Result<ShakyReader, SourceError> {
            panic!("in {}", self.0);
        }
    }
    for place in ["partitions", "open"] {
        let directory = tempfile::tempdir().unwrap();
        let store = directory.path().join("state");
        let runner = Runner::new(move |flow| {
            let numbers = flow.source(Early(place)).named("early");
            numbers.sink(sink::from_fn(|_: u64| ()));
        });
        let error = runner
            .workers(2)
            .recover(Recovery::at(&store))
            .run()
            .unwrap_err();
        assert!(matches!(error, RunError::Build(_)), "{error}");
        let text = format!("step `early` panicked before the run started: in {place}");
        assert_eq!(error.to_string(), text);
        assert!(!store.exists());
    }
}

#[test]
fn workers_with_full_queues_stop_when_another_one_panics() {
    const RECORDS: u64 = 20_000;
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("state");
    let after = Arc::new(AtomicU64::new(0));
    let (poisoned, counter) = (Arc::new(AtomicBool::new(false)), after.clone());
    let runner = Runner::new(move |flow| {
        let (poisoned, counter) = (poisoned.clone(), counter.clone());
        let work = move |count: &mut u64, n: u64| {
            if n == 300 {
                poisoned.store(true, SeqCst);
                panic!("poison");
            }
            if poisoned.load(SeqCst) {
                counter.fetch_add(1, SeqCst);
                // Slow code, as far as this test needs it.
                let start = std::time::Instant::now();
                while start.elapsed() < Duration::from_micros(500) {}
            }
            *count += 1;
            *count
        };
        let numbers = flow.source(source::from_iter(0..RECORDS)).named("numbers");
        let counts = numbers.key_on(|n| n % 64).stateful_map(work).named("work");
        counts.map(|(_, n)| n).sink(sink::from_fn(|_: u64| ()));
    });
    let error = runner
        .workers(2)
        .recover(Recovery::at(&store))
        .run()
        .unwrap_err();
    assert!(matches!(error, RunError::Panicked { .. }), "{error}");
    assert!(
        after.load(SeqCst) < RECORDS / 4,
        "{after:?} records after the panic"
    );
    let look = flow_store::Look::at(&store).unwrap();
    let ended = &look.last_execution().unwrap().ended;
    assert!(
        matches!(ended, Some((_, flow_store::End::Aborted { .. }))),
        "{ended:?}"
    );
}

/// An epoch whose output could not be synced is not committed.
#[test]
fn an_epoch_whose_output_could_not_be_synced_is_not_durable() {
    struct Unsynced;
    impl Sink for Unsynced {
        type Item = u64;
        type Position = u64;
        type Writer = Unsynced;
        fn shards(&self) -> Shards {
            Shards::One
        }
        fn open(&self, _: &OutputId, _: Option<u64>) -> Result<Unsynced, SinkError> {
            Ok(Unsynced)
        }
    }
    impl Writer for Unsynced {
        type Item = u64;
        type Position = u64;
        fn position(&self) -> u64 {
            0
        }
        fn write(&mut self, items: &mut Vec<u64>) -> Result<(), SinkError> {
            items.clear();
            Ok(())
        }
        fn close_epoch(&mut self) -> Result<(u64, Option<SyncOutput>), SinkError> {
            let sync = SyncOutput::new(|| Err(std::io::Error::other("the disk is gone")));
            Ok((1, Some(sync)))
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let runner = Runner::new(|flow| {
        let numbers = flow.source(source::from_iter(0..10u64)).named("numbers");
        numbers.sink(Unsynced).named("out");
    });
    let error = runner.recover(Recovery::at(&state)).run().unwrap_err();
    assert!(matches!(error, RunError::SyncOutput { .. }), "{error}");
    let look = flow_store::Look::read(&state).unwrap();
    assert_eq!(look.epoch(), flow_store::Epoch::opening(1));
}

#[test]
fn a_sinks_sync_is_run_without_a_store_too() {
    struct Counts(Arc<AtomicU64>);
    impl Sink for Counts {
        type Item = u64;
        type Position = NoResume;
        type Writer = Counts;
        fn shards(&self) -> Shards {
            Shards::One
        }
        fn open(&self, _: &OutputId, _: Option<NoResume>) -> Result<Counts, SinkError> {
            Ok(Counts(self.0.clone()))
        }
    }
    impl Writer for Counts {
        type Item = u64;
        type Position = NoResume;
        fn position(&self) -> NoResume {
            NoResume
        }
        fn write(&mut self, items: &mut Vec<u64>) -> Result<(), SinkError> {
            items.clear();
            Ok(())
        }
        fn close_epoch(&mut self) -> Result<(NoResume, Option<SyncOutput>), SinkError> {
            let syncs = self.0.clone();
            let sync = SyncOutput::new(move || {
                syncs.fetch_add(1, SeqCst);
                Ok(())
            });
            Ok((NoResume, Some(sync)))
        }
    }
    let syncs = Arc::new(AtomicU64::new(0));
    let counter = syncs.clone();
    let runner = Runner::new(move |flow| {
        let numbers = flow.source(source::from_iter(0..10u64)).named("numbers");
        numbers.sink(Counts(counter.clone()));
    });
    let outcome = runner.run().unwrap();
    assert!(syncs.load(SeqCst) > 0);
    assert_eq!(outcome.epoch, None, "nothing is durable without a store");
}

#[test]
fn a_long_error_is_stored_by_its_beginning_and_known_again() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("state");
    let long = || "語".repeat(1 << 20);
    let run = || {
        let runner = Runner::new(move |flow| {
            let numbers = flow.source(source::from_iter(0..3u64)).named("numbers");
            let failing = move |_: u64| -> Result<(), String> { Err(long()) };
            numbers.sink(sink::from_fn(failing)).named("failing");
        });
        runner.recover(Recovery::at(&store)).run().unwrap_err()
    };
    let errors = [run(), run(), run()].map(|error| error.to_string());
    assert!(!errors[1].contains("in a row"));
    assert!(errors[2].contains("This is run 3 in a row"));
    let look = flow_store::Look::read(&store).unwrap();
    for execution in look.executions().unwrap() {
        match execution.ended {
            Some((_, flow_store::End::Aborted { failure, .. })) => {
                let error = failure.error;
                assert!(
                    error.len() <= 4096 && error.ends_with("more bytes]"),
                    "{error}"
                );
                assert!(error.contains("step `failing` failed"), "{error}");
            }
            other => panic!("{other:?}"),
        }
    }
}

/// The kind and the place of a failure are compared, not its text.
#[test]
fn the_third_failure_in_one_place_is_known_whatever_its_words() {
    let directory = tempfile::tempdir().unwrap();
    let run = |store: &str, in_sink: bool, words: u64| {
        let runner = Runner::new(move |flow| {
            let numbers = flow.source(source::from_iter(0..3u64)).named("numbers");
            let failing = move |n: u64| match in_sink {
                true => Ok(n),
                false => Err(format!("attempt {words}")),
            };
            let words = move |_: u64| -> Result<(), String> { Err(format!("attempt {words}")) };
            let checked = numbers.try_map(failing).named("checked");
            checked.sink(sink::from_fn(words)).named("failing");
        });
        let store = directory.path().join(store);
        let error = runner.recover(Recovery::at(store)).run().unwrap_err();
        error.to_string().contains("This is run 3 in a row")
    };
    for in_sink in [false, true] {
        let store = format!("one place, {in_sink}");
        let again = [1, 2, 3].map(|words| run(&store, in_sink, words));
        assert_eq!(again, [false, false, true]);
    }
    // The same words from another place begin anew.
    let again = [true, true, false, false, false].map(|in_sink| run("two places", in_sink, 1));
    assert_eq!(again, [false, false, false, false, true]);
}
