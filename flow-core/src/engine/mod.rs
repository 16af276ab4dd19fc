//! The engine: runs a built flow on timely's workers.
//!
//! This is the only place that knows timely. It runs two kinds of tasks: sources, which read
//! records and push them through their chain, and steps behind a shuffle, which get batches epoch
//! by epoch. The engine adds capabilities, frontiers, epochs, the budget and the abort protocol.

mod budget;
mod clock;
mod committer;
mod container;
mod epochs;
mod frontier;
mod handle;
mod in_order;
mod ledger;
mod open_epoch;
mod outputs;
mod run_state;
mod source;
mod sync_output;
mod task;
mod threads;
mod unfinished;
mod worker;

pub(crate) use budget::{Budget, Limits};
pub use clock::Clock;
pub use epochs::{Epochs, ParseEpochsError};
pub use handle::{Progress, RunHandle};
pub(crate) use open_epoch::EpochEvent;
pub(crate) use run_state::{AbortReason, News, PartitionBell, RunState, SourceBell};
pub(crate) use source::{Block, BlockTime, Blocks, FailedLine, Offer, Processed, Receipt};
pub use sync_output::SyncOutput;
pub(crate) use task::{
    EpochRows, Filled, Head, HeadContext, Operator, PendingSync, RecordFailure, SourceFault,
    SourceTask, Task,
};
pub(crate) use threads::STACK;
pub use unfinished::UnfinishedLine;
pub(crate) use worker::{Build, Communication, Crew, Launch, NoCrew, launch, message_of};
