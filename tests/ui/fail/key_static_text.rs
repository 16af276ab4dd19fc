use flow::prelude::*;

fn parity(n: &u64) -> &'static str {
    if n % 2 == 0 { "even" } else { "odd" }
}

fn count(seen: &mut u64, _: u64) -> u64 {
    *seen += 1;
    *seen
}

#[dataflow]
fn by_parity(numbers: Stream<u64>) -> KeyedStream<&'static str, u64> {
    numbers.key_on(parity).stateful_map(count)
}

fn main() {}
