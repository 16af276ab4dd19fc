//! `source::from_channel`: other threads send, the flow reads without polling, and neither waits
//! forever for the other.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::SeqCst},
        mpsc::{self, TrySendError},
    },
    task::Waker,
    thread,
};

use flow::{
    BuildError, Clock, Ended, Epochs, Recovery, RunError, RunHandle, Runner,
    prelude::{Deserialize, Serialize},
    sink,
    source::{self, At, ChannelSource, Next, NoResume, Reader, Source, SourceError},
};

/// A flow that passes on what is sent.
fn passing<T>(channel: ChannelSource<T>) -> (Runner, sink::Collected<T>)
where
    T: serde::Serialize + serde::de::DeserializeOwned + Send + 'static,
{
    let (out, seen) = sink::collect();
    let runner = Runner::new(move |flow| {
        let sent = flow.source(channel.clone()).named("sent");
        sent.sink(out.clone());
    });
    (runner, seen)
}

#[test]
fn a_full_channel_makes_its_senders_wait_and_loses_nothing() {
    for workers in [1, 2] {
        for capacity in [0, 1, 7, 1000] {
            let (sender, channel) = source::from_channel(capacity);
            let (runner, seen) = passing(channel);
            let senders: Vec<_> = (0..3u64)
                .map(|lane| {
                    let sender = sender.clone();
                    thread::spawn(move || (0..500u64).for_each(|n| sender.send((lane, n)).unwrap()))
                })
                .collect();
            drop(sender);
            // The clock stands still: what is read is read because somebody was woken.
            let runner = runner.workers(workers).clock(Clock::manual());
            let outcome = runner.run().unwrap();
            assert_eq!((outcome.ended, outcome.records), (Ended::Finished, 1500));
            senders
                .into_iter()
                .for_each(|sender| sender.join().unwrap());
            let mut last = BTreeMap::new();
            for (lane, n) in seen.take() {
                let before = last.insert(lane, n);
                assert_eq!(
                    before.map_or(0, |before| before + 1),
                    n,
                    "in the order of its sender"
                );
            }
        }
    }
}

#[test]
fn there_is_room_for_as_many_records_as_was_said() {
    let (sender, channel) = source::from_channel(2);
    sender.send(1).unwrap();
    sender.try_send(2).unwrap();
    assert_eq!(sender.try_send(3), Err(TrySendError::Full(3)));
    drop(sender);
    let (runner, seen) = passing(channel);
    assert_eq!(runner.run().unwrap().records, 2);
    assert_eq!(seen.take(), [1, 2]);
}

#[test]
fn sending_is_an_error_when_the_flow_has_ended() {
    let (sender, channel) = source::from_channel(1);
    let (runner, seen) = passing(channel);
    let handle = runner.handle();
    let run = thread::spawn(move || runner.run());
    sender.send(1).unwrap();
    let (told, seen_by_flow) = mpsc::channel();
    let waiting = thread::spawn(move || {
        // Until one is refused: some of them wait for room when the run ends.
        let refused = (2..).find_map(|n: u64| {
            told.send(n).ok();
            sender.send(n).err()
        });
        (refused.unwrap().0, sender)
    });
    seen_by_flow.recv().unwrap();
    handle.stop();
    assert_eq!(run.join().unwrap().unwrap().ended, Ended::Stopped);
    let (refused, sender) = waiting.join().unwrap();
    let seen = seen.take();
    assert!(seen.iter().zip(1..).all(|(seen, n)| *seen == n), "{seen:?}");
    assert!(seen.last().is_none_or(|last| refused > *last));
    assert_eq!(sender.try_send(0), Err(TrySendError::Disconnected(0)));
}

#[test]
fn sending_is_an_error_when_there_will_be_no_flow() {
    let (sender, channel) = source::from_channel(1);
    sender.send(1).unwrap();
    let waiting = thread::spawn(move || sender.send(2).map_err(|error| error.0));
    drop(channel);
    assert_eq!(waiting.join().unwrap(), Err(2));
}

#[test]
fn a_failed_run_lets_its_senders_go() {
    let (sender, channel) = source::from_channel(1);
    let runner = Runner::new(move |flow| {
        let sent = flow.source(channel.clone());
        let check = |n: u64| if n < 10 { Ok(n) } else { Err("large") };
        sent.try_map(check).sink(sink::from_fn(|_: u64| ()));
    });
    let sending = thread::spawn(move || (0u64..).find_map(|n| sender.send(n).err()));
    let error = runner.run().unwrap_err();
    assert!(matches!(error, RunError::Record(_)), "{error}");
    assert!(sending.join().unwrap().unwrap().0 >= 10);
}

