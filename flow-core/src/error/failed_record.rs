//! What happens to records that fail.

use std::fmt;

use flow_store::visible_on_a_line;
use serde::{Deserialize, Serialize};

/// What happens to a record that fails in a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnError {
    /// The flow stops at the record, and the next run starts at it.
    #[default]
    Fail,
    /// The record is left out, and counted in [`Outcome::skipped`](crate::Outcome::skipped).
    Skip,
}

/// A record that failed in a step, with its error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dead<T, E> {
    /// The record as it came to the step.
    pub record: T,
    /// What the step returned.
    pub cause: E,
    /// Where the record stands in its source. `None` behind a shuffle, where that is not known, and
    /// for sources that do not say it.
    pub position: Option<RecordPosition>,
}

/// Where a record stands in its source.
///
/// Its `Display` names the partition and the position: `orders.json, line 6`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RecordPosition {
    /// The source.
    pub source_step: String,
    /// The source's partition: for a file, its path.
    pub partition: String,
    /// Where the record stands in the partition: `line 6`.
    pub position: String,
    /// The line, from 1, where the partition has lines.
    pub line: Option<u64>,
}

impl fmt::Display for RecordPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, {}",
            visible_on_a_line(&self.partition),
            self.position
        )
    }
}
