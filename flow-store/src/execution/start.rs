//! Starts an execution, with one transaction, in an existing or a new store.

use super::retention::{self, Time};
use super::{Execution, Started};
use crate::clock::now;
use crate::epoch::Epoch;
use crate::error::{Cause, ExecutionError, LockError, StoreError};
use crate::file::directory::Place;
use crate::file::guard::{Failure, guard};
use crate::file::holder;
use crate::file::lock::Lock;
use crate::file::part::{self, Held};
use crate::format::changes::Changes;
use crate::format::delta::Delta;
use crate::format::executions;
use crate::format::meta::Meta;
use crate::format::record::ExecutionRecord;
use crate::format::steps;
use crate::format::tables::{CHUNKS, META};
use crate::format::write;
use crate::hooks::fail_point::FailPoint;
use crate::look::{Look, as_seen, changed, go_back};
use crate::manifest::{Basis, Manifest};
use crate::retain::Retain;
use redb::WriteTransaction;
use std::collections::VecDeque;
use std::path::Path;
use uuid::Uuid;

/// What [`Look::start`] writes when it starts an execution.
#[derive(Clone, Copy, Debug)]
pub struct Start<'a> {
    /// The steps, from [`Look::reconcile`] of the same look.
    pub manifest: &'a Manifest,
    /// The name of the flow; shown to people, not compared.
    pub flow_name: &'a str,
    /// The number of workers; shown to people.
    pub workers: usize,
    /// The program's own name for its build; shown to people.
    pub build: &'a str,
    /// Rows to change in the same commit, such as starting positions of sinks and removed
    /// partitions.
    pub changes: &'a Changes,
}

impl<'a> Start<'a> {
    /// A start with one worker and without a name for the build.
    ///
    /// ```
    /// use flow_store::{Agreed, Changes, End, Look, Start};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// let look = Look::at(directory.path())?;
    /// let manifest = look.reconcile(&[], &Agreed::default())?;
    /// let changes = Changes::new();
    /// let start = Start { workers: 2, ..Start::new("orders", &manifest, &changes) };
    /// look.start(start)?.end(End::Finished)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn new(flow_name: &'a str, manifest: &'a Manifest, changes: &'a Changes) -> Self {
        Start {
            manifest,
            flow_name,
            workers: 1,
            build: "",
            changes,
        }
    }
}

impl Look {
    /// Starts an execution.
    ///
    /// One durable commit does all of it:
    ///
    /// - It writes the execution's number and record, and its opening epoch.
    /// - It writes the steps of the manifest, and drops the rows of dropped steps.
    /// - It applies `changes`.
    ///
    /// A new store is made under another name, and is renamed once it has this commit.
    ///
    /// # Errors
    ///
    /// The store's data is untouched after these errors:
    ///
    /// - [`Changed`](crate::LockError::Changed): the store has changed since the look, or the
    ///   manifest is of another look.
    /// - [`ReadOnly`](crate::LockError::ReadOnly): the look is for reading only.
    /// - [`WrongChange`](crate::ExecutionError::WrongChange): a change can't be stored.
    /// - [`Locked`](crate::LockError::Locked): another process is making the new store.
    /// - [`TooManyExecutions`](crate::ExecutionError::TooManyExecutions): no number is left.
    /// - [`Io`](StoreError::Io): the operating system returned an error.
    ///
    /// After [`StartFailed`](crate::ExecutionError::StartFailed) the store is as before, or as if
    /// the execution had started and been killed at once.
    pub fn start(self, start: Start<'_>) -> Result<Execution, StoreError> {
        self.check_alone()?;
        check(&self.place, self.basis(), &start)?;
        let origin = self.origin();
        let Look {
            place,
            database,
            lock,
            ..
        } = self;
        drop(database);
        match (&origin.seen, lock) {
            (Some(_), Some(lock)) => resume(&place, &origin, lock, &start),
            (_, lock) => create(&place, &origin, lock, &start),
        }
    }

