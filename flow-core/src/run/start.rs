//! What is decided before a run starts: which partitions there are, and whether flow and store fit.

use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
};

use flow_store::{
    Agreed, Changes, End, Execution, FailPoint, KEY_GROUPS, Look, Manifest, Start, StepKind,
    StepSpec, StoreError,
};

use super::{Recovery, failure::first_line};
use crate::{
    engine::{Head, Resume, message_of},
    error::{BuildError, ResumeError, RunError, SourceError, TypeChange},
    graph::{Graph, Keeps, Step, StepIndex},
    names::short,
    source::{StoredToken, drop_partition},
};

/// The partitions of one source, sorted.
pub(super) struct Listed {
    step: StepIndex,
    partitions: Vec<String>,
}

/// Lists the partitions of all sources.
pub(super) fn list_partitions(graph: &Graph, heads: &[Head]) -> Result<Vec<Listed>, BuildError> {
    let mut listed = Vec::new();
    for head in heads {
        let Some(partitions) = &head.partitions else {
            continue;
        };
        let failed = |error| BuildError::Source {
            step: graph.id(head.step),
            place: graph.place(head.step),
            error,
        };
        let partitions =
            catch_unwind(AssertUnwindSafe(partitions)).map_err(|panic| BuildError::Panicked {
                step: Some(graph.id(head.step)),
                message: message_of(&*panic),
            })?;
        let mut partitions = partitions.map_err(failed)?;
        partitions.sort();
        if let Some(pair) = partitions.windows(2).find(|pair| pair[0] == pair[1]) {
            let text = format!("it has two partitions called `{}`", pair[0]);
            return Err(failed(SourceError::new(text)));
        }
        listed.push(Listed {
            step: head.step,
            partitions,
        });
    }
    Ok(listed)
}

/// Deals the partitions to the workers: those of each source in turn, each source starting one worker further.
pub(super) fn deal(listed: &[Listed], workers: usize) -> Vec<Vec<(StepIndex, Vec<String>)>> {
    let mut dealt = vec![Vec::new(); workers];
    for (ordinal, source) in listed.iter().enumerate() {
        let mut shares = vec![Vec::new(); workers];
        for (index, partition) in source.partitions.iter().enumerate() {
            shares[(ordinal + index) % workers].push(partition.clone());
        }
        for (worker, share) in shares.into_iter().enumerate() {
            dealt[worker].push((source.step, share));
        }
    }
    dealt
}

/// How a store is looked at: alone, to be started from, or together with others that only read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum As {
    Start,
    Check,
}

/// Looks at the store, and decides whether the flow can go on from it. Changes nothing.
pub(super) fn look(
    graph: &Graph,
    recovery: &Recovery,
    listed: &[Listed],
    how: As,
) -> Result<(Resume, Changes), RunError> {
    let look = match how {
        As::Start => Look::at(recovery.directory()),
        As::Check => Look::read(recovery.directory()),
    };
    let look = look.map_err(ResumeError::from)?;
    let look = look.retaining(recovery.retained());
    let look = match recovery.epoch() {
        Some(epoch) => look.go_back(epoch).map_err(ResumeError::from)?,
        None => look,
    };
    let mut specs = Vec::new();
    let places = graph
        .steps()
        .iter()
        .map(|step| {
            let spec = spec(step)?;
            specs.push(spec);
            Some(specs.len() - 1)
        })
        .collect();
    let agreed = Agreed {
        drop_steps: recovery.dropped_steps().clone(),
    };
    let manifest = look.reconcile(&specs, &agreed).map_err(ResumeError::from)?;
    let resume = Resume {
        look,
        manifest,
        places,
        partitions: listed
            .iter()
            .map(|source| (source.step, source.partitions.clone()))
            .collect(),
        dropped: recovery.dropped_partitions().clone(),
        skip_rest_of_line: recovery.skipped_lines().clone(),
    };
    let dropped = missing_partitions(graph, &resume, recovery.dropped_partitions(), listed)?;
    skipped_lines(&resume, listed)?;
    FailPoint::Looked.pass();
    Ok((resume, dropped))
}

fn spec(step: &Step) -> Option<StepSpec> {
    let kind = match step.keeps {
        Keeps::Nothing => return None,
        Keeps::Tokens => StepKind::Source,
        Keeps::States => StepKind::State,
        Keeps::Positions => StepKind::Sink,
    };
    Some(StepSpec {
        id: step.id(),
        kind,
        operator: step.kind.clone(),
        key_type: short(step.key.unwrap_or_default()),
        // A sink without positions has no rows.
        state_type: short(step.state?),
        schemas: step.types.schemas(),
        renamed_from: step.former_ids(),
        place: step.place.to_string(),
    })
}

