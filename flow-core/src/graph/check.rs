//! Checks of a flow as it was built. They run before anything is opened, and report all mistakes at
//! once.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
};

use super::{Graph, Keeps, MOST_STEPS, Step, files};
use crate::{
    error::{BadName, BuildError},
    names::{self, short},
};

pub(super) fn check(graph: &Graph, store: Option<&Path>) -> Vec<BuildError> {
    let mut errors = Vec::new();
    no_name(graph, &mut errors);
    bad_names(graph, &mut errors);
    double_ids(graph, &mut errors);
    unused(graph, &mut errors);
    results_in_sinks(graph, &mut errors);
    files::check(graph, store, &mut errors);
    conversions(graph, &mut errors);
    too_deep(graph, &mut errors);
    times_behind_shuffles(graph, &mut errors);
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

/// Refuses names that can't be part of an id: present and former names of steps, scopes and
/// dataflows.
fn bad_names(graph: &Graph, errors: &mut Vec<BuildError>) {
    let mut scopes = HashSet::new();
    for step in &graph.steps {
        let mut bad = |what, name: &str, why| {
            errors.push(BuildError::BadName {
                name: name.to_owned(),
                what,
                why,
                place: step.place.clone(),
            });
        };
        // The kind of a step that is never stored is only a label, so it is not checked.
        if let Some(name) = step
            .name
            .as_deref()
            .or(step.has_rows().then_some(&*step.kind))
            && let Err(why) = name_of_one(name)
        {
            bad("step", name, why);
        }
        for (name, former) in step.path.scopes() {
            if !scopes.insert((name, former)) {
                continue;
            }
            if let Err(why) = name_of_one(name) {
                bad("scope", name, why);
            }
            if let Some(former) = former
                && let Err(why) = former.split('.').try_for_each(name_of_one)
            {
                bad("former dataflow", former, why);
            }
        }
        for name in &step.renamed_from {
            // A former name may be a whole id, whose names are joined by periods.
            if let Err(why) = name.split('.').try_for_each(name_of_one) {
                bad("former step", name, why);
            }
        }
    }
}

/// Checks that this can be the name of one step or scope.
fn name_of_one(name: &str) -> Result<(), BadName> {
    if name.is_empty() {
        Err(BadName::Empty)
    } else if name.contains('.') {
        Err(BadName::Period)
    } else if name.contains(invisible) || name.trim() != name {
        Err(BadName::Invisible)
    } else if name.len() > 255 {
        Err(BadName::TooLong)
    } else {
        Ok(())
    }
}

/// Whether a character can't be seen: control characters, zero-width characters, line separators
/// and marks of text direction.
fn invisible(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
        )
}

fn double_ids(graph: &Graph, errors: &mut Vec<BuildError>) {
    let mut seen: HashMap<String, &Step> = HashMap::new();
    for step in &graph.steps {
        // Only a step with rows is looked up by its id. `no_name` refuses a state without a name.
        let unnamed_state = step.keeps == Keeps::States && !step.is_named();
        if !step.has_rows() || unnamed_state {
            continue;
        }
        let id = step.id();
        let Some(before) = seen.get(&id) else {
            seen.insert(id, step);
            continue;
        };
        let (first, second) = (before.place.clone(), step.place.clone());
        errors.push(if first == second && step.path.is_nested() {
            BuildError::DataflowUsedTwice { id, place: first }
        } else if first == second {
            BuildError::MadeInLoop { id, place: first }
        } else if step.is_named() || before.is_named() {
            BuildError::DoubleId { id, first, second }
        } else {
            BuildError::TwoOfOneKind {
                what: match step.keeps {
                    Keeps::Tokens => "source",
                    Keeps::Times => "event_time step",
                    _ => "sink",
                },
                id,
                first,
                second,
            }
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
        if !used && step.keeps != Keeps::Positions && !step.facts.may_be_unused {
            errors.push(BuildError::Unused {
                id: step.id(),
                place: step.place.clone(),
                drop: step.facts.drop,
            });
        }
    }
    if graph.steps.is_empty() {
        errors.push(BuildError::Empty);
    }
}

fn results_in_sinks(graph: &Graph, errors: &mut Vec<BuildError>) {
    for step in &graph.steps {
        let (id, item, place) = (step.id(), short(step.item), step.place.clone());
        if step.keeps == Keeps::Positions && names::holds(step.item, "core::result::Result") {
            errors.push(BuildError::ResultInSink { id, item, place });
        } else if step.facts.may_write_null {
            errors.push(BuildError::OptionInSink { id, item, place });
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

/// Refuses the first step of each chain that is one too many. The steps behind it are no further
/// mistakes.
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

/// Refuses a step that gives records a time behind a shuffle: there nobody knows of which partition
/// a record is.
fn times_behind_shuffles(graph: &Graph, errors: &mut Vec<BuildError>) {
    let shuffle_before = |index: usize| {
        let (mut next, mut seen) = (vec![index], HashSet::new());
        while let Some(index) = next.pop() {
            let step = graph.steps.get(index)?;
            if step.keeps == Keeps::States {
                return Some(step.id());
            }
            next.extend(step.inputs.iter().filter(|input| seen.insert(**input)));
        }
        None
    };
    for (index, step) in graph.steps.iter().enumerate() {
        if step.keeps == Keeps::Times
            && let Some(shuffle) = shuffle_before(index)
        {
            errors.push(BuildError::TimeBehindShuffle {
                id: step.id(),
                place: step.place.clone(),
                shuffle,
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
                makes: short(other.to_name),
                keeps: short(step.state.unwrap_or_default()),
            });
        }
    }
}

/// Refuses types that the store can't hold or can't tell apart.
fn types(graph: &Graph, errors: &mut Vec<BuildError>) {
    for step in &graph.steps {
        let schemas = step.types.schemas();
        let state = match step.keeps {
            Keeps::Tokens => "token",
            Keeps::Positions => "position",
            Keeps::States | Keeps::Nothing | Keeps::Times => "state",
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
                        old: short(old.name),
                        other: "the present one".to_owned(),
                        schema: Box::new(schema.clone()),
                    });
                }
            }
            // Of two old types that look the same, the first conversion would be used for both.
            for (index, old) in olds.iter().enumerate() {
                let before = old_schemas.iter().zip(olds).take(index);
                let same =
                    before.filter(|(schema, _)| schema.differences(&old_schemas[index]).is_empty());
                for (schema, other) in same {
                    errors.push(BuildError::LooksTheSame {
                        id: step.id(),
                        place: step.place.clone(),
                        old: short(old.name),
                        other: format!("the old `{}`", short(other.name)),
                        schema: Box::new(schema.clone()),
                    });
                }
            }
        }
    }
}
