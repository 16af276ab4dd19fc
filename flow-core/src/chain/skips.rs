//! Counts of records that were left out because a step failed on them.

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
/// Each worker has its own table. So what it counts for a block of another worker can be told from
/// the rest, and counts only when the block does.
pub(crate) struct Skips {
    counts: Vec<AtomicU64>,
    /// The ids of the steps, for the log.
    ids: Arc<[String]>,
}

impl Skips {
    /// One table for each worker.
    pub(crate) fn tables(graph: &Graph, workers: usize) -> Vec<Arc<Skips>> {
        let ids: Arc<[String]> = graph.steps().iter().map(Step::id).collect();
        let table = |_| Skips {
            counts: ids.iter().map(|_| AtomicU64::new(0)).collect(),
            ids: ids.clone(),
        };
        (0..workers).map(table).map(Arc::new).collect()
    }

    /// A table that counts nothing.
    pub(crate) fn none() -> Self {
        Skips {
            counts: Vec::new(),
            ids: Arc::default(),
        }
    }

    /// Logs the error of a record that a step skips, with the step's id.
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

    /// Logs the error of a record that a step skips and counts elsewhere.
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

    /// Resets the counts to `counts`, and returns what each step has counted since.
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

    /// The number of records that the sources have skipped, on all workers. No step has seen them.
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

    /// The id of each step that skipped records, and their number on all workers.
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
