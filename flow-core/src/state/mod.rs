//! Keyed state: the table of a stateful step, and how it is restored and snapshotted.

mod emit;
mod restore;
mod step;
mod table;

pub(crate) use emit::{DeadRecord, Emit, Many, One, Results, ResultsAndDead};
pub(crate) use step::head;
pub(crate) use table::Table;
