//! Outputs: what a sink is told of itself, and files that are not what they were.
#![cfg(test)]

#[path = "../support/mod.rs"]
mod support;

mod identity;
mod one_file_twice;
