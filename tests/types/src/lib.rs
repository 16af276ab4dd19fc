//! Types of other crates as states and keys: each is restored after a restart, or is refused before
//! any of it is durable.
//!
//! This is a separate package with its own lock file, so that users of flow build none of these
//! crates. `.ci/run` runs it:
//!
//! ```sh
//! cargo test --manifest-path tests/types/Cargo.toml --locked
//! ```
//!
//! Each type goes twice through a flow with a store, in every shape of [`shapes`]. A line of
//! [`types`] lists the refused shapes, so a change of behaviour in either direction fails its test.
//! The tests are built without debug assertions, because the checks must work in a release build.
#![cfg(test)]

mod harness;
mod shapes;
mod types;
