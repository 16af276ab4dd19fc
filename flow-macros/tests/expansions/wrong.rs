#[dataflow(name = "x", renamed_from = "old", crate = "flow")]
fn wrong(flow: &Flow) {
    let a = flow.source(numbers()).key_on(id).stateful_map(count);
    let b = a.clone().stateful_map(count);
    b.stateful_map(|n, m| n + m).sink(out);
    for stream in streams {
        stream.stateful_map(total).sink(out);
    }
}
