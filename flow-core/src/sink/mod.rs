//! Sinks: where results go, and how outputs stay in step with the store.
//!
//! A sink writes the epochs in order. At the end of each it says where its output stands. That
//! position is stored in the same commit as the state of the epoch, and handed back when the flow
//! starts again.

mod collect;
mod file;
mod finite;
mod format;
mod from_fn;
mod output;
mod stdout;
mod step;

pub use collect::{CollectSink, Collected, collect};
pub use file::{FileLines, FilePosition};
pub use format::{IntoSink, Json, JsonOrNull, LineFormat, LineSink, MultiLineText, Text};
pub use from_fn::{FnSink, Written, from_fn};
pub use output::OutputId;
pub use stdout::StdoutLines;
pub(crate) use step::{head, keeps_positions};

use crate::record::{Record, State};
pub use crate::{
    engine::SyncOutput,
    error::SinkError,
    graph::{Guarantee, Output},
    record::NoResume,
};

/// Where results go.
///
/// `examples/custom_source.rs` has a custom sink.
pub trait Sink: 'static {
    /// What is written.
    type Item: Record;
    /// Where the output stands at the end of an epoch. [`NoResume`] for an output that can't be
    /// brought back to an earlier state.
    type Position: State + Clone;
    /// Writes one shard.
    type Writer: Writer<Item = Self::Item, Position = Self::Position>;

    /// The name of this kind of sink in ids and messages. By default the name of the type:
    /// `OrderTable` is `order_table`.
    fn kind(&self) -> String {
        crate::names::kind_of::<Self>()
    }

    /// What holds for the output after a crash, under a recovery store.
    fn guarantee(&self) -> Guarantee {
        Guarantee::AtLeastOnce
    }

    /// The output, if it is known. A flow is refused if two of its sinks have the same output, or
    /// if it also reads the output. By default the output is not known.
    fn output(&self) -> Option<Output> {
        None
    }

    /// The number of outputs.
    fn shards(&self) -> Shards;

    /// Opens one output: as it is, or as it was at `resume`.
    ///
    /// `output` says which output of which step, store and execution this is. A sink that writes to
    /// another system derives its transactional id and its fence from it; see [`OutputId`].
    ///
    /// It must not change anything yet. Changes begin with [`Writer::start`], when the store has
    /// recorded the start. A dry run opens outputs too, and starts none.
    ///
    /// # Errors
    /// If it can't be opened, or can't be brought back to the position. The run ends before
    /// anything has been changed.
    fn open(
        &self,
        output: &OutputId,
        resume: Option<Self::Position>,
    ) -> Result<Self::Writer, SinkError>;
}

/// Writes one output of a sink, on one worker.
pub trait Writer: 'static {
    /// What is written.
    type Item;
    /// Where the output stands.
    type Position;

    /// Where the output stands now. It is stored when the flow starts, so that the output can be
    /// brought back after a crash before the end of the first epoch.
    fn position(&self) -> Self::Position;

    /// Notices about this output for the user, such as what the start cuts off. They are shown when
    /// the run starts, and by a dry run.
    fn notices(&self) -> Vec<String> {
        Vec::new()
    }

    /// Brings the output to [`position`](Writer::position), for example by cutting off what a crash
    /// left behind it. The start has been recorded.
    ///
    /// # Errors
    /// If that fails. The run is aborted.
    fn start(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    /// Takes the items out of `items` and writes them. They belong to the current epoch.
    ///
    /// # Errors
    /// If they can't be written. The run is aborted; the next one resumes from the last durable
    /// epoch.
    fn write(&mut self, items: &mut Vec<Self::Item>) -> Result<(), SinkError>;

    /// Announces the epoch that `close_epoch` is about to end.
    #[doc(hidden)]
    fn ends(&mut self, epoch: flow_store::Epoch) {
        let _ = epoch;
    }

    /// Ends the current epoch: hands everything written so far to the operating system, and says
    /// where the output stands. Slow work, such as fsync, goes into the [`SyncOutput`].
    ///
    /// # Errors
    /// As for [`write`](Writer::write).
    fn close_epoch(&mut self) -> Result<(Self::Position, Option<SyncOutput>), SinkError>;
}

/// How many outputs a sink has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shards {
    /// One: all records go to one worker, which writes them epoch by epoch.
    One,
    /// One for each worker: each worker writes its own records.
    PerWorker,
}

impl Shards {
    /// The worker that writes the items of the worker `own`.
    pub(crate) fn worker(self, own: usize, workers: usize) -> usize {
        match self {
            // The last one: the first has the first partition of each source.
            Shards::One => workers - 1,
            Shards::PerWorker => own,
        }
    }
}
