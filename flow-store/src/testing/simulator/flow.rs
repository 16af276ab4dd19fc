//! The steps of a flow, their changes from one start to the next, and the rows that they write.

use super::Random;
use crate::codec::CodecError;
use crate::format::changes::Changes;
use crate::manifest::{Agreed, Manifest};
use crate::schema::Schema;
use crate::step::{Schemas, StepKind, StepSpec};
use std::collections::BTreeMap;

/// Values by step, key group and key.
pub(super) type Rows = BTreeMap<(u16, u16, Vec<u8>), Vec<u8>>;

/// A step of a store.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Step {
    pub(super) number: u16,
    pub(super) id: String,
    /// The schema of its states: one of [`STATES`].
    pub(super) state: Option<Schema>,
}

/// The types have different bytes, so a step that changes from one to another is rewritten.
const STATES: [&str; 3] = ["String", "(String, u8)", "[String]"];

fn schema(text: &str) -> Schema {
    text.parse().unwrap()
}

/// The steps of a new store.
pub(super) fn first_steps() -> Vec<Step> {
    let steps = [(0, "a"), (1, "b")].map(|(number, id)| Step {
        number,
        id: id.to_owned(),
        state: Some(schema(STATES[0])),
    });
    steps.to_vec()
}

fn spec(id: String, state: Option<Schema>) -> StepSpec {
    StepSpec {
        id,
        kind: StepKind::State,
        operator: "stateful_map".to_owned(),
        key_type: "u8".to_owned(),
        state_type: "String".to_owned(),
        schemas: Schemas {
            state,
            ..Schemas::default()
        },
        renamed_from: Vec::new(),
        place: String::new(),
    }
}

pub(super) fn flow_of(steps: &[Step]) -> Vec<StepSpec> {
    let steps = steps.iter();
    steps
        .map(|step| spec(step.id.clone(), step.state.clone()))
        .collect()
}

/// An id that no step has.
pub(super) fn new_id(steps: &[Step]) -> String {
    let mut ids = (0..).map(|n| format!("step {n}"));
    let free = ids.find(|id| steps.iter().all(|step| step.id != *id));
    free.unwrap_or_default()
}

/// The same flow with one change of a step: it is new, renamed, has another state type, is dropped,
/// or is dropped and still in the flow.
pub(super) fn another_flow(steps: &[Step], random: &mut Random) -> (Vec<StepSpec>, Agreed) {
    let mut flow = flow_of(steps);
    let mut agreed = Agreed::default();
    let at = random.below(steps.len().max(1) as u64) as usize;
    match random.below(6) {
        1 if !steps.is_empty() => {
            let old = std::mem::replace(&mut flow[at].id, new_id(steps));
            flow[at].renamed_from.push(old);
        }
        2 if steps.len() > 1 => {
            agreed.drop_steps.insert(flow.remove(at).id);
        }
        3 if !steps.is_empty() => {
            agreed.drop_steps.insert(flow[at].id.clone());
        }
        4 | 5 if !steps.is_empty() => {
            let schemas = &mut flow[at].schemas;
            let state = STATES[random.below(STATES.len() as u64) as usize];
            schemas
                .old_states
                .extend(schemas.state.replace(schema(state)));
        }
        _ if steps.len() < 4 => flow.push(spec(new_id(steps), Some(schema(STATES[0])))),
        _ => {}
    }
    (flow, agreed)
}

/// Applies a manifest to steps and rows, as a start does, and returns the rows that the start must
/// write for it.
pub(super) fn carry_out(
    manifest: &Manifest,
    flow: &[StepSpec],
    steps: &mut Vec<Step>,
    rows: &mut Rows,
) -> Changes {
    let mut changes = Changes::new();
    for (number, rewrite) in manifest.numbers.iter().zip(&manifest.rewrites) {
        let Some(rewrite) = rewrite else {
            continue;
        };
        let old: Vec<_> = rows
            .extract_if(.., |(step, ..), _| *step == rewrite.from)
            .collect();
        for ((_, group, key), value) in old {
            let text = crate::decode::<String>(&value).unwrap();
            put(
                &mut changes,
                rows,
                (*number, group, key),
                &(text + ", anew"),
            );
        }
    }
    rows.retain(|(step, ..), _| {
        !manifest
            .dropped
            .iter()
            .any(|dropped| dropped.number == *step)
    });
    let specs = manifest.numbers.iter().zip(flow);
    *steps = specs
        .map(|(number, step)| Step {
            number: *number,
            id: step.id.clone(),
            state: step.schemas.state.clone(),
        })
        .collect();
    steps.sort_by_key(|step| step.number);
    changes
}

fn put(
    changes: &mut Changes,
    rows: &mut Rows,
    (step, group, key): (u16, u16, Vec<u8>),
    text: &str,
) {
    let mut value = Vec::new();
    let put = changes.put(step, group, &key, |bytes| {
        crate::encode(text, &mut value)?;
        bytes.extend_from_slice(&value);
        Ok::<(), CodecError>(())
    });
    put.unwrap();
    rows.insert((step, group, key), value);
}

/// Puts and removes some rows. There are few keys, so they recur often. Few values are longer than
/// a page.
pub(super) fn change_some(
    steps: &[u16],
    random: &mut Random,
    rows: &mut Rows,
    changes: &mut Changes,
) {
    for _ in 0..random.below(20) {
        if steps.is_empty() {
            return;
        }
        let step = steps[random.below(steps.len() as u64) as usize];
        let mut key = Vec::new();
        crate::encode(&random.below(60), &mut key).unwrap();
        let group = StepKind::State.group(&key);
        if random.below(4) == 0 {
            changes.remove(step, group, &key);
            rows.remove(&(step, group, key));
            continue;
        }
        let len = match random.below(30) {
            0 => 9000,
            _ => random.below(120),
        };
        let letter = char::from(b'a' + random.below(26) as u8);
        let text = String::from(letter).repeat(len as usize);
        put(changes, rows, (step, group, key), &text);
    }
}
