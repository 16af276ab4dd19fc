//! Sources that have nothing to read for a while: they hold up nothing, and are not polled
//! needlessly.
#![cfg(test)]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
        mpsc::{Receiver, channel},
    },
    task::Waker,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use flow::{
    Clock, Ended, Epochs, Outcome, Recovery, RunError, RunHandle, Runner, TextLines,
    sink::{self, OutputId, Shards, Sink, SinkError, Writer},
    source::{self, At, Next, NoResume, Reader, Source, SourceError},
};

type Read = Box<dyn FnMut(&mut Vec<u64>, &Waker) -> Next>;

/// A source whose partitions read by a given function.
struct Scripted<F>(Vec<&'static str>, F);

struct ScriptedReader {
    read: Read,
    start: u64,
    count: u64,
}

impl<F: Fn(&str) -> Read + 'static> Source for Scripted<F> {
    type Item = u64;
    type Token = u64;
    type Reader = ScriptedReader;

    fn partitions(&self) -> Result<Vec<String>, SourceError> {
        Ok(self.0.iter().map(|name| (*name).to_owned()).collect())
    }

    fn open(&self, partition: &str, at: At<u64>) -> Result<ScriptedReader, SourceError> {
        Ok(ScriptedReader {
            read: (self.1)(partition),
            start: at.token().unwrap_or(0),
            count: 0,
        })
    }
}

impl Reader for ScriptedReader {
    type Item = u64;
    type Token = u64;

    fn read(&mut self, out: &mut Vec<u64>, waker: &Waker) -> Result<Next, SourceError> {
        self.start += self.count;
        let next = (self.read)(out, waker);
        self.count = out.len() as u64;
        Ok(next)
    }

    fn token(&self, index: usize) -> u64 {
        self.start + index as u64
    }
}

fn start(runner: Runner) -> (RunHandle, JoinHandle<Result<Outcome, RunError>>) {
    let handle = runner.handle();
    (handle, std::thread::spawn(move || runner.run()))
}

/// Waits until a condition holds. Fails the test after a time in which it must have become true.
fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn what_a_finished_source_has_read_becomes_durable_beside_one_that_waits() {
    for workers in [1, 2] {
        let directory = tempfile::tempdir().unwrap();
        let (go, gone) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (started, idle) = (go.clone(), gone.clone());
        let runner = Runner::new(move |flow| {
            let (started, idle) = (started.clone(), idle.clone());
            let source = Scripted(vec!["finite", "waits"], move |name: &str| -> Read {
                let (started, idle) = (started.clone(), idle.clone());
                if name == "waits" {
                    return Box::new(move |_, _| {
                        idle.store(1, SeqCst);
                        Next::Idle
                    });
                }
                Box::new(move |out, waker| {
                    if started.load(SeqCst) == 0 || idle.load(SeqCst) == 0 {
                        waker.wake_by_ref();
                        return Next::Idle;
                    }
                    out.extend([1, 2, 3]);
                    Next::End
                })
            });
            let numbers = flow.source(source).named("numbers");
            numbers.sink(sink::from_fn(|_: u64| ()));
        })
        .workers(workers)
        .epochs(Epochs::every(Duration::from_millis(300)))
        .recover(Recovery::at(directory.path().join("state")));
        let (handle, run) = start(runner);
        go.store(1, SeqCst);
        until("the three records become durable", || {
            handle
                .progress()
                .is_some_and(|progress| progress.durable.is_some())
        });
        handle.stop();
        let outcome = run.join().unwrap().unwrap();
        assert_eq!((outcome.ended, outcome.records), (Ended::Stopped, 3));
    }
}

