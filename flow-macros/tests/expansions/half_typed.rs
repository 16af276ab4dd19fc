#[dataflow]
fn half_typed(flow: &Flow) {
    let lines = flow.
}
