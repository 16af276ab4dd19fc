//! What the store keeps of each execution.

use crate::epoch::Epoch;
use crate::format::failure::FailureRecord;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How an execution ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// All input was read to its end.
    Finished,
    /// It was asked to stop, and stopped at a record boundary.
    Stopped,
    /// A record failed. All records before it are durable.
    Failed(FailureRecord),
    /// The execution was aborted. Records that were not durable are read again.
    Aborted {
        /// Why.
        failure: FailureRecord,
        /// The number of records that were read and are not durable.
        in_flight: u64,
        /// The id of the sink, if the reason is that another process wrote to its output.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        foreign: Option<String>,
    },
}

impl End {
    /// The same with bounded texts.
    fn bounded(&self) -> End {
        match self {
            End::Finished => End::Finished,
            End::Stopped => End::Stopped,
            End::Failed(failure) => End::Failed(failure.bounded()),
            End::Aborted {
                failure,
                in_flight,
                foreign,
            } => End::Aborted {
                failure: failure.bounded(),
                in_flight: *in_flight,
                foreign: foreign.clone(),
            },
        }
    }
}

/// One execution of the flow, as the store keeps it.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ExecutionRecord {
    /// Its number; the first is 1.
    pub number: u64,
    /// When it started, to the millisecond.
    pub started: Timestamp,
    /// The host that it ran on.
    pub host: String,
    /// The id of its process.
    pub pid: u32,
    /// How many workers it had.
    pub workers: usize,
    /// The epoch that it resumed from; `Epoch::default()` for the first execution.
    pub resumed_from: Epoch,
    /// If it went back to an earlier epoch on purpose, the last epoch at that time. The epochs in
    /// between were given up.
    pub went_back_from: Option<Epoch>,
    /// The program's own name for its build.
    pub build: String,
    /// When and how it ended; `None` if it is running or was killed.
    pub ended: Option<(Timestamp, End)>,
}

/// An [`ExecutionRecord`] as it is stored.
#[derive(Serialize, Deserialize)]
pub(crate) struct StoredExecution {
    /// Milliseconds since 1970.
    started: i64,
    host: String,
    pid: u32,
    workers: u64,
    resumed_from: Epoch,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    went_back_from: Option<Epoch>,
    build: String,
    ended: Option<(i64, End)>,
}

impl From<&ExecutionRecord> for StoredExecution {
    fn from(record: &ExecutionRecord) -> StoredExecution {
        StoredExecution {
            started: record.started.as_millisecond(),
            host: record.host.clone(),
            pid: record.pid,
            workers: record.workers as u64,
            resumed_from: record.resumed_from,
            went_back_from: record.went_back_from,
            build: record.build.clone(),
            ended: record
                .ended
                .as_ref()
                .map(|(at, end)| (at.as_millisecond(), end.bounded())),
        }
    }
}

impl StoredExecution {
    /// The record; `None` if a number in it is out of range.
    pub(crate) fn into_record(self, number: u64) -> Option<ExecutionRecord> {
        let ended = match self.ended {
            Some((at, end)) => Some((Timestamp::from_millisecond(at).ok()?, end)),
            None => None,
        };
        Some(ExecutionRecord {
            number,
            started: Timestamp::from_millisecond(self.started).ok()?,
            host: self.host,
            pid: self.pid,
            workers: usize::try_from(self.workers).ok()?,
            resumed_from: self.resumed_from,
            went_back_from: self.went_back_from,
            build: self.build,
            ended,
        })
    }
}
