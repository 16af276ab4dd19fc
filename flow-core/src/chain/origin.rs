//! Where records come from.

use crate::graph::StepIndex;

/// Where the records come from that a worker was at, in the words of their source.
#[derive(Debug)]
pub(crate) struct FaultOrigin {
    pub(crate) source_step: StepIndex,
    pub(crate) partition: String,
    /// Where the first and the last of them stand, if that is known.
    pub(crate) positions: Option<(String, String)>,
    /// The line of the first of them, where the partition has lines.
    pub(crate) line: Option<u64>,
    /// What the record says, where it is only one.
    pub(crate) excerpt: Option<String>,
}
