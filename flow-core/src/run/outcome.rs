//! How a run began and ended.

use std::fmt;

use flow_store::Epoch;

use crate::{engine::UnfinishedLine, resume::Notice};

/// What is known when a run has been accepted and starts to read.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Started {
    /// The durable epoch that it goes on from; `None` without a store and in a new one.
    pub resumed_from: Option<Epoch>,
    /// What is different from what the store holds, and was accepted; and what a person should know
    /// of the outputs.
    pub notices: Vec<Notice>,
}

/// How a run ended that did not fail.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// Whether it came to the end of its input or was stopped.
    pub ended: Ended,
    /// How many records its sources have read: those that a step has skipped are among them, and
    /// those that a source itself has skipped, because no record could be made of them.
    pub records: u64,
    /// The steps that skipped records, by id, and how many.
    pub skipped: Vec<(String, u64)>,
    /// Last lines that were left unread, because they have no newline at their end.
    pub unfinished: Vec<UnfinishedLine>,
    /// How many of `records` were given up, because the run was stopped and nobody read its output
    /// any more. They belong to epochs of which some results could not be written; with a store,
    /// the next run reads them again.
    pub given_up: u64,
    /// How many records were taken from where they can't be taken again, and not processed before
    /// the run stopped: it did not get through them in half the time of
    /// [`Runner::drain_within`](crate::Runner::drain_within). They are lost, and not among
    /// `records`. A reader of your own that [has taken](crate::source::Reader::has_taken) records
    /// beyond its last run counts as one more.
    pub unprocessed: u64,
    /// The last durable epoch; `None` without a store. Where nothing is durable yet, it [is the
    /// start](Epoch::is_start).
    pub epoch: Option<Epoch>,
}

/// Why a run ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All sources have come to their end.
    Finished,
    /// It was stopped; a later run goes on from there.
    Stopped,
}

impl Outcome {
    /// That of a run which was stopped while it started.
    pub(super) fn before_it_began(epoch: Option<Epoch>) -> Self {
        Outcome {
            ended: Ended::Stopped,
            records: 0,
            skipped: Vec::new(),
            unfinished: Vec::new(),
            given_up: 0,
            unprocessed: 0,
            epoch,
        }
    }

    /// How many records were skipped, over all steps.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped.iter().map(|(_, count)| count).sum()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ended = match self.ended {
            Ended::Finished => "finished",
            Ended::Stopped => "stopped",
        };
        let plural = if self.records == 1 { "" } else { "s" };
        write!(f, "{ended}: {} record{plural} read", self.records)?;
        if self.given_up > 0 {
            write!(f, ", {} of them given up", self.given_up)?;
        }
        if self.unprocessed > 0 {
            write!(
                f,
                ", {} more taken and not processed in time",
                self.unprocessed
            )?;
        }
        for (step, count) in &self.skipped {
            write!(f, ", {count} skipped in `{step}`")?;
        }
        match self.epoch {
            Some(epoch) if epoch.is_start() => f.write_str(", nothing is durable yet")?,
            Some(epoch) => write!(f, ", durable up to epoch {epoch}")?,
            None => {}
        }
        Ok(())
    }
}
