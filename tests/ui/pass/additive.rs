//! `#[dataflow]` takes nothing away: what is Rust without it is Rust with it, and the ids are there.

use flow::prelude::*;
use flow::{Graph, Keeps, SinkError, sink, source};

#[derive(Clone, Default, Serialize, Deserialize)]
struct Sum(u64);

fn sum(sum: &mut Sum, n: u64) -> u64 {
    sum.0 += n;
    sum.0
}

fn parity(n: &u64) -> u64 {
    n % 2
}

fn ignore(_: (u64, u64)) -> Result<(), SinkError> {
    Ok(())
}

struct Config {
    names: Vec<String>,
    path: std::path::PathBuf,
}

impl Config {
    /// Doc comments stay.
    #[dataflow]
    pub(crate) fn build<'a, T>(
        &self,
        flow: &'a Flow,
        seed: T,
    ) -> Result<KeyedStream<u64, u64>, std::num::ParseIntError>
    where
        T: Into<u64> + Copy + 'static,
    {
        //! Inner ones too.
        #![allow(unused_variables)]
        use std::fmt::Write as _;

        let n: u64 = "3".parse()?;
        let lengths: Vec<_> = self
            .names
            .iter()
            .map(|s| s.len())
            .filter(|n| *n > 0)
            .collect();
        let total: usize = lengths.iter().copied().map(|x| x * 2).sum();
        let first = self
            .names
            .first()
            .map(String::as_str)
            .unwrap_or(&String::new())
            .to_string();
        let joined = self.path.join("x");
        let borrowed: &Option<u64> = &Some(n).map(|x| x + 1);
        let mut text = String::new();
        let _ = write!(text, "{n}");
        let mut numbers = flow.source(source::from_iter(0..n));
        if total > 3 {
            numbers = numbers.filter(move |x| *x != total as u64).map(|x| x + 1);
        }
        numbers = match first.as_str() {
            "a" => numbers.map(|x| x),
            _ => numbers,
        };
        macro_rules! twice {
            ($e:expr) => {
                $e.map(|x| x * 2)
            };
        }
        let doubled = twice!(numbers);
        for _ in 0..2 {
            let none: Option<u8> = None;
            let _ = none.map(u64::from);
        }
        Ok(doubled.key_on(parity).stateful_map(sum))
    }
}

#[dataflow]
#[rustfmt::skip]
fn returns_early(flow: &Flow, often: bool) {
    let numbers = flow.source(source::from_iter(0..3u64));
    if often {
        numbers.key_on(parity).stateful_map(sum).sink(sink::from_fn(ignore));
        return;
    }
	/* é漢字 after a tab */ let sums = numbers.key_on(parity).stateful_map_opt(|s: &mut Option<Sum>, n| { s.get_or_insert_default().0 += n; n });
    sums.sink(sink::from_fn(ignore));
}

#[dataflow]
#[rustfmt::skip]
fn one_line(flow: &Flow) { flow.source(source::from_iter(0..3u64)).key_on(parity).stateful_map(sum).sink(sink::from_fn(ignore)); }

#[dataflow]
#[allow(dead_code)]
fn empty(_flow: &Flow) {}

#[dataflow]
fn takes_any(numbers: Stream<u64>, by: impl Fn(u64) -> u64 + 'static) -> KeyedStream<u64, u64> {
    numbers.map(by).key_on(parity).stateful_map(self::sum)
}

#[dataflow]
fn calls_others(flow: &Flow) {
    let config = Config {
        names: vec!["ab".into(), "c".into()],
        path: "p".into(),
    };
    let built = config.build(flow, 1u32).unwrap();
    let r#in = flow.source(source::from_iter(0..3u64)).clone();
    let any = takes_any(r#in, |n| n + 1);
    let named = flow
        .source(source::from_iter(0..3u64))
        .named("other")
        .renamed_from("old");
    any.merge(built)
        .merge(named.key_on(parity))
        .sink(sink::from_fn(ignore));
    empty(flow);
}

fn ids(graph: &Graph) -> Vec<String> {
    graph.steps().iter().map(|step| step.id()).collect()
}

fn kept(graph: &Graph) -> Vec<String> {
    graph
        .steps()
        .iter()
        .filter(|step| step.keeps != Keeps::Nothing)
        .map(|step| step.id())
        .collect()
}

fn main() {
    let graph = Runner::new(one_line).graph().unwrap();
    assert_eq!(ids(&graph), ["from_iter_source", "parity", "sum", "from_fn"]);

    let graph = Runner::new(|flow| returns_early(flow, true))
        .graph()
        .unwrap();
    assert_eq!(ids(&graph), ["numbers", "parity", "sum", "from_fn"]);

    let graph = Runner::new(|flow| returns_early(flow, false))
        .graph()
        .unwrap();
    assert_eq!(ids(&graph), ["numbers", "parity", "sums", "from_fn"]);

    let graph = Runner::new(calls_others).graph().unwrap();
    println!("{graph}");
    assert_eq!(
        kept(&graph),
        [
            "build.numbers",
            "build.sum",
            "in",
            "takes_any.sum",
            "other",
            "from_fn"
        ]
    );
}
