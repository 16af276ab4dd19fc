//! A source over given records, with events between them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    task::Waker,
    time::Duration,
};

use crate::{
    engine::RunHandle,
    lock::{Mutex, MutexGuard},
    source::{At, Excerpt, Next, Reader, Source, SourceError},
};

/// The default number of records that are read at a time: few, so that tests see many batches.
const BATCH: usize = 32;

/// A record of a partition of a [`TestSource`], or an act between records.
///
/// Each event counts as read, whether it is a record or not: the next run resumes behind it. Each
/// [`Stop`](Event::Stop), [`Abort`](Event::Abort) and [`Kill`](Event::Kill) ends one run. If two
/// partitions come to one in the same run, the other one is left for the next run. `into()` turns a
/// record into an event.
///
/// ```
/// use flow::testing::{Event, Harness};
///
/// let mut test = Harness::new(|numbers: flow::Stream<u64>| numbers.map(|n| n * 10));
/// test.feed_events("numbers", [1.into(), Event::Abort, 2.into(), Event::Eof, 3.into()]);
/// test.run().unwrap_err();                     // The abort, once the 1 is durable.
/// assert_eq!(test.outputs(), [10]);
/// test.run().unwrap();                         // Up to the end that comes before the 3.
/// assert_eq!(test.run_outputs(), [20]);
/// test.run().unwrap();
/// assert_eq!(test.run_outputs(), [30]);
/// assert_eq!(test.outputs(), [10, 20, 30]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<T> {
    /// A record.
    Record(T),
    /// The open epoch ends here.
    EndEpoch,
    /// There is nothing to read for this long. A manual clock is advanced by it. With the system's
    /// clock the time really passes.
    Pause(Duration),
    /// The partition ends here in this run. The next run reads what is behind.
    Eof,
    /// The run is asked to stop here, once.
    Stop,
    /// The run ends as if it had been killed, when everything before this event in this partition
    /// is durable.
    Abort,
    /// The run ends as if it had been killed in the middle of an epoch: epochs that have ended are
    /// durable, and records of the open one are lost. Happens once.
    Kill,
    /// The source fails here, in each run that comes this far.
    Fail(String),
}

impl<T> From<T> for Event<T> {
    fn from(record: T) -> Self {
        Event::Record(record)
    }
}

/// A source over given records. Its clones are one source: a record that is fed to one is fed to
/// all.
///
/// The token is the number of events that have been read, including those that are no records. A
/// [`Harness`](super::Harness) makes its own sources. Use this one in a flow that you build by
/// hand:
///
/// ```
/// use flow::{Runner, testing::{TestSink, TestSource}};
///
/// let (numbers, squares) = (TestSource::new(), TestSink::new());
/// numbers.feed([1u64, 2, 3]);
/// let (input, output) = (numbers.clone(), squares.clone());
/// Runner::new(move |flow| {
///     flow.source(input.clone()).map(|n| n * n).sink(output.clone());
/// })
/// .run()
/// .unwrap();
/// assert_eq!(squares.items(), [1, 4, 9]);
/// ```
#[derive(Debug)]
pub struct TestSource<T>(Arc<Mutex<Fed<T>>>);

#[derive(Debug)]
struct Fed<T> {
    partitions: BTreeMap<String, Vec<Event<T>>>,
    /// The number of records that are read at a time.
    batch: usize,
    /// The events that happen only once and have happened.
    happened: BTreeSet<(String, usize)>,
}

impl<T> Clone for TestSource<T> {
    fn clone(&self) -> Self {
        TestSource(self.0.clone())
    }
}

impl<T> Default for TestSource<T> {
    fn default() -> Self {
        TestSource(Arc::new(Mutex::new(Fed {
            partitions: BTreeMap::new(),
            batch: BATCH,
            happened: BTreeSet::new(),
        })))
    }
}

impl<T> TestSource<T> {
    /// An empty source. As long as it is empty it has no partition, and ends at once.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds records at the end of the partition `items`.
    pub fn feed(&self, records: impl IntoIterator<Item = T>) -> &Self {
        self.feed_events("items", records.into_iter().map(Event::Record))
    }

    /// Adds events at the end of a partition.
    pub fn feed_events(
        &self,
        partition: &str,
        events: impl IntoIterator<Item = Event<T>>,
    ) -> &Self {
        let events: Vec<_> = events.into_iter().collect();
        let mut fed = self.lock();
        let partition = fed.partitions.entry(partition.to_owned()).or_default();
        partition.extend(events);
        drop(fed);
        self
    }

    /// Sets the most records that are read at a time: 32 by default, and at least 1.
    pub fn batch(&self, records: usize) -> &Self {
        self.lock().batch = records.max(1);
        self
    }

    fn lock(&self) -> MutexGuard<'_, Fed<T>> {
        self.0.lock()
    }
}

