use flow::prelude::*;

#[dataflow]
async fn later(_flow: &Flow) {}

#[dataflow]
const fn earlier(_flow: &Flow) {}

#[dataflow]
unsafe fn risky(_flow: &Flow) {}

fn main() {}
