//! A source over given records, with things that happen between them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Waker,
    time::Duration,
};

use crate::{
    run::{Clock, RunHandle},
    source::{At, Excerpt, Next, Reader, Source, SourceError},
};

/// How many records are read in one run: few, so that tests see many batches.
const RUN: usize = 32;

/// What a [`TestSource`] gives out, or does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<T> {
    /// A record.
    Record(T),
    /// The run ends here as if it had been killed, once: what is not durable is lost, and the next run reads on.
    Abort,
    /// The run is asked to stop here, once.
    Stop,
    /// Time passes on the manual clock.
    Wait(Duration),
    /// The source fails here, in each run that comes here.
    Fail(String),
}

/// A source over given records. Its clones are one source, and what is fed to one is fed to all.
///
/// The token is the number of events that have been read, those that are no records included.
#[derive(Debug)]
pub struct TestSource<T>(Arc<Mutex<Fed<T>>>);

#[derive(Debug)]
struct Fed<T> {
    partitions: BTreeMap<String, Vec<Event<T>>>,
    /// What happens only once and has happened.
    happened: BTreeSet<(String, usize)>,
    handle: RunHandleSlot,
    clock: Clock,
}

#[derive(Default)]
struct RunHandleSlot(RunHandle);

impl std::fmt::Debug for RunHandleSlot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RunHandle")
    }
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
            happened: BTreeSet::new(),
            handle: RunHandleSlot::default(),
            clock: Clock::manual(),
        })))
    }
}

impl<T> TestSource<T> {
    /// A source that has been fed nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds events at the end of a partition.
    pub fn feed(&self, partition: &str, events: impl IntoIterator<Item = Event<T>>) {
        let mut fed = self.lock();
        let partition = fed.partitions.entry(partition.to_owned()).or_default();
        partition.extend(events);
    }

    /// Says which run [`Event::Abort`] and [`Event::Stop`] end, and which clock [`Event::Wait`] moves.
    pub fn attach(&self, run: RunHandle, clock: Clock) {
        let mut fed = self.lock();
        fed.handle = RunHandleSlot(run);
        fed.clock = clock;
    }

    fn lock(&self) -> MutexGuard<'_, Fed<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        Ok(TestReader {
            source: self.clone(),
            partition: partition.to_owned(),
            starts: Vec::new(),
            next,
        })
    }
}

/// Reads one partition of a [`TestSource`].
#[derive(Debug)]
pub struct TestReader<T> {
    source: TestSource<T>,
    partition: String,
    /// Where the records of the last run stand.
    starts: Vec<usize>,
    next: usize,
}

impl<T: Clone + 'static> Reader for TestReader<T> {
    type Item = T;
    type Token = u64;

    fn read(&mut self, out: &mut Vec<T>, _: &Waker) -> Result<Next, SourceError> {
        self.starts.clear();
        loop {
            let mut fed = self.source.lock();
            let events = fed.partitions.get(&self.partition);
            let event = events.and_then(|events| events.get(self.next).cloned());
            let (handle, clock) = (fed.handle.0.clone(), fed.clock.clone());
            let first = match event {
                Some(Event::Abort | Event::Stop) if self.starts.is_empty() => {
                    fed.happened.insert((self.partition.clone(), self.next))
                }
                _ => false,
            };
            drop(fed);
            match event {
                None => return Ok(Next::End),
                Some(Event::Record(_)) if self.starts.len() == RUN => return Ok(Next::Ready),
                Some(Event::Record(record)) => {
                    self.starts.push(self.next);
                    out.push(record);
                }
                Some(Event::Fail(message)) => return Err(SourceError::new(message)),
                // The records before it are to be used first.
                Some(_) if !self.starts.is_empty() => return Ok(Next::Ready),
                Some(Event::Wait(duration)) => {
                    self.next += 1;
                    clock.advance(duration);
                    return Ok(Next::Ready);
                }
                Some(Event::Abort) if first => {
                    handle.stop_at_once();
                    return Ok(Next::Idle);
                }
                Some(Event::Stop) if first => {
                    self.next += 1;
                    handle.stop();
                    return Ok(Next::Idle);
                }
                Some(Event::Abort | Event::Stop) => {}
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
            text: None,
        })
    }
}