impl<T: Clone + 'static> Source for TestSource<T> {
    type Item = T;
    type Token = u64;
    type Reader = TestReader<T>;

    fn partitions(&self) -> Result<Vec<String>, SourceError> {
        Ok(self.lock().partitions.keys().cloned().collect())
    }

    fn open(&self, partition: &str, at: At<u64>) -> Result<TestReader<T>, SourceError> {
        let next = usize::try_from(at.token().unwrap_or(0)).unwrap_or(usize::MAX);
        let there = self.lock().partitions.get(partition).map_or(0, Vec::len);
        if next > there {
            return Err(SourceError::new(format!(
                "{partition} has {there} events, but {next} had been read"
            )));
        }
        Ok(TestReader {
            source: self.clone(),
            partition: partition.to_owned(),
            starts: Vec::new(),
            next,
            run: RunHandle::default(),
            aborts_at: None,
        })
    }
}

/// Reads one partition of a [`TestSource`].
#[derive(Debug)]
pub struct TestReader<T> {
    source: TestSource<T>,
    partition: String,
    /// The positions of the records of the last batch.
    starts: Vec<usize>,
    next: usize,
    run: RunHandle,
    /// The run is aborted when every epoch below this one is durable.
    aborts_at: Option<flow_store::Epoch>,
}

impl<T: Clone> TestReader<T> {
    /// The next event, and the number of records that are read at a time.
    fn event(&self) -> (Option<Event<T>>, usize) {
        let fed = self.source.lock();
        let events = fed.partitions.get(&self.partition);
        let event = events.and_then(|events| events.get(self.next).cloned());
        (event, fed.batch)
    }

    /// Whether the next event, which happens once, has happened.
    fn has_happened(&self) -> bool {
        let event = (self.partition.clone(), self.next);
        self.source.lock().happened.contains(&event)
    }

    /// Makes the next event end the run, unless another one does.
    fn end_run(&mut self, event: &Event<T>) {
        if !self.run.claim_end() {
            return;
        }
        let key = (self.partition.clone(), self.next);
        self.source.lock().happened.insert(key);
        match event {
            Event::Stop => {
                self.next += 1;
                self.run.stop();
            }
            Event::Abort => {
                // The abort was read in the epoch that must become durable.
                self.next += 1;
                self.run.end_epoch();
                self.aborts_at = self.run.open_epoch();
            }
            _ => self.aborts_at = self.run.open_epoch(),
        }
    }
}

impl<T> TestReader<T> {
    /// Aborts the run if an abort is due and its epochs are durable.
    fn abort(&self, waker: &Waker) -> Next {
        if let Some(epoch) = self.aborts_at
            && self.run.is_durable_below(epoch, waker)
        {
            self.run.stop_at_once();
        }
        Next::Idle
    }
}

impl<T: Clone + 'static> Reader for TestReader<T> {
    type Item = T;
    type Token = u64;

    fn set_run(&mut self, run: &RunHandle) {
        self.run = run.clone();
    }

    fn read(&mut self, out: &mut Vec<T>, waker: &Waker) -> Result<Next, SourceError> {
        self.starts.clear();
        if self.aborts_at.is_some() {
            return Ok(self.abort(waker));
        }
        loop {
            let (event, batch) = self.event();
            match event {
                None => return Ok(Next::End),
                Some(Event::Record(_)) if self.starts.len() == batch => return Ok(Next::Ready),
                Some(Event::Record(record)) => {
                    self.starts.push(self.next);
                    out.push(record);
                }
                Some(Event::Fail(message)) => return Err(SourceError::new(message)),
                // The records before it come first.
                Some(_) if !self.starts.is_empty() => return Ok(Next::Ready),
                Some(Event::EndEpoch) => {
                    self.next += 1;
                    self.run.end_epoch();
                    return Ok(Next::Ready);
                }
                Some(Event::Pause(duration)) => {
                    self.next += 1;
                    let clock = self.run.clock();
                    let until = clock.now().checked_add(duration);
                    clock.advance(duration);
                    return Ok(until.map_or(Next::Idle, Next::IdleUntil));
                }
                Some(Event::Eof) => {
                    self.next += 1;
                    return Ok(Next::End);
                }
                Some(Event::Stop | Event::Abort | Event::Kill) if self.has_happened() => {}
                Some(event @ (Event::Stop | Event::Abort | Event::Kill)) => {
                    self.end_run(&event);
                    return Ok(self.abort(waker));
                }
            }
            self.next += 1;
        }
    }

    fn token(&self, index: usize) -> u64 {
        self.starts.get(index).copied().unwrap_or(self.next) as u64
    }

    fn excerpt(&mut self, at: &u64) -> Option<Excerpt> {
        Some(Excerpt {
            position: format!("event {}", at + 1),
            line: None,
            text: None,
        })
    }
}
