//! The lines that a run leaves out because no record can be made of them.

/// The place of each of them: how many records of the run come before it.
#[derive(Debug, Default)]
pub(super) struct Skipped(Vec<usize>);

impl Skipped {
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Adds a line behind so many records of the run.
    pub(super) fn add(&mut self, records: usize) {
        self.0.push(records);
    }

    /// How many lines come before record `index` of the run.
    pub(super) fn before(&self, index: usize) -> u64 {
        self.0.partition_point(|records| *records <= index) as u64
    }
}
