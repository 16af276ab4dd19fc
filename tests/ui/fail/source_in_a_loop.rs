use flow::prelude::*;

#[dataflow]
fn copies(flow: &Flow) {
    for name in ["a", "b"] {
        let lines = flow.source(TextLines::open(name));
        lines.sink(TextLines::write_to(format!("{name}.copy"))).named(name);
    }
}

fn main() {}
