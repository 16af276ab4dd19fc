//! Outputs: their identity, and files that changed unexpectedly.
#![cfg(test)]

#[path = "../support/mod.rs"]
mod support;

mod file_system;
mod foreign_tail;
mod identity;
mod lost;
mod one_file_twice;
mod records;
