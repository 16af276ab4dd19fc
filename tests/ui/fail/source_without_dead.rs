use flow::{prelude::*, source};

#[dataflow]
fn totals(flow: &Flow) {
    let (numbers, dead) = flow.source_or_dead(source::from_iter([1_i64, 2]));
    numbers.sink(JsonLines::stdout());
    dead.sink(JsonLines::stdout());
}

fn main() {}
