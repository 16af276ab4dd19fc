//! Recoverable stream processing: annotate functions, get a dataflow that survives being killed.
#![doc = include_str!("../README.md")]
//!
//! # Steps
//!
//! | | on whole items | on the values of a keyed stream, which keep their key |
//! |---|---|---|
//! | one for each | `map`, `inspect` | `map_values`, `inspect_values` |
//! | some of them | `filter`, `filter_map` | `filter_values`, `filter_map_values` |
//! | any number for each | `flat_map` | `flat_map_values` |
//! | may fail | `try_map`, `try_filter_map`; `.._with(f, OnError::Skip)`, `.._or_dead` | |
//! | keys | `key_on`, `into_keyed` | `rekey_on`, `drop_key` |
//! | several streams | `merge`, `branch`, `clone` | the same; the key stays |
//! | with a state for each key | | `stateful_map`, `stateful_flat_map`, `try_stateful_map`, `try_stateful_map_or_dead` |
//!
//! All of them are methods of [`Stream`]. [`stateful`](Stream::stateful) takes options before its
//! function, in any combination:
//!
//! - `with_key` lets the function see the key.
//! - `optional` lets it forget the state.
//! - `or_fail`, `or_skip` and `or_dead` let it return a `Result`.
//!
//! # The allocator
//!
//! With the feature `mimalloc`, [mimalloc](https://docs.rs/mimalloc) is the allocator of the whole
//! program. It is off by default, because a library must not choose an allocator for a program. It
//! needs a C compiler. Examples, tests and benchmarks have it.
//!
//! ```toml
//! flow = { package = "flow-dataflow", path = "../flow", features = ["mimalloc"] }
//! ```
//!
//! The reason is the shuffle. A record that holds a `String` is often allocated on one worker and
//! freed on another. For that, glibc's allocator takes a lock that the other worker wants too, so a
//! second worker gains next to nothing. mimalloc gives the memory back without a lock.

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
    Ended, Epoch, Epochs, EventTime, Failure, Flow, Graph, HasTime, InputIsStore, IsKeyed,
    IsUnkeyed, IsUntimed, JsonLines, Keeps, Kept, Key, KeyKind, KeyedStream, Late, MayGetTime,
    NoKey, NoTime, NotKept, Notice, OnError, Origin, Outcome, OutputError, OutputInStore,
    OutputIsInput, OutputProblem, OwnsItsData, ParseEpochError, ParseEpochsError, ParseRetainError,
    Place, Progress, Record, RecordError, RecordPosition, Recovery, ResumeError, Retain, RunError,
    RunHandle, Runner, Safe, Schema, SinkError, SinkStep, SourceError, Started, State, Stateful,
    Step, StepKey, StepState, StoreError, Stream, TextLines, TimeKind, Timestamp, TypeChange,
    Window, Windowed, WindowedStreams, Windows, scope, sink, source, stateful, store, testing,
};
pub use program::{Entry, main};
