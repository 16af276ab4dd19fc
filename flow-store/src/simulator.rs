//! A disk that crashes, and the store on it against a map: what is on the disk after any crash is
//! the store at one epoch between the last that was acknowledged and the last that was attempted.
//!
//! Deterministic: a run is its seed.

use crate::changes::Changes;
use crate::epoch::Epoch;
use crate::error::{Cause, StoreError};
use crate::execution::Execution;
use crate::key::KEY_GROUPS;
use crate::look::{Look, Start};
use crate::maintenance::Change;
use crate::manifest::{Agreed, StepKind, StepSpec};
use crate::record::End;
use redb::StorageBackend;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Death {
    /// The power fails: what was not synced is there or not, in any order, torn by sectors.
    Crash,
    /// The disk is full: every write fails from here on, what was written is there.
    Full,
}

enum Operation {
    Write(usize, Vec<u8>),
    SetLen(usize),
}

struct State {
    live: Vec<u8>,
    durable: Vec<u8>,
    /// Since the last sync.
    unsynced: Vec<Operation>,
    /// Calls that change something, and which of them is the first to fail.
    calls: u64,
    dies_at: u64,
    death: Death,
}

#[derive(Clone)]
struct Disk(Arc<Mutex<State>>);

impl std::fmt::Debug for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Disk")
    }
}

impl Disk {
    fn new(image: Vec<u8>, dies_at: u64, death: Death) -> Disk {
        Disk(Arc::new(Mutex::new(State {
            durable: image.clone(),
            live: image,
            unsynced: Vec::new(),
            calls: 0,
            dies_at,
            death,
        })))
    }

    /// Every call fails from now on.
    fn kill(&self) {
        self.0.lock().unwrap().dies_at = 0;
    }

    fn calls(&self) -> u64 {
        self.0.lock().unwrap().calls
    }

    /// What is found after the crash.
    fn image(&self, random: &mut Random) -> Vec<u8> {
        let mut state = self.0.lock().unwrap();
        if state.death == Death::Full {
            return state.live.clone();
        }
        let mut image = state.durable.clone();
        let kept = random.below(101);
        if random.below(2) == 0 {
            let operations = &mut state.unsynced;
            for at in (1..operations.len()).rev() {
                operations.swap(at, random.below(at as u64 + 1) as usize);
            }
        }
        for operation in &state.unsynced {
            if random.below(100) >= kept {
                continue;
            }
            match operation {
                Operation::SetLen(len) => {
                    if *len > image.len() || random.below(2) == 0 {
                        image.resize(*len, 0);
                    }
                }
                Operation::Write(offset, data) => {
                    let torn = random.below(4) == 0;
                    let mut from = 0;
                    while from < data.len() {
                        let at = offset + from;
                        let len = (SECTOR - at % SECTOR).min(data.len() - from);
                        if !torn || random.below(2) == 0 {
                            if at + len > image.len() {
                                image.resize(at + len, 0);
                            }
                            image[at..at + len].copy_from_slice(&data[from..from + len]);
                        }
                        from += len;
                    }
                }
            }
        }
        image
    }
}

impl State {
    /// Counts a call; an error from the fatal one on.
    fn call(&mut self) -> io::Result<()> {
        self.calls += 1;
        if self.calls < self.dies_at {
            return Ok(());
        }
        Err(match self.death {
            Death::Crash => io::Error::other("the power failed"),
            Death::Full => io::ErrorKind::StorageFull.into(),
        })
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().live.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.0.lock().unwrap();
        let from = offset as usize;
        let bytes = state.live.get(from..from + out.len());
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        state.call()?;
        state.live.resize(len as usize, 0);
        state.unsynced.push(Operation::SetLen(len as usize));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        state.call()?;
        state.durable = state.live.clone();
        state.unsynced.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        let from = offset as usize;
        let before = state.calls + 1 < state.dies_at;
        let now = state.calls + 1 == state.dies_at;
        let result = state.call();
        if before || (now && state.death == Death::Crash) {
            // the fatal write may still reach the disk
            state.unsynced.push(Operation::Write(from, data.to_vec()));
        }
        result?;
        if from + data.len() > state.live.len() {
            state.live.resize(from + data.len(), 0);
        }
        state.live[from..from + data.len()].copy_from_slice(data);
        Ok(())
    }
}

struct Random(u64);

