//! Records that were left out because a step failed on them.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use crate::graph::{Graph, StepIndex};

/// How many records each step has skipped on one worker.
///
/// A table for each worker: what it has counted for a block of another one can be told from the rest, and does not count
/// before the block does.
pub(crate) struct Skips(Vec<AtomicU64>);

impl Skips {
    pub(crate) fn new(steps: usize) -> Self {
        Skips((0..steps).map(|_| AtomicU64::new(0)).collect())
    }

    pub(crate) fn add(&self, step: StepIndex) {
        self.add_many(step, 1);
    }

    pub(crate) fn add_many(&self, step: StepIndex, records: u64) {
        if let Some(count) = self.0.get(step.as_usize()) {
            count.fetch_add(records, Relaxed);
        }
    }

    /// The count of each step.
    pub(crate) fn counts(&self) -> Vec<u64> {
        self.0.iter().map(|count| count.load(Relaxed)).collect()
    }

    /// Takes back what has been counted since `counts`, and says what it was.
    pub(crate) fn take_since(&self, counts: &[u64]) -> Vec<(StepIndex, u64)> {
        let mut taken = Vec::new();
        for ((step, count), before) in (0..).zip(&self.0).zip(counts) {
            let more = count.swap(*before, Relaxed) - before;
            if more > 0 {
                taken.push((StepIndex(step), more));
            }
        }
        taken
    }

    /// The steps that skipped records on any of the workers, by id.
    pub(crate) fn by_step(workers: &[Arc<Skips>], graph: &Graph) -> Vec<(String, u64)> {
        let mut skipped = Vec::new();
        for (index, step) in graph.steps().iter().enumerate() {
            let counts = workers.iter().filter_map(|skips| skips.0.get(index));
            let count = counts.map(|count| count.load(Relaxed)).sum();
            if count > 0 {
                skipped.push((step.id(), count));
            }
        }
        skipped
    }
}
