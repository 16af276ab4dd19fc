//! A running execution, which commits epochs.

pub(crate) mod fold;
mod retention;
mod start;

pub use start::Start;

use self::fold::Folding;
use self::retention::Time;
use crate::clock::now;
use crate::epoch::Epoch;
use crate::error::{Cause, ExecutionError, FileError, StoreError};
use crate::file::directory::Place;
use crate::file::guard::{Failure, guard};
use crate::file::lock::Lock;
use crate::file::named::Named;
use crate::file::part::Held;
use crate::format::changes::Changes;
use crate::format::delta::Delta;
use crate::format::executions;
use crate::format::meta::Meta;
use crate::format::record::{End, ExecutionRecord};
use crate::format::tables::META;
use crate::format::write;
use crate::hooks::fail_point::FailPoint;
use crate::retain::Retain;
use redb::WriteTransaction;
use std::collections::VecDeque;
use std::fmt;
use std::path::PathBuf;

/// An execution of the flow that has started, and can commit its epochs.
///
/// It holds the store's lock until it is dropped. Dropping it without [`end`](Execution::end) has
/// the same effect as a kill: no commit is lost, and the store records no end.
pub struct Execution {
    database: Held,
    part: PathBuf,
    /// `None` over a backend without a directory.
    named: Option<Named>,
    /// The content of `meta` in the file.
    meta: Meta,
    record: ExecutionRecord,
    /// The numbers of the steps, sorted.
    steps: Vec<u16>,
    retain: Retain,
    /// The deltas that are not folded, oldest first.
    deltas: VecDeque<Delta>,
    time: Time,
    folding: Folding,
    /// Whether a commit failed, so that the content of the file is unknown.
    failed: bool,
    /// It is the last field, so that it is released last; `None` over a backend without a
    /// directory.
    _lock: Option<Lock>,
}

/// What the start transaction wrote.
struct Started {
    meta: Meta,
    record: ExecutionRecord,
    /// The numbers of the steps, sorted.
    steps: Vec<u16>,
    retain: Retain,
    deltas: VecDeque<Delta>,
    time: Time,
}

impl Execution {
    fn new(database: Held, place: &Place, started: Started, lock: Option<Lock>) -> Execution {
        Execution {
            database,
            part: place.part.clone(),
            named: lock.is_some().then(|| Named::new(&place.part)),
            meta: started.meta,
            record: started.record,
            steps: started.steps,
            retain: started.retain,
            deltas: started.deltas,
            time: started.time,
            folding: Folding::new(),
            failed: false,
            _lock: lock,
        }
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.record.number
    }

    /// The epoch that it resumed from: the last durable one, or the one that the look went back to.
    #[must_use]
    pub fn resumed_from(&self) -> Epoch {
        self.record.resumed_from
    }

