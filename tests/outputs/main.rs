//! Outputs: what a sink is told of itself, and files that are not what they were.
#![cfg(test)]

mod identity;
