//! Where a reader stands in a file, and what tells the file from others.

use serde::{Deserialize, Serialize};

use super::{HEAD, identity::FileNumber};

/// Where a reader stands in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileToken {
    /// The byte at which the next unread line starts.
    pub offset: u64,
    /// How many lines come before it.
    pub line: u64,
    /// How many bytes of the file's beginning `head_hash` covers.
    pub head_len: u64,
    /// A hash of the file's beginning, which tells it from another file of the same name.
    pub head_hash: u64,
    /// A hash of the last bytes before `offset`, which tells it from another file that begins the
    /// same. None where the system can't say.
    pub tail_hash: Option<u64>,
    /// Which file it is, whatever its name is. None where the system does not number files.
    pub number: Option<FileNumber>,
    /// The input that was called like this partition's base before it was rotated: what is read
    /// here is its rest, and no input of its own.
    pub rest_of: Option<String>,
}

/// What tells a file from others: its first bytes, as far as they have been read, and what the
/// system calls it.
#[derive(Debug, Default)]
pub(in crate::source) struct FileHead {
    pub(super) bytes: Vec<u8>,
    pub(super) number: Option<FileNumber>,
    pub(super) rest_of: Option<String>,
}

impl FileHead {
    /// Takes in bytes that were read at `offset`, if they belong to the head.
    pub(in crate::source) fn read(&mut self, offset: u64, bytes: &[u8]) {
        let known = self.bytes.len();
        if offset == known as u64 && known < HEAD {
            let take = bytes.len().min(HEAD - known);
            self.bytes.extend_from_slice(&bytes[..take]);
        }
    }

    /// The first bytes, as far as they are before an offset.
    pub(in crate::source) fn before(&self, offset: u64) -> &[u8] {
        let known = usize::try_from(offset).map_or(HEAD, |offset| offset.min(self.bytes.len()));
        &self.bytes[..known]
    }

    pub(in crate::source) fn token(
        &self,
        tail_hash: Option<u64>,
        offset: u64,
        line: u64,
    ) -> FileToken {
        let head = self.before(offset);
        FileToken {
            offset,
            line,
            head_len: head.len() as u64,
            head_hash: flow_store::hash(head),
            tail_hash,
            number: self.number,
            rest_of: self.rest_of.clone(),
        }
    }
}
