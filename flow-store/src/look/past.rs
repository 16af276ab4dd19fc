//! The store as it was at an earlier epoch.

use super::Look;
use crate::epoch::Epoch;
use crate::error::{GoBackError, StoreError};
use crate::file::guard::{Failure, guard};
use crate::format::{delta, executions, steps};
use redb::WriteTransaction;
use std::sync::Mutex;

impl Look {
    /// The same store at an earlier epoch: its steps, its rows, and the epoch that the next
    /// execution resumes from.
    ///
    /// This happens in memory. When an execution starts from the look, its opening commit takes the
    /// store itself back, and its record says so
    /// ([`went_back_from`](crate::ExecutionRecord::went_back_from)). The epochs in between are
    /// given up, and their numbers are never used again.
    ///
    /// # Errors
    ///
    /// - [`NotRetained`](crate::GoBackError::NotRetained) if the epoch is not retained.
    /// - [`WentBack`](crate::GoBackError::WentBack) if the store went back to this epoch before,
    ///   and has moved on since. So a program that is restarted with the same arguments does not
    ///   lose its progress each time.
    /// - [`Damaged`](crate::FileError::Damaged) if the data that is needed is damaged.
    ///
    /// ```
    /// # use flow_store::{Agreed, Changes, End, Epoch, Look, Retain, Start};
    /// # let directory = tempfile::tempdir()?;
    /// # let changes = Changes::new();
    /// let look = Look::at(directory.path())?.retaining(Retain::Epochs(10));
    /// # let manifest = look.reconcile(&[], &Agreed::default())?;
    /// # let mut execution = look.start(Start::new("f", &manifest, &changes))?;
    /// // start an execution, and ..
    /// execution.commit(Epoch::first(1), [&changes])?;
    /// execution.commit(Epoch::first(1).next(), [&changes])?;
    /// # execution.end(End::Finished)?;
    ///
    /// let look = Look::at(directory.path())?;
    /// assert_eq!(look.retained()[1].epoch, Epoch::first(1));
    /// assert_eq!(look.go_back(Epoch::first(1))?.epoch(), Epoch::first(1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn go_back(mut self, epoch: Epoch) -> Result<Look, StoreError> {
        if let (Some(database), Some(contents)) = (self.database.get(), &self.contents)
            && let Some(head) = contents.retained().find(|delta| delta.before == epoch)
            && let executions = executions::all(database, &self.place.part)?
            && let Some(before) = executions
                .iter()
                .find(|record| Epoch::opening(record.number) == head.epoch)
            && before.went_back_from.is_some()
        {
            return Err(StoreError::GoBack(GoBackError::WentBack {
                directory: self.place.directory.clone(),
                epoch,
                execution: before.number,
                opened: head.epoch,
                last: self.epoch(),
            }));
        }
        // Going back to the last epoch is recorded too. Otherwise the same request after a restart,
        // when the epoch is no longer the last, would go back.
        if !self.is_new() && epoch == self.epoch() {
            self.back_to = Some(epoch);
            return Ok(self);
        }
        self.see(epoch)
    }

    /// The same store at an earlier epoch, for reading: it does not matter whether the store went
    /// back there before.
    ///
    /// # Errors
    ///
    /// [`NotRetained`](crate::GoBackError::NotRetained) or [`Damaged`](crate::FileError::Damaged).
    pub fn see(mut self, epoch: Epoch) -> Result<Look, StoreError> {
        let last = self.epoch();
        if epoch == last {
            return Ok(self);
        }
        let not_retained = StoreError::GoBack(GoBackError::NotRetained {
            directory: self.place.directory.clone(),
            epoch,
            last,
            retained: self.retained().into(),
        });
        let (Some(database), Some(contents)) = (self.database.get(), &mut self.contents) else {
            return Err(not_retained);
        };
        if !(contents.retained()).any(|delta| delta.before == epoch && delta.epoch <= last) {
            return Err(not_retained);
        }
        let path = &self.place.part;
        let go = || {
            let transaction = database.begin_write()?;
            go_back(&transaction, epoch)?;
            Ok(transaction.commit()?)
        };
        guard(go).map_err(|failure| failure.while_reading(path))?;
        contents.steps = steps::last(database, epoch, contents.meta.next_step, path)?;
        self.unfolded = Mutex::default();
        self.back_to = Some(epoch);
        Ok(self)
    }
}

/// Takes the tables back to a retained epoch.
pub(crate) fn go_back(transaction: &WriteTransaction, to: Epoch) -> Result<(), Failure> {
    delta::remove_after(transaction, to)?;
    steps::remove_after(transaction, to)
}
