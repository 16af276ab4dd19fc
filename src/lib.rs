//! Recoverable stream processing: annotate functions, get a dataflow that can be killed and goes on where it was.
#![doc = include_str!("../README.md")]

mod dataflow;
pub mod prelude;
mod program;

pub use dataflow::dataflow;
#[doc(hidden)]
pub use flow_core::__private;
pub use flow_core::{
    BoxError, BuildError, Clock, Convert, Difference, Ended, Epoch, Epochs, Failure, Flow, Graph,
    IsKeyed, JsonLines, Keeps, Key, KeyKind, KeyedStream, NoKey, Notice, OnError, Outcome,
    ParseEpochError, ParseEpochsError, ParseRetainError, Place, Progress, Record, RecordError,
    Recovery, ResumeError, Retain, RunError, RunHandle, Runner, Safe, Schema, SinkError, SinkStep,
    SourceError, Started, State, Step, StepState, StoreError, Stream, TextLines, TypeChange, scope,
    sink, source, testing,
};
pub use program::{Entry, main};
