use flow::prelude::*;

#[dataflow(name = "totals", renamed = "sums")]
fn orders(_flow: &Flow) {}

#[dataflow(renamed_from = old, crate = "flow")]
fn carts(_flow: &Flow) {}

#[dataflow("sums")]
fn sums(_flow: &Flow) {}

fn main() {}
