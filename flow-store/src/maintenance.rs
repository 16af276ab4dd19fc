//! Work on a store that no flow runs on: what `flow-store` does beyond reading.
//!
//! Steps are dropped and renamed in one transaction each. Such a transaction is no execution: it
//! leaves epoch and execution as they are, so that no number is used up or used twice, and counts
//! itself in `maintained`, by which a start sees that its manifest was made from another look.
//! Compaction and backup write a copy under another name, which is renamed when it is whole.

use crate::contents::Contents;
use crate::copy;
use crate::directory::Place;
use crate::error::{Cause, StoreError};
use crate::guard::{Failure, guard};
use crate::key::KEY_GROUPS;
use crate::lock::Lock;
use crate::look::Look;
use crate::manifest::StoredStep;
use crate::part::{self, Header, Held};
use crate::start;
use crate::steps;
use crate::tables::{META, Meta};
use crate::write;
use redb::backends::FileBackend;
use redb::{StorageBackend, WriteTransaction};
use std::fs::{self, File};
use std::ops::Bound;
use std::path::Path;

/// What [`Look::drop_step`] took away.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct DroppedStep {
    /// The step.
    pub step: StoredStep,
    /// How many rows it had.
    pub rows: u64,
}

/// What [`Look::compact`] did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Compacted {
    /// How many rows there are.
    pub rows: u64,
    /// The bytes of the file before.
    pub before: u64,
    /// The bytes of the file now.
    pub after: u64,
}

/// A change of the store's steps.
pub(crate) enum Change {
    Drop(StoredStep),
    Rename(StoredStep, String),
}

impl Look {
    /// Takes a step and all its rows out of the store, in one durable commit.
    ///
    /// It is no execution: the next one has the number it would have had, and goes on from the
    /// same epoch. The step's number is never used again. A flow that still has the step starts it
    /// empty. Epochs that were [retained](Look::retained) can't be gone back to after it.
    ///
    /// # Errors
    ///
    /// Before a byte of the store's data is changed: [`NoStore`](StoreError::NoStore),
    /// [`UnknownStep`](StoreError::UnknownStep), [`Changed`](StoreError::Changed) or
    /// [`Locked`](StoreError::Locked). After that
    /// [`MaintenanceFailed`](StoreError::MaintenanceFailed): the step is there whole, or gone.
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
    /// # look.start(Start {
    /// #     manifest: &manifest, flow_name: "f", workers: 1, build: "", changes: &changes,
    /// # })?.end(End::Finished)?;
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

    /// Gives a step of the store another id, in one durable commit; its rows are as they were.
    ///
    /// As [`drop_step`](Look::drop_step) it is no execution.
    ///
    /// # Errors
    ///
    /// Those of [`drop_step`](Look::drop_step), and [`StepExists`](StoreError::StepExists) when
    /// the store has a step `to`.
    pub fn rename_step(self, from: &str, to: &str) -> Result<StoredStep, StoreError> {
        let mut step = self.step_of_a_store(from)?;
        if self.step(to).is_ok() {
            return Err(StoreError::StepExists {
                directory: self.directory().to_path_buf(),
                from: from.to_owned(),
                to: to.to_owned(),
                stored: self.steps().to_vec(),
            });
        }
        let attempt = format!("rename the step `{from}`");
        self.maintain(&attempt, &Change::Rename(step.clone(), to.to_owned()))?;
        to.clone_into(&mut step.id);
        Ok(step)
    }

