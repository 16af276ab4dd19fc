//! The disk is full or broken, at every call of every operation on a store, for that call only or
//! from there on. The result must be a named error, and a store from which a flow can resume.

use super::crash::{Kept, Moment};
use super::disk::{Disk, Failing, Fault};
use super::history::{History, Store};
use super::life::{self, Plan};
use super::seen::Seen;
use super::{Desk, Random, Wrong, expect};
use crate::error::{Cause, ExecutionError, MaintenanceError, StoreError};
use crate::file::guard::guard;
use crate::file::part;
use crate::key::KEY_GROUPS;
use crate::look::Look;
use crate::maintenance::copy;
use crate::maintenance::steps::Change;
use std::path::Path;

/// Every fault that can strike in an operation of `calls` calls.
fn faults(calls: impl Fn(Failing) -> u64) -> Vec<Fault> {
    let mut faults = Vec::new();
    for failing in [Failing::Full, Failing::Broken] {
        let calls = calls(failing);
        assert!(calls > 10, "{calls}");
        for at in 1..=calls {
            for lasting in [false, true] {
                faults.push(Fault {
                    failing,
                    at,
                    lasting,
                });
            }
        }
    }
    faults
}

/// A store with rows, after a kill.
fn killed(desk: &Desk) -> Store {
    let made = life::made();
    let plan = Plan::of(4);
    let disk = Disk::new(&made.image);
    let look = desk.look(&made.image).unwrap();
    let history = life::execute(look, &made, &disk, plan, &mut Random::new(3)).unwrap();
    let tape = disk.tape();
    let mut moment = Moment::new(&made.image, &tape);
    // The point before the execution is dropped, which closes the file.
    let at = history.done;
    moment.go_on_to(at, &mut Random::new(3));
    let left = moment.crash(Kept::All, &mut Random::new(3));
    let seen = Seen::in_store(&desk.look(&left.image).unwrap()).unwrap();
    assert!(seen.rows.len() > 20, "{}", seen.rows.len());
    history.left(at, left.image, seen)
}

/// Invariant I15: after the process or the machine is gone, the store is in a possible state, and
/// an execution on it succeeds.
fn check(
    desk: &Desk,
    store: &Store,
    disk: &Disk,
    history: &History,
    random: &mut Random,
) -> Result<(), Wrong> {
    let tape = disk.tape();
    let mut moment = Moment::new(&store.image, &tape);
    moment.go_on_to(tape.len(), random);
    let left = moment.crash(Kept::any(random), random);
    for image in [disk.live(), left.image] {
        let look = desk.look(&image).map_err(|error| error.to_string())?;
        let seen = Seen::in_store(&look)?;
        history.check(tape.len(), &seen)?;
        let store = history.left(tape.len(), image, seen);
        let plan = Plan {
            ends: true,
            ..Plan::of(1)
        };
        let disk = Disk::new(&store.image);
        let history = life::execute(look, &store, &disk, plan, random)?;
        let seen = Seen::in_store(&desk.look(&disk.live()).unwrap())?;
        expect(&seen, history.last(), "what an execution left after it")?;
    }
    Ok(())
}

/// Runs an operation on a store under every fault. Returns the number of faults.
fn under_every_fault(
    store: &Store,
    desk: &Desk,
    work: impl Fn(Look, &Disk) -> Result<History, Wrong>,
) -> usize {
    let run = |fault| {
        let disk = Disk::failing(&store.image, fault);
        let look = desk.look(&store.image).unwrap();
        work(look, &disk).map(|history| (disk, history))
    };
    let faults = faults(|failing| run(Fault::never(failing)).unwrap().0.calls());
    for (n, fault) in faults.iter().enumerate() {
        let right = run(*fault).and_then(|(disk, history)| {
            expect(disk.struck(), Some(fault.failing), "the fault")?;
            check(desk, store, &disk, &history, &mut Random::new(n as u64))
        });
        right.unwrap_or_else(|wrong| panic!("{fault:?}: {wrong}"));
    }
    faults.len()
}

#[test]
fn of_an_execution() {
    let desk = Desk::new();
    let store = killed(&desk);
    let plan = Plan {
        ends: true,
        ..Plan::of(3)
    };
    let faults = under_every_fault(&store, &desk, |look, disk| {
        life::execute(look, &store, disk, plan, &mut Random::new(5))
    });
    println!("{faults} faults");
    assert!(faults > 300, "{faults}");
}