#[test]
fn a_reader_that_is_woken_is_asked_again_and_its_records_become_durable_in_time() {
    let directory = tempfile::tempdir().unwrap();
    let (sender, receiver) = channel();
    let feed = Arc::new(Mutex::new(receiver));
    let waker: Arc<Mutex<Option<Waker>>> = Arc::default();
    let clock = Clock::manual();
    let wake = waker.clone();
    let runner = Runner::new(move |flow| {
        let (feed, waker) = (feed.clone(), waker.clone());
        let source = Scripted(vec!["feed"], move |_: &str| -> Read {
            let (feed, slot) = (feed.clone(), waker.clone());
            Box::new(move |out, waker| {
                *slot.lock().unwrap() = Some(waker.clone());
                out.extend(feed.lock().unwrap().try_iter());
                Next::Idle
            })
        });
        let numbers = flow.source(source).named("numbers");
        numbers.sink(sink::from_fn(|_: u64| ()));
    })
    .clock(clock.clone())
    .epochs(Epochs::every(Duration::from_secs(10)))
    .recover(Recovery::at(directory.path().join("state")));
    let (handle, run) = start(runner);
    let mut last = None;
    for n in 0..5 {
        sender.send(n).unwrap();
        until("the reader has a waker", || wake.lock().unwrap().is_some());
        wake.lock().unwrap().as_ref().unwrap().wake_by_ref();
        let read = || {
            handle
                .progress()
                .is_some_and(|progress| progress.records == n + 1)
        };
        until("the record is read", read);
        let durable = || handle.progress().and_then(|progress| progress.durable);
        assert_eq!(durable(), last, "the epoch is young");
        clock.advance(Duration::from_secs(11));
        until("the epoch is durable", || durable() > last);
        last = durable();
    }
    handle.stop();
    assert_eq!(run.join().unwrap().unwrap().records, 5);
}

#[test]
fn a_reader_that_named_a_time_is_left_alone_until_then() {
    let clock = Clock::manual();
    let reads = Arc::new(AtomicU64::new(0));
    let (counter, readers) = (reads.clone(), clock.clone());
    let runner = Runner::new(move |flow| {
        let (counter, clock) = (counter.clone(), readers.clone());
        let source = Scripted(vec!["busy", "polls"], move |name: &str| -> Read {
            let (counter, clock) = (counter.clone(), clock.clone());
            if name == "polls" {
                return Box::new(move |_, _| {
                    counter.fetch_add(1, SeqCst);
                    Next::IdleUntil(clock.now() + Duration::from_secs(60))
                });
            }
            let mut n = 0;
            Box::new(move |out, waker| {
                if n == 2000 {
                    return Next::Idle;
                }
                n += 1;
                out.push(n);
                // Many activations, many epochs: none of them is the other reader's business.
                waker.wake_by_ref();
                Next::Ready
            })
        });
        flow.source(source)
            .named("numbers")
            .sink(sink::from_fn(|_: u64| ()));
    })
    .clock(clock.clone())
    .workers(2)
    .epochs(Epochs::records(3));
    let (handle, run) = start(runner);
    until("the busy reader has read", || {
        handle
            .progress()
            .is_some_and(|progress| progress.records == 2000)
    });
    assert_eq!(reads.load(SeqCst), 1);
    for polls in 2..5 {
        clock.advance(Duration::from_secs(61));
        until("it is asked again", || reads.load(SeqCst) == polls);
    }
    handle.stop();
    run.join().unwrap().unwrap();
    assert_eq!(reads.load(SeqCst), 4);
}

