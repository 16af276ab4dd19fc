//! A conversion of keys does not make the key of the stream.

use flow::prelude::*;

fn count(count: &mut u64, _: u64) {
    *count += 1;
}

#[dataflow]
fn counts(numbers: Stream<u64>) -> KeyedStream<String, ()> {
    numbers
        .key_on(|n| n.to_string())
        .stateful_map(count)
        .rekey_from(|old: u64| old + 1)
}

fn main() {}
