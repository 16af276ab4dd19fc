use flow::{prelude::*, source};

#[dataflow]
fn sums(flow: &Flow) {
    let numbers = flow.source(source::from_iter(0..10u64));
    let numbers = numbers.key_on(|n| n % 2);
    let numbers = numbers.stateful_map(|sum: &mut u64, n| {
        *sum += n;
        *sum
    });
    numbers.sink(JsonLines::stdout());
}

fn main() {}