/// A partition is read when its own waker is woken, not when another one's is.
#[test]
fn a_waker_wakes_its_own_partition_only() {
    for workers in [1, 2] {
        let polled = Arc::new(AtomicU64::new(0));
        let feeds: Arc<Mutex<Vec<Waker>>> = Arc::default();
        let (counter, wakers) = (polled.clone(), feeds.clone());
        let clock = Clock::manual();
        let runner = Runner::new(move |flow| {
            let (counter, wakers) = (counter.clone(), wakers.clone());
            let names = vec![
                "feed 1", "feed 2", "polls 1", "polls 2", "waits 1", "waits 2",
            ];
            let source = Scripted(names, move |name: &str| -> Read {
                let (counter, wakers) = (counter.clone(), wakers.clone());
                let (feeds, polls) = (name.starts_with("feed"), name.starts_with("polls"));
                let start = Instant::now();
                Box::new(move |out, waker| {
                    if feeds {
                        wakers.lock().unwrap().push(waker.clone());
                        out.push(1);
                        return Next::Idle;
                    }
                    counter.fetch_add(1, SeqCst);
                    match polls {
                        true => Next::IdleUntil(start + Duration::from_secs(3600)),
                        false => Next::Idle,
                    }
                })
            });
            let numbers = flow.source(source).named("numbers");
            numbers.sink(sink::from_fn(|_: u64| ()));
        })
        .clock(clock)
        .workers(workers);
        let (handle, run) = start(runner);
        for round in 1..=20 {
            let read = || {
                handle
                    .progress()
                    .is_some_and(|progress| progress.records == 2 * round)
            };
            until("both feeds are read", read);
            let wakers = std::mem::take(&mut *feeds.lock().unwrap());
            wakers.iter().for_each(Waker::wake_by_ref);
        }
        handle.stop();
        run.join().unwrap().unwrap();
        assert_eq!(polled.load(SeqCst), 4, "each of the others was asked once");
    }
}

/// Under a manual clock nothing would wake it for a time that has passed.
#[test]
fn a_time_that_is_now_or_has_passed_is_no_wait() {
    for manual in [true, false] {
        let clock = if manual {
            Clock::manual()
        } else {
            Clock::system()
        };
        let earlier = clock.now();
        clock.advance(Duration::from_secs(5));
        let times = clock.clone();
        let runner = Runner::new(move |flow| {
            let clock = times.clone();
            let source = Scripted(vec!["one", "other"], move |_: &str| -> Read {
                let (clock, mut reads) = (clock.clone(), 0);
                Box::new(move |out, _| {
                    reads += 1;
                    match reads {
                        1 => return Next::IdleUntil(clock.now()),
                        2 => return Next::IdleUntil(earlier),
                        // With records too.
                        3 => {}
                        _ => return Next::End,
                    }
                    out.push(1);
                    Next::IdleUntil(clock.now())
                })
            });
            let numbers = flow.source(source).named("numbers");
            numbers.sink(sink::from_fn(|_: u64| ()));
        })
        .clock(clock);
        assert_eq!(runner.run().unwrap().records, 2);
    }
}

/// The waker is woken before `read` returns, and all its other clones are dropped.
#[test]
fn a_wake_that_comes_before_the_reader_rests_is_not_lost() {
    for workers in [1, 2] {
        let runner = Runner::new(move |flow| {
            let source = Scripted(vec!["one", "other"], move |_: &str| -> Read {
                let mut reads = 0;
                Box::new(move |out, waker| {
                    reads += 1;
                    if reads > 200 {
                        // And one that comes after the end does no harm.
                        waker.wake_by_ref();
                        return Next::End;
                    }
                    let waker = waker.clone();
                    let woken = std::thread::spawn(move || waker.wake());
                    if reads % 2 == 0 {
                        woken.join().unwrap();
                        out.push(reads);
                    }
                    Next::Idle
                })
            });
            let numbers = flow.source(source).named("numbers");
            numbers.sink(sink::from_fn(|_: u64| ()));
        })
        .clock(Clock::manual())
        .workers(workers);
        assert_eq!(runner.run().unwrap().records, 200);
    }
}

#[test]
fn a_waker_may_outlive_its_run() {
    let kept: Arc<Mutex<Vec<Waker>>> = Arc::default();
    let wakers = kept.clone();
    let runner = Runner::new(move |flow| {
        let wakers = wakers.clone();
        let source = Scripted(vec!["one"], move |_: &str| -> Read {
            let wakers = wakers.clone();
            Box::new(move |_, waker| {
                wakers.lock().unwrap().push(waker.clone());
                Next::End
            })
        });
        let numbers = flow.source(source).named("numbers");
        numbers.sink(sink::from_fn(|_: u64| ()));
    });
    runner.run().unwrap();
    let kept = std::mem::take(&mut *kept.lock().unwrap());
    assert_eq!(kept.len(), 1);
    kept.into_iter().for_each(Waker::wake);
}

