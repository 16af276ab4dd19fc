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

/// How much of a file's beginning tells it from another one, in bytes.
const HEAD: usize = 1024;

/// How much of what comes before a position tells it from the same position in another file, in
/// bytes.
pub(super) const TAIL: usize = 256;
