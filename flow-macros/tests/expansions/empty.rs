#[dataflow]
fn empty() {}