/// Refuses partitions that are gone before they were finished, unless that has been agreed to.
fn missing_partitions(
    graph: &Graph,
    resume: &Resume,
    agreed: &BTreeSet<String>,
    listed: &[Listed],
) -> Result<Changes, ResumeError> {
    let mut dropped = Changes::new();
    let mut unused = agreed.clone();
    let mut known = Vec::new();
    for source in listed {
        let Some(number) = resume.number(source.step) else {
            continue;
        };
        let step = graph.id(source.step);
        let mut gone = Vec::new();
        for row in resume.look.rows(number, 0..KEY_GROUPS)? {
            let row = row?;
            let stored =
                StoredToken::read(&row.key, &row.value).map_err(|cause| ResumeError::Token {
                    step: step.clone(),
                    gone: false,
                    part: crate::state::key_text(&row.key),
                    token: String::new(),
                    cause,
                    change: Box::new(TypeChange::unknown(
                        (resume.stored(source.step))
                            .map_or_else(|| step.clone(), |stored| stored.id.clone()),
                    )),
                })?;
            let name = stored.partition;
            if source.partitions.contains(&name) {
                known.push(name);
            } else if agreed.contains(&name) {
                unused.remove(&name);
                drop_partition(number, &name, &mut dropped);
            } else {
                known.push(name.clone());
                if !stored.done {
                    gone.push(name);
                }
            }
        }
        if !gone.is_empty() {
            return Err(ResumeError::PartitionGone {
                step,
                partitions: gone,
            });
        }
    }
    match unused.pop_first() {
        None => Ok(dropped),
        Some(partition) if known.contains(&partition) => {
            Err(ResumeError::PartitionThere { partition })
        }
        Some(partition) => Err(ResumeError::NoSuchPartition { partition, known }),
    }
}

/// Refuses to skip the rest of a line of a partition that no source has.
fn skipped_lines(resume: &Resume, listed: &[Listed]) -> Result<(), ResumeError> {
    let known: BTreeSet<&String> = listed
        .iter()
        .flat_map(|source| &source.partitions)
        .collect();
    match resume
        .skip_rest_of_line
        .iter()
        .find(|name| !known.contains(name))
    {
        Some(partition) => Err(ResumeError::NoLineToSkip {
            partition: partition.clone(),
            known: known.into_iter().cloned().collect(),
        }),
        None => Ok(()),
    }
}

/// The small budget of an execution after one that was aborted: for how many records, and how many at a time.
///
/// What the aborted execution had read beyond its last durable epoch holds the poisonous record. A few records
/// at a time first; if that fails too, one by one.
pub(super) fn caution(look: &Look) -> Option<(u64, u64)> {
    const FEW: u64 = 64;
    match look.last_execution()?.ended.as_ref()? {
        (_, End::Aborted { in_flight, .. }) => {
            Some((*in_flight, if *in_flight > FEW { FEW } else { 1 }))
        }
        _ => None,
    }
}

/// How the last runs failed, by the place or by what they said, and how many in a row failed like that.
pub(super) fn failures_in_a_row(look: &Look) -> Result<Option<(String, u64)>, StoreError> {
    let executions = look.executions()?;
    let mut failed = executions
        .iter()
        .rev()
        .map(|execution| match &execution.ended {
            Some((_, End::Failed { position, .. })) => Some(position.as_str()),
            Some((_, End::Aborted { error, .. })) => Some(first_line(error)),
            _ => None,
        });
    let Some(Some(last)) = failed.next() else {
        return Ok(None);
    };
    let before = failed
        .take_while(|position| *position == Some(last))
        .count() as u64;
    Ok(Some((last.to_owned(), before + 1)))
}

/// Records the execution: from here on the store is changed.
pub(super) fn open(
    resume: Resume,
    graph: &Graph,
    workers: usize,
    opening: &Changes,
) -> Result<Execution, StoreError> {
    let Resume { look, manifest, .. } = resume;
    look.start(with(&manifest, graph, workers, opening))
}

/// Refuses what [`open`] would refuse before it changes anything.
pub(super) fn check(
    resume: &Resume,
    graph: &Graph,
    workers: usize,
    opening: &Changes,
) -> Result<(), StoreError> {
    let start = with(&resume.manifest, graph, workers, opening);
    resume.look.check_start(&start)
}

fn with<'a>(
    manifest: &'a Manifest,
    graph: &'a Graph,
    workers: usize,
    changes: &'a Changes,
) -> Start<'a> {
    Start {
        manifest,
        flow_name: graph.name(),
        workers,
        build: env!("CARGO_PKG_VERSION"),
        changes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_dealt_round_robin_and_sources_start_apart() {
        let source = |step, names: &[&str]| Listed {
            step: StepIndex(step),
            partitions: names.iter().map(|name| (*name).to_owned()).collect(),
        };
        let dealt = deal(&[source(0, &["a", "b", "c"]), source(1, &["d"])], 2);
        let names = |worker: usize, source: usize| dealt[worker][source].1.join("");
        assert_eq!((names(0, 0), names(1, 0)), ("ac".into(), "b".into()));
        assert_eq!((names(0, 1), names(1, 1)), (String::new(), "d".into()));
    }
}
