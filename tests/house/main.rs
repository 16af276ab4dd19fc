//! The habits of the house: what the documentation names is there, and nothing is kept that nobody
//! uses.

#![cfg(test)]

mod benchmark;
mod commands;
mod dependencies;
mod links;
mod tree;
mod width;