impl Random {
    fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

type Rows = BTreeMap<(u16, u16, Vec<u8>), Vec<u8>>;

/// What the disk may hold.
struct Model {
    /// After each attempt, in their order: its epoch, and all rows.
    attempts: Vec<(Epoch, Rows)>,
    /// Which of them was the last that succeeded.
    acknowledged: usize,
}

impl Model {
    fn rows(&self) -> Rows {
        self.attempts
            .last()
            .map_or_else(Rows::new, |(_, rows)| rows.clone())
    }

    fn acknowledge(&mut self) {
        self.acknowledged = self.attempts.len() - 1;
    }

    /// The one attempt that the disk holds; all others are forgotten.
    fn check(&mut self, look: &Look, seed: u64) {
        let mut found = Rows::new();
        for step in 0..2 {
            for row in look.rows(step, 0..KEY_GROUPS).unwrap() {
                let row = row.unwrap();
                found.insert((step, row.group, row.key), row.value);
            }
        }
        let allowed = &self.attempts[self.acknowledged..];
        let at = allowed.iter().position(|(epoch, _)| *epoch == look.epoch());
        let Some(at) = at else {
            let epochs: Vec<_> = allowed.iter().map(|(epoch, _)| epoch.to_string()).collect();
            panic!(
                "seed {seed}: at epoch {}, not one of {epochs:?}",
                look.epoch()
            );
        };
        assert_eq!(
            found,
            allowed[at].1,
            "seed {seed}: rows at epoch {}",
            look.epoch()
        );
        let numbers: Vec<_> = look
            .executions()
            .unwrap()
            .iter()
            .map(|record| record.number)
            .collect();
        let expected: Vec<_> = (1..look.next_execution()).collect();
        assert_eq!(numbers, expected, "seed {seed}");
        self.attempts = vec![allowed[at].clone()];
        self.acknowledged = 0;
    }
}

fn flow() -> [StepSpec; 2] {
    ["a", "b"].map(|id| StepSpec {
        id: id.to_owned(),
        kind: StepKind::State,
        operator: "stateful_map".to_owned(),
        key_type: "u8".to_owned(),
        state_type: "Bytes".to_owned(),
        renamed_from: Vec::new(),
        place: String::new(),
    })
}

fn some_changes(random: &mut Random, rows: &mut Rows) -> Changes {
    let mut changes = Changes::new();
    for _ in 0..random.below(30) {
        let (step, group) = (random.below(2) as u16, random.below(20) as u16 * 50);
        let key = vec![random.below(8) as u8];
        if random.below(4) == 0 {
            changes.remove(step, group, &key);
            rows.remove(&(step, group, key));
            continue;
        }
        let len = if random.below(20) == 0 {
            9000
        } else {
            random.below(120) as usize
        };
        let value = vec![random.below(256) as u8; len];
        changes
            .put(step, group, &key, |bytes| {
                bytes.extend_from_slice(&value);
                Ok::<(), StoreError>(())
            })
            .unwrap();
        rows.insert((step, group, key), value);
    }
    changes
}

/// One execution until it ends or the disk dies; whether it did anything that lasts.
fn live(look: Look, disk: &Disk, random: &mut Random, model: &mut Model, seed: u64) -> bool {
    let resumed_from = look.epoch();
    let manifest = look.reconcile(&flow(), &Agreed::default()).unwrap();
    let mut rows = model.rows();
    let changes = some_changes(random, &mut rows);
    let number = look.next_execution();
    model.attempts.push((Epoch::opening(number), rows));
    let start = Start {
        manifest: &manifest,
        flow_name: "simulated",
        workers: 1,
        build: "",
        changes: &changes,
    };
    let mut execution: Execution = match look.start_over(disk.clone(), &start) {
        Ok(execution) => execution,
        Err(StoreError::StartFailed { cause, .. }) => {
            check_cause(disk, &cause, seed);
            return false;
        }
        Err(error) => panic!("seed {seed}: {error}"),
    };
    assert_eq!(
        (execution.number(), execution.resumed_from()),
        (number, resumed_from)
    );
    model.acknowledge();
    for _ in 0..random.below(8) {
        let mut epoch = execution.epoch().next();
        for _ in 0..random.below(3) {
            epoch = epoch.next();
        }
        let mut rows = model.rows();
        let changes = [
            some_changes(random, &mut rows),
            some_changes(random, &mut rows),
        ];
        model.attempts.push((epoch, rows));
        match execution.commit(epoch, &changes) {
            Ok(()) => {
                assert_eq!(execution.epoch(), epoch);
                model.acknowledge();
            }
            Err(StoreError::CommitFailed { cause, .. }) => {
                check_cause(disk, &cause, seed);
                assert!(execution.epoch() < epoch);
                let again = execution.commit(epoch.next(), []);
                assert!(matches!(again, Err(StoreError::AfterFailedCommit { .. })));
                let end = execution.end(End::Stopped);
                assert!(matches!(end, Err(StoreError::AfterFailedCommit { .. })));
                return true;
            }
            Err(error) => panic!("seed {seed}: {error}"),
        }
    }
    if random.below(3) == 0 {
        match execution.end(End::Finished) {
            Ok(()) => {}
            Err(StoreError::EndFailed { cause, .. }) => check_cause(disk, &cause, seed),
            Err(error) => panic!("seed {seed}: {error}"),
        }
    } else {
        disk.kill();
        drop(execution);
    }
    true
}

fn check_cause(disk: &Disk, cause: &Cause, seed: u64) {
    // the first is the disk's own, later ones may be redb's
    if let Cause::Io(error) = cause
        && disk.0.lock().unwrap().death == Death::Full
    {
        assert_eq!(error.kind(), io::ErrorKind::StorageFull, "seed {seed}");
    }
}

fn look_at(image: &[u8], seed: u64) -> Look {
    let disk = Disk::new(image.to_vec(), u64::MAX, Death::Crash);
    Look::over(Path::new("simulated"), disk).unwrap_or_else(|error| panic!("seed {seed}: {error}"))
}

/// Some executions, one after the other on what the one before left; how many of them got past
/// their start.
fn run(seed: u64, lives: u64, death: Death, dies_at: impl Fn(&mut Random) -> u64) -> u64 {
    let mut random = Random::new(seed);
    let mut model = Model {
        attempts: vec![],
        acknowledged: 0,
    };
    let mut image = Vec::new();
    let mut started_lives = 0;
    for _ in 0..lives {
        let look = if image.is_empty() {
            Look::over_nothing(Path::new("simulated"))
        } else {
            let look = look_at(&image, seed);
            model.check(&look, seed);
            look
        };
        let disk = Disk::new(image.clone(), dies_at(&mut random), death);
        let started = live(look, &disk, &mut random, &mut model, seed);
        started_lives += u64::from(started);
        if image.is_empty() && !started {
            // a store that is being made has no name yet
            model.attempts.clear();
            continue;
        }
        image = disk.image(&mut random);
    }
    if !image.is_empty() {
        model.check(&look_at(&image, seed), seed);
    }
    started_lives
}

#[test]
fn crashes_at_random_calls() {
    let died_later: u64 = (1..=120)
        .map(|seed| run(seed, 4, Death::Crash, |random| 1 + random.below(300)))
        .sum();
    // else most of the 480 would be crashes of the start
    assert!(died_later > 300, "{died_later}");
}

#[test]
fn a_crash_at_every_call_of_a_short_life() {
    let calls = {
        let mut random = Random::new(7);
        let disk = Disk::new(Vec::new(), u64::MAX, Death::Crash);
        let mut model = Model {
            attempts: vec![],
            acknowledged: 0,
        };
        let look = Look::over_nothing(Path::new("simulated"));
        assert!(live(look, &disk, &mut random, &mut model, 7));
        disk.calls()
    };
    assert!(calls > 40, "{calls}");
    for dies_at in 1..=calls + 1 {
        // and the next life begins on what that left
        run(7, 2, Death::Crash, |_| dies_at);
    }
}

#[test]
fn the_disk_is_full() {
    let died_later: u64 = (1..=60)
        .map(|seed| run(seed, 3, Death::Full, |random| 1 + random.below(200)))
        .sum();
    assert!(died_later > 90, "{died_later}");
}

/// What drops and renamings must not touch, and the steps and rows that they do.
type Seen = (Epoch, u64, Vec<(u16, String)>, Rows);

fn seen(look: &Look) -> Seen {
    let mut rows = Rows::new();
    for step in 0..3 {
        for row in look.rows(step, 0..KEY_GROUPS).unwrap() {
            let row = row.unwrap();
            rows.insert((step, row.group, row.key), row.value);
        }
    }
    let steps = look.steps().iter();
    let steps = steps.map(|step| (step.number, step.id.clone())).collect();
    (look.epoch(), look.next_execution(), steps, rows)
}

/// A step is dropped or renamed as a whole or not at all, and an execution goes on after either.
#[test]
fn a_crash_at_every_call_of_a_maintenance() {
    // a store that was killed
    let image = {
        let mut random = Random::new(3);
        let disk = Disk::new(Vec::new(), u64::MAX, Death::Crash);
        let mut execution = {
            let look = Look::over_nothing(Path::new("simulated"));
            let manifest = look.reconcile(&flow(), &Agreed::default()).unwrap();
            let changes = some_changes(&mut random, &mut Rows::new());
            let start = Start {
                manifest: &manifest,
                flow_name: "simulated",
                workers: 1,
                build: "",
                changes: &changes,
            };
            look.start_over(disk.clone(), &start).unwrap()
        };
        for n in 0..8 {
            let changes = some_changes(&mut random, &mut Rows::new());
            let epoch = Epoch::from_u64(Epoch::first(1).to_u64() + n);
            execution.commit(epoch, [&changes]).unwrap();
        }
        disk.kill();
        drop(execution);
        disk.image(&mut random)
    };
    let before = seen(&look_at(&image, 0));
    let of_a = |rows: &Rows| rows.keys().filter(|(step, ..)| *step == 0).count();
    assert!(of_a(&before.3) > 5, "{before:?}");
    let step = look_at(&image, 0).step("a").unwrap().clone();
    let drop_a = Change::Drop(step.clone());
    let rename_a = Change::Rename(step, "renamed".to_owned());
    for change in [&drop_a, &rename_a] {
        let mut after = before.clone();
        match change {
            Change::Drop(_) => {
                after.2.remove(0);
                after.3.retain(|(step, ..), _| *step != 0);
            }
            Change::Rename(_, to) => after.2[0].1.clone_from(to),
        }
        let disk = Disk::new(image.clone(), u64::MAX, Death::Crash);
        let gone = look_at(&image, 0).maintain_over(disk.clone(), change);
        assert_eq!(gone.unwrap(), (before.3.len() - after.3.len()) as u64);
        let calls = disk.calls();
        assert!(calls > 5, "{calls}");
        let (mut old, mut new) = (0, 0);
        for dies_at in 1..=calls + 1 {
            for (seed, death) in (1..6)
                .map(|seed| (seed, Death::Crash))
                .chain([(6, Death::Full)])
            {
                let disk = Disk::new(image.clone(), dies_at, death);
                let done = look_at(&image, seed).maintain_over(disk.clone(), change);
                let mut random = Random::new(seed * 1000 + dies_at);
                let image = disk.image(&mut random);
                let found = seen(&look_at(&image, seed));
                if found == before {
                    assert!(done.is_err(), "call {dies_at}, seed {seed}: it was lost");
                    old += 1;
                } else {
                    assert_eq!(found, after, "call {dies_at}, seed {seed}");
                    new += 1;
                }
                if let Err(error) = done {
                    let failed = matches!(&error, StoreError::MaintenanceFailed { .. });
                    assert!(failed, "{error}");
                }
                go_on(&image, &found, seed);
            }
        }
        assert!(old > 10 && new > 5, "{old} {new}");
    }
}

/// The next execution has the number it would have had, and a step that is new to the store has
/// one that no step had.
fn go_on(image: &[u8], found: &Seen, seed: u64) {
    let (epoch, number, steps, _) = found;
    let look = look_at(image, seed);
    let agreed = Agreed {
        drop_steps: (steps.iter())
            .map(|(_, id)| id.clone())
            .filter(|id| id == "renamed")
            .collect(),
    };
    let manifest = look.reconcile(&flow(), &agreed).unwrap();
    let had_a = steps.contains(&(0, "a".to_owned()));
    let numbers = if had_a { [0, 1] } else { [2, 1] };
    assert_eq!(manifest.numbers, numbers);
    let start = Start {
        manifest: &manifest,
        flow_name: "simulated",
        workers: 1,
        build: "",
        changes: &Changes::new(),
    };
    let disk = Disk::new(image.to_vec(), u64::MAX, Death::Crash);
    let execution = look.start_over(disk, &start).unwrap();
    assert_eq!(
        (execution.number(), execution.resumed_from()),
        (*number, *epoch)
    );
}
