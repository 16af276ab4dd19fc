//! The files of a store: their names, their locks, and how redb accesses them.

pub(crate) mod directory;
pub(crate) mod guard;
pub(crate) mod holder;
pub(crate) mod lock;
pub(crate) mod named;
pub mod os;
mod overlay;
pub(crate) mod part;
mod sole_writer;
