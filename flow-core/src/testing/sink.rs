//! A sink that keeps what comes out, exactly once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{
    record::Record,
    sink::{Guarantee, OutputId, Shards, Sink, SinkError, Sync, Writer},
};

/// A sink that keeps what comes out, over any number of runs: what an aborted run had written of epochs that were not
/// durable is taken back when the next run starts. Its clones are one sink.
#[derive(Debug)]
pub struct TestSink<T>(Arc<Mutex<Vec<T>>>);

impl<T> Clone for TestSink<T> {
    fn clone(&self) -> Self {
        TestSink(self.0.clone())
    }
}

impl<T> Default for TestSink<T> {
    fn default() -> Self {
        TestSink(Arc::default())
    }
}

impl<T> TestSink<T> {
    /// A sink that has got nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What has come out so far.
    #[must_use]
    pub fn items(&self) -> Vec<T>
    where
        T: Clone,
    {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Record> Sink for TestSink<T> {
    type Item = T;
    type Position = u64;
    type Writer = TestWriter<T>;

    fn guarantee(&self) -> Guarantee {
        Guarantee::ExactlyOnce
    }

    fn shards(&self) -> Shards {
        Shards::One
    }

    fn open(&self, _: &OutputId, resume: Option<u64>) -> Result<TestWriter<T>, SinkError> {
        let there = self.lock().len() as u64;
        let committed = resume.unwrap_or(there);
        if committed > there {
            return Err(SinkError::new(format!(
                "the test sink has lost items: {committed} are committed, {there} are there"
            )));
        }
        Ok(TestWriter {
            sink: self.clone(),
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

impl<T: Record> Writer for TestWriter<T> {
    type Item = T;
    type Position = u64;

    fn position(&self) -> u64 {
        self.written
    }

    fn start(&mut self) -> Result<(), SinkError> {
        let written = usize::try_from(self.written).unwrap_or(usize::MAX);
        self.sink.lock().truncate(written);
        Ok(())
    }

    fn write(&mut self, items: &mut Vec<T>) -> Result<(), SinkError> {
        self.written += items.len() as u64;
        self.sink.lock().append(items);
        Ok(())
    }

    fn close_epoch(&mut self) -> Result<(u64, Option<Sync>), SinkError> {
        Ok((self.written, None))
    }
}
