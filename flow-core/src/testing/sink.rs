//! A sink that keeps its items, exactly once.

use std::sync::Arc;

use flow_store::Epoch;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    lock::{Mutex, MutexGuard},
    sink::{Guarantee, IntoSink, OutputId, Shards, Sink, SinkError, SyncOutput, Writer},
};

/// A sink that keeps its items over any number of runs. When a run starts, it takes back the items
/// that an aborted run wrote in epochs that were not durable. Its clones are one sink.
///
/// [`TestSource`](super::TestSource) has an example.
#[derive(Debug)]
pub struct TestSink<T>(Arc<Mutex<Kept<T>>>);

#[derive(Debug)]
struct Kept<T> {
    items: Vec<Seen<T>>,
    /// The number of items of epochs that have ended.
    ended: usize,
    /// The number of items when the last run began.
    before: usize,
    /// The number of runs that have begun.
    runs: usize,
}

/// An item with its epoch, worker and run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Seen<T> {
    /// The item.
    pub item: T,
    /// The epoch that it belongs to. `None` if the run ended before that epoch did.
    pub epoch: Option<Epoch>,
    /// The worker that made it, from 0.
    pub worker: usize,
    /// The run that emitted it, from 1.
    pub run: usize,
}

impl<T> Clone for TestSink<T> {
    fn clone(&self) -> Self {
        TestSink(self.0.clone())
    }
}

impl<T> Default for TestSink<T> {
    fn default() -> Self {
        TestSink(Arc::new(Mutex::new(Kept {
            items: Vec::new(),
            ended: 0,
            before: 0,
            runs: 0,
        })))
    }
}

impl<T> TestSink<T> {
    /// An empty sink.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The output of all runs so far, each item once.
    #[must_use]
    pub fn items(&self) -> Vec<T>
    where
        T: Clone,
    {
        let items = &self.lock().items;
        items.iter().map(|seen| seen.item.clone()).collect()
    }

    /// The output of the last run, including epochs that did not become durable.
    #[must_use]
    pub fn run_items(&self) -> Vec<T>
    where
        T: Clone,
    {
        let kept = self.lock();
        let items = kept.items.iter().skip(kept.before);
        items.map(|seen| seen.item.clone()).collect()
    }

    /// The output of all runs so far, with epoch, worker and run.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen<T>>
    where
        T: Clone,
    {
        self.lock().items.clone()
    }

    /// A run is about to begin. It may be refused, and then it emits nothing.
    pub(super) fn begin(&self) {
        let mut kept = self.lock();
        kept.before = kept.items.len();
    }

    fn lock(&self) -> MutexGuard<'_, Kept<T>> {
        self.0.lock()
    }
}

/// Items are stamped with their worker before they go to the worker that writes.
#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + 'static> IntoSink<T> for TestSink<T> {
    type Sink = Stamped<T>;
    const FALLIBLE: bool = false;

    fn into_sink(self) -> Stamped<T> {
        Stamped(self)
    }

    fn item(record: T) -> Result<(usize, T), SinkError> {
        Ok((0, record))
    }

    fn item_of(worker: usize, record: T) -> Result<(usize, T), SinkError> {
        Ok((worker, record))
    }
}

/// The sink that a [`TestSink`] becomes in a flow.
#[derive(Debug)]
pub struct Stamped<T>(TestSink<T>);

impl<T: Serialize + DeserializeOwned + Send + 'static> Sink for Stamped<T> {
    type Item = (usize, T);
    type Position = u64;
    type Writer = TestWriter<T>;

    fn kind(&self) -> String {
        "test_sink".to_owned()
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::ExactlyOnce
    }

    fn shards(&self) -> Shards {
        Shards::One
    }

    fn open(&self, _: &OutputId, resume: Option<u64>) -> Result<TestWriter<T>, SinkError> {
        let there = self.0.lock().items.len() as u64;
        let committed = resume.unwrap_or(there);
        if committed > there {
            return Err(SinkError::new(format!(
                "the test sink has lost items: {committed} are committed, {there} are there"
            )));
        }
        Ok(TestWriter {
            sink: self.0.clone(),
            written: committed,
        })
    }
}

/// Writes to a [`TestSink`].
#[derive(Debug)]
pub struct TestWriter<T> {
    sink: TestSink<T>,
    written: u64,
}

impl<T: Serialize + DeserializeOwned + Send + 'static> Writer for TestWriter<T> {
    type Item = (usize, T);
    type Position = u64;

    fn position(&self) -> u64 {
        self.written
    }

    fn start(&mut self) -> Result<(), SinkError> {
        let written = usize::try_from(self.written).unwrap_or(usize::MAX);
        let mut kept = self.sink.lock();
        kept.items.truncate(written);
        kept.before = kept.items.len();
        kept.ended = kept.items.len();
        kept.runs += 1;
        Ok(())
    }

    fn write(&mut self, items: &mut Vec<(usize, T)>) -> Result<(), SinkError> {
        self.written += items.len() as u64;
        let mut kept = self.sink.lock();
        let run = kept.runs;
        kept.items
            .extend(items.drain(..).map(|(worker, item)| Seen {
                item,
                epoch: None,
                worker,
                run,
            }));
        Ok(())
    }

    fn ends(&mut self, epoch: Epoch) {
        let mut kept = self.sink.lock();
        let ended = kept.ended;
        for seen in kept.items.iter_mut().skip(ended) {
            seen.epoch = Some(epoch);
        }
        kept.ended = kept.items.len();
    }

    fn close_epoch(&mut self) -> Result<(u64, Option<SyncOutput>), SinkError> {
        Ok((self.written, None))
    }
}