#[test]
fn settings_without_end_are_no_times_that_overflow() {
    let runner = Runner::new(|flow| {
        let source = Scripted(vec!["waits"], |_: &str| -> Read {
            let mut first = true;
            Box::new(move |out, _| {
                if std::mem::take(&mut first) {
                    out.push(1);
                }
                Next::Idle
            })
        });
        flow.source(source)
            .named("numbers")
            .sink(sink::from_fn(|_: u64| ()));
    })
    .epochs(Epochs::records(7).or_after(Duration::MAX))
    .drain_within(Duration::MAX);
    let (handle, run) = start(runner);
    until("the record is read", || {
        handle
            .progress()
            .is_some_and(|progress| progress.records == 1)
    });
    handle.stop();
    assert_eq!(run.join().unwrap().unwrap().records, 1);
}

/// The numbers of records that had been read when the first epoch was durable, and when the run had
/// stopped.
fn read_ahead(
    workers: usize,
    flow: impl Fn(&flow::Flow) + Send + Sync + 'static,
) -> (u64, Outcome) {
    let directory = tempfile::tempdir().unwrap();
    let runner = Runner::new(flow)
        .workers(workers)
        .epochs(Epochs::every(Duration::from_millis(20)))
        .recover(Recovery::at(directory.path().join("state")));
    let (handle, run) = start(runner);
    let mut records = 0;
    until("an epoch is durable", || {
        handle
            .progress()
            .is_some_and(|progress| progress.durable.is_some())
    });
    if let Some(progress) = handle.progress() {
        records = progress.records;
    }
    handle.stop();
    (records, run.join().unwrap().unwrap())
}

/// Behind a slow step, epochs are shorter than the in-flight limit allows: they become durable, and
/// a stop is quick.
#[test]
fn no_more_is_read_than_a_slow_step_gets_through() {
    for workers in [1, 2] {
        let (records, outcome) = read_ahead(workers, |flow| {
            let slow = |count: &mut u64, _: u64| {
                std::thread::sleep(Duration::from_millis(5));
                *count += 1;
            };
            let counts = flow
                .source(source::from_iter(0u64..))
                .named("numbers")
                .key_on(|n| n % 3)
                .stateful_map(slow)
                .named("count");
            counts.map(|_| ()).sink(sink::from_fn(|()| ()));
        });
        assert!(records < 500, "{records}");
        assert!(outcome.records < 1_000, "{}", outcome.records);
    }
}

/// A slow step before the first shuffle does not keep closed epochs from becoming durable either.
#[test]
fn an_epoch_becomes_durable_while_a_slow_step_goes_on() {
    for workers in [1, 2] {
        let (records, _) = read_ahead(workers, |flow| {
            let slow = |_: &u64| std::thread::sleep(Duration::from_millis(1));
            let numbers = flow
                .source(source::from_iter(0u64..))
                .named("numbers")
                .inspect(slow);
            numbers.sink(sink::from_fn(|_: u64| ()));
        });
        assert!(records < 3_000, "{records}");
    }
}

/// Two sources on one worker, with a slow step behind a shuffle. Each record names its source.
fn two_sources(
    workers: usize,
    counts: [u64; 2],
    in_flight: u64,
    out: impl Fn(u64) + Clone + Send + Sync + 'static,
) -> Runner {
    Runner::new(move |flow| {
        let source = |which: u64| {
            let count = usize::try_from(counts[usize::try_from(which).unwrap()]).unwrap();
            source::from_iter(std::iter::repeat_n(which, count))
        };
        let slow = |count: &mut u64, which: u64| {
            std::thread::sleep(Duration::from_micros(100));
            *count += 1;
            which
        };
        let (one, other) = (flow.source(source(0)), flow.source(source(1)));
        let both = one.named("one").merge(other.named("other"));
        let slow = both.key_on(|_| 0).stateful_map(slow).named("count");
        let out = out.clone();
        slow.map(|(_, which)| which)
            .sink(sink::from_fn(move |which: u64| out(which)));
    })
    .workers(workers)
    .records_in_flight(in_flight)
    .bytes_in_flight(1 << 20)
}

