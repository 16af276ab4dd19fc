//! From what went wrong in the engine to what the user reads.

use super::ending::Finished;
use crate::{
    engine::{self, AbortReason, RecordFailure},
    error::{NotKept, Origin, OutputError, OutputProblem, RecordError, RunError, Safe},
    graph::StepIndex,
};

impl Finished<'_> {
    pub(super) fn record_error(&self, failure: RecordFailure, safe: Safe) -> RunError {
        let place = place(&failure.partition, failure.position.as_deref());
        RunError::Record(Box::new(RecordError {
            times: self.times(&place),
            step: self.graph.id(failure.step),
            source_step: self.graph.id(failure.source_step),
            partition: failure.partition,
            position: failure.position,
            line: failure.line,
            excerpt: failure.excerpt,
            cause: failure.cause,
            safe,
        }))
    }

    /// How many runs in a row have failed like this, with this one.
    fn times(&self, how: &str) -> u64 {
        match &self.failed_before {
            // The store keeps the beginning of a long text.
            Some((before, times)) if *before == flow_store::bounded(how) => times + 1,
            _ => 1,
        }
    }

    pub(super) fn abort_error(&self, failed: AbortReason) -> RunError {
        let mut error = self.error_of(failed);
        let how = first_line(&flow_store::bounded(&error.to_string())).to_owned();
        if let RunError::Step { times, .. } | RunError::Panicked { times, .. } = &mut error {
            *times = self.times(&how);
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
            AbortReason::Sync { step, error } => RunError::Sync {
                step: self.graph.id(step),
                error,
                safe,
            },
            AbortReason::Commit(error) => RunError::Commit { error, safe },
            // Only where a record failed too; otherwise it is no error.
            AbortReason::CutShort | AbortReason::GaveUp(_) => RunError::CutShort { safe },
            AbortReason::TimedOut => RunError::StopTimedOut {
                limit: self.drain,
                steps: self.places(),
                safe,
            },
            AbortReason::Workers(message) => RunError::Lost { message, safe },
        }
    }

    fn origin(&self, origin: Option<engine::Origin>) -> Option<Box<Origin>> {
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

    /// Where the workers were last seen.
    fn places(&self) -> String {
        let places = self.whereabouts.iter().enumerate().map(|(worker, at)| {
            let step = self.step_name(at.get());
            format!("worker {worker} was last in step `{step}`")
        });
        places.collect::<Vec<_>>().join(", ")
    }
}

fn place(partition: &str, position: Option<&str>) -> String {
    match position {
        Some(position) => format!("{partition}, {position}"),
        None => partition.to_owned(),
    }
}

/// What is the same each time that a run ends in the same way.
pub(super) fn first_line(error: &str) -> &str {
    error.lines().next().unwrap_or_default()
}

/// Where a failed run stopped, for the store's record of executions.
pub(super) fn position(error: &RunError) -> String {
    match error {
        RunError::Record(record) => place(&record.partition, record.position.as_deref()),
        _ => String::new(),
    }
}

/// The sink to whose output someone else has written, if the run failed at that.
pub(super) fn written_by_others(error: &RunError) -> Option<String> {
    let output: &OutputError = error.caused_by()?;
    match output.problem() {
        OutputProblem::Changed { there, written } if there > written => {
            Some(output.step().to_owned())
        }
        _ => None,
    }
}
