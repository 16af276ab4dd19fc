//! Starting an execution: the one transaction that does it, in a store that is there or a new one.

use crate::delta::{self, Delta, Time};
use crate::directory::Place;
use crate::epoch::Epoch;
use crate::error::{Cause, StoreError};
use crate::execution::Execution;
use crate::fail_point::FailPoint;
use crate::guard::{Failure, guard};
use crate::lock::{self, Lock};
use crate::look::Start;
use crate::manifest::Basis;
use crate::part::{self, Held};
use crate::record::{ExecutionRecord, StoredExecution, now};
use crate::retain::Retain;
use crate::steps;
use crate::tables::{CHUNKS, EXECS, KEPT_EXECUTIONS, META, Meta};
use crate::write;
use redb::{ReadableTableMetadata, WriteTransaction};
use std::collections::VecDeque;
use std::path::Path;
use uuid::Uuid;

/// What the start transaction wrote.
pub(crate) struct Started {
    pub(crate) meta: Meta,
    pub(crate) record: ExecutionRecord,
    /// The numbers of the steps, sorted.
    pub(crate) steps: Vec<u16>,
    pub(crate) retain: Retain,
    pub(crate) deltas: VecDeque<Delta>,
    pub(crate) time: Time,
}

/// What a start goes on from.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// The uuid of the store, also of one that is new.
    pub(crate) store: Uuid,
    /// The store as it was looked at; none of a new one.
    pub(crate) seen: Option<Meta>,
    /// What is not folded of it.
    pub(crate) deltas: VecDeque<Delta>,
    /// The epoch that it goes back to.
    pub(crate) back_to: Option<Epoch>,
    pub(crate) retain: Retain,
}

/// All that can be refused without opening a file.
pub(crate) fn check(place: &Place, basis: Basis, start: &Start<'_>) -> Result<(), StoreError> {
    if start.manifest.basis != basis {
        return Err(changed(
            place,
            "the manifest was made from another look at it",
        ));
    }
    if basis.execution >= Epoch::LAST_EXECUTION {
        return Err(StoreError::TooManyExecutions {
            directory: place.directory.clone(),
        });
    }
    start.changes.check(&numbers(start), &place.part)
}

/// Starts in a store that is there.
pub(crate) fn resume(
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
pub(crate) fn create(
    place: &Place,
    origin: &Origin,
    lock: Option<Lock>,
    start: &Start<'_>,
) -> Result<Execution, StoreError> {
    let made = place.create()?;
    let mut lock = match lock {
        Some(lock) => lock,
        None => Lock::take(place).inspect_err(|error| {
            // Where there are no locks there is no store, so what was made for it goes.
            if matches!(error, StoreError::NoLocks { .. }) {
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
pub(crate) fn over(
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
    |cause| StoreError::StartFailed {
        path: place.part.clone(),
        cause,
    }
}

fn changed(place: &Place, what: &str) -> StoreError {
    StoreError::Changed {
        directory: place.directory.clone(),
        what: what.to_owned(),
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
        host: lock::host(),
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
    let delta = Delta::new(meta.epoch, record.resumed_from, &time);
    let delta = delta.write(transaction, std::iter::once(start.changes))?;
    deltas.push_back(delta);
    meta.oldest = match origin.seen {
        Some(_) => delta::oldest(&deltas, meta.oldest, origin.retain, &time),
        // nothing was there before the first start
        None => meta.epoch,
    };
    transaction.open_table(CHUNKS)?;
    steps::write(transaction, meta.epoch, &start.manifest.steps, &place.part)?;
    steps::prune(transaction, &mut meta, &place.part)?;
    meta.write(&mut transaction.open_table(META)?)?;
    write_record(&place.part, transaction, &record)?;
    Ok(Started {
        meta,
        record,
        steps: numbers(start),
        retain: origin.retain,
        deltas,
        time,
    })
}

/// What the file says, if nobody has started or committed since the look: the fence.
pub(crate) fn as_seen(
    place: &Place,
    transaction: &WriteTransaction,
    seen: &Meta,
) -> Result<Meta, Failure> {
    let meta = Meta::read(&transaction.open_table(META)?)?;
    let changed = || Failure::Store(changed(place, "another process wrote to it"));
    let meta = meta.map_err(|_| changed())?;
    match meta == *seen {
        true => Ok(meta),
        false => Err(changed()),
    }
}

/// Brings everything back to where it was at an epoch that is retained.
pub(crate) fn go_back(transaction: &WriteTransaction, to: Epoch) -> Result<(), Failure> {
    delta::remove_after(transaction, to)?;
    steps::remove_after(transaction, to)
}

/// Writes the record of an execution; the oldest of too many go.
pub(crate) fn write_record(
    path: &Path,
    transaction: &WriteTransaction,
    record: &ExecutionRecord,
) -> Result<(), Failure> {
    let mut table = transaction.open_table(EXECS)?;
    let bytes = write::encoded(&StoredExecution::from(record), "an execution", path)?;
    table.insert(record.number, &bytes[..])?;
    while table.len()? > KEPT_EXECUTIONS {
        table.pop_first()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contents::executions;
    use crate::{Agreed, Changes, Look};

    fn record(number: u64) -> ExecutionRecord {
        ExecutionRecord {
            number,
            started: now(),
            host: "host".to_owned(),
            pid: 1,
            workers: 2,
            resumed_from: Epoch::opening(number - 1),
            went_back_from: None,
            build: String::new(),
            ended: None,
        }
    }

    #[test]
    fn the_last_thousand_executions_are_kept() {
        let database = part::open(redb::backends::InMemoryBackend::new()).unwrap();
        let path = Path::new("in memory");
        let transaction = write::begin(Some(&database)).unwrap();
        for number in 1..=KEPT_EXECUTIONS + 5 {
            write_record(path, &transaction, &record(number)).unwrap();
        }
        // the end of one that is there takes no other's place
        write_record(path, &transaction, &record(KEPT_EXECUTIONS)).unwrap();
        transaction.commit().unwrap();
        let kept = executions(&database, path).unwrap();
        let numbers: Vec<u64> = kept.iter().map(|record| record.number).collect();
        assert_eq!(numbers, (6..=KEPT_EXECUTIONS + 5).collect::<Vec<_>>());
    }

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
            "the store in state has given all its 16,777,215 execution numbers away, and none is \
             used twice: start with a new directory"
        );
    }
}
