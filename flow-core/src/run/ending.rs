//! How a run ended: what the store records of it, and what the caller gets.

use std::{sync::Arc, time::Duration};

use flow_store::{End, Epoch, Execution, FailureRecord};

use super::{Ended, Outcome, failure};
use crate::{
    chain::{Skips, Stop, Whereabouts},
    engine::{AbortReason, RunState},
    error::{RunError, Safe},
    graph::Graph,
};

/// A run whose workers are done.
pub(super) struct Finished<'a> {
    pub(super) graph: &'a Graph,
    pub(super) state: &'a RunState,
    pub(super) whereabouts: &'a [Whereabouts],
    /// The last durable epoch; `None` without a store.
    pub(super) durable: Option<Epoch>,
    pub(super) drain: Duration,
    /// How the runs before this one failed, and how many of them in a row.
    pub(super) failed_before: Option<(FailureRecord, u64)>,
}

impl Finished<'_> {
    pub(super) fn end(
        &self,
        execution: Option<Execution>,
        skips: &[Arc<Skips>],
    ) -> Result<Outcome, RunError> {
        let (aborted, record) = self.state.take_failures();
        // Losing the reader of the output is no failure if the run was stopped.
        let (aborted, given_up) = match (aborted, &record) {
            (Some(AbortReason::GaveUp(fault)), None) => (None, Some(fault)),
            (aborted, _) => (aborted, None),
        };
        let in_flight = self.state.budget.records_in_flight();
        let ended = match self.state.stop() {
            Stop::No => Ended::Finished,
            _ => Ended::Stopped,
        };
        let is_aborted = aborted.is_some();
        let exact = !is_aborted;
        let record = record.map(|record| self.record_error(record, self.safe(exact)));
        let error = match (aborted.map(|failed| self.abort_error(failed)), record) {
            (Some(error), Some(first)) => Some(RunError::WhileStopping {
                error: Box::new(error),
                first: Box::new(first),
            }),
            (error, record) => error.or(record),
        };
        let how = match &error {
            Some(error) if is_aborted => End::Aborted {
                failure: failure::for_store(error),
                in_flight,
                foreign: failure::written_by_others(error),
            },
            Some(error) => End::Failed(failure::for_store(error)),
            // Not `Stopped`, because outputs may hold more than is durable. No record is suspected.
            None if let Some(fault) = &given_up => End::Aborted {
                failure: failure::of_sink_that_gave_up(self.graph, fault),
                in_flight: 0,
                foreign: None,
            },
            None if ended == Ended::Finished => End::Finished,
            None => End::Stopped,
        };
        tracing::info!(
            records = self.state.records_read(),
            durable = self.durable.map(tracing::field::display),
            ?how,
            "the flow has ended"
        );
        let closed = execution.map_or(Ok(()), |execution| execution.end(how));
        match (error, closed) {
            (Some(error), closed) => {
                if let Err(closing) = closed {
                    tracing::warn!("how the run ended could not be stored: {closing}");
                }
                Err(error)
            }
            (None, Err(error)) => Err(RunError::Close {
                error: Box::new(error),
                safe: self.safe(false),
            }),
            (None, Ok(())) => Ok(Outcome {
                ended,
                records: self.state.records_read() + Skips::of_sources(skips, self.graph),
                skipped: Skips::by_step(skips, self.graph),
                unfinished: self.state.take_unfinished(),
                given_up: given_up.map_or(0, |_| in_flight),
                unprocessed: self.state.unprocessed(),
                epoch: self.durable,
            }),
        }
    }

    pub(super) fn safe(&self, exact: bool) -> Safe {
        Safe {
            epoch: self.durable,
            exact,
            unprocessed: self.state.unprocessed(),
        }
    }
}
