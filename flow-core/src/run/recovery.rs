//! Where a flow keeps what it needs to go on, and what its user agrees to give up.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// The recovery store of a flow, and what to do when the flow and the store differ.
///
/// ```no_run
/// # use flow::prelude::*;
/// # fn build(_: &Flow) {}
/// // The step `old_totals` is gone from the flow: give its state up.
/// Runner::new(build).recover(Recovery::at("state").drop_step("old_totals")).run()?;
/// # Ok::<(), RunError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovery {
    directory: PathBuf,
    drop_steps: BTreeSet<String>,
    drop_partitions: BTreeSet<String>,
}

impl Recovery {
    /// Keeps the store in this directory, which is created where it is absent.
    pub fn at(directory: impl Into<PathBuf>) -> Self {
        Recovery {
            directory: directory.into(),
            drop_steps: BTreeSet::new(),
            drop_partitions: BTreeSet::new(),
        }
    }

    /// Gives up all that the store keeps for a step: `--drop-state STEP`.
    #[must_use]
    pub fn drop_step(mut self, id: impl Into<String>) -> Self {
        self.drop_steps.insert(id.into());
        self
    }

    /// Agrees that a partition which is gone will not be read to its end: `--drop-partition P`.
    #[must_use]
    pub fn drop_partition(mut self, name: impl Into<String>) -> Self {
        self.drop_partitions.insert(name.into());
        self
    }

    /// The directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub(crate) fn dropped_steps(&self) -> &BTreeSet<String> {
        &self.drop_steps
    }

    pub(crate) fn dropped_partitions(&self) -> &BTreeSet<String> {
        &self.drop_partitions
    }
}
