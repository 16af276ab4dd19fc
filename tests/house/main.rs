//! The habits of the house: things that the documentation names exist, and nothing unused is kept.

#![cfg(test)]

mod benchmark;
mod commands;
mod dependencies;
mod links;
mod tree;
mod width;