    /// Writes the store into a new file, without the space that old rows left, and puts that in
    /// the place of the old one.
    ///
    /// The new file is whole, synced and read back before it gets the name: whoever is killed in
    /// between leaves the old one, and a file `part-00000-of-00001.redb.new` that counts for
    /// nothing. It needs as much free disk as the rows take. `progress` is told how many rows are
    /// done, of how many.
    ///
    /// # Errors
    ///
    /// [`NoStore`](StoreError::NoStore), [`Damaged`](StoreError::Damaged) when a row is,
    /// [`Changed`](StoreError::Changed), [`Locked`](StoreError::Locked),
    /// [`CopyFailed`](StoreError::CopyFailed) or [`Io`](StoreError::Io); the store is as it was.
    ///
    /// ```
    /// # use flow_store::{Agreed, Changes, End, Look, Start};
    /// # let directory = tempfile::tempdir()?;
    /// # let look = Look::at(directory.path())?;
    /// # let manifest = look.reconcile(&[], &Agreed::default())?;
    /// # let changes = Changes::new();
    /// # look.start(Start {
    /// #     manifest: &manifest, flow_name: "f", workers: 1, build: "", changes: &changes,
    /// # })?.end(End::Finished)?;
    /// let compacted = Look::at(directory.path())?.compact(&mut |_done, _all| ())?;
    /// assert!(compacted.after <= compacted.before);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn compact(self, progress: &mut dyn FnMut(u64, u64)) -> Result<Compacted, StoreError> {
        self.check_alone()?;
        let place = self.place.clone().real();
        self.check_to_copy()?;
        // redb's own lock too: a flow whose lock file was removed would go on in the old file
        let held = hold(&place, &self.header)?;
        place.remove_unfinished()?;
        let copied = copy::to(&self, &place.unfinished, progress)
            .and_then(|rows| {
                Ok((
                    rows,
                    place.len_of(&place.part)?,
                    place.len_of(&place.unfinished)?,
                ))
            })
            .and_then(|compacted| place.publish().map(|()| compacted));
        drop(held);
        match copied {
            Ok((rows, before, after)) => {
                tracing::debug!(rows, before, after, "compacted");
                Ok(Compacted {
                    rows,
                    before,
                    after,
                })
            }
            Err(error) => {
                // only space is lost if this fails, until the next time
                let _ = fs::remove_file(&place.unfinished);
                Err(error)
            }
        }
    }

    /// Makes a directory that has a copy of the store, and returns how many rows that has.
    ///
    /// The copy is the same store at the same epoch, with the same uuid, closed whether the
    /// original was or not; a flow can go on with either, and not with both. Put in the place of
    /// the original's part file its part file is accepted. Whoever is killed in between leaves a
    /// directory that is refused as one that lost its data. `progress` is told how many rows are
    /// done, of how many.
    ///
    /// # Errors
    ///
    /// [`TargetExists`](StoreError::TargetExists) when there is anything at `target`, and as for
    /// [`compact`](Look::compact). Then there is no copy, and the store is as it was in any case.
    ///
    /// ```
    /// # use flow_store::{Agreed, Changes, End, Look, Start};
    /// # let directory = tempfile::tempdir()?;
    /// # let (path, target) = (directory.path().join("state"), directory.path().join("backup"));
    /// # let look = Look::at(&path)?;
    /// # let manifest = look.reconcile(&[], &Agreed::default())?;
    /// # let changes = Changes::new();
    /// # look.start(Start {
    /// #     manifest: &manifest, flow_name: "f", workers: 1, build: "", changes: &changes,
    /// # })?.end(End::Finished)?;
    /// let look = Look::at(&path)?;
    /// look.backup(&target, &mut |_done, _all| ())?;
    /// assert_eq!(Look::at(&target)?.epoch(), look.epoch());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn backup(
        &self,
        target: impl AsRef<Path>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<u64, StoreError> {
        self.check_to_copy()?;
        let store = self.contents.as_ref().map(|contents| contents.meta.store);
        let place = Place::new(target.as_ref());
        place.create_new()?;
        let mut copy = || {
            let mut lock = Lock::take(&place)?;
            // from here on a directory without its part file has lost it
            lock.write(store)?;
            let rows = copy::to(self, &place.unfinished, progress)?;
            place.publish()?;
            Ok(rows)
        };
        let copied = copy();
        if copied.is_err() {
            // what is left over is refused by whoever looks at it
            for file in [&place.unfinished, &place.part, &place.lock] {
                let _ = fs::remove_file(file);
            }
            let _ = fs::remove_dir(&place.directory);
        }
        copied
    }

    fn step_of_a_store(&self, id: &str) -> Result<StoredStep, StoreError> {
        if self.is_new() {
            return Err(self.no_store());
        }
        self.check_alone()?;
        self.check_not_back()?;
        self.step(id).cloned()
    }

    fn check_not_back(&self) -> Result<(), StoreError> {
        match self.back_to {
            None => Ok(()),
            Some(epoch) => Err(StoreError::GoneBack {
                directory: self.directory().to_path_buf(),
                epoch,
            }),
        }
    }

    fn check_to_copy(&self) -> Result<(), StoreError> {
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

    /// How many rows a change takes away.
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
        backend: impl StorageBackend,
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
    move |cause| StoreError::MaintenanceFailed {
        attempt: attempt.to_owned(),
        path: place.part.clone(),
        cause,
    }
}

