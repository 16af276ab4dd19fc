//! What happens to records that fail.

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
}
