//! The operations on a store on a disk.

use super::disk::Disk;
use super::flow::{another_flow, carry_out, change_some, first_steps, flow_of, new_id};
use super::history::{History, Store};
use super::{Random, Wrong, expect};
use crate::epoch::Epoch;
use crate::error::{Cause, ExecutionError, GoBackError, MaintenanceError, StoreError};
use crate::execution::{Execution, Start};
use crate::format::changes::Changes;
use crate::format::record::End;
use crate::look::Look;
use crate::maintenance::steps::Change;
use crate::manifest::Agreed;
use crate::retain::Retain;
use std::path::Path;
use std::time::Duration;

/// Makes a store with the steps `a` and `b`.
pub(super) fn make(disk: &Disk) -> Result<Execution, StoreError> {
    let look = Look::over_nothing(Path::new("simulated"));
    let flow = flow_of(&first_steps());
    let manifest = look.reconcile(&flow, &Agreed::default())?;
    let nothing = Changes::new();
    let start = Start::new("simulated", &manifest, &nothing);
    look.start_over(disk.clone(), &start)
}

/// A new store.
pub(super) fn made() -> Store {
    let disk = Disk::new(&[]);
    drop(make(&disk).unwrap());
    Store::made(disk.live())
}

/// What an execution does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) commits: u64,
    /// Whether it ends. Otherwise it is dropped.
    pub(super) ends: bool,
    /// Whether a step is added, dropped, renamed or gets another state at the start.
    pub(super) steps_change: bool,
    /// What it retains.
    pub(super) retain: Retain,
    /// Whether it goes back first, if it can.
    pub(super) goes_back: bool,
}

impl Plan {
    /// A plan of this many commits, and nothing else.
    pub(super) fn of(commits: u64) -> Plan {
        Plan {
            commits,
            ends: false,
            steps_change: false,
            retain: Retain::Nothing,
            goes_back: false,
        }
    }
}

/// One execution, or maintenance of the steps, until it ends or the disk fails.
pub(super) fn any(
    look: Look,
    store: &Store,
    disk: &Disk,
    random: &mut Random,
) -> Result<History, Wrong> {
    let by_hand = random.below(8) == 0 && !store.seen.steps.is_empty();
    if by_hand {
        return maintain(look, store, disk, random);
    }
    let plan = Plan {
        commits: random.below(6),
        ends: random.below(3) == 0,
        steps_change: random.below(3) == 0,
        retain: match random.below(6) {
            0 => Retain::Nothing,
            1 => Retain::For(Duration::from_secs(3600)),
            most => Retain::Epochs(most),
        },
        goes_back: random.below(3) == 0,
    };
    execute(look, store, disk, plan, random)
}

/// One execution, until it ends, is dropped, or the disk fails.
pub(super) fn execute(
    look: Look,
    store: &Store,
    disk: &Disk,
    plan: Plan,
    random: &mut Random,
) -> Result<History, Wrong> {
    let mut history = History::new(store);
    let Some(mut execution) = start(look, disk, &mut history, plan, random)? else {
        history.started = disk.now();
        return Ok(history);
    };
    history.started = disk.now();
    let steps: Vec<u16> = (history.last().steps.iter())
        .map(|step| step.number)
        .collect();
    for _ in 0..plan.commits {
        if random.below(4) == 0 && !stale(&mut execution, disk, random)? {
            return Ok(history);
        }
        let mut epoch = execution.epoch().next();
        for _ in 0..random.below(3) {
            epoch = epoch.next();
        }
        let mut after = history.last().clone();
        after.retain(plan.retain);
        let mut changes = [Changes::new(), Changes::new()];
        for changes in &mut changes {
            change_some(&steps, random, &mut after.rows, changes);
        }
        after.epoch = epoch;
        history.attempt_commit(disk, after)?;
        match execution.commit(epoch, &changes) {
            Ok(()) => {
                expect(execution.epoch(), epoch, "the epoch of the execution")?;
                history.acknowledge(disk);
            }
            Err(StoreError::Execution(ExecutionError::CommitFailed { cause, .. })) => {
                check_cause(disk, &cause)?;
                nothing_goes_on(execution, epoch, disk)?;
                return Ok(history);
            }
            Err(error) => return Err(format!("a commit: {error}")),
        }
    }
    history.done = disk.now();
    if plan.ends {
        let mut after = history.last().clone();
        after.ended = true;
        if let Some((.., ended)) = after.executions.last_mut() {
            *ended = true;
        }
        history.attempt(disk, after);
        match execution.end(End::Finished) {
            Ok(()) => history.acknowledge(disk),
            Err(StoreError::Execution(ExecutionError::EndFailed { cause, .. })) => {
                check_cause(disk, &cause)?
            }
            Err(error) => return Err(format!("the end: {error}")),
        }
    }
    Ok(history)
}