/// The source that is woken first when there is room does not take all of the room each time.
#[test]
fn sources_of_a_worker_with_little_room_get_on_at_the_same_pace() {
    for in_flight in [1, 50] {
        let seen: Arc<Mutex<Vec<u64>>> = Arc::default();
        let out = seen.clone();
        let runner = two_sources(1, [1000, 1000], in_flight, move |which| {
            out.lock().unwrap().push(which);
        });
        assert_eq!(runner.run().unwrap().records, 2000);
        let seen = seen.lock().unwrap();
        let mut counts = [0_u64, 0];
        for which in seen.iter() {
            counts[usize::try_from(*which).unwrap()] += 1;
            let [one, other] = counts;
            assert!(one.abs_diff(other) <= 2 * in_flight, "{one} and {other}");
        }
    }
}

#[test]
fn a_source_that_has_come_to_its_end_keeps_no_other_waiting() {
    for workers in [1, 2] {
        for counts in [[0, 500], [500, 0], [3, 500], [500, 7], [51, 50]] {
            for in_flight in [1, 5] {
                let runner = two_sources(workers, counts, in_flight, |_| ());
                let outcome = runner.run().unwrap();
                assert_eq!(outcome.records, counts.iter().sum::<u64>());
            }
        }
    }
}

/// A sink whose first epoch does not become durable until something arrives, or some time has
/// passed.
#[derive(Clone)]
struct Held {
    until: Arc<Mutex<Option<Receiver<u64>>>>,
    arrived: Arc<Mutex<Option<u64>>>,
}

impl Sink for Held {
    type Item = u64;
    type Position = NoResume;
    type Writer = Held;

    fn shards(&self) -> Shards {
        Shards::One
    }

    fn open(&self, _: &OutputId, _: Option<NoResume>) -> Result<Held, SinkError> {
        Ok(self.clone())
    }
}

impl Writer for Held {
    type Item = u64;
    type Position = NoResume;

    fn position(&self) -> NoResume {
        NoResume
    }

    fn write(&mut self, items: &mut Vec<u64>) -> Result<(), SinkError> {
        items.clear();
        Ok(())
    }

    fn close_epoch(&mut self) -> Result<(NoResume, Option<sink::SyncOutput>), SinkError> {
        let Held { until, arrived } = self.clone();
        let wait = move || {
            if let Some(until) = until.lock().unwrap().take() {
                *arrived.lock().unwrap() = until.recv_timeout(Duration::from_millis(500)).ok();
            }
            Ok(())
        };
        Ok((NoResume, Some(sink::SyncOutput::new(wait))))
    }
}

/// Each epoch needs rows, messages and bookkeeping, so thousands of epochs of one record take
/// memory.
#[test]
fn an_open_epoch_takes_room_beside_its_records() {
    let (sender, receiver) = channel();
    let held = Held {
        until: Arc::new(Mutex::new(Some(receiver))),
        arrived: Arc::default(),
    };
    let sink = held.clone();
    let runner = Runner::new(move |flow| {
        let (sender, sink) = (sender.clone(), sink.clone());
        let numbers = flow.source(source::from_iter(0..10)).named("numbers");
        let told = numbers.inspect(move |n| {
            if *n > 0 {
                // Nobody listens any more once the first epoch is durable.
                let _ = sender.send(*n);
            }
        });
        told.sink(sink).named("held");
    })
    .epochs(Epochs::every_record())
    // Room for many records, and for one epoch.
    .records_in_flight(1000)
    .bytes_in_flight(8 << 10);
    assert_eq!(runner.run().unwrap().records, 10);
    // The next record is not read before the first one's epoch is durable.
    assert_eq!(*held.arrived.lock().unwrap(), None);
}

/// The place of a slow step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slow {
    Before,
    /// In a chain that goes record by record.
    Fallible,
    Behind,
    Sink,
}

/// A step that hangs at one of its records until it is released.
#[derive(Clone, Default)]
struct Hanging {
    begun: Arc<Mutex<Vec<u64>>>,
    hangs: Arc<AtomicU64>,
    go: Arc<AtomicU64>,
}