    /// Makes the checks that [`start`](Look::start) makes before it changes anything. It also works
    /// for a look that only reads.
    ///
    /// # Errors
    ///
    /// Those of [`start`](Look::start) that leave the store's data untouched, except
    /// [`ReadOnly`](crate::LockError::ReadOnly). Files that can't be written are
    /// [`Io`](StoreError::Io).
    pub fn check_start(&self, start: &Start<'_>) -> Result<(), StoreError> {
        check(&self.place, self.basis(), start)?;
        self.place.check_writable()?;
        Lock::check(&self.place)
    }

    fn origin(&self) -> Origin {
        let contents = self.contents.as_ref();
        Origin {
            store: self.store,
            seen: contents.map(|contents| contents.meta.clone()),
            deltas: contents.map_or_else(Default::default, |contents| contents.deltas.clone()),
            back_to: self.back_to,
            retain: self.retain,
        }
    }

    /// [`start`](Look::start) on any backend.
    #[cfg(test)]
    pub(crate) fn start_over(
        self,
        backend: impl redb::StorageBackend,
        start: &Start<'_>,
    ) -> Result<Execution, StoreError> {
        check(&self.place, self.basis(), start)?;
        let origin = self.origin();
        drop(self.database);
        over(&self.place, backend, &origin, start)
    }
}

/// What a start resumes from.
#[derive(Clone, Debug)]
struct Origin {
    /// The uuid of the store, which a new one has too.
    pub(crate) store: Uuid,
    /// The state of the store at the look; `None` for a new store.
    pub(crate) seen: Option<Meta>,
    /// Its deltas that are not folded.
    pub(crate) deltas: VecDeque<Delta>,
    /// The epoch that it goes back to.
    pub(crate) back_to: Option<Epoch>,
    pub(crate) retain: Retain,
}

/// Makes all checks that need no file.
fn check(place: &Place, basis: Basis, start: &Start<'_>) -> Result<(), StoreError> {
    if start.manifest.basis != basis {
        return Err(changed(
            place,
            "the manifest was made from another look at it",
        ));
    }
    if basis.execution >= Epoch::LAST_EXECUTION {
        return Err(StoreError::Execution(ExecutionError::TooManyExecutions {
            directory: place.directory.clone(),
        }));
    }
    start.changes.check(&numbers(start), &place.part)
}

/// Starts in an existing store.
fn resume(
    place: &Place,
    origin: &Origin,
    lock: Lock,
    start: &Start<'_>,
) -> Result<Execution, StoreError> {
    let database = open(place, &place.part, false)?;
    let started = transact(place, &database, origin, start)?;
    Ok(Execution::new(database, place, started, Some(lock)))
}

/// Makes a new store, whose first transaction is the start.
fn create(
    place: &Place,
    origin: &Origin,
    lock: Option<Lock>,
    start: &Start<'_>,
) -> Result<Execution, StoreError> {
    let made = place.create()?;
    let mut lock = match lock {
        Some(lock) => lock,
        None => Lock::take(place).inspect_err(|error| {
            // Without locks there can be no store, so the new directories are removed.
            if matches!(error, StoreError::Lock(LockError::NoLocks { .. })) {
                Place::take_back(&made);
            }
        })?,
    };
    if lock.store().is_some() || !place.list()?.parts.is_empty() {
        return Err(changed(place, "another process made a store there"));
    }
    place.remove_unfinished()?;
    let database = open(place, &place.unfinished, true)?;
    let started = transact(place, &database, origin, start)?;
    let closed = database.close();
    closed.map_err(|failure| failure.while_writing(failed(place)))?;
    FailPoint::StoreMade.pass();
    place.publish()?;
    FailPoint::StoreNamed.pass();
    lock.write(Some(started.meta.store))?;
    let database = open(place, &place.part, false)?;
    Ok(Execution::new(database, place, started, Some(lock)))
}

/// Starts on any backend, which is empty if nothing was seen.
#[cfg(test)]
fn over(
    place: &Place,
    backend: impl redb::StorageBackend,
    origin: &Origin,
    start: &Start<'_>,
) -> Result<Execution, StoreError> {
    let database = part::open(backend).map_err(|failure| failure.while_writing(failed(place)))?;
    let database = Held::from(database);
    let started = transact(place, &database, origin, start)?;
    Ok(Execution::new(database, place, started, None))
}

