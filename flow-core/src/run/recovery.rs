//! Where a flow keeps its state, and what its user agrees to give up.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use flow_store::{Epoch, Retain};

use crate::resume::Renames;

/// The recovery store of a flow, and what to do when the flow and the store differ.
///
/// ```no_run
/// # use flow::prelude::*;
/// # fn build(_: &Flow) {}
/// // The step `old_totals` is gone from the flow: give up its state.
/// Runner::new(build).recover(Recovery::at("state").drop_state("old_totals")).run()?;
/// # Ok::<(), RunError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovery {
    directory: PathBuf,
    drop_steps: BTreeSet<String>,
    drop_partitions: BTreeSet<String>,
    skip_rest_of_line: BTreeSet<String>,
    renames: Renames,
    retain: Retain,
    from_epoch: Option<Epoch>,
}

impl Recovery {
    /// Keeps the store in this directory, which is created if it is absent.
    pub fn at(directory: impl Into<PathBuf>) -> Self {
        Recovery {
            directory: directory.into(),
            drop_steps: BTreeSet::new(),
            drop_partitions: BTreeSet::new(),
            skip_rest_of_line: BTreeSet::new(),
            renames: Renames::default(),
            retain: Retain::Nothing,
            from_epoch: None,
        }
    }

    /// Gives up everything that the store keeps for a step: `--drop-state STEP`.
    #[must_use]
    pub fn drop_state(mut self, id: impl Into<String>) -> Self {
        self.drop_steps.insert(id.into());
        self
    }

    /// Agrees that a partition will not be read to its end: `--drop-partition P`.
    ///
    /// The partition must be gone, or something else must have its name now. Whatever has its name
    /// is read from the beginning.
    #[must_use]
    pub fn drop_partition(mut self, name: impl Into<String>) -> Self {
        self.drop_partitions.insert(name.into());
        self
    }

    /// Resumes behind a line that was read before its writer had finished it, and keeps the part
    /// that was read: `--skip-rest-of-line P`.
    ///
    /// Only [`take_unfinished_line`](crate::source::LinesSource::take_unfinished_line) reads such
    /// lines. If the line has grown since, a start is refused until you agree with this method to
    /// leave its rest unread.
    #[must_use]
    pub fn skip_rest_of_line(mut self, partition: impl Into<String>) -> Self {
        self.skip_rest_of_line.insert(partition.into());
        self
    }

    /// Says that the partition which was read as `old` is now called `new`: `--rename-partition
    /// OLD=NEW`.
    ///
    /// The source has to list `new`. It checks that `new` begins with what was read of `old`, and
    /// resumes where `old` stood. If there is something called `old` now, it is read from the
    /// beginning.
    ///
    /// A file that was moved or rotated within one file system is found without this. A copy is
    /// not.
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::sink;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let [old, new] = ["old.txt", "new.txt"].map(|name| dir.path().join(name));
    /// # let state = dir.path().join("state");
    /// # let read = |path: &std::path::Path| {
    /// #     let path = path.to_owned();
    /// #     Runner::new(move |flow| {
    /// #         flow.source(TextLines::open(&path)).named("lines").sink(sink::from_fn(|_| ()));
    /// #     })
    /// # };
    /// # std::fs::write(&old, "one\ntwo\n").unwrap();
    /// read(&old).recover(Recovery::at(&state)).run()?;
    /// // The file comes back from an archive.
    /// std::fs::write(&new, "one\ntwo\nthree\n").unwrap();
    /// std::fs::remove_file(&old).unwrap();
    /// let (from, to) = (old.to_str().unwrap(), new.to_str().unwrap());
    /// let recovery = Recovery::at(&state).rename_partition(from, to);
    /// let outcome = read(&new).recover(recovery).run()?;
    /// assert_eq!(outcome.records, 1);
    /// # Ok::<(), RunError>(())
    /// ```
    #[must_use]
    pub fn rename_partition(mut self, old: impl Into<String>, new: impl Into<String>) -> Self {
        self.renames.add_pair(old.into(), new.into());
        self
    }

    /// The same from the text `OLD=NEW`, where either name may contain a `=`.
    #[doc(hidden)]
    #[must_use]
    pub fn rename_partition_text(mut self, text: impl Into<String>) -> Self {
        self.renames.add_text(text.into());
        self
    }

    /// Keeps epochs before the last one restorable, for [`from_epoch`](Recovery::from_epoch):
    /// `--retain R`.
    ///
    /// Each commit then also stores the rows that it replaces. A run without this setting forgets
    /// the epochs that earlier runs have retained.
    ///
    /// ```no_run
    /// # use flow::prelude::*;
    /// # use flow::Retain;
    /// # use std::time::Duration;
    /// # fn build(_: &Flow) {}
    /// let day = Retain::For(Duration::from_secs(24 * 3600));
    /// Runner::new(build).recover(Recovery::at("state").retain(day)).run()?;
    /// # Ok::<(), RunError>(())
    /// ```
    #[must_use]
    pub fn retain(mut self, retain: Retain) -> Self {
        self.retain = retain;
        self
    }

    /// Rolls back to an epoch that the store retains, and resumes from there: `--from-epoch E`.
    ///
    /// States, positions in the input and positions in the outputs become what they were. File
    /// sinks cut off what they have written since. Everything that was committed after that epoch
    /// is given up for good, and the store records the rollback. `flow-store epochs` lists the
    /// retained epochs.
    ///
    /// A second start with the same epoch is refused. So a program that is restarted with the same
    /// arguments does not lose its progress each time.
    #[must_use]
    pub fn from_epoch(mut self, epoch: Epoch) -> Self {
        self.from_epoch = Some(epoch);
        self
    }

    /// The directory of the store.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub(crate) fn retained(&self) -> Retain {
        self.retain
    }

    pub(crate) fn epoch(&self) -> Option<Epoch> {
        self.from_epoch
    }

    pub(crate) fn dropped_steps(&self) -> &BTreeSet<String> {
        &self.drop_steps
    }

    pub(crate) fn skipped_lines(&self) -> &BTreeSet<String> {
        &self.skip_rest_of_line
    }

    pub(crate) fn renames(&self) -> &Renames {
        &self.renames
    }

    pub(crate) fn dropped_partitions(&self) -> &BTreeSet<String> {
        &self.drop_partitions
    }
}