#[test]
fn a_channel_can_not_resume_and_keeps_what_no_run_has_read() {
    let home = tempfile::tempdir().unwrap();
    let state = home.path().join("state");
    let (sender, channel) = source::from_channel(100);
    let (runner, _) = passing(channel.clone());
    let error = runner.recover(Recovery::at(&state)).run().unwrap_err();
    assert!(
        matches!(error, RunError::Build(BuildError::CannotResume { .. })),
        "{error}"
    );
    assert!(error.to_string().contains(".lossy()"), "{error}");
    assert!(!state.exists());
    // A start that was refused has ended nothing.
    let (out, seen) = sink::collect();
    let run = |check: bool| {
        let (channel, out) = (channel.clone(), out.clone());
        let runner = Runner::new(move |flow| {
            let sent = flow.source(channel.clone().lossy()).named("sent");
            let sum = |sum: &mut u64, n: u64| {
                *sum += n;
                *sum
            };
            let sums = sent.key_on(|_| 0).stateful_map(sum).named("sum");
            sums.map(|(_, sum)| sum).sink(out.clone());
        });
        let runner = runner.recover(Recovery::at(&state)).clock(Clock::manual());
        let handle = runner.handle();
        (
            handle,
            thread::spawn(move || match check {
                true => runner.dry_run().map(|_| None),
                false => runner.run().map(Some),
            }),
        )
    };
    let (_, dry) = run(true);
    dry.join().unwrap().unwrap();
    sender.send(1).unwrap();
    let (handle, first) = run(false);
    while handle
        .progress()
        .is_none_or(|progress| progress.records < 1)
    {
        thread::yield_now();
    }
    handle.stop();
    assert_eq!(
        first.join().unwrap().unwrap().unwrap().ended,
        Ended::Stopped
    );
    assert_eq!(sender.try_send(2), Err(TrySendError::Disconnected(2)));
    // The next run has the state of the first one, and reads on.
    let (handle, second) = run(false);
    while sender.try_send(10).is_err() {
        thread::yield_now();
    }
    while handle
        .progress()
        .is_none_or(|progress| progress.records < 1)
    {
        thread::yield_now();
    }
    drop(sender);
    let outcome = second.join().unwrap().unwrap().unwrap();
    assert_eq!((outcome.ended, outcome.records), (Ended::Finished, 1));
    assert_eq!(seen.take(), [1, 11]);
}

#[test]
fn a_channel_is_read_by_one_source_at_a_time() {
    let (_sender, channel) = source::from_channel::<u64>(1);
    let runner = Runner::new(move |flow| {
        let one = flow.source(channel.clone()).named("one");
        let other = flow.source(channel.clone()).named("other");
        one.merge(other).sink(sink::from_fn(|_: u64| ()));
    });
    let error = runner.run().unwrap_err().to_string();
    assert!(
        error.contains("`other`") && error.contains("read already"),
        "{error}"
    );
}

/// Another source continues beside it, and the last records arrive.
#[test]
fn an_idle_channel_holds_up_no_other_source() {
    let (sender, channel) = source::from_channel::<u64>(1);
    let counted = Arc::new(AtomicU64::new(0));
    let counter = counted.clone();
    let runner = Runner::new(move |flow| {
        let sent = flow.source(channel.clone());
        let others = flow.source(source::from_iter(0..10_000u64)).named("others");
        let counter = counter.clone();
        let sink = sink::from_fn(move |_: u64| {
            counter.fetch_add(1, SeqCst);
        });
        sent.merge(others).sink(sink);
    });
    let run = thread::spawn(move || runner.run());
    while counted.load(SeqCst) < 10_000 {
        thread::yield_now();
    }
    sender.send(0).unwrap();
    drop(sender);
    assert_eq!(run.join().unwrap().unwrap().records, 10_001);
}

/// A stop comes in the middle of a batch that a source has taken: the step asks for it at its first
/// record. Unprocessed records are still in the channel.
#[test]
fn what_a_stop_leaves_unread_stays_in_the_channel() {
    for workers in [1, 2] {
        for fallible in [false, true] {
            let (sender, channel) = source::from_channel(40);
            (0..40u64).for_each(|n| sender.send(n).unwrap());
            drop(sender);
            let mut seen = Vec::new();
            let mut runs = 0;
            while seen.len() < 40 {
                runs += 1;
                assert!(runs <= 40, "{seen:?}");
                let channel = channel.clone();
                let (out, part) = sink::collect();
                let stop: Arc<OnceLock<RunHandle>> = Arc::default();
                let stops = stop.clone();
                let runner = Runner::new(move |flow| {
                    let stop = stops.clone();
                    let stopping = move |n: u64| {
                        stop.get().unwrap().stop();
                        n
                    };
                    let sent = flow.source(channel.clone()).named("sent");
                    let passed = match fallible {
                        true => sent.map(stopping).try_map(Ok::<u64, SourceError>),
                        false => sent.map(stopping),
                    };
                    passed.sink(out.clone());
                });
                let runner = runner.workers(workers).epochs(Epochs::records(7));
                stop.set(runner.handle()).unwrap();
                runner.run().unwrap();
                seen.extend(part.take());
            }
            assert_eq!(seen, (0..40).collect::<Vec<u64>>());
            assert!(runs > 1, "no run was stopped");
        }
    }
}

