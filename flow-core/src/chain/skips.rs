//! Records that were left out because a step failed on them.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use crate::{
    error::Failure,
    graph::{Graph, Keeps, Step, StepIndex},
};

/// How many records each step has skipped on one worker.
///
/// A table for each worker: what it has counted for a block of another one can be told from the
/// rest, and does not count before the block does.
pub(crate) struct Skips {
    counts: Vec<AtomicU64>,
    /// The ids of the steps, for the log.
    ids: Arc<[String]>,
}

impl Skips {
    /// A table for each of so many workers.
    pub(crate) fn tables(graph: &Graph, workers: usize) -> Vec<Arc<Skips>> {
        let ids: Arc<[String]> = graph.steps().iter().map(Step::id).collect();
        let table = |_| Skips {
            counts: ids.iter().map(|_| AtomicU64::new(0)).collect(),
            ids: ids.clone(),
        };
        (0..workers).map(table).map(Arc::new).collect()
    }

    /// One that counts nothing.
    pub(crate) fn none() -> Self {
        Skips {
            counts: Vec::new(),
            ids: Arc::default(),
        }
    }

    /// Names the error of a record that a step skips in the log.
    pub(crate) fn log_failed(&self, step: StepIndex, error: impl Failure) {
        if tracing::enabled!(tracing::Level::DEBUG) {
            let id = self.ids.get(step.as_usize()).map_or("", String::as_str);
            let error = error.into_error();
            tracing::debug!(step = id, cause = %error, "a record is skipped");
        }
    }

    pub(crate) fn add(&self, step: StepIndex) {
        self.add_many(step, 1);
    }

    /// Names the error of a record that a step skips and counts elsewhere.
    pub(crate) fn log(error: impl Failure) {
        if tracing::enabled!(tracing::Level::DEBUG) {
            let error = error.into_error();
            tracing::debug!(cause = %error, "a record is skipped");
        }
    }

    pub(crate) fn add_many(&self, step: StepIndex, records: u64) {
        if let Some(count) = self.counts.get(step.as_usize()) {
            count.fetch_add(records, Relaxed);
        }
    }

    /// The count of each step.
    pub(crate) fn counts(&self) -> Vec<u64> {
        self.counts
            .iter()
            .map(|count| count.load(Relaxed))
            .collect()
    }

    /// Takes back what has been counted since `counts`, and says what it was.
    pub(crate) fn take_since(&self, counts: &[u64]) -> Vec<(StepIndex, u64)> {
        let mut taken = Vec::new();
        for ((step, count), before) in (0..).zip(&self.counts).zip(counts) {
            let more = count.swap(*before, Relaxed) - before;
            if more > 0 {
                taken.push((StepIndex(step), more));
            }
        }
        taken
    }

    /// How many records the sources have skipped on all workers: no step has seen them.
    pub(crate) fn of_sources(workers: &[Arc<Skips>], graph: &Graph) -> u64 {
        let sources = graph.steps().iter().enumerate();
        let sources = sources.filter(|(_, step)| step.keeps == Keeps::Tokens);
        let counts = sources.flat_map(|(index, _)| {
            workers
                .iter()
                .filter_map(move |skips| skips.counts.get(index))
        });
        counts.map(|count| count.load(Relaxed)).sum()
    }

    /// The steps that skipped records on any of the workers, by id.
    pub(crate) fn by_step(workers: &[Arc<Skips>], graph: &Graph) -> Vec<(String, u64)> {
        let mut skipped = Vec::new();
        for (index, step) in graph.steps().iter().enumerate() {
            let counts = workers.iter().filter_map(|skips| skips.counts.get(index));
            let count = counts.map(|count| count.load(Relaxed)).sum();
            if count > 0 {
                skipped.push((step.id(), count));
            }
        }
        skipped
    }
}
