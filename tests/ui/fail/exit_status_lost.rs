//! The exit status of a program that drops it is always 0.
#![deny(unused_must_use)]

use flow::prelude::*;

fn numbers(flow: &Flow) {
    flow.source(flow::source::from_iter(0..3u64))
        .sink(flow::sink::from_fn(|_: u64| ()));
}

fn main() {
    flow::main(numbers);
}
