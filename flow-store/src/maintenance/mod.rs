//! Maintenance of a store while no flow runs.
//!
//! Steps are dropped and renamed in one transaction each. Such a transaction is not an execution:
//! it changes neither epoch nor execution, so it uses no number. It increments `maintained`, so
//! that a start notices a manifest of an earlier look. Compaction and backup write a copy under
//! another name, which is renamed when it is complete.

mod backup;
mod compact;
pub(crate) mod copy;
pub(crate) mod steps;
mod verify;

pub use compact::Compacted;
pub use steps::DroppedStep;
pub use verify::Verified;
