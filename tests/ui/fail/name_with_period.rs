use flow::prelude::*;

fn add_up(sum: &mut u64, n: u64) -> u64 {
    *sum += n;
    *sum
}

#[dataflow]
fn sums(numbers: Stream<u64>) -> KeyedStream<u64, u64> {
    numbers.key_on(|n| n % 2).stateful_map(add_up).named("sums.by_parity")
}

fn main() {}
