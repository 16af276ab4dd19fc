//! The position of a reader in a file, and the identity of the file.

use serde::{Deserialize, Serialize};

use super::{HEAD, identity::FileNumber};

/// The position of a reader in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileToken {
    /// The byte at which the next unread line starts.
    pub offset: u64,
    /// The number of lines before it.
    pub line: u64,
    /// The number of first bytes of the file that `head_hash` covers.
    pub head_len: u64,
    /// A hash of the file's first bytes, which tells it from other files.
    pub head_hash: u64,
    /// A hash of the last bytes before `offset`, which tells the file from others that begin alike.
    /// `None` if these bytes could not be read.
    pub tail_hash: Option<u64>,
    /// The identity of the file, whatever its name is. `None` if the system does not number files.
    pub number: Option<FileNumber>,
    /// The input whose name this file had before it was rotated. Set if this partition is the rest
    /// of that input, and not an input itself.
    pub rest_of: Option<String>,
}

/// The identity of a file: its first bytes, as far as they have been read, and its number.
#[derive(Debug, Default)]
pub(in crate::source) struct FileHead {
    pub(super) bytes: Vec<u8>,
    pub(super) number: Option<FileNumber>,
    pub(super) rest_of: Option<String>,
}

impl FileHead {
    /// Adds bytes that were read at `offset`, if they belong to the first bytes.
    pub(in crate::source) fn read(&mut self, offset: u64, bytes: &[u8]) {
        let known = self.bytes.len();
        if offset == known as u64 && known < HEAD {
            let take = bytes.len().min(HEAD - known);
            self.bytes.extend_from_slice(&bytes[..take]);
        }
    }

    /// The first bytes, up to an offset.
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
