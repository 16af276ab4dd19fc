use flow::prelude::*;

fn parity(n: &u64) -> bool {
    n % 2 == 0
}

#[dataflow]
fn keyed_twice(numbers: Stream<u64>) -> KeyedStream<u64, u64> {
    numbers.key_on(parity).key_on(|n| n % 10)
}

fn main() {}
