//! Drops and renames steps, in one transaction each.

use crate::error::{Cause, GoBackError, MaintenanceError, StoreError};
use crate::file::directory::Place;
use crate::file::guard::{Failure, guard};
use crate::file::part::{self, Held};
use crate::format::meta::Meta;
use crate::format::steps;
use crate::format::tables::META;
use crate::format::write;
use crate::key::KEY_GROUPS;
use crate::look::{Contents, Look, as_seen};
use crate::step::StoredStep;
use redb::WriteTransaction;

/// What [`Look::drop_step`] removed.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct DroppedStep {
    /// The step.
    pub step: StoredStep,
    /// The number of its rows.
    pub rows: u64,
}

/// A change of the store's steps.
pub(crate) enum Change {
    Drop(StoredStep),
    Rename(StoredStep, String),
}

impl Look {
    /// Removes a step and all its rows from the store, in one durable commit.
    ///
    /// It is not an execution: the next execution has the same number, and resumes from the same
    /// epoch, as without it. The step's number is never used again. If the flow still has the step,
    /// it starts empty. Afterwards the store can't go back to [retained](Look::retained) epochs.
    ///
    /// # Errors
    ///
    /// The store's data is untouched after these errors:
    ///
    /// - [`NoStore`](crate::MaintenanceError::NoStore): the store does not exist.
    /// - [`UnknownStep`](crate::MaintenanceError::UnknownStep): the store has no such step.
    /// - [`GoneBack`](crate::GoBackError::GoneBack): the look shows an earlier epoch.
    /// - [`ReadOnly`](crate::LockError::ReadOnly): the look is for reading only.
    /// - [`Changed`](crate::LockError::Changed): the store has changed since the look.
    /// - [`Locked`](crate::LockError::Locked): another process has the part file.
    ///
    /// After [`MaintenanceFailed`](crate::MaintenanceError::MaintenanceFailed) the step is either
    /// unchanged or gone.
    ///
    /// ```
    /// # use flow_store::{Agreed, Changes, End, Look, Start, StepKind, StepSpec};
    /// # let directory = tempfile::tempdir()?;
    /// # let flow = ["counts", "totals"].map(|id| StepSpec {
    /// #     id: id.to_owned(),
    /// #     kind: StepKind::State,
    /// #     operator: "stateful_map".to_owned(),
    /// #     key_type: "String".to_owned(),
    /// #     state_type: "u64".to_owned(),
    /// #     schemas: Default::default(),
    /// #     renamed_from: vec![],
    /// #     place: String::new(),
    /// # });
    /// # let look = Look::at(directory.path())?;
    /// # let manifest = look.reconcile(&flow, &Agreed::default())?;
    /// # let changes = Changes::new();
    /// # look.start(Start::new("f", &manifest, &changes))?.end(End::Finished)?;
    /// let dropped = Look::at(directory.path())?.drop_step("counts")?;
    /// assert_eq!((dropped.step.id.as_str(), dropped.rows), ("counts", 0));
    ///
    /// let renamed = Look::at(directory.path())?.rename_step("totals", "sums")?;
    /// assert_eq!(renamed.id, "sums");
    ///
    /// let look = Look::at(directory.path())?;
    /// assert_eq!(look.steps(), [renamed]);
    /// assert_eq!(look.next_execution(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn drop_step(self, id: &str) -> Result<DroppedStep, StoreError> {
        let step = self.step_of_a_store(id)?;
        let attempt = format!("drop the step `{id}`");
        let rows = self.maintain(&attempt, &Change::Drop(step.clone()))?;
        Ok(DroppedStep { step, rows })
    }

    /// Gives a step of the store another id, in one durable commit. Its rows stay unchanged.
    ///
    /// Like [`drop_step`](Look::drop_step), it is not an execution.
    ///
    /// # Errors
    ///
    /// Those of [`drop_step`](Look::drop_step), and
    /// [`StepExists`](crate::MaintenanceError::StepExists) if the store has a step `to`.
    pub fn rename_step(self, from: &str, to: &str) -> Result<StoredStep, StoreError> {
        let mut step = self.step_of_a_store(from)?;
        if self.step(to).is_ok() {
            return Err(StoreError::Maintenance(MaintenanceError::StepExists {
                directory: self.directory().to_path_buf(),
                from: from.to_owned(),
                to: to.to_owned(),
                stored: self.steps().to_vec(),
            }));
        }
        let attempt = format!("rename the step `{from}`");
        self.maintain(&attempt, &Change::Rename(step.clone(), to.to_owned()))?;
        to.clone_into(&mut step.id);
        Ok(step)
    }

    fn step_of_a_store(&self, id: &str) -> Result<StoredStep, StoreError> {
        if self.is_new() {
            return Err(self.no_store());
        }
        self.check_alone()?;
        self.check_not_back()?;
        self.step(id).cloned()
    }

    pub(super) fn check_not_back(&self) -> Result<(), StoreError> {
        match self.back_to {
            None => Ok(()),
            Some(epoch) => Err(StoreError::GoBack(GoBackError::GoneBack {
                directory: self.directory().to_path_buf(),
                epoch,
            })),
        }
    }

    pub(super) fn check_to_copy(&self) -> Result<(), StoreError> {
        self.check_not_back()?;
        match self.is_new() {
            false => Ok(()),
            true => Err(self.no_store()),
        }
    }

    fn maintain(self, attempt: &str, change: &Change) -> Result<u64, StoreError> {
        let rows = self.rows_of(change)?;
        let no_store = self.no_store();
        let Look {
            place,
            database,
            contents,
            lock,
            ..
        } = self;
        drop(database);
        let (Some(contents), Some(lock)) = (contents, lock) else {
            return Err(no_store);
        };
        let failed = failed(&place, attempt);
        let database = part::write(&place.part, false)
            .map_err(|failure| failure.while_opening(&place.lock, &failed))?;
        let database = Held::from(database);
        transact(&place, &database, &contents, change, &failed)?;
        let closed = database.close();
        closed.map_err(|failure| failure.while_writing(&failed))?;
        drop(lock);
        tracing::debug!(attempt, rows, "maintained");
        Ok(rows)
    }

    /// The number of rows that a change removes.
    fn rows_of(&self, change: &Change) -> Result<u64, StoreError> {
        let mut count = 0;
        if let Change::Drop(step) = change {
            let mut rows = self.rows(step.number, 0..KEY_GROUPS)?;
            while rows.advance()?.is_some() {
                count += 1;
            }
        }
        Ok(count)
    }

    /// [`maintain`](Look::maintain) on any backend.
    #[cfg(test)]
    pub(crate) fn maintain_over(
        self,
        backend: impl redb::StorageBackend,
        change: &Change,
    ) -> Result<u64, StoreError> {
        let rows = self.rows_of(change)?;
        let no_store = self.no_store();
        drop(self.database);
        let contents = self.contents.ok_or(no_store)?;
        let failed = failed(&self.place, "change");
        let database = part::open(backend).map_err(|failure| failure.while_writing(&failed))?;
        transact(&self.place, &database.into(), &contents, change, &failed)?;
        Ok(rows)
    }
}

