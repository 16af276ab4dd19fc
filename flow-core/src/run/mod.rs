//! Running a flow: its settings, its preparation, the run, and its end.

mod ending;
mod failure;
mod outcome;
mod preparing;
mod recovery;
mod running;
mod settings;
mod start;

pub use outcome::{Ended, Outcome, Started};
pub(crate) use preparing::plan;
pub use recovery::Recovery;
pub use settings::Runner;
