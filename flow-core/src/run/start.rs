//! Decisions before a run starts: which partitions there are, and whether the flow matches the
//! store.

use std::{
    collections::{BTreeSet, HashMap},
    panic::{AssertUnwindSafe, catch_unwind},
};

use flow_store::{
    Agreed, Changes, End, Execution, FailPoint, FailureRecord, KEY_GROUPS, Look, Manifest, Notice,
    Start, StepKind, StepSpec, StoreError,
};

use super::Recovery;
use crate::{
    engine::{Head, message_of},
    error::{BuildError, ResumeError, RunError, SourceError},
    files::FileId,
    graph::{Graph, Keeps, Step, StepIndex},
    names::short,
    resume::{AllKeys, Resume, Settled, Unsettled},
    source::forget,
};

/// The partitions of one source, sorted.
pub(super) struct Listed {
    step: StepIndex,
    partitions: Vec<String>,
    /// Pairs: the first partition is read only when the second has come to its end.
    after: Vec<(String, String)>,
}

/// The notices name at most this many renamed partitions one by one.
const MOVES_TOLD: usize = 8;

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
            after: Vec::new(),
        });
    }
    Ok(listed)
}

/// Deals the partitions of each source to the workers in turn, and starts each source one worker
/// further. A partition that is read behind another goes to the same worker.
pub(super) fn deal(listed: &[Listed], workers: usize) -> Vec<Vec<(StepIndex, Vec<String>)>> {
    let mut dealt = vec![Vec::new(); workers];
    for (ordinal, source) in listed.iter().enumerate() {
        let mut shares = vec![Vec::new(); workers];
        let after: HashMap<_, _> = source
            .after
            .iter()
            .map(|(name, first)| (name, first))
            .collect();
        let places: HashMap<_, _> = source.partitions.iter().zip(ordinal..).collect();
        for (partition, place) in source.partitions.iter().zip(ordinal..) {
            // Partitions that wait for one, directly or not, go to its worker.
            let mut root = partition;
            while let Some(first) = after.get(root) {
                root = first;
            }
            let place = places.get(root).unwrap_or(&place);
            shares[place % workers].push(partition.clone());
        }
        for (worker, share) in shares.into_iter().enumerate() {
            dealt[worker].push((source.step, share));
        }
    }
    dealt
}

/// How the store is opened: alone, to start from it, or beside others that only read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum As {
    Start,
    Check,
}

/// Looks at the store and decides whether the flow can resume from it. Changes nothing.
pub(super) fn look(
    graph: &Graph,
    recovery: &Recovery,
    listed: &mut [Listed],
    heads: &[Head],
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
    let mut resume = Resume {
        look,
        manifest,
        places,
        keys: AllKeys::default(),
        settled: Vec::new(),
        skip_rest_of_line: recovery.skipped_lines().clone(),
    };
    let (settled, forgotten) = settle(graph, &resume, recovery, listed, heads)?;
    for (step, settled) in &settled {
        let source = listed.iter_mut().find(|source| source.step == *step);
        if let Some(source) = source {
            source.partitions.clone_from(&settled.partitions);
            source.after.clone_from(&settled.after);
        }
        let told = settled.moves.iter().take(MOVES_TOLD);
        let moves = told.map(|(from, to)| Notice::Moved {
            id: graph.id(*step),
            from: from.clone(),
            to: to.clone(),
            begins_anew: settled.after.iter().any(|(name, _)| name == from),
        });
        resume.manifest.notices.extend(moves);
        let more = settled.moves.len().saturating_sub(MOVES_TOLD);
        if more > 0 {
            let (id, partitions) = (graph.id(*step), more);
            let more = Notice::MovedToo { id, partitions };
            resume.manifest.notices.push(more);
        }
        if let Some((partition, more)) = settled.replaced.split_first() {
            resume.manifest.notices.push(Notice::Replaced {
                id: graph.id(*step),
                partition: partition.clone(),
                more: more.len(),
            });
        }
    }
    resume.settled = settled;
    skipped_lines(&resume, listed)?;
    FailPoint::Looked.pass();
    Ok((resume, forgotten))
}

