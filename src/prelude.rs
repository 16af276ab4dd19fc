//! The imports of a program that defines a dataflow: `use flow::prelude::*;`.

pub use std::process::ExitCode;

pub use flow_core::{
    ByteLines, Epochs, Flow, JsonLines, KeyedStream, OnError, Recovery, RunError, Runner, Stream,
    TextLines,
};
pub use serde::{Deserialize, Serialize};

pub use crate::dataflow;
