//! What is wrong with a flow as it was built: found before anything is opened, all at once.

use std::{collections::HashMap, path::Path};

use super::{Graph, Keeps, MOST_STEPS, Step, files};
use crate::error::BuildError;

pub(super) fn check(graph: &Graph, store: Option<&Path>) -> Vec<BuildError> {
    let mut errors = Vec::new();
    no_name(graph, &mut errors);
    double_ids(graph, &mut errors);
    unused(graph, &mut errors);
    results_in_sinks(graph, &mut errors);
    files::check(graph, store, &mut errors);
    conversions(graph, &mut errors);
    too_deep(graph, &mut errors);
    if store.is_some() {
        types(graph, &mut errors);
        cannot_resume(graph, &mut errors);
    }
    errors
}

fn no_name(graph: &Graph, errors: &mut Vec<BuildError>) {
    for step in &graph.steps {
        if step.keeps == Keeps::States && !step.is_named() {
            errors.push(BuildError::NoName {
                kind: step.kind.clone(),
                place: step.place.clone(),
            });
        }
    }
}

fn double_ids(graph: &Graph, errors: &mut Vec<BuildError>) {
    let mut seen: HashMap<String, &Step> = HashMap::new();
    for step in &graph.steps {
        let unnamed_state = step.keeps == Keeps::States && !step.is_named();
        if step.keeps == Keeps::Nothing || unnamed_state {
            continue;
        }
        let id = step.id();
        let Some(first) = seen.get(&id) else {
            seen.insert(id, step);
            continue;
        };
        let (first, second) = (first.place.clone(), step.place.clone());
        errors.push(if first == second && step.path.is_nested() {
            BuildError::DataflowUsedTwice { id, place: first }
        } else {
            BuildError::DoubleId { id, first, second }
        });
    }
}

fn unused(graph: &Graph, errors: &mut Vec<BuildError>) {
    let mut used = vec![false; graph.steps.len()];
    for step in &graph.steps {
        for input in &step.inputs {
            if let Some(used) = used.get_mut(*input) {
                *used = true;
            }
        }
    }
    for (step, used) in graph.steps.iter().zip(used) {
        if !used && step.keeps != Keeps::Positions {
            errors.push(BuildError::Unused {
                id: step.id(),
                place: step.place.clone(),
            });
        }
    }
    if graph.steps.is_empty() {
        errors.push(BuildError::Empty);
    }
}

fn results_in_sinks(graph: &Graph, errors: &mut Vec<BuildError>) {
    for step in &graph.steps {
        if step.keeps == Keeps::Positions && step.item.starts_with("core::result::Result<") {
            errors.push(BuildError::ResultInSink {
                id: step.id(),
                item: crate::names::short(step.item),
                place: step.place.clone(),
            });
        }
    }
}

fn cannot_resume(graph: &Graph, errors: &mut Vec<BuildError>) {
    for step in &graph.steps {
        if step.facts.cannot_resume {
            errors.push(BuildError::CannotResume {
                id: step.id(),
                place: step.place.clone(),
            });
        }
    }
}

/// The first step of each chain that has one too many: those behind it are no further mistakes.
fn too_deep(graph: &Graph, errors: &mut Vec<BuildError>) {
    for step in &graph.steps {
        if step.facts.depth == MOST_STEPS + 1 {
            errors.push(BuildError::ChainTooLong {
                id: step.id(),
                place: step.place.clone(),
                most: MOST_STEPS,
            });
        }
    }
}

fn conversions(graph: &Graph, errors: &mut Vec<BuildError>) {
    for step in &graph.steps {
        let types = &step.types;
        let (id, place) = (step.id(), step.place.clone());
        if types.old_keys.is_empty() && types.old_states.is_empty() {
            continue;
        }
        let Some(state) = types.state_type else {
            errors.push(BuildError::NothingToConvert { id, place });
            continue;
        };
        if let Some(other) = types.old_states.iter().find(|old| old.to != state) {
            errors.push(BuildError::MigratesToOther {
                id,
                place,
                makes: crate::names::short(other.to_name),
                keeps: crate::names::short(step.state.unwrap_or_default()),
            });
        }
    }
}

/// What the store could not hold, or not tell apart.
fn types(graph: &Graph, errors: &mut Vec<BuildError>) {
    for step in &graph.steps {
        let schemas = step.types.schemas();
        let state = match step.keeps {
            Keeps::Tokens => "token",
            Keeps::Positions => "position",
            Keeps::States | Keeps::Nothing => "state",
        };
        let pairs = [
            ("key", &schemas.key, &schemas.old_keys, &step.types.old_keys),
            (
                state,
                &schemas.state,
                &schemas.old_states,
                &step.types.old_states,
            ),
        ];
        for (what, schema, old_schemas, olds) in pairs {
            let Some(schema) = schema else { continue };
            if let Some((path, part)) = schema.ambiguous() {
                errors.push(BuildError::Ambiguous {
                    id: step.id(),
                    place: step.place.clone(),
                    what,
                    path,
                    part: Box::new(part.clone()),
                });
            }
            for (old_schema, old) in old_schemas.iter().zip(olds) {
                if schema.differences(old_schema).is_empty() {
                    errors.push(BuildError::LooksTheSame {
                        id: step.id(),
                        place: step.place.clone(),
                        old: crate::names::short(old.name),
                        other: "the present one".to_owned(),
                        schema: Box::new(schema.clone()),
                    });
                }
            }
            // The first of two would be taken for both.
            for (index, old) in olds.iter().enumerate() {
                let before = old_schemas.iter().zip(olds).take(index);
                let same =
                    before.filter(|(schema, _)| schema.differences(&old_schemas[index]).is_empty());
                for (schema, other) in same {
                    errors.push(BuildError::LooksTheSame {
                        id: step.id(),
                        place: step.place.clone(),
                        old: crate::names::short(old.name),
                        other: format!("the old `{}`", crate::names::short(other.name)),
                        schema: Box::new(schema.clone()),
                    });
                }
            }
        }
    }
}