/// The one transaction.
fn transact(
    place: &Place,
    database: &Held,
    seen: &Contents,
    change: &Change,
    failed: &impl Fn(Cause) -> StoreError,
) -> Result<(), StoreError> {
    let write = || {
        let transaction = write::begin(database.get())?;
        // the fence of a start: nobody wrote since the look
        let mut meta = start::as_seen(place, &transaction, &seen.meta)?;
        meta.maintained += 1;
        apply(place, &transaction, &seen.steps, change, &mut meta)?;
        meta.write(&mut transaction.open_table(META)?)?;
        Ok(transaction.commit()?)
    };
    guard(write).map_err(|failure| failure.while_writing(failed))
}

/// The steps are as if the last epoch had had them like this: to what was before one can't go back.
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

/// Keeps everybody out of the part file, as redb does, without changing it.
fn hold(place: &Place, seen: &Header) -> Result<FileBackend, StoreError> {
    let at = |attempt| {
        move |cause| StoreError::Io {
            attempt,
            path: place.part.clone(),
            cause,
        }
    };
    let file = File::options()
        .read(true)
        .write(true)
        .open(&place.part)
        .map_err(at("open"))?;
    let same = file.try_clone().map_err(at("open"))?;
    let held = FileBackend::new(file)
        .map_err(Failure::from)
        .and_then(
            |backend| match backend.try_lock_range(Bound::Unbounded, Bound::Unbounded) {
                Ok(true) => Ok(backend),
                Ok(false) => Err(Failure::from(redb::DatabaseError::DatabaseAlreadyOpen)),
                Err(error) => Err(Failure::Redb(std::io::Error::from(error).into())),
            },
        )
        .map_err(|failure| failure.while_reading(&place.lock))?;
    if Header::read(&same).map_err(at("read"))? != *seen {
        return Err(changed(place));
    }
    Ok(held)
}

fn changed(place: &Place) -> StoreError {
    StoreError::Changed {
        directory: place.directory.clone(),
        what: "another process wrote to it".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Agreed, Changes, End, Start, StepKind, StepSpec};

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
        Start {
            manifest,
            flow_name: "f",
            workers: 1,
            build: "",
            changes,
        }
    }

    /// Without a count of its own a drop would be unseen by a start whose manifest is older: the
    /// step would come back under its old number, empty, and nobody would be told.
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
        assert!(matches!(error, StoreError::Changed { .. }), "{error}");
        let now = look();
        let manifest = now.reconcile(&flow(), &Agreed::default()).unwrap();
        assert_eq!(manifest.numbers, [2, 1]);
        assert_eq!(now.start(start(&manifest, &changes)).unwrap().number(), 2);
    }

    /// Who removes the lock file of a running flow is kept out by redb's lock.
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
            assert!(matches!(error, StoreError::Locked { .. }), "{error}");
            assert!(before == bytes() && !place.unfinished.exists());
            fs::remove_file(&place.lock).unwrap();
        };
        fs::remove_file(&place.lock).unwrap();
        refused(look().compact(&mut |_, _| ()).unwrap_err());
        refused(look().drop_step("a").unwrap_err());
        refused(look().rename_step("a", "c").unwrap_err());

        // and looks from before its end are not what the store is after it
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
            assert!(matches!(error, StoreError::Changed { .. }), "{error}");
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
            Err(StoreError::NoStore { .. })
        ));
        assert!(matches!(
            look().verify(nothing),
            Err(StoreError::NoStore { .. })
        ));
        assert!(matches!(
            look().backup(&target, nothing),
            Err(StoreError::NoStore { .. })
        ));
        assert!(!target.exists() && look().about().is_none());
        assert!(matches!(
            look().drop_step("a"),
            Err(StoreError::NoStore { .. })
        ));
    }
}