impl Hanging {
    /// Begins a record, and hangs behind `quick` others.
    fn begin(&self, n: u64, quick: usize) {
        let mut begun = self.begun.lock().unwrap();
        begun.push(n);
        let hangs = begun.len() > quick;
        drop(begun);
        if hangs {
            self.hangs.store(1, SeqCst);
            until("it may go on", || self.go.load(SeqCst) == 1);
        }
    }
}

/// Runs a flow with a slow step over 5,000 lines, stops it while the step hangs, lets it end, and
/// runs it again. Returns the number of records that the first run began.
fn stopped_at(slow: Slow, quick: usize, workers: usize) -> usize {
    let directory = tempfile::tempdir().unwrap();
    let input = directory.path().join("in");
    let lines: String = (0..5000).map(|n| format!("{n}\n")).collect();
    std::fs::write(&input, lines).unwrap();
    let run = |hanging: &Hanging, quick| {
        let (hanging, input) = (hanging.clone(), input.clone());
        Runner::new(move |flow| {
            let at = |place| {
                let hanging = hanging.clone();
                move |n: &u64| {
                    if slow == place {
                        hanging.begin(*n, quick);
                    }
                }
            };
            let lines = flow.source(TextLines::open(&input));
            let numbers = lines.map(|line| line.parse::<u64>().unwrap());
            let (before, fallible) = (at(Slow::Before), at(Slow::Fallible));
            let (behind, written) = (at(Slow::Behind), at(Slow::Sink));
            let numbers = numbers.inspect(before);
            // Two steps that may fail: no batch stops by itself at the right record.
            let numbers = match slow {
                Slow::Fallible => numbers.try_map(Ok::<u64, String>).try_map(move |n| {
                    fallible(&n);
                    Ok::<u64, String>(n)
                }),
                _ => numbers,
            };
            let counted = numbers
                .key_on(|n| n % 7)
                .stateful_map(move |_: &mut u64, n: u64| {
                    behind(&n);
                    n
                });
            counted
                .named("count")
                .sink(sink::from_fn(move |(_, n): (u64, u64)| written(&n)));
        })
        .workers(workers)
        .recover(Recovery::at(directory.path().join("state")))
    };
    let first = Hanging::default();
    let (handle, running) = start(run(&first, quick));
    until("it hangs", || first.hangs.load(SeqCst) == 1);
    handle.stop();
    first.go.store(1, SeqCst);
    let outcome = running.join().unwrap().unwrap();
    let begun = first.begun.lock().unwrap().clone();
    assert_eq!(outcome.ended, Ended::Stopped);

    let second = Hanging::default();
    let rest = run(&second, usize::MAX).run().unwrap();
    assert_eq!(outcome.records + rest.records, 5000, "{slow:?}");
    // A worker that helps with lines of another one may have begun some that count as not read.
    if workers == 1 || quick == 0 {
        assert_eq!(outcome.records, begun.len() as u64, "{slow:?}");
        let mut all = begun.clone();
        all.extend(&*second.begun.lock().unwrap());
        all.sort_unstable();
        assert!(all.into_iter().eq(0..5000), "{slow:?}: each record once");
    }
    begun.len()
}

#[test]
fn a_stop_waits_for_no_record_that_a_slow_step_has_not_begun() {
    for slow in [Slow::Before, Slow::Fallible, Slow::Behind, Slow::Sink] {
        for workers in [1, 2, 4] {
            let begun = stopped_at(slow, 0, workers);
            assert!(begun <= workers, "{slow:?}, {workers} workers: {begun}");
        }
    }
}

/// A slow step before the first shuffle, even one that was fast before.
#[test]
fn a_stop_comes_between_two_records_of_a_step_that_has_become_slow() {
    for workers in [1, 2, 4] {
        let begun = stopped_at(Slow::Fallible, 1000, workers);
        assert!(begun <= 1000 + workers, "{workers} workers: {begun}");
    }
}
