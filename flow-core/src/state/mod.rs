//! Keyed state: the table of a stateful step, and how it is restored and snapshotted.

mod emit;
mod panes;
mod restore;
mod step;
mod table;
mod window;

pub(crate) use emit::{DeadRecord, Emit, Many, One, Results, ResultsAndDead};
pub(crate) use panes::Panes;
pub(crate) use step::head;
pub(crate) use table::Table;
pub(crate) use window::{WindowedStep, window_head};
