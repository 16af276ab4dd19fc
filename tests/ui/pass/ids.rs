//! Which ids steps get, as the flow sees them.

use flow::prelude::*;
use flow::{Keeps, SinkError, sink, source};

fn parity(n: &u64) -> u64 {
    n % 2
}

fn sum(sum: &mut u64, n: u64) -> u64 {
    *sum += n;
    *sum
}

fn keyed(key: &u64, sum: &mut u64, n: u64) -> u64 {
    *sum += n + key;
    *sum
}

fn forget(sum: &mut Option<u64>, n: u64) -> u64 {
    sum.take().unwrap_or_default() + n
}

fn ignore<T>(_: T) -> Result<(), SinkError> {
    Ok(())
}

fn numbers() -> source::IterSource<std::ops::Range<u64>> {
    source::from_iter(0..3u64)
}

/// What steps keep, and the ids they keep it under.
fn kept(build: fn(&Flow)) -> Vec<(Keeps, String)> {
    let graph = Runner::new(build).graph().unwrap();
    let steps = graph
        .steps()
        .iter()
        .filter(|step| step.keeps != Keeps::Nothing);
    steps.map(|step| (step.keeps, step.id())).collect()
}

fn ids(build: fn(&Flow), keeps: Keeps) -> Vec<String> {
    let steps = kept(build).into_iter().filter(|step| step.0 == keeps);
    steps.map(|step| step.1).collect()
}

#[dataflow]
fn sources(flow: &Flow) {
    let one = flow.source(numbers());
    let mut two: Stream<u64> = (flow.source(numbers())).clone();
    let three = flow.source(numbers()).named("drei").renamed_from("trois");
    let four = flow
        .source(numbers())
        .renamed_from("quatre")
        .named(format!("vi{}", "er"));
    let r#use = flow.source(numbers());
    two = two.map(|n| n);
    let not_this = flow.source(numbers()).filter(|n| *n > 1);
    let all = one
        .merge(two)
        .merge(three)
        .merge(four)
        .merge(r#use)
        .merge(not_this);
    all.sink(sink::from_fn(ignore));
}

#[dataflow]
fn states(flow: &Flow) {
    let numbers = flow.source(numbers()).key_on(parity);
    let by_let = numbers.clone().stateful_map(|sum: &mut u64, n| *sum + n);
    let by_name: KeyedStream<u64, u64> = numbers.clone().stateful_map_with_key(keyed);
    by_let
        .merge(by_name)
        .stateful_map_opt(forget)
        .sink(sink::from_fn(ignore))
        .named("a");
    numbers
        .clone()
        .stateful_map(|sum: &mut u64, n| *sum + n)
        .named("literal")
        .sink(sink::from_fn(ignore))
        .named("b");
    numbers
        .stateful_map(self::sum)
        .renamed_from("total")
        .sink(sink::from_fn(ignore))
        .named("c");
}

#[dataflow(renamed_from = "totals")]
fn piece(numbers: Stream<u64>) -> KeyedStream<u64, u64> {
    numbers.key_on(parity).stateful_map(sum)
}

#[dataflow]
fn repeated(flow: &Flow) {
    let numbers = flow.source(numbers());
    for region in ["eu", "us"] {
        let sums = numbers
            .clone()
            .key_on(parity)
            .stateful_map(sum)
            .named(format!("sum-{region}"));
        sums.sink(sink::from_fn(ignore)).named(region);
        flow::scope(region, || {
            piece(numbers.clone()).sink(sink::from_fn(ignore))
        });
    }
    flow::scope("asia", || {
        numbers
            .clone()
            .key_on(parity)
            .stateful_map(sum)
            .sink(sink::from_fn(ignore))
    });
    flow::scope("africa", || {
        numbers
            .clone()
            .key_on(parity)
            .stateful_map(sum)
            .sink(sink::from_fn(ignore))
    });
    let as_they_are = std::env::args().count() > 0;
    if as_they_are {
        numbers
            .key_on(parity)
            .stateful_map(sum)
            .sink(sink::from_fn(ignore));
    } else {
        numbers
            .map(|n| n + 1)
            .key_on(parity)
            .stateful_map(sum)
            .sink(sink::from_fn(ignore));
    }
}

fn main() {
    assert_eq!(
        ids(sources, Keeps::Tokens),
        ["one", "two", "drei", "vier", "use", "from_iter_source"]
    );
    assert_eq!(
        ids(states, Keeps::States),
        ["by_let", "keyed", "forget", "literal", "sum"]
    );
    assert_eq!(
        ids(repeated, Keeps::States),
        [
            "sum-eu",
            "eu.piece.sum",
            "sum-us",
            "us.piece.sum",
            "asia.sum",
            "africa.sum",
            "sum"
        ]
    );
    let graph = Runner::new(repeated).graph().unwrap();
    let piece = graph
        .steps()
        .iter()
        .find(|step| step.id() == "eu.piece.sum")
        .unwrap();
    assert_eq!(piece.former_ids(), ["eu.totals.sum"]);
}
