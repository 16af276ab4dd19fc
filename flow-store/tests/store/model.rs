//! Random commits, kills and starts against a map.

use crate::support::*;
use flow_store::{Changes, End, Epoch, KEY_GROUPS, StoreError};
use proptest::prelude::*;
use std::collections::BTreeMap;

type Model = BTreeMap<(u16, u16, Vec<u8>), Vec<u8>>;

#[derive(Debug, Clone)]
enum Act {
    /// Changes in how many buffers, and how far the epoch goes on.
    Commit(Vec<Vec<Edit>>, u64),
    Kill,
    End,
    /// A copy made while it runs goes on.
    KillHard,
}

/// A row of two steps, few groups and few keys, so that the same comes often.
#[derive(Debug, Clone)]
struct Edit {
    step: u16,
    group: u16,
    key: Vec<u8>,
    value: Option<Vec<u8>>,
}

fn edit() -> impl Strategy<Value = Edit> {
    (
        0..2u16,
        prop_oneof![Just(0), Just(511), Just(1023), 0..KEY_GROUPS],
        prop::collection::vec(0..3u8, 0..3),
        prop::option::weighted(0.7, prop::collection::vec(any::<u8>(), 0..40)),
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
    prop_oneof![
        6 => (changes, 1..5u64).prop_map(|(changes, on)| Act::Commit(changes, on)),
        1 => Just(Act::Kill),
        1 => Just(Act::End),
        1 => Just(Act::KillHard),
    ]
}

fn check(home: &Home, model: &Model, at: Epoch) -> Result<(), TestCaseError> {
    let look = home.look();
    prop_assert_eq!(look.epoch(), at);
    let mut found = Model::new();
    for step in 0..2 {
        for row in look.rows(step, 0..KEY_GROUPS).unwrap() {
            let row = row.unwrap();
            found.insert((step, row.group, row.key), row.value);
        }
    }
    prop_assert_eq!(&found, model);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, ..ProptestConfig::default() })]
    #[test]
    fn the_store_is_a_map(acts in prop::collection::vec(act(), 1..14)) {
        let flow = [step("a"), step("b")];
        let mut home = Home::new();
        let mut model = Model::new();
        let mut execution = home.start(&flow);
        for act in acts {
            match act {
                Act::Commit(buffers, on) => {
                    let buffers: Vec<Changes> = buffers.into_iter().map(|edits| {
                        let mut changes = Changes::new();
                        for Edit { step, group, key, value } in edits {
                            match &value {
                                Some(value) => changes.put(step, group, &key, |bytes| {
                                    bytes.extend_from_slice(value);
                                    Ok::<(), StoreError>(())
                                }).unwrap(),
                                None => changes.remove(step, group, &key),
                            }
                            match value {
                                Some(value) => model.insert((step, group, key), value),
                                None => model.remove(&(step, group, key)),
                            };
                        }
                        changes
                    }).collect();
                    let epoch = Epoch::from_u64(execution.epoch().to_u64() + on);
                    execution.commit(epoch, &buffers).unwrap();
                    prop_assert_eq!(execution.epoch(), epoch);
                    continue;
                }
                Act::Kill => drop(execution),
                Act::End => {
                    let at = execution.epoch();
                    execution.end(End::Stopped).unwrap();
                    check(&home, &model, at)?;
                }
                Act::KillHard => {
                    let killed = home.killed();
                    check(&killed, &model, execution.epoch())?;
                    drop(execution);
                    home = killed;
                }
            }
            let before = home.look();
            let (at, number) = (before.epoch(), before.next_execution());
            drop(before);
            execution = home.start(&flow);
            prop_assert_eq!((execution.resumed_from(), execution.number()), (at, number));
            prop_assert_eq!(execution.epoch(), Epoch::opening(number));
        }
        let at = execution.epoch();
        drop(execution);
        check(&home, &model, at)?;
    }
}
