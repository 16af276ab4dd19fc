//! Work on a store that no flow runs on: what `flow-store` does beyond looking.
//!
//! Steps are dropped and renamed in one transaction each. Such a transaction is no execution: it
//! leaves epoch and execution as they are, so that no number is used up or used twice, and counts
//! itself in `maintained`, by which a start sees that its manifest was made from another look.
//! Compaction and backup write a copy under another name, which is renamed when it is whole.

mod backup;
mod compact;
pub(crate) mod copy;
pub(crate) mod steps;
mod verify;

pub use compact::Compacted;
pub use steps::DroppedStep;
pub use verify::Verified;
