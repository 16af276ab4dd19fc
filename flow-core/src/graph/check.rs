//! What is wrong with a flow as it was built: found before anything is opened, all at once.

use std::collections::HashMap;

use super::{Graph, Keeps, Step};
use crate::error::BuildError;

pub(super) fn check(graph: &Graph, under_store: bool) -> Vec<BuildError> {
    let mut errors = Vec::new();
    no_name(graph, &mut errors);
    double_ids(graph, &mut errors);
    unused(graph, &mut errors);
    results_in_sinks(graph, &mut errors);
    double_outputs(graph, &mut errors);
    if under_store {
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

fn double_outputs(graph: &Graph, errors: &mut Vec<BuildError>) {
    let mut seen: HashMap<&str, &Step> = HashMap::new();
    for step in &graph.steps {
        let Some(output) = step.facts.output.as_deref() else {
            continue;
        };
        if let Some(first) = seen.insert(output, step) {
            errors.push(BuildError::DoubleOutput {
                output: output.to_owned(),
                first: first.place.clone(),
                second: step.place.clone(),
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
