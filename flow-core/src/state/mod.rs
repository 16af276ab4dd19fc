//! Keyed state: the table that a stateful step keeps, how it is restored and snapshotted.

mod step;
mod table;

pub(crate) use step::{head, key_text};
pub(crate) use table::Table;