    /// The last durable epoch. Before the first commit it is [`Epoch::opening`] of the execution's
    /// number.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.meta.epoch
    }

    /// Makes the changes of an epoch durable.
    ///
    /// If `epoch` is not the next one, `changes` must include those of all epochs since the last
    /// commit.
    ///
    /// All changes are appended in one transaction. The last change of a row wins. The same
    /// transaction folds a bounded part of earlier changes into sorted chunks. Once this returns,
    /// the changes survive a power failure.
    ///
    /// # Errors
    ///
    /// Without writing anything:
    ///
    /// - [`WrongEpoch`](crate::ExecutionError::WrongEpoch): the epoch is not greater than the last
    ///   one, or belongs to another execution.
    /// - [`WrongChange`](crate::ExecutionError::WrongChange): a change can't be stored.
    /// - [`Fenced`](crate::ExecutionError::Fenced): a later execution has the store.
    /// - [`Gone`](crate::ExecutionError::Gone): the file was removed or replaced.
    /// - [`AfterFailedCommit`](crate::ExecutionError::AfterFailedCommit): an earlier commit failed.
    ///
    /// After [`CommitFailed`](crate::ExecutionError::CommitFailed) it is unknown whether the epoch
    /// is durable. Every further commit is refused, and the flow must be restarted.
    pub fn commit<'a, I>(&mut self, epoch: Epoch, changes: I) -> Result<(), StoreError>
    where
        I: IntoIterator<Item = &'a Changes>,
        I::IntoIter: Clone,
    {
        self.check_not_failed()?;
        self.check_there()?;
        let changes = changes.into_iter();
        for changes in changes.clone() {
            changes.check(&self.steps, &self.part)?;
        }
        let mut meta = self.meta.clone();
        meta.durable_seen = meta.epoch;
        meta.epoch = epoch;
        let mut deltas = std::mem::take(&mut self.deltas);
        let mut folding = std::mem::replace(&mut self.folding, Folding::new());
        let mut begun = false;
        let write = || {
            let transaction = write::begin(self.database.get())?;
            let in_file = self.fence(&transaction)?;
            if epoch <= in_file.epoch || epoch.execution() != self.number() {
                return Err(Failure::from(ExecutionError::WrongEpoch {
                    path: self.part.clone(),
                    epoch,
                    execution: self.number(),
                    last: in_file.epoch,
                }));
            }
            begun = true;
            let delta = Delta::new(epoch, self.meta.epoch, self.time.now());
            let delta = delta.write(&transaction, changes.clone())?;
            deltas.push_back(delta);
            meta.oldest = retention::oldest(&deltas, meta.oldest, self.retain, &self.time);
            if let Some(amount) = folding.amount(&deltas, &meta, delta.bytes) {
                fold::fold(
                    &transaction,
                    &mut meta,
                    &mut deltas,
                    &mut folding,
                    amount,
                    &self.part,
                )?;
                FailPoint::Folded.pass();
            }
            meta.write_epoch(&mut transaction.open_table(META)?)?;
            FailPoint::BeforeCommit.pass();
            Ok(transaction.commit()?)
        };
        let (path, last) = (&self.part, self.meta.epoch);
        let written = guard(write);
        self.deltas = deltas;
        self.folding = folding;
        // After a failure the deltas are those of the failed commit, so nothing may be committed
        // any more.
        self.failed = written.is_err() && begun;
        written.map_err(|failure| {
            failure.while_writing(|cause: Cause| {
                self.failed = true;
                StoreError::Execution(ExecutionError::CommitFailed {
                    path: path.clone(),
                    epoch,
                    last,
                    cause,
                })
            })
        })?;
        FailPoint::AfterCommit.pass();
        self.meta = meta;
        tracing::debug!(%epoch, "committed");
        Ok(())
    }

    /// Writes how the execution ended, and closes the store.
    ///
    /// This is a separate commit, which does not change [`epoch`](Execution::epoch).
    ///
    /// # Errors
    ///
    /// - [`EndFailed`](crate::ExecutionError::EndFailed): the record of the end may be missing. No
    ///   data is lost.
    /// - [`Fenced`](crate::ExecutionError::Fenced), [`Gone`](crate::ExecutionError::Gone),
    ///   [`AfterFailedCommit`](crate::ExecutionError::AfterFailedCommit): nothing is written.
    pub fn end(mut self, how: End) -> Result<(), StoreError> {
        self.check_not_failed()?;
        self.check_there()?;
        self.record.ended = Some((now(), how));
        let write = || {
            let transaction = write::begin(self.database.get())?;
            let mut meta = self.fence(&transaction)?;
            meta.clean = true;
            meta.write(&mut transaction.open_table(META)?)?;
            executions::write(&self.part, &transaction, &self.record)?;
            FailPoint::BeforeEnd.pass();
            Ok(transaction.commit()?)
        };
        let written = guard(write);
        FailPoint::AfterEnd.pass();
        let Execution {
            database,
            part,
            meta,
            record,
            // The lock is released when everything is done.
            _lock,
            ..
        } = self;
        written.and_then(|()| database.close()).map_err(|failure| {
            failure.while_writing(|cause| {
                StoreError::Execution(ExecutionError::EndFailed {
                    path: part,
                    execution: record.number,
                    last: meta.epoch,
                    cause,
                })
            })
        })?;
        FailPoint::Closed.pass();
        tracing::debug!(execution = record.number, "execution ended");
        Ok(())
    }

    fn check_not_failed(&self) -> Result<(), StoreError> {
        match self.failed {
            false => Ok(()),
            true => Err(StoreError::Execution(ExecutionError::AfterFailedCommit {
                path: self.part.clone(),
            })),
        }
    }

    /// Refuses to write to a file that has lost its name.
    fn check_there(&self) -> Result<(), StoreError> {
        match self.named.as_ref().and_then(Named::lost) {
            None => Ok(()),
            Some(how) => Err(StoreError::Execution(ExecutionError::Gone {
                path: self.part.clone(),
                how,
                last: self.meta.epoch,
            })),
        }
    }

    /// Reads `meta`, and returns an error if another execution or store has the file.
    fn fence(&self, transaction: &WriteTransaction) -> Result<Meta, Failure> {
        let damaged = |name: &str| {
            StoreError::File(FileError::Damaged {
                path: self.part.clone(),
                what: format!("`{name}` is missing in its table `meta`"),
            })
        };
        let meta = Meta::read(&transaction.open_table(META)?)?.map_err(damaged)?;
        if meta.execution != self.number() || meta.store != self.meta.store {
            return Err(Failure::from(ExecutionError::Fenced {
                path: self.part.clone(),
                mine: self.number(),
                current: meta.execution,
            }));
        }
        Ok(meta)
    }
}

impl fmt::Debug for Execution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Execution")
            .field("part", &self.part)
            .field("epoch", &self.epoch())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::look::Look;
    use crate::manifest::Agreed;

    /// Invariant I7: a file that has seen a later execution accepts no commit of an earlier one.
    #[test]
    fn a_later_execution_fences_an_earlier_one() {
        let directory = tempfile::tempdir().unwrap();
        let look = Look::at(directory.path()).unwrap();
        let mut execution = look
            .reconcile(&[], &Agreed::default())
            .and_then(|manifest| {
                look.start(crate::Start::new("fenced", &manifest, &Changes::new()))
            })
            .unwrap();
        execution.commit(Epoch::first(1), []).unwrap();
        // Another process got past the lock.
        let mut other = execution.meta.clone();
        other.execution = 2;
        other.epoch = Epoch::opening(2);
        let transaction = write::begin(execution.database.get()).unwrap();
        let delta = Delta::new(other.epoch, execution.meta.epoch, execution.time.now());
        delta.write(&transaction, [].iter()).unwrap();
        other
            .write(&mut transaction.open_table(META).unwrap())
            .unwrap();
        transaction.commit().unwrap();

        // Not even a greater epoch is accepted.
        for epoch in [Epoch::first(1).next(), Epoch::first(2)] {
            let error = execution.commit(epoch, []).unwrap_err();
            assert!(
                matches!(
                    error,
                    StoreError::Execution(ExecutionError::Fenced {
                        mine: 1,
                        current: 2,
                        ..
                    })
                ),
                "{error}"
            );
        }
        let error = execution.end(End::Finished).unwrap_err();
        assert_eq!(
            error
                .to_string()
                .replace(&directory.path().display().to_string(), "state"),
            "execution 1 of the flow was replaced: the store file \
             state/part-00000-of-00001.redb is at execution 2 now. Nothing was written\
             \nhelp: stop this process"
        );
        let look = Look::at(directory.path()).unwrap();
        assert_eq!(look.epoch(), Epoch::opening(2));
    }
}
