//! The files of a store: which there are, who has them, and how redb gets at them.

pub(crate) mod directory;
pub(crate) mod guard;
pub(crate) mod holder;
pub(crate) mod lock;
pub(crate) mod named;
pub mod os;
mod overlay;
pub(crate) mod part;
mod sole_writer;
