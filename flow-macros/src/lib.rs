//! The `#[dataflow]` attribute, documented where the facade re-exports it.
//!
//! A function goes through four stages:
//! - `parse` splits it into parts, whose tokens stay as they are.
//! - `model` finds the calls that make steps.
//! - `check` looks for mistakes.
//! - `expand` puts one statement in front of the body.

mod check;
mod expand;
mod model;
mod parse;

#[cfg(test)]
mod tests;

use proc_macro::TokenStream;

/// Makes a function a dataflow. `flow::dataflow` documents it.
#[proc_macro_attribute]
pub fn dataflow(options: TokenStream, item: TokenStream) -> TokenStream {
    expand::dataflow(options.into(), item.into()).into()
}
