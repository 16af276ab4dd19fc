//! The origin of records.

use crate::graph::StepIndex;

/// The origin of the records that a worker was processing, in the words of their source.
#[derive(Debug)]
pub(crate) struct FaultOrigin {
    pub(crate) source_step: StepIndex,
    pub(crate) partition: String,
    /// The positions of the first and the last of them, if they are known.
    pub(crate) positions: Option<(String, String)>,
    /// The line of the first of them, if the partition has lines.
    pub(crate) line: Option<u64>,
    /// The text of the record, if there is only one.
    pub(crate) excerpt: Option<String>,
}
