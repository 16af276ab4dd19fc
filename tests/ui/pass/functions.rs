//! The forms that a dataflow function may have.

use std::error::Error;

use flow::{prelude::*, sink, source};

#[derive(clap::Args)]
struct Args {
    #[arg(long, default_value_t = 3)]
    upto: u64,
}

/// Generic over what it makes of a record.
#[dataflow]
fn mapped<T, U, F>(records: Stream<T>, f: F) -> Stream<U>
where
    T: Clone + 'static,
    U: 'static,
    F: FnMut(T) -> U + 'static,
{
    records.map(f)
}

#[dataflow]
fn counted<K: flow::Key>(keyed: KeyedStream<K, u64>, step: &str) -> KeyedStream<K, u64> {
    let counts = keyed.stateful_map(|count: &mut u64, _| {
        *count += 1;
        *count
    });
    counts.named(step)
}

#[dataflow]
fn with_impl_trait(mut numbers: Stream<u64>, key: impl Fn(&u64) -> u64 + 'static) -> KeyedStream<u64, u64> {
    numbers = numbers.filter(|n| *n > 0);
    counted(numbers.key_on(move |n| key(n)), "count")
}

#[dataflow]
fn with_lifetimes<'a>(flow: &'a Flow, name: &'a str, all: &mut Vec<&'a str>) -> Stream<u64> {
    all.push(name);
    flow.source(source::from_iter(0..5u64)).named(name)
}

#[dataflow]
fn may_fail(numbers: Stream<u64>, limit: &str) -> Result<Stream<u64>, std::num::ParseIntError> {
    let limit: u64 = limit.parse()?;
    Ok(numbers.filter(move |n| *n < limit))
}

#[dataflow]
fn all(flow: &Flow) -> Result<(), Box<dyn Error>> {
    let mut names = Vec::new();
    let numbers = with_lifetimes(flow, "numbers", &mut names);
    let numbers = may_fail(numbers, "4")?;
    let counts = with_impl_trait(mapped(numbers, |n| n + 1), |n| n % 2);
    let (low, high) = counts.branch(|(_, count)| *count < 2);
    low.sink(sink::from_fn(|_| ()));
    high.drop_key().map(|n| n + 1).sink(sink::from_fn(|_| ()));
    if names.len() != 1 {
        return Err("there is one name".into());
    }
    Ok(())
}

#[dataflow]
fn with_arguments(flow: &Flow, args: &Args) -> Result<(), String> {
    if args.upto == 0 {
        return Err("nothing to do".to_owned());
    }
    flow.source(source::from_iter(0..args.upto)).sink(sink::from_fn(|_| ()));
    Ok(())
}

/// Everything that `main` takes; compiled, not run.
#[allow(dead_code)]
fn programs() -> [ExitCode; 5] {
    [
        flow::main(all),
        flow::main(with_arguments),
        flow::main(|flow: &Flow| all(flow)),
        flow::main(|flow: &Flow| flow.source(TextLines::open("in")).sink(TextLines::stdout())),
        flow::main(|flow: &Flow, args: &Args| {
            flow.source(source::from_iter(0..args.upto)).sink(JsonLines::stdout());
        }),
    ]
}

fn main() {
    let graph = Runner::new(all).graph().unwrap();
    let kept = graph.steps().iter().filter(|step| step.keeps == flow::Keeps::States);
    let ids: Vec<_> = kept.map(flow::Step::id).collect();
    assert_eq!(ids, ["with_impl_trait.counted.count"]);
    assert_eq!(Runner::new(all).run().unwrap().records, 5);
    let args = Args { upto: 0 };
    let error = Runner::new(move |flow| with_arguments(flow, &args)).run().unwrap_err();
    assert_eq!(error.to_string(), "the dataflow function failed: nothing to do");
    // An unfinished one.
    let _ = Runner::new(|_| todo!());
}
