//! Streams, operators, sources, sinks and the engine of flow.
//!
//! Users depend on the facade, `flow-dataflow`, which re-exports what is public here.
//!
//! How it fits together:
//! - The steps of a [`Stream`] leave a [`Graph`] and closures behind (`graph`, `stream`).
//! - The [`Runner`] plans, checks and resumes (`run`).
//! - The engine runs the closures on timely's workers (`engine`).
//! - Between two shuffles, records go through a `chain` of plain calls.

mod chain;
mod engine;
mod error;
mod files;
mod formats;
mod graph;
mod lock;
mod names;
mod record;
mod resume;
mod run;
pub mod sink;
pub mod source;
mod state;
mod stream;
#[doc(hidden)]
pub mod terminal;
pub mod testing;
mod time;

/// For the expansion of `#[dataflow]` only.
#[doc(hidden)]
pub mod __private {
    pub use crate::graph::{Scope, Sites, enter, here};
}

pub use engine::{Clock, Epochs, ParseEpochsError, Progress, RunHandle};
pub use error::{
    BadName, BoxError, BuildError, Dead, Failure, InputIsStore, Kept, NotKept, OnError, Origin,
    OutputError, OutputInStore, OutputIsInput, OutputProblem, Place, RecordError, RecordPosition,
    ResumeError, RunError, Safe, SinkError, SourceError, TypeChange,
};
/// The contents of a [`StoreError`]: an error type for each family of operations on the store.
pub mod store {
    pub use flow_store::{
        AnotherType, Cause, ExecutionError, FileError, GoBackError, LockError, Lost,
        MaintenanceError, StepsError,
    };
}
pub use flow_store::{
    CodecError, Difference, Epoch, Notice as StoreNotice, ParseEpochError, ParseRetainError,
    Retain, Schema, StoreError,
};
pub use formats::{ByteLines, JsonLines, TextLines};
pub use graph::{Graph, Keeps, Step, scope};
/// The type of times.
pub use jiff::Timestamp;
pub use record::{
    IsKeyed, IsUnkeyed, Key, KeyKind, NoKey, OwnsItsData, Record, State, StepKey, StepState,
};
pub use resume::Notice;
pub use run::{Ended, Outcome, Recovery, Runner, Started};
pub use stream::{
    Built, Convert, Flow, KeyedStream, Late, SinkStep, Stateful, Stream, Window, Windowed,
    WindowedStreams, Windows, stateful,
};
pub use time::{EventTime, HasTime, IsUntimed, MayGetTime, NoTime, TimeKind};