#[test]
fn of_a_change_of_the_steps() {
    let desk = Desk::new();
    let store = killed(&desk);
    for renamed in [false, true] {
        let faults = under_every_fault(&store, &desk, |look, disk| {
            let step = look.step("a").unwrap().clone();
            let change = match renamed {
                false => Change::Drop(step),
                true => Change::Rename(step, "another".to_owned()),
            };
            life::change_steps(look, &store, disk, &change)
        });
        assert!(faults > 100, "{faults}");
    }
}

#[test]
fn of_a_store_that_is_being_made() {
    for fault in faults(|failing| {
        let disk = Disk::failing(&[], Fault::never(failing));
        drop(life::make(&disk).unwrap());
        disk.calls()
    }) {
        let disk = Disk::failing(&[], fault);
        match life::make(&disk) {
            // The fault struck only when the execution was dropped.
            Ok(execution) => drop(execution),
            Err(StoreError::Execution(ExecutionError::StartFailed { cause, .. })) => {
                life::check_cause(&disk, &cause)
                    .unwrap_or_else(|wrong| panic!("{fault:?}: {wrong}"));
            }
            Err(error) => panic!("{fault:?}: {error}"),
        }
    }
}

/// An unreadable disk must not look like a damaged store: nobody should restore a backup for it.
#[test]
fn of_a_look() {
    let desk = Desk::new();
    let store = killed(&desk);
    let read = |disk: &Disk| -> Result<(), StoreError> {
        let look = Look::over(Path::new("simulated"), disk.clone())?;
        look.executions()?;
        for step in look.steps() {
            for row in look.rows(step.number, 0..KEY_GROUPS)? {
                row?;
            }
        }
        look.verify(&mut |_, _| ())?;
        Ok(())
    };
    let mut failed = 0;
    for fault in faults(|failing| {
        let disk = Disk::failing(&store.image, Fault::never(failing));
        read(&disk).unwrap();
        disk.calls()
    }) {
        let disk = Disk::failing(&store.image, fault);
        match read(&disk) {
            // The fault struck only when redb was dropped.
            Ok(()) => {}
            Err(StoreError::Io { .. }) => failed += 1,
            Err(error) => panic!("{fault:?}: {error}"),
        }
    }
    assert!(failed > 50, "{failed}");
}

/// Copies are the basis of backup and compaction. A finished copy is complete, durable and closed,
/// so a crash loses none of it.
#[test]
fn of_a_copy() {
    let desk = Desk::new();
    let store = killed(&desk);
    let look = desk.look(&store.image).unwrap();
    let make_copy = |disk: &Disk| {
        let fill = || copy::fill(&look, part::open(disk.clone())?, &mut |_, _| ());
        let failed = |cause| {
            StoreError::Maintenance(MaintenanceError::CopyFailed {
                path: "copy".into(),
                cause,
            })
        };
        guard(fill).map_err(|failure| failure.while_writing(failed))
    };
    let disk = Disk::new(&[]);
    assert_eq!(make_copy(&disk).unwrap(), store.seen.rows.len() as u64);
    let tape = disk.tape();
    let mut moment = Moment::new(&[], &tape);
    moment.go_on_to(tape.len(), &mut Random::new(1));
    let left = moment.crash(Kept::Nothing, &mut Random::new(1));
    let copied = Desk::new();
    let copied = copied.look(&left.image).unwrap();
    assert!(copied.about().unwrap().closed);
    assert_eq!(Seen::in_store(&copied).unwrap(), store.seen);

    let all = faults(|failing| {
        let disk = Disk::failing(&[], Fault::never(failing));
        make_copy(&disk).unwrap();
        disk.calls()
    });
    for fault in all {
        let disk = Disk::failing(&[], fault);
        match make_copy(&disk) {
            Ok(_) => panic!("{fault:?}: it says that it is done"),
            Err(StoreError::Maintenance(MaintenanceError::CopyFailed { cause, .. })) => {
                life::check_cause(&disk, &cause)
                    .unwrap_or_else(|wrong| panic!("{fault:?}: {wrong}"));
                assert!(matches!(cause, Cause::Io(_)), "{fault:?}: {cause}");
            }
            Err(error) => panic!("{fault:?}: {error}"),
        }
    }
    // The original was only read.
    drop(look);
    assert!(desk.is_untouched(&store.image));
}
