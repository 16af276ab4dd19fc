//! The engine: runs a built flow on timely's workers.
//!
//! This is the only place that knows timely. What it runs comes to it as tasks: sources, which read
//! and push records through their chain, and steps behind a shuffle, which get batches epoch by
//! epoch. The engine brings capabilities, frontiers, epochs, the budget and the abort protocol.

mod budget;
mod committer;
mod container;
mod frontier;
mod in_order;
mod ledger;
mod open_epoch;
mod outputs;
mod run_state;
mod source;
mod task;
mod threads;
mod worker;

pub(crate) use budget::{Budget, Limits};
pub(crate) use open_epoch::Event;
pub(crate) use run_state::{Failed, News, PartitionBell, RunState, SourceBell, Stop, StopFlag};
pub(crate) use source::{Block, Blocks, FailedLine, Offer, Processed, Receipt};
pub(crate) use task::{
    Filled, Head, HeadContext, Made, Origin, PendingSync, RecordFailure, Resume, Rows, SourceFault,
    SourceTask, Taken, Task,
};
pub(crate) use threads::STACK;
pub(crate) use worker::{Communication, Crew, Launch, NoCrew, launch, message_of};
