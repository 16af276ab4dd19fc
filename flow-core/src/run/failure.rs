//! Turns failures of the engine into errors for the user.

use flow_store::{FailureKind, FailureRecord};

use super::ending::Finished;
use crate::{
    chain::{Fault, FaultOrigin},
    engine::{AbortReason, RecordFailure},
    error::{NotKept, Origin, OutputError, OutputProblem, RecordError, RunError, Safe},
    graph::{Graph, StepIndex},
};

impl Finished<'_> {
    pub(super) fn record_error(&self, failure: RecordFailure, safe: Safe) -> RunError {
        let mut error = RecordError {
            times: 1,
            step: self.graph.id(failure.step),
            source_step: self.graph.id(failure.source_step),
            partition: failure.partition,
            position: failure.position,
            line: failure.line,
            excerpt: failure.excerpt,
            cause: failure.cause,
            safe,
        };
        error.times = self.times(&of_record(&error));
        RunError::Record(Box::new(error))
    }

    /// How many runs in a row have failed like this, this one included.
    fn times(&self, failure: &FailureRecord) -> u64 {
        match &self.failed_before {
            Some((before, times)) if before.is_like(failure) => times + 1,
            _ => 1,
        }
    }

    pub(super) fn abort_error(&self, failed: AbortReason) -> RunError {
        let mut error = self.error_of(failed);
        let in_a_row = self.times(&for_store(&error));
        if let RunError::Step { times, .. } | RunError::Panicked { times, .. } = &mut error {
            *times = in_a_row;
        }
        error
    }

    fn error_of(&self, failed: AbortReason) -> RunError {
        let safe = self.safe(false);
        match failed {
            AbortReason::Step { worker, mut fault } => {
                let origin = self.origin(fault.take_origin());
                let (step, cause) = fault.into_parts();
                let step = self.graph.id(step);
                match cause.downcast::<NotKept>() {
                    Ok(error) => RunError::NotKept {
                        step,
                        worker,
                        error,
                        origin,
                        safe,
                    },
                    Err(cause) => RunError::Step {
                        step,
                        worker,
                        cause,
                        origin,
                        safe,
                        times: 1,
                    },
                }
            }
            AbortReason::Panicked {
                worker,
                step,
                message,
                origin,
            } => RunError::Panicked {
                step: self.step_name(step),
                worker,
                message,
                origin: self.origin(origin.map(|origin| *origin)),
                safe,
                times: 1,
            },
            AbortReason::Sync { step, error } => RunError::SyncOutput {
                step: self.graph.id(step),
                error,
                safe,
            },
            AbortReason::Commit(error) => RunError::Commit { error, safe },
            // Reached only if a record failed too. Otherwise these are no errors.
            AbortReason::CutShort | AbortReason::GaveUp(_) => RunError::CutShort { safe },
            AbortReason::TimedOut => RunError::StopTimedOut {
                limit: self.drain,
                steps: self.places(),
                safe,
            },
            AbortReason::Workers(message) => RunError::Lost { message, safe },
        }
    }

    fn origin(&self, origin: Option<FaultOrigin>) -> Option<Box<Origin>> {
        let origin = origin?;
        let (first, last) = origin.positions.unzip();
        Some(Box::new(Origin {
            source_step: self.graph.id(origin.source_step),
            partition: origin.partition,
            first,
            last,
            line: origin.line,
            excerpt: origin.excerpt,
        }))
    }

    fn step_name(&self, step: Option<StepIndex>) -> String {
        step.map_or_else(|| "unknown".to_owned(), |step| self.graph.id(step))
    }

    /// The step in which each worker was last seen.
    fn places(&self) -> String {
        let places = self.whereabouts.iter().enumerate().map(|(worker, at)| {
            let step = self.step_name(at.get());
            format!("worker {worker} was last in step `{step}`")
        });
        places.collect::<Vec<_>>().join(", ")
    }
}

/// A failure as the store records it: what failed and where, so that a later run can compare.
pub(super) fn for_store(error: &RunError) -> FailureRecord {
    let of_step = |kind, step: &str, origin: Option<&Origin>| {
        let mut failure = FailureRecord::new(kind, error.to_string());
        failure.step = Some(step.to_owned());
        if let Some(origin) = origin {
            failure.source = Some(origin.source_step.clone());
            failure.partition = Some(origin.partition.clone());
            // A range depends on the sizes of the batches, so two runs can't be compared by it.
            failure.position = origin.first.clone().filter(|_| origin.first == origin.last);
        }
        failure
    };
    match error {
        RunError::Record(record) => of_record(record),
        RunError::Step { step, origin, .. } => of_step(FailureKind::Step, step, origin.as_deref()),
        RunError::NotKept { step, origin, .. } => {
            of_step(FailureKind::NotKept, step, origin.as_deref())
        }
        RunError::Panicked { step, origin, .. } => {
            of_step(FailureKind::Panic, step, origin.as_deref())
        }
        RunError::SyncOutput { step, .. } => of_step(FailureKind::Sync, step, None),
        RunError::Commit { .. } => FailureRecord::new(FailureKind::Commit, error.to_string()),
        RunError::CutShort { .. } | RunError::StopTimedOut { .. } => {
            FailureRecord::new(FailureKind::Stop, error.to_string())
        }
        RunError::WhileStopping { error: last, .. } => {
            let mut failure = for_store(last);
            failure.error = error.to_string();
            failure
        }
        RunError::Build(_)
        | RunError::Resume(_)
        | RunError::Close { .. }
        | RunError::Lost { .. }
        | RunError::Workers(_)
        | RunError::Threads { .. } => FailureRecord::new(FailureKind::Other, error.to_string()),
    }
}

fn of_record(error: &RecordError) -> FailureRecord {
    let mut failure = FailureRecord::new(FailureKind::Record, error.to_string());
    failure.step = Some(error.step.clone());
    failure.source = Some(error.source_step.clone());
    failure.partition = Some(error.partition.clone());
    failure.position.clone_from(&error.position);
    failure
}

/// The failure of a sink whose output had no reader any more when the run was stopped.
pub(super) fn of_sink_that_gave_up(graph: &Graph, fault: &Fault) -> FailureRecord {
    let error = format!("it was stopped, and {}", fault.cause());
    let mut failure = FailureRecord::new(FailureKind::Step, error);
    failure.step = Some(graph.id(fault.step()));
    failure
}

/// The id of the sink whose output someone else has written to, if that is why the run failed.
pub(super) fn written_by_others(error: &RunError) -> Option<String> {
    let output: &OutputError = error.caused_by()?;
    match output.problem() {
        OutputProblem::Changed { there, written } if there > written => {
            Some(output.step().to_owned())
        }
        _ => None,
    }
}
