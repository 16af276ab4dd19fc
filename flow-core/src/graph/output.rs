//! The output of a sink, and its guarantee.

use std::{fmt, path::PathBuf};

/// The output of a sink, as [`Sink::output`](crate::sink::Sink::output) returns it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// A file. All its names, such as symbolic and hard links, are the same output.
    File(PathBuf),
    /// Standard output, which any number of sinks may share. It must not be redirected to a file
    /// that the flow reads or that another sink writes.
    Stdout,
    /// Another output, known by its name, such as `kafka:payments`.
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

/// What a sink guarantees after any number of crashes, under a recovery store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Guarantee {
    /// The output has every result. It may have results of epochs that were not yet durable several
    /// times.
    AtLeastOnce,
    /// The output has every result once.
    ExactlyOnce,
    /// The output has every result once, for readers that see only committed data.
    ///
    /// The output publishes the results of an epoch as one unit, after the epoch is durable. A
    /// transaction of a broker or a database does that. Readers that also see uncommitted data
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