fn failed(place: &Place, attempt: &str) -> impl Fn(Cause) -> StoreError {
    move |cause| {
        StoreError::Maintenance(MaintenanceError::MaintenanceFailed {
            attempt: attempt.to_owned(),
            path: place.part.clone(),
            cause,
        })
    }
}

/// Makes the change in one transaction.
fn transact(
    place: &Place,
    database: &Held,
    seen: &Contents,
    change: &Change,
    failed: &impl Fn(Cause) -> StoreError,
) -> Result<(), StoreError> {
    let write = || {
        let transaction = write::begin(database.get())?;
        // As at a start, a fence makes sure that nothing was written since the look.
        let mut meta = as_seen(place, &transaction, &seen.meta)?;
        meta.maintained += 1;
        apply(place, &transaction, &seen.steps, change, &mut meta)?;
        meta.write(&mut transaction.open_table(META)?)?;
        Ok(transaction.commit()?)
    };
    guard(write).map_err(|failure| failure.while_writing(failed))
}

/// Changes the steps of the last epoch. The store can't go back to before the change.
fn apply(
    place: &Place,
    transaction: &WriteTransaction,
    steps: &[StoredStep],
    change: &Change,
    meta: &mut Meta,
) -> Result<(), Failure> {
    let mut steps = steps.to_vec();
    match change {
        Change::Drop(dropped) => steps.retain(|step| step.number != dropped.number),
        Change::Rename(renamed, to) => {
            for step in &mut steps {
                if step.number == renamed.number {
                    to.clone_into(&mut step.id);
                }
            }
        }
    }
    meta.oldest = meta.epoch;
    steps::write(transaction, meta.epoch, &steps, &place.part)?;
    steps::prune(transaction, meta, &place.part)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Agreed, Changes, End, LockError, Start, StepKind, StepSpec};
    use std::fs;

    fn flow() -> Vec<StepSpec> {
        ["a", "b"]
            .map(|id| StepSpec {
                id: id.to_owned(),
                kind: StepKind::State,
                operator: "stateful_map".to_owned(),
                key_type: "u8".to_owned(),
                state_type: "u8".to_owned(),
                schemas: Default::default(),
                renamed_from: Vec::new(),
                place: String::new(),
            })
            .to_vec()
    }

    fn start<'a>(manifest: &'a crate::Manifest, changes: &'a Changes) -> Start<'a> {
        Start::new("f", manifest, changes)
    }

    /// Without the count `maintained` a start with an older manifest would not notice a drop. The
    /// step would silently come back under its old number, and empty.
    #[test]
    fn a_manifest_of_before_a_drop_starts_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let look = || Look::at(directory.path()).unwrap();
        let changes = Changes::new();
        let first = look();
        let manifest = first.reconcile(&flow(), &Agreed::default()).unwrap();
        let execution = first.start(start(&manifest, &changes)).unwrap();
        execution.end(End::Finished).unwrap();

        let older = look().reconcile(&flow(), &Agreed::default()).unwrap();
        look().drop_step("a").unwrap();
        let error = look().start(start(&older, &changes)).unwrap_err();
        assert!(
            matches!(error, StoreError::Lock(LockError::Changed { .. })),
            "{error}"
        );
        let now = look();
        let manifest = now.reconcile(&flow(), &Agreed::default()).unwrap();
        assert_eq!(manifest.numbers, [2, 1]);
        assert_eq!(now.start(start(&manifest, &changes)).unwrap().number(), 2);
    }

    /// If the lock file of a running flow is removed, redb's lock keeps others out.
    #[test]
    fn a_store_that_is_open_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let look = || Look::at(directory.path()).unwrap();
        let changes = Changes::new();
        let first = look();
        let manifest = first.reconcile(&flow(), &Agreed::default()).unwrap();
        let mut execution = first.start(start(&manifest, &changes)).unwrap();
        let place = Place::new(directory.path());
        let bytes = || fs::read(&place.part).unwrap();
        let before = bytes();
        let refused = |error: StoreError| {
            assert!(
                matches!(error, StoreError::Lock(LockError::Locked { .. })),
                "{error}"
            );
            assert!(before == bytes() && !place.unfinished.exists());
            fs::remove_file(&place.lock).unwrap();
        };
        fs::remove_file(&place.lock).unwrap();
        refused(look().compact(&mut |_, _| ()).unwrap_err());
        refused(look().drop_step("a").unwrap_err());
        refused(look().rename_step("a", "c").unwrap_err());

        // Looks from before the end of the execution no longer match the store.
        let older = [(); 3].map(|()| {
            let older = look();
            fs::remove_file(&place.lock).unwrap();
            older
        });
        execution.commit(crate::Epoch::first(1), []).unwrap();
        execution.end(End::Finished).unwrap();
        let [to_compact, to_drop, to_rename] = older;
        for error in [
            to_compact.compact(&mut |_, _| ()).unwrap_err(),
            to_drop.drop_step("a").unwrap_err(),
            to_rename.rename_step("a", "c").unwrap_err(),
        ] {
            assert!(
                matches!(error, StoreError::Lock(LockError::Changed { .. })),
                "{error}"
            );
        }
        assert_eq!(look().steps().len(), 2);
        look().compact(&mut |_, _| ()).unwrap();
        assert_eq!(look().epoch(), crate::Epoch::first(1));
    }

    #[test]
    fn a_new_store_has_nothing_to_work_on() {
        let directory = tempfile::tempdir().unwrap();
        let look = || Look::at(directory.path().join("state")).unwrap();
        let nothing = &mut |_: u64, _: u64| ();
        let target = directory.path().join("backup");
        assert!(matches!(
            look().compact(nothing),
            Err(StoreError::Maintenance(MaintenanceError::NoStore { .. }))
        ));
        assert!(matches!(
            look().verify(nothing),
            Err(StoreError::Maintenance(MaintenanceError::NoStore { .. }))
        ));
        assert!(matches!(
            look().backup(&target, nothing),
            Err(StoreError::Maintenance(MaintenanceError::NoStore { .. }))
        ));
        assert!(!target.exists() && look().about().is_none());
        assert!(matches!(
            look().drop_step("a"),
            Err(StoreError::Maintenance(MaintenanceError::NoStore { .. }))
        ));
    }
}