fn start(
    look: Look,
    disk: &Disk,
    history: &mut History,
    plan: Plan,
    random: &mut Random,
) -> Result<Option<Execution>, Wrong> {
    let mut look = look.retaining(plan.retain);
    let last = history.last().clone();
    let mut before = last.clone();
    if plan.goes_back && !last.retained.is_empty() {
        let to = last.retained[random.below(last.retained.len() as u64) as usize];
        look = match look.go_back(to) {
            Ok(look) => look,
            // Going back again needs the opening epoch of that execution.
            Err(StoreError::GoBack(GoBackError::WentBack { .. })) => return Ok(None),
            Err(error) => return Err(format!("the way back to {to}: {error}")),
        };
        before.epoch = to;
        before.retained.retain(|epoch| *epoch < to);
        (before.steps, before.rows) = history.past(&last)[&to].clone();
        expect(look.epoch(), to, "the epoch of the look")?;
    }
    let mut after = before.clone();
    after.retain(plan.retain);
    let (flow, agreed) = match plan.steps_change {
        false => (flow_of(&before.steps), Agreed::default()),
        true => another_flow(&before.steps, random),
    };
    let manifest = look
        .reconcile(&flow, &agreed)
        .map_err(|error| format!("the steps: {error}"))?;
    let mut changes = carry_out(&manifest, &flow, &mut after.steps, &mut after.rows);
    change_some(&manifest.numbers, random, &mut after.rows, &mut changes);
    let number = before.next_execution;
    after.epoch = Epoch::opening(number);
    after.next_execution += 1;
    after.executions.push((number, before.epoch, false));
    after.ended = false;
    history.attempt(disk, after);
    let start = Start::new("simulated", &manifest, &changes);
    match look.start_over(disk.clone(), &start) {
        Ok(execution) => {
            history.acknowledge(disk);
            // Invariant I13: the execution resumes from where the crash left the store, even if an
            // earlier resume crashed.
            let at = (execution.number(), execution.resumed_from());
            expect(at, (number, before.epoch), "where the execution goes on")?;
            Ok(Some(execution))
        }
        Err(StoreError::Execution(ExecutionError::StartFailed { cause, .. })) => {
            check_cause(disk, &cause)?;
            Ok(None)
        }
        Err(error) => Err(format!("a start: {error}")),
    }
}

/// Invariants I2 and I7: an epoch that is not later, or of another execution, is refused without a
/// write. Returns whether the execution can continue.
fn stale(execution: &mut Execution, disk: &Disk, random: &mut Random) -> Result<bool, Wrong> {
    let number = execution.number();
    let epoch = match random.below(4) {
        0 => execution.epoch(),
        1 => Epoch::opening(number),
        2 => Epoch::first(number - 1),
        _ => Epoch::first(number + 1),
    };
    let before = disk.now();
    match execution.commit(epoch, []) {
        Err(StoreError::Execution(ExecutionError::WrongEpoch { .. })) => {
            expect(disk.now(), before, "calls of a refusal").map(|()| true)
        }
        Err(StoreError::Execution(ExecutionError::CommitFailed { cause, .. })) => {
            check_cause(disk, &cause).map(|()| false)
        }
        other => Err(format!(
            "epoch {epoch} after {}: {other:?}",
            execution.epoch()
        )),
    }
}

/// The effect of a failed commit is unknown, so the execution does nothing more.
fn nothing_goes_on(mut execution: Execution, epoch: Epoch, disk: &Disk) -> Result<(), Wrong> {
    expect(
        execution.epoch() < epoch,
        true,
        "the failed epoch counts as durable",
    )?;
    let before = disk.now();
    let again = execution.commit(epoch.next(), []);
    expect(
        matches!(
            again,
            Err(StoreError::Execution(
                ExecutionError::AfterFailedCommit { .. }
            ))
        ),
        true,
        "a later commit",
    )?;
    expect(disk.now(), before, "calls of a refusal")?;
    let end = execution.end(End::Stopped);
    expect(
        matches!(
            end,
            Err(StoreError::Execution(
                ExecutionError::AfterFailedCommit { .. }
            ))
        ),
        true,
        "a later end",
    )
}

/// Drops or renames a step, without an execution.
fn maintain(look: Look, store: &Store, disk: &Disk, random: &mut Random) -> Result<History, Wrong> {
    let at = random.below(look.steps().len() as u64) as usize;
    let step = look.steps()[at].clone();
    let change = match random.below(2) {
        0 => Change::Drop(step),
        _ => Change::Rename(step, new_id(&store.seen.steps)),
    };
    change_steps(look, store, disk, &change)
}

pub(super) fn change_steps(
    look: Look,
    store: &Store,
    disk: &Disk,
    change: &Change,
) -> Result<History, Wrong> {
    let mut history = History::new(store);
    let before = &store.seen;
    let mut after = before.clone();
    after.retained.clear();
    match change {
        Change::Drop(step) => after.remove_step(step.number),
        Change::Rename(step, to) => {
            let mut steps = after.steps.iter_mut();
            if let Some(renamed) = steps.find(|other| other.number == step.number) {
                renamed.id.clone_from(to);
            }
        }
    }
    let gone = (before.rows.len() - after.rows.len()) as u64;
    history.attempt(disk, after);
    match look.maintain_over(disk.clone(), change) {
        Ok(rows) => {
            history.acknowledge(disk);
            expect(rows, gone, "rows that are gone")?;
        }
        Err(StoreError::Maintenance(MaintenanceError::MaintenanceFailed { cause, .. })) => {
            check_cause(disk, &cause)?
        }
        Err(error) => return Err(format!("a change of the steps: {error}")),
    }
    Ok(history)
}

/// Invariant I15: the cause is the disk's error, or redb's mention of an earlier one; nothing else,
/// and no panic.
pub(super) fn check_cause(disk: &Disk, cause: &Cause) -> Result<(), Wrong> {
    let Some(failing) = disk.struck() else {
        return Err(format!("the disk is well, and it says: {cause}"));
    };
    match cause {
        Cause::Io(error) if error.to_string() == failing.error().to_string() => Ok(()),
        Cause::Other(text) if text.starts_with("Previous I/O error") => Ok(()),
        cause => Err(format!("the disk is {failing:?}, and it says: {cause:?}")),
    }
}
