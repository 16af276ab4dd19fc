//! Files as partitions: where a reader stands in one, and whether it is still the same file.

pub(super) mod beginning;
mod facts;
mod files;
mod identity;
mod leave;
mod names;
mod open;
mod opened;
mod search;
mod token;

pub use self::{
    beginning::{Compressed, OtherEncoding},
    identity::FileNumber,
    token::FileToken,
};
pub(super) use self::{
    facts::{Changed, changed, number, read_at, tail_hash},
    files::Files,
    leave::Leave,
    open::open,
    opened::{Opened, open_at},
    token::FileHead,
};

/// The number of first bytes of a file that identify it.
const HEAD: usize = 1024;

/// The number of bytes before a position that identify the position.
pub(super) const TAIL: usize = 256;