fn open(place: &Place, path: &Path, new: bool) -> Result<Held, StoreError> {
    let database = part::write(path, new);
    database
        .map(Held::from)
        .map_err(|failure| failure.while_opening(&place.lock, failed(place)))
}

fn failed(place: &Place) -> impl FnOnce(Cause) -> StoreError + '_ {
    |cause| {
        StoreError::Execution(ExecutionError::StartFailed {
            path: place.part.clone(),
            cause,
        })
    }
}

fn numbers(start: &Start<'_>) -> Vec<u16> {
    let mut numbers = start.manifest.numbers.clone();
    numbers.sort_unstable();
    numbers
}

fn transact(
    place: &Place,
    database: &Held,
    origin: &Origin,
    start: &Start<'_>,
) -> Result<Started, StoreError> {
    let write = || {
        let transaction = write::begin(database.get())?;
        let started = start_in(place, &transaction, origin, start)?;
        FailPoint::BeforeStartCommit.pass();
        transaction.commit()?;
        FailPoint::AfterStartCommit.pass();
        Ok(started)
    };
    let started = guard(write).map_err(|failure| failure.while_writing(failed(place)))?;
    tracing::debug!(
        execution = started.record.number,
        resumed_from = %started.record.resumed_from,
        "execution started"
    );
    Ok(started)
}

fn start_in(
    place: &Place,
    transaction: &WriteTransaction,
    origin: &Origin,
    start: &Start<'_>,
) -> Result<Started, Failure> {
    let mut meta = match &origin.seen {
        None => Meta::new(origin.store),
        Some(seen) => as_seen(place, transaction, seen)?,
    };
    let mut deltas = origin.deltas.clone();
    if let Some(to) = origin.back_to {
        go_back(transaction, to)?;
        deltas.retain(|delta| delta.epoch <= to);
    }
    let record = ExecutionRecord {
        number: meta.execution + 1,
        started: now(),
        host: holder::host(),
        pid: std::process::id(),
        workers: start.workers,
        resumed_from: origin.back_to.unwrap_or(meta.epoch),
        went_back_from: origin.back_to.map(|_| meta.epoch),
        build: start.build.to_owned(),
        ended: None,
    };
    meta.execution = record.number;
    meta.durable_seen = meta.epoch;
    meta.epoch = Epoch::opening(record.number);
    meta.clean = false;
    meta.next_step = start.manifest.next_step;
    start.flow_name.clone_into(&mut meta.flow_name);

    let time = Time::after(&origin.deltas);
    let delta = Delta::new(meta.epoch, record.resumed_from, time.now());
    let delta = delta.write(transaction, std::iter::once(start.changes))?;
    deltas.push_back(delta);
    meta.oldest = match origin.seen {
        Some(_) => retention::oldest(&deltas, meta.oldest, origin.retain, &time),
        // There was nothing before the first start.
        None => meta.epoch,
    };
    transaction.open_table(CHUNKS)?;
    steps::write(transaction, meta.epoch, &start.manifest.steps, &place.part)?;
    steps::prune(transaction, &mut meta, &place.part)?;
    meta.write(&mut transaction.open_table(META)?)?;
    executions::write(&place.part, transaction, &record)?;
    Ok(Started {
        meta,
        record,
        steps: numbers(start),
        retain: origin.retain,
        deltas,
        time,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Agreed;

    #[test]
    fn there_is_a_last_execution() {
        let look = Look::over_nothing(Path::new("state"));
        let mut manifest = look.reconcile(&[], &Agreed::default()).unwrap();
        manifest.basis.execution = Epoch::LAST_EXECUTION;
        let start = Start {
            manifest: &manifest,
            flow_name: "",
            workers: 1,
            build: "",
            changes: &Changes::new(),
        };
        let error = check(&Place::new(Path::new("state")), manifest.basis, &start).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the store in state has used all of its 16,777,215 execution numbers\n\
             help: start with a new directory"
        );
    }
}
