//! What a sink writes to, and what holds for it.

use std::{fmt, path::PathBuf};

/// What a sink writes to, as [`Sink::output`](crate::sink::Sink::output) says it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// A file: the same for all names that it has, such as symbolic and hard links.
    File(PathBuf),
    /// Standard output, which any number of sinks may share. A file that the flow reads or writes
    /// otherwise must not be behind it.
    Stdout,
    /// Something else, known by its name: `kafka:payments`.
    Other(String),
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Output::File(path) => path.display().fmt(f),
            Output::Stdout => f.write_str("standard output"),
            Output::Other(name) => f.write_str(name),
        }
    }
}

/// What holds for the output of a sink after any number of crashes, under a recovery store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Guarantee {
    /// Every result is there; those of epochs that were not durable may be there several times.
    AtLeastOnce,
    /// Every result is there once.
    ExactlyOnce,
    /// Every result is there once for readers that see committed data only.
    ///
    /// The output publishes the results of an epoch as one unit, after the epoch is durable, as a
    /// transaction of a broker or a database does. Readers that also see what is not committed
    /// (`isolation.level=read_uncommitted`) may see results that are rolled back and written again.
    ExactlyOnceCommitted,
}

impl fmt::Display for Guarantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Guarantee::AtLeastOnce => "at least once",
            Guarantee::ExactlyOnce => "exactly once",
            Guarantee::ExactlyOnceCommitted => "exactly once for readers of committed data",
        })
    }
}
