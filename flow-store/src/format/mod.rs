//! The content of a part file: the tables, and the bytes of their rows. FORMAT.md describes it.

mod bounded;
pub(crate) mod changes;
pub(crate) mod chunk;
pub(crate) mod delta;
pub(crate) mod executions;
pub(crate) mod failure;
pub(crate) mod meta;
pub(crate) mod record;
pub(crate) mod steps;
pub(crate) mod tables;
pub(crate) mod versions;
pub(crate) mod write;
