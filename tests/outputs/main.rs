//! Outputs: what a sink is told of itself, and files that are not what they were.
#![cfg(test)]

#[path = "../support/mod.rs"]
mod support;

mod file_system;
mod foreign_tail;
mod identity;
mod lost;
mod one_file_twice;
mod records;
