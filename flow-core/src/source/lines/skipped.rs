//! The lines of a batch that are skipped because they can't become records.

/// For each skipped line, the number of records of the batch before it.
#[derive(Debug, Default)]
pub(super) struct Skipped(Vec<usize>);

impl Skipped {
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Adds a line that comes after this many records of the batch.
    pub(super) fn add(&mut self, records: usize) {
        self.0.push(records);
    }

    /// The number of skipped lines before record `index` of the batch.
    pub(super) fn before(&self, index: usize) -> u64 {
        self.0.partition_point(|records| *records <= index) as u64
    }
}
