//! Recoverable stream processing: annotate functions, get a dataflow that can be killed and goes on where it was.
#![doc = include_str!("../README.md")]
//!
//! # The allocator
//!
//! With the feature `mimalloc`, [mimalloc](https://docs.rs/mimalloc) is the allocator of the whole program; it is off by
//! default, and a program that has an allocator of its own must leave it off. Examples and benchmarks have it.
//!
//! ```toml
//! flow = { package = "flow-dataflow", path = "../flow", features = ["mimalloc"] }
//! ```
//!
//! The reason is the shuffle. A record that holds a `String` is often allocated on one worker and freed on another. glibc's
//! allocator takes a lock for that, which the other worker wants too, so that a second worker gains next to nothing;
//! mimalloc gives the memory back without one. It needs a C compiler when it is built.

#[cfg(feature = "mimalloc")]
mod allocator;
mod dataflow;
pub mod prelude;
mod program;

pub use dataflow::dataflow;
#[doc(hidden)]
pub use flow_core::__private;
pub use flow_core::{
    BadName, BoxError, BuildError, Built, ByteLines, Clock, CodecError, Convert, Dead, Difference,
    Ended, Epoch, Epochs, Failure, Flow, Graph, InputIsStore, IsKeyed, IsUnkeyed, JsonLines, Keeps,
    Kept, Key, KeyKind, KeyedStream, NoKey, NotKept, Notice, OnError, Origin, Outcome, OutputError,
    OutputInStore, OutputIsInput, OutputProblem, OwnsItsData, ParseEpochError, ParseEpochsError,
    ParseRetainError, Place, Progress, Record, RecordError, Recovery, ResumeError, Retain,
    RunError, RunHandle, Runner, Safe, Schema, SinkError, SinkStep, SourceError, Started, State,
    Stateful, Step, StepState, StoreError, Stream, TextLines, TypeChange, scope, sink, source,
    stateful, testing,
};
pub use program::{Entry, main};
