//! Lines in a file, exactly once.
//!
//! The position is the length of the file at the end of an epoch. The bytes are handed to the operating system
//! when the epoch ends and made durable before its commit, so the file is never shorter than the store
//! says; what a crash left behind that length is cut off before the next run writes.
//!
//! Only a crash, or a failure that gives epochs up, leaves something there. After any other end what is behind the position is
//! someone else's, or the store is an old one. It is not touched, nor is it after a run that failed because someone else wrote.

mod opening;
mod watch;
mod writer;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Guarantee, Output, OutputId, Shards, Sink, SinkError};
use writer::FileWriter;

/// How many of the last bytes are hashed into the position.
const TAIL: usize = 256;

/// Writes lines to a file.
#[derive(Clone, Debug)]
pub struct FileLines {
    kind: &'static str,
    path: PathBuf,
    existing: Existing,
}

/// What is done with a file that the store knows nothing of and that is not empty.
#[derive(Clone, Copy, Debug)]
enum Existing {
    Refuse,
    Append,
    Overwrite,
}

impl FileLines {
    pub(crate) fn new(kind: &'static str, path: PathBuf) -> Self {
        FileLines {
            kind,
            path,
            existing: Existing::Refuse,
        }
    }

    pub(crate) fn append(mut self) -> Self {
        self.existing = Existing::Append;
        self
    }

    pub(crate) fn overwrite(mut self) -> Self {
        self.existing = Existing::Overwrite;
        self
    }
}

/// How much of the file belongs to the epochs so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilePosition {
    /// The length, in bytes.
    pub bytes: u64,
    /// A hash of the last bytes before it, by which the file is known again.
    pub tail: u64,
    /// The file's path when it was written; a file may be moved.
    pub path: String,
}

impl Sink for FileLines {
    type Item = String;
    type Position = FilePosition;
    type Writer = FileWriter;

    fn kind(&self) -> String {
        self.kind.to_owned()
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::ExactlyOnce
    }

    fn output(&self) -> Option<Output> {
        Some(Output::File(self.path.clone()))
    }

    fn shards(&self) -> Shards {
        Shards::One
    }

    fn open(
        &self,
        output: &OutputId,
        resume: Option<FilePosition>,
    ) -> Result<FileWriter, SinkError> {
        let found = opening::find(&self.path)?;
        match resume {
            None => self.begin(output.step(), found),
            Some(position) => self.go_on(found, &position, output),
        }
    }
}
