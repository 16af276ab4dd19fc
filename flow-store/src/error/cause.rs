//! What lies behind a failure.

use std::fmt;
use std::io;

/// What made a commit fail.
#[derive(Debug)]
#[non_exhaustive]
pub enum Cause {
    /// The operating system: a full disk, a broken one.
    Io(io::Error),
    /// Anything else that redb says, or that a panic in it said.
    Other(String),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Io(error) => error.fmt(f),
            Cause::Other(text) => f.write_str(text),
        }
    }
}

/// How a file was lost that a process had open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Lost {
    /// There is nothing under its name: it, or a directory above it, was removed or moved.
    Gone,
    /// There is another file under its name.
    Replaced,
}
