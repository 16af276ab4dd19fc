//! Types of other crates as states and keys: each comes back after a restart, or is refused before
//! anything of it is durable.
//!
//! A package of its own, with its own lock file, so that a user of flow builds none of these
//! crates. `.ci/run` runs it:
//!
//! ```sh
//! cargo test --manifest-path tests/types/Cargo.toml --locked
//! ```
//!
//! Each type goes through a flow with a store, twice, in every shape of [`shapes`]. A line of
//! [`types`] says which of the shapes are refused, so a change of behaviour in either direction
//! fails its test. The tests are built without debug assertions: a release build is where a check
//! must not be missing.
#![cfg(test)]

mod harness;
mod shapes;
mod types;
