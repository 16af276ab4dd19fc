//! Lines in a file, exactly once.
//!
//! The position is the length of the file at the end of an epoch. The bytes are handed to the
//! operating system when the epoch ends, and are durable before its commit. So the file is never
//! shorter than the store says. The next run cuts off the bytes that a crash left behind that
//! length.
//!
//! Only a crash, or a failure that gives up epochs, leaves bytes of flow behind the position. After
//! any other end they are someone else's, or the store is an old one. In that case, and after a run
//! that failed because someone else wrote, they are not touched.

mod opening;
mod watch;
mod writer;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Guarantee, Output, OutputId, Shards, Sink, SinkError};
use writer::FileWriter;

/// The number of last bytes that are hashed into the position.
const TAIL: usize = 256;

/// Writes lines to a file.
#[derive(Clone, Debug)]
pub struct FileLines {
    kind: &'static str,
    path: PathBuf,
    existing: Existing,
}

/// What happens to a file that is not empty and that the store does not know.
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
    /// A hash of the last bytes before it, which identifies the file.
    pub tail: u64,
    /// The path of the file when it was written. A file may be moved.
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
