//! Keyed state: the table that a stateful step keeps, how it is restored and snapshotted.

mod convert;
mod emit;
mod keys;
mod restore;
mod step;
mod table;

pub(crate) use convert::{Conversion, Conversions};
pub(crate) use emit::{DeadRecord, Emit, Many, One, Results, ResultsAndDead};
pub(crate) use keys::{AllKeys, Keys};
pub(crate) use restore::change;
pub(crate) use step::{head, key_text};
pub(crate) use table::Table;
