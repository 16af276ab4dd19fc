//! All operations on a store, in any order, compared with a model. The model is a map of rows, a
//! list of steps and two numbers, and the same for each retained epoch.

use crate::support::*;
use flow_store::{
    Agreed, Changes, End, Epoch, Execution, ExecutionError, GoBackError, KEY_GROUPS, LockError,
    Look, Retain, Start, StepSpec, StepsError, StoreError,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

type Rows = BTreeMap<(u16, u16, Vec<u8>), Vec<u8>>;

#[derive(Debug, Clone)]
enum Act {
    /// Changes, the number of their buffers, and how far the epoch advances.
    Commit(Vec<Vec<Edit>>, u64),
    /// A commit so large that two or three of them are folded: the first key, and the content of
    /// the values.
    Large(usize, u8, u8),
    /// A commit that is refused.
    Refused(Refused),
    /// How the execution stops, maintenance of the store, and the next start.
    Restart(Stop, Vec<Work>, Next, Setting),
}

/// What the next execution retains, and the epoch that it goes back to, if any.
#[derive(Debug, Clone)]
struct Setting {
    retain: Retain,
    back_to: Option<usize>,
}

#[derive(Debug, Clone)]
enum Refused {
    SameEpoch,
    EarlierExecution,
    LaterExecution,
    NoSuchStep,
    NoSuchGroup,
}

#[derive(Debug, Clone)]
enum Stop {
    End,
    /// It is dropped, as by a panic.
    Drop,
    /// The next execution resumes with a copy of the files of the running one.
    Kill,
}

/// Operations on the steps, by their place in the list, modulo its length.
#[derive(Debug, Clone)]
enum Work {
    Drop(usize),
    Rename(usize),
    Compact,
    /// The next execution resumes with the copy.
    Backup,
    /// A start with a flow that lacks a step.
    WrongFlow(usize),
}

#[derive(Debug, Clone)]
enum Next {
    Same,
    NewStep,
    Renamed(usize),
    /// A step of this id stays in the flow, or not.
    Dropped(usize, bool),
}

/// A row with one of few groups and keys, so that they recur often.
#[derive(Debug, Clone)]
struct Edit {
    step: usize,
    group: u16,
    key: Vec<u8>,
    value: Option<Vec<u8>>,
}

fn edit() -> impl Strategy<Value = Edit> {
    let value = prop_oneof![
        30 => prop::collection::vec(any::<u8>(), 0..40),
        // A value of several pages.
        1 => (4000..100_000usize, any::<u8>()).prop_map(|(len, byte)| vec![byte; len]),
    ];
    (
        0..3usize,
        prop_oneof![Just(0), Just(511), Just(1023), 0..KEY_GROUPS],
        prop::collection::vec(0..3u8, 0..3),
        prop::option::weighted(0.7, value),
    )
        .prop_map(|(step, group, key, value)| Edit {
            step,
            group,
            key,
            value,
        })
}

fn act() -> impl Strategy<Value = Act> {
    let changes = prop::collection::vec(prop::collection::vec(edit(), 0..12), 0..4);
    let refused = prop_oneof![
        Just(Refused::SameEpoch),
        Just(Refused::EarlierExecution),
        Just(Refused::LaterExecution),
        Just(Refused::NoSuchStep),
        Just(Refused::NoSuchGroup),
    ];
    let stop = prop_oneof![Just(Stop::End), Just(Stop::Drop), Just(Stop::Kill)];
    let work = prop_oneof![
        (0..3usize).prop_map(Work::Drop),
        (0..3usize).prop_map(Work::Rename),
        Just(Work::Compact),
        Just(Work::Backup),
        (0..3usize).prop_map(Work::WrongFlow),
    ];
    let next = prop_oneof![
        4 => Just(Next::Same),
        1 => Just(Next::NewStep),
        1 => (0..3usize).prop_map(Next::Renamed),
        1 => (0..3usize, any::<bool>()).prop_map(|(at, stays)| Next::Dropped(at, stays)),
    ];
    let retain = prop_oneof![
        2 => Just(Retain::Nothing),
        3 => (1..6u64).prop_map(Retain::Epochs),
        1 => Just(Retain::For(Duration::from_secs(3600))),
    ];
    let setting = (retain, prop::option::weighted(0.3, 0..8usize))
        .prop_map(|(retain, back_to)| Setting { retain, back_to });
    prop_oneof![
        5 => (changes, 1..5u64).prop_map(|(changes, on)| Act::Commit(changes, on)),
        2 => (0..3usize, 0..8u8, any::<u8>())
            .prop_map(|(step, key, byte)| Act::Large(step, key, byte)),
        1 => refused.prop_map(Act::Refused),
        3 => (stop, prop::collection::vec(work, 0..3), next, setting)
            .prop_map(|(stop, work, next, setting)| Act::Restart(stop, work, next, setting)),
    ]
}

/// The changes of [`Act::Large`].
fn large(step: usize, key: u8, byte: u8) -> Vec<Vec<Edit>> {
    let edits = (key..key + 24).map(|key| Edit {
        step,
        group: u16::from(key % 5) * 200,
        key: vec![key],
        // Some keys are removed while others are added.
        value: (key % 4 != byte % 7).then(|| vec![byte; 64 << 10]),
    });
    vec![edits.collect()]
}

/// The model of a store.
#[derive(Debug, Clone, PartialEq)]
struct Model {
    epoch: Epoch,
    execution: u64,
    /// For all records of executions: whether each recorded how it ended.
    ended: Vec<bool>,
    /// Number and id, by number.
    steps: Vec<(u16, String)>,
    next_step: u16,
    rows: Rows,
}

/// The content at the epochs that the store can go back to, oldest first.
#[derive(Debug)]
struct Past {
    retain: Retain,
    all: Vec<Model>,
}

impl Past {
    /// Updates the retained epochs for a new commit.
    fn keep(&mut self, model: &Model) {
        self.all.push(model.clone());
        let most = match self.retain {
            Retain::Nothing => 0,
            Retain::Epochs(most) => most as usize,
            Retain::For(_) => usize::MAX,
        };
        let over = self.all.len().saturating_sub(most);
        self.all.drain(..over);
    }

    /// Checks that the store can go back there, and has this content.
    fn check(&self, look: Look) -> Result<(), TestCaseError> {
        let retained: Vec<_> = look.retained().iter().map(|it| it.epoch).collect();
        let expected: Vec<_> = self.all.iter().map(|model| model.epoch).collect();
        prop_assert_eq!(retained, expected);
        let Some(then) = self.all.get(self.all.len() / 2) else {
            return Ok(());
        };
        let look = look.see(then.epoch).unwrap();
        prop_assert_eq!(
            read(&look, then.next_step),
            (then.steps.clone(), then.rows.clone())
        );
        whole(&look, then)
    }
}

fn read(look: &Look, next_step: u16) -> (Vec<(u16, String)>, Rows) {
    let steps = look.steps().iter();
    let steps = steps.map(|step| (step.number, step.id.clone())).collect();
    let mut rows = Rows::new();
    for step in 0..=next_step {
        for row in look.rows(step, 0..KEY_GROUPS).unwrap() {
            let row = row.unwrap();
            rows.insert((step, row.group, row.key), row.value);
        }
    }
    (steps, rows)
}

/// Nothing is damaged, except that the rows here are not MessagePack.
fn whole(look: &Look, model: &Model) -> Result<(), TestCaseError> {
    let verified = look.verify(&mut |_, _| ()).unwrap();
    prop_assert_eq!(verified.rows, model.rows.len() as u64);
    let damage = verified.damage.iter();
    let damage: Vec<_> = damage
        .filter(|what| !what.starts_with("the row of step `"))
        .collect();
    prop_assert_eq!(damage, Vec::<&String>::new());
    Ok(())
}

impl Model {
    fn new() -> Model {
        Model {
            epoch: Epoch::default(),
            execution: 0,
            ended: Vec::new(),
            steps: Vec::new(),
            next_step: 0,
            rows: Rows::new(),
        }
    }

    /// The place of a step in the list; `None` if the list is empty.
    fn at(&self, at: usize) -> Option<usize> {
        (!self.steps.is_empty()).then(|| at % self.steps.len())
    }

    fn new_id(&self) -> String {
        let mut ids = (0..).map(|n| format!("step {n}"));
        ids.find(|id| self.steps.iter().all(|(_, other)| other != id))
            .unwrap()
    }

    fn flow(&self) -> Vec<StepSpec> {
        self.steps.iter().map(|(_, id)| step(id)).collect()
    }

    fn drop_step(&mut self, at: usize) -> usize {
        let (number, _) = self.steps.remove(at);
        let before = self.rows.len();
        self.rows.retain(|(step, ..), _| *step != number);
        before - self.rows.len()
    }

    fn add_step(&mut self, id: String) {
        self.steps.push((self.next_step, id));
        self.next_step += 1;
    }

    /// Changes the steps as the next start does. Returns the flow for it, and the steps to drop.
    fn next(&mut self, next: &Next) -> (Vec<StepSpec>, Agreed) {
        let mut flow = self.flow();
        let mut agreed = BTreeSet::new();
        let at = match next {
            Next::Renamed(at) | Next::Dropped(at, _) => self.at(*at),
            Next::Same | Next::NewStep => None,
        };
        match (next, at) {
            (Next::NewStep, _) => {
                let id = self.new_id();
                flow.push(step(&id));
                self.add_step(id);
            }
            (Next::Renamed(_), Some(at)) => {
                let id = self.new_id();
                flow[at] = renamed(&id, &self.steps[at].1);
                self.steps[at].1 = id;
            }
            (Next::Dropped(_, stays), Some(at)) => {
                let id = self.steps[at].1.clone();
                agreed.insert(id.clone());
                self.drop_step(at);
                match stays {
                    true => self.add_step(id),
                    false => drop(flow.remove(at)),
                }
            }
            _ => {}
        }
        (flow, Agreed { drop_steps: agreed })
    }

    fn start(&mut self) {
        self.execution += 1;
        self.epoch = Epoch::opening(self.execution);
        self.ended.push(false);
    }

    /// Checks that the store has this content.
    fn check(&self, look: &Look) -> Result<(), TestCaseError> {
        let (steps, rows) = read(look, self.next_step);
        let executions = look.executions().unwrap();
        let ended = executions.iter().map(|record| record.ended.is_some());
        let found = Model {
            epoch: look.epoch(),
            execution: look.next_execution() - 1,
            ended: ended.collect(),
            steps,
            next_step: self.next_step,
            rows,
        };
        prop_assert!(&found == self, "found {:?}", &found);
        prop_assert_eq!(look.about().unwrap().ended, *self.ended.last().unwrap());
        whole(look, self)
    }
}

fn commit(
    execution: &mut Execution,
    model: &mut Model,
    buffers: &[Vec<Edit>],
    on: u64,
) -> Result<(), TestCaseError> {
    let mut all = Vec::new();
    for edits in buffers {
        let mut changes = Changes::new();
        for Edit {
            step,
            group,
            key,
            value,
        } in edits
        {
            let Some(at) = model.at(*step) else {
                continue;
            };
            let step = model.steps[at].0;
            match value {
                Some(value) => {
                    let put = changes.put(step, *group, key, |bytes| {
                        bytes.extend_from_slice(value);
                        Ok::<(), StoreError>(())
                    });
                    put.unwrap();
                    model
                        .rows
                        .insert((step, *group, key.clone()), value.clone());
                }
                None => {
                    changes.remove(step, *group, key);
                    model.rows.remove(&(step, *group, key.clone()));
                }
            }
        }
        all.push(changes);
    }
    model.epoch = Epoch::from_u64(model.epoch.to_u64() + on);
    execution.commit(model.epoch, &all).unwrap();
    prop_assert_eq!(execution.epoch(), model.epoch);
    Ok(())
}

/// Nothing of it is written, and the next commit succeeds.
fn refuse(
    home: &Home,
    execution: &mut Execution,
    model: &Model,
    refused: &Refused,
) -> Result<(), TestCaseError> {
    let before = fs::read(home.part()).unwrap();
    let mut changes = Changes::new();
    let step = model.steps.first().map_or(0, |(number, _)| *number);
    let next = execution.epoch().next();
    let error = match refused {
        Refused::SameEpoch => execution.commit(execution.epoch(), []),
        Refused::EarlierExecution => execution.commit(Epoch::first(model.execution - 1), []),
        Refused::LaterExecution => execution.commit(Epoch::first(model.execution + 1), []),
        Refused::NoSuchStep => {
            changes.remove(model.next_step, 0, b"");
            execution.commit(next, [&changes])
        }
        Refused::NoSuchGroup => {
            changes.remove(step, KEY_GROUPS, b"");
            execution.commit(next, [&changes])
        }
    };
    let error = error.unwrap_err();
    let expected = match refused {
        Refused::NoSuchStep | Refused::NoSuchGroup => {
            matches!(
                error,
                StoreError::Execution(ExecutionError::WrongChange { .. })
            )
        }
        _ => matches!(
            error,
            StoreError::Execution(ExecutionError::WrongEpoch { .. })
        ),
    };
    prop_assert!(expected, "{:?}: {}", refused, error);
    prop_assert!(before == fs::read(home.part()).unwrap(), "{:?}", refused);
    prop_assert_eq!(execution.epoch(), model.epoch);
    Ok(())
}

fn work(
    home: &mut Home,
    model: &mut Model,
    past: &mut Past,
    work: &Work,
) -> Result<(), TestCaseError> {
    let look = home.look();
    match work {
        Work::Compact => {
            let compacted = look.compact(&mut |_, _| ()).unwrap();
            prop_assert_eq!(compacted.rows, model.rows.len() as u64);
        }
        Work::Backup => {
            let copy = Home::new();
            let rows = look.backup(copy.store(), &mut |_, _| ()).unwrap();
            prop_assert_eq!(rows, model.rows.len() as u64);
            model.check(&look)?;
            drop(look);
            *home = copy;
        }
        Work::Drop(at) => {
            let Some(at) = model.at(*at) else {
                return Ok(());
            };
            let dropped = look.drop_step(&model.steps[at].1).unwrap();
            prop_assert_eq!(dropped.rows, model.drop_step(at) as u64);
            past.all.clear();
        }
        Work::Rename(at) => {
            let Some(at) = model.at(*at) else {
                return Ok(());
            };
            let to = model.new_id();
            look.rename_step(&model.steps[at].1, &to).unwrap();
            model.steps[at].1 = to;
            past.all.clear();
        }
        Work::WrongFlow(at) => {
            let Some(at) = model.at(*at) else {
                return Ok(());
            };
            let before = fs::read(home.part()).unwrap();
            let mut flow = model.flow();
            flow.remove(at);
            let error = look.reconcile(&flow, &Agreed::default()).unwrap_err();
            prop_assert!(
                matches!(error, StoreError::Steps(StepsError::UnknownSteps { .. })),
                "{}",
                error
            );
            drop(look);
            prop_assert!(before == fs::read(home.part()).unwrap());
        }
    }
    model.check(&home.look())
}

/// Starts as the model says, and checks that a manifest from before the start is refused then.
fn restart(
    home: &Home,
    model: &mut Model,
    past: &mut Past,
    next: &Next,
    setting: &Setting,
) -> Result<Execution, TestCaseError> {
    let mut look = home.look();
    let back_to = setting.back_to.filter(|_| !past.all.is_empty());
    if let Some(at) = back_to.map(|at| at % past.all.len()) {
        look = match look.go_back(past.all[at].epoch) {
            Ok(back) => {
                let then = past.all.drain(at..).next().unwrap();
                (model.epoch, model.steps, model.rows) = (then.epoch, then.steps, then.rows);
                back
            }
            // Going back again needs another epoch.
            Err(StoreError::GoBack(GoBackError::WentBack { .. })) => home.look(),
            Err(error) => panic!("{error}"),
        };
    }
    let look = look.retaining(setting.retain);
    past.retain = setting.retain;
    past.keep(model);
    let older = look.reconcile(&model.flow(), &Agreed::default()).unwrap();
    let from = model.epoch;
    let (flow, agreed) = model.next(next);
    let manifest = look.reconcile(&flow, &agreed).unwrap();
    let numbers = manifest.numbers.iter().copied();
    let ids = flow.iter().map(|step| step.id.clone());
    let mut steps: Vec<_> = numbers.zip(ids).collect();
    steps.sort();
    prop_assert_eq!(&steps, &model.steps);
    let execution = start(look, &manifest);
    model.start();
    prop_assert_eq!(execution.number(), model.execution);
    prop_assert_eq!(
        (execution.resumed_from(), execution.epoch()),
        (from, model.epoch)
    );

    // I7: on what the store is now, in a copy of it, a manifest of before starts nothing
    let killed = home.killed();
    let before = fs::read(killed.part()).unwrap();
    let nothing = Changes::new();
    let start = Start::new("older", &older, &nothing);
    let error = killed.look().start(start).unwrap_err();
    prop_assert!(
        matches!(error, StoreError::Lock(LockError::Changed { .. })),
        "{}",
        error
    );
    prop_assert!(before == fs::read(killed.part()).unwrap());
    model.check(&killed.look())?;
    Ok(execution)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        max_shrink_iters: 300,
        ..ProptestConfig::default()
    })]
    #[test]
    fn the_store_is_the_model(acts in prop::collection::vec(act(), 1..16)) {
        let mut home = Home::new();
        let mut model = Model::new();
        for id in ["a", "b"] {
            model.add_step(id.to_owned());
        }
        let mut past = Past { retain: Retain::Nothing, all: Vec::new() };
        let mut execution = home.start(&model.flow());
        model.start();
        for act in acts {
            let killed = home.killed();
            model.check(&killed.look())?;
            past.check(killed.look())?;
            match act {
                Act::Commit(buffers, on) => {
                    past.keep(&model);
                    commit(&mut execution, &mut model, &buffers, on)?;
                }
                Act::Large(step, key, byte) => {
                    past.keep(&model);
                    commit(&mut execution, &mut model, &large(step, key, byte), 1)?;
                }
                Act::Refused(refused) => refuse(&home, &mut execution, &model, &refused)?,
                Act::Restart(stop, works, next, setting) => {
                    match stop {
                        Stop::End => {
                            execution.end(End::Stopped).unwrap();
                            *model.ended.last_mut().unwrap() = true;
                        }
                        Stop::Drop => drop(execution),
                        Stop::Kill => {
                            let killed = home.killed();
                            drop(execution);
                            home = killed;
                        }
                    }
                    model.check(&home.look())?;
                    past.check(home.look())?;
                    for one in works {
                        work(&mut home, &mut model, &mut past, &one)?;
                    }
                    past.check(home.look())?;
                    execution = restart(&home, &mut model, &mut past, &next, &setting)?;
                }
            }
        }
        drop(execution);
        model.check(&home.look())?;
        past.check(home.look())?;
    }
}