fn spec(step: &Step) -> Option<StepSpec> {
    let kind = match step.keeps {
        Keeps::Nothing => return None,
        Keeps::Tokens => StepKind::Source,
        Keeps::States => StepKind::State,
        Keeps::Positions => StepKind::Sink,
        Keeps::Times => StepKind::Time,
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

/// Settles where the partitions of all sources resume, and which of their rows are removed. If a
/// partition is gone before it was finished, the start is refused unless the user has agreed.
fn settle(
    graph: &Graph,
    resume: &Resume,
    recovery: &Recovery,
    listed: &[Listed],
    heads: &[Head],
) -> Result<(Vec<(StepIndex, Settled)>, Changes), RunError> {
    let (dropped, renames) = (recovery.dropped_partitions(), recovery.renames());
    let outputs = graph.outputs();
    let mut all = Vec::new();
    let mut changes = Changes::new();
    for source in listed {
        let head = heads.iter().find(|head| head.step == source.step);
        let Some(settle) = head.and_then(|head| head.settle.as_ref()) else {
            continue;
        };
        let step = graph.id(source.step);
        let stored = resume.stored(source.step);
        let rows = match stored {
            Some(stored) => (resume.look.rows(stored.number, 0..KEY_GROUPS))
                .and_then(Iterator::collect)
                .map_err(ResumeError::from)?,
            None => Vec::new(),
        };
        let unsettled = Unsettled {
            step: &step,
            rows,
            change: resume.change(graph, source.step),
            listed: &source.partitions,
            dropped,
            renames,
            is_output: &|path| outputs.contains(&FileId::of(path)),
        };
        let settled = catch_unwind(AssertUnwindSafe(|| settle(&unsettled)));
        let settled = settled.map_err(|panic| BuildError::Panicked {
            step: Some(step.clone()),
            message: message_of(&*panic),
        })??;
        if let Some(number) = resume.number(source.step) {
            forget(&settled, number, &mut changes);
        }
        all.push((source.step, settled));
    }
    let known: BTreeSet<&String> = all.iter().flat_map(|(_, settled)| &settled.known).collect();
    let unused = dropped.iter().find(|name| !known.contains(name));
    let unused = unused.cloned().or_else(|| {
        renames.unused(|is_of| {
            all.iter().any(|(_, settled)| {
                let mut known = settled.known.iter();
                known.any(|name| is_of(name, &settled.partitions))
            })
        })
    });
    match unused {
        None => Ok((all, changes)),
        Some(partition) => {
            let known = known.into_iter().cloned().collect();
            Err(ResumeError::NoSuchPartition { partition, known }.into())
        }
    }
}

/// Refuses `skip_rest_of_line` for a partition that no source has.
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

/// The small budget after an aborted execution: for how many records it holds, and how many may be
/// in flight at a time.
///
/// The record that caused the abort is among those that the aborted execution had read beyond its
/// last durable epoch. First a few of them are in flight at a time. If that fails too, they go one
/// by one.
pub(super) fn caution(look: &Look) -> Option<(u64, u64)> {
    const FEW: u64 = 64;
    match look.last_execution()?.ended.as_ref()? {
        (_, End::Aborted { in_flight, .. }) => {
            Some((*in_flight, if *in_flight > FEW { FEW } else { 1 }))
        }
        _ => None,
    }
}

/// How the last run failed, and how many runs in a row failed like that.
pub(super) fn failures_in_a_row(look: &Look) -> Result<Option<(FailureRecord, u64)>, StoreError> {
    let mut executions = look.executions()?;
    let mut failed = executions
        .drain(..)
        .rev()
        .map(|execution| match execution.ended {
            Some((_, End::Failed(failure) | End::Aborted { failure, .. })) => Some(failure),
            _ => None,
        });
    let Some(Some(last)) = failed.next() else {
        return Ok(None);
    };
    let alike = |failure: &Option<FailureRecord>| {
        let failure = failure.as_ref();
        failure.is_some_and(|failure| failure.is_like(&last))
    };
    let before = failed.take_while(alike).count() as u64;
    Ok(Some((last, before + 1)))
}

/// Records the execution. From here on the store is changed.
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
            after: Vec::new(),
        };
        let dealt = deal(&[source(0, &["a", "b", "c"]), source(1, &["d"])], 2);
        let names = |worker: usize, source: usize| dealt[worker][source].1.join("");
        assert_eq!((names(0, 0), names(1, 0)), ("ac".into(), "b".into()));
        assert_eq!((names(0, 1), names(1, 1)), (String::new(), "d".into()));
        // A partition that waits for another goes to the same worker.
        let mut chain = source(0, &["a", "b", "c", "d"]);
        chain.after = [("a", "b"), ("b", "c")]
            .map(|(one, other)| (one.into(), other.into()))
            .into();
        let dealt = deal(&[chain], 2);
        let names = |worker: usize| dealt[worker][0].1.join("");
        assert_eq!((names(0), names(1)), ("abc".into(), "d".into()));
    }
}
