//! How a run began and ended.

use std::fmt;

use flow_store::Epoch;

use crate::{engine::UnfinishedLine, resume::Notice};

/// What a run knows when it has been accepted and starts to read.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Started {
    /// The durable epoch that it resumes from. `None` without a store, and with a new one.
    pub resumed_from: Option<Epoch>,
    /// Differences from the store that were accepted, and remarks about outputs.
    pub notices: Vec<Notice>,
}

/// The result of a successful run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// Whether the run reached the end of its input or was stopped.
    pub ended: Ended,
    /// Number of records that the sources have read.
    ///
    /// It includes the records that a step has skipped. It also includes those that a source has
    /// skipped because it could not make a record of them.
    pub records: u64,
    /// The ids of the steps that skipped records, each with the number of records.
    pub skipped: Vec<(String, u64)>,
    /// Last lines that were left unread because they do not end with a newline.
    pub unfinished: Vec<UnfinishedLine>,
    /// How many of `records` were given up because the run was stopped and its output had no reader
    /// any more.
    ///
    /// Some results of their epochs could not be written. With a store, the next run reads these
    /// records again.
    pub given_up: u64,
    /// How many records were taken from an input that can't be read again, but were not processed
    /// before the run stopped.
    ///
    /// The run did not get to them within half the time of
    /// [`Runner::drain_within`](crate::Runner::drain_within). They are lost, and `records` does not
    /// count them. If a reader of your own [has taken](crate::source::Reader::has_taken) records
    /// beyond its last run, it counts as one more.
    pub unprocessed: u64,
    /// The last durable epoch; `None` without a store. If nothing is durable yet, it [is the
    /// start](Epoch::is_start).
    pub epoch: Option<Epoch>,
}

/// Why a successful run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All sources have reached the end of their input.
    Finished,
    /// It was stopped. The next run resumes where it stopped.
    Stopped,
}

impl Outcome {
    /// The outcome of a run that was stopped while it started.
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

    /// Number of records that were skipped, over all steps.
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
