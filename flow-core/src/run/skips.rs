//! Records that were left out because a step failed on them.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::graph::{Graph, StepIndex};

/// How many records each step has skipped, over all workers.
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

    /// The steps that skipped records, by id.
    pub(crate) fn by_step(&self, graph: &Graph) -> Vec<(String, u64)> {
        let counts = self.0.iter().map(|count| count.load(Relaxed));
        let steps = graph.steps().iter().zip(counts);
        let skipped = steps.filter(|(_, count)| *count > 0);
        skipped.map(|(step, count)| (step.id(), count)).collect()
    }
}