/// The records after it are still in the channel, whether the failing step is the first one or not.
#[test]
fn a_record_that_fails_takes_no_other_one_with_it() {
    for first in [true, false] {
        let (sender, channel) = source::from_channel(1000);
        (0..1000u64).for_each(|n| sender.send(n).unwrap());
        drop(sender);
        let (out, seen) = sink::collect();
        let run = || {
            let (channel, out) = (channel.clone(), out.clone());
            Runner::new(move |flow| {
                let sent = flow.source(channel.clone()).named("sent");
                let sent = if first { sent } else { sent.map(|n| n) };
                let check = |n: u64| if n == 300 { Err("300") } else { Ok(n) };
                sent.try_map(check).sink(out.clone());
            })
        };
        let error = run().run().unwrap_err();
        assert!(matches!(error, RunError::Record(_)), "{error}");
        run().run().unwrap();
        let expected = (0..1000).filter(|n| *n != 300);
        assert_eq!(seen.take(), expected.collect::<Vec<u64>>());
    }
}

/// A number that can't be encoded if it is 300.
#[derive(Clone, PartialEq, Eq, Hash, Deserialize)]
struct Odd(u64);

impl Serialize for Odd {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            300 => Err(serde::ser::Error::custom("300 has no form")),
            n => n.serialize(to),
        }
    }
}

/// The same if no step fails but the key of a record can't be encoded, also after a merge.
#[test]
fn a_key_that_fails_takes_no_other_record_with_it() {
    for merged in [false, true] {
        let (sender, channel) = source::from_channel(1000);
        (0..1000u64).for_each(|n| sender.send(n).unwrap());
        drop(sender);
        let (out, seen) = sink::collect();
        let run = || {
            let (channel, out) = (channel.clone(), out.clone());
            Runner::new(move |flow| {
                let mut sent = flow.source(channel.clone()).named("sent");
                if merged {
                    let small = sent.clone().filter(|_| false);
                    sent = sent.merge(small);
                }
                let keyed = sent.key_on(|n| Odd(*n));
                let last = keyed.stateful_map(|_: &mut (), n: u64| n).named("last");
                last.map(|(_, n)| n).sink(out.clone());
            })
        };
        let error = run().run().unwrap_err();
        assert!(matches!(error, RunError::Record(_)), "{error}");
        run().run().unwrap();
        let expected = (0..1000).filter(|n| *n != 300);
        assert_eq!(seen.take(), expected.collect::<Vec<u64>>());
    }
}

/// A reader that can't resume, and can't give back what it has taken.
struct Hoard {
    takes: Arc<AtomicU64>,
}

struct HoardReader {
    takes: Arc<AtomicU64>,
    taken: VecDeque<u64>,
}

impl Source for Hoard {
    type Item = u64;
    type Token = NoResume;
    type Reader = HoardReader;

    fn partitions(&self) -> Result<Vec<String>, SourceError> {
        Ok(vec!["one".to_owned(), "other".to_owned()])
    }

    fn open(&self, _: &str, _: At<NoResume>) -> Result<HoardReader, SourceError> {
        let takes = self.takes.clone();
        Ok(HoardReader {
            takes,
            taken: VecDeque::new(),
        })
    }
}

impl Reader for HoardReader {
    type Item = u64;
    type Token = NoResume;

    fn read(&mut self, out: &mut Vec<u64>, _: &Waker) -> Result<Next, SourceError> {
        if self.taken.is_empty() {
            let from = 1000 * self.takes.fetch_add(1, SeqCst);
            self.taken.extend(from..from + 1000);
        }
        out.extend(self.taken.drain(..100));
        Ok(Next::Ready)
    }

    fn token(&self, _: usize) -> NoResume {
        NoResume
    }

    fn has_taken(&mut self) -> bool {
        !self.taken.is_empty()
    }
}

#[test]
fn what_a_source_has_taken_and_can_not_take_again_is_processed_before_a_stop() {
    for workers in [1, 2] {
        for stop_at in [0, 50, 150, 999, 1500] {
            let takes: Arc<AtomicU64> = Arc::default();
            let stop: Arc<OnceLock<RunHandle>> = Arc::default();
            let (out, seen) = sink::collect();
            let (taking, stops) = (takes.clone(), stop.clone());
            let runner = Runner::new(move |flow| {
                let stop = stops.clone();
                let takes = taking.clone();
                let numbers = flow.source(Hoard { takes }).named("numbers");
                let numbers = numbers.inspect(move |n| {
                    if *n == stop_at {
                        stop.get().unwrap().stop();
                    }
                });
                numbers.sink(out.clone());
            });
            let runner = runner.workers(workers).epochs(Epochs::records(7));
            stop.set(runner.handle()).unwrap();
            let outcome = runner.run().unwrap();
            assert_eq!(outcome.ended, Ended::Stopped);
            let mut seen = seen.take();
            seen.sort_unstable();
            let taken = 1000 * takes.load(SeqCst);
            assert_eq!(seen, (0..taken).collect::<Vec<u64>>());
            assert_eq!(outcome.records, taken);
        }
    }
}
