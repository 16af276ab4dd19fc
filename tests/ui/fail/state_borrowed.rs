use flow::prelude::*;

#[derive(Default, Serialize, Deserialize)]
struct Last<'a> {
    text: &'a str,
}

fn count<'a>(_: &mut Last<'a>, _: u64) -> u64 {
    1
}

#[dataflow]
fn counts(numbers: Stream<u64>) -> KeyedStream<u64, u64> {
    numbers.key_on(|n| *n).stateful_map(count)
}

fn main() {}
