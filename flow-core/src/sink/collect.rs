//! A vector as a sink, for tests.

use std::sync::Arc;

use super::{NoResume, OutputId, Shards, Sink, SinkError, SyncOutput, Writer};
use crate::{lock::Mutex, record::Record};

/// Collects records in the order in which they arrive, and hands them to the test.
///
/// The sink is a handle: clone it into the function that builds the flow, which runs several times.
///
/// ```
/// # use flow::prelude::*;
/// # use flow::{sink, source};
/// let (out, seen) = sink::collect();
/// Runner::new(move |flow| {
///     flow.source(source::from_iter(1..=3u64)).sink(out.clone());
/// }).run().unwrap();
/// assert_eq!(seen.take(), [1, 2, 3]);
/// ```
#[must_use]
pub fn collect<T: Record>() -> (CollectSink<T>, Collected<T>) {
    let items = Arc::new(Mutex::new(Vec::new()));
    (CollectSink(items.clone()), Collected(items))
}

/// The part of [`collect`] that goes into the flow.
#[derive(Debug)]
pub struct CollectSink<T>(Arc<Mutex<Vec<T>>>);

impl<T> Clone for CollectSink<T> {
    fn clone(&self) -> Self {
        CollectSink(self.0.clone())
    }
}

/// The part of [`collect`] that stays with the test.
#[derive(Debug)]
pub struct Collected<T>(Arc<Mutex<Vec<T>>>);

impl<T> Clone for Collected<T> {
    fn clone(&self) -> Self {
        Collected(self.0.clone())
    }
}

impl<T> Collected<T> {
    /// Takes the records that have been collected so far.
    #[must_use]
    pub fn take(&self) -> Vec<T> {
        std::mem::take(&mut *self.0.lock())
    }

    /// The number of records that are there now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.lock().len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T: Record> Sink for CollectSink<T> {
    type Item = T;
    type Position = NoResume;
    type Writer = CollectSink<T>;

    fn kind(&self) -> String {
        "collect".to_owned()
    }

    fn shards(&self) -> Shards {
        Shards::One
    }

    fn open(&self, _: &OutputId, _: Option<NoResume>) -> Result<Self::Writer, SinkError> {
        Ok(self.clone())
    }
}

impl<T: Record> Writer for CollectSink<T> {
    type Item = T;
    type Position = NoResume;

    fn position(&self) -> NoResume {
        NoResume
    }

    fn write(&mut self, items: &mut Vec<T>) -> Result<(), SinkError> {
        let mut collected = self.0.lock();
        collected.append(items);
        Ok(())
    }

    fn close_epoch(&mut self) -> Result<(NoResume, Option<SyncOutput>), SinkError> {
        Ok((NoResume, None))
    }
}
