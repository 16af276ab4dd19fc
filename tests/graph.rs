//! The graph of a flow, as users can compare it in their tests.
#![cfg(test)]

use std::fs;

use flow::{prelude::*, sink, source, testing};

fn add_up(sum: &mut u64, n: u64) -> u64 {
    *sum += n;
    *sum
}

#[dataflow]
fn sums(flow: &Flow, file: &str) {
    let numbers = flow.source(source::from_iter(0..3u64));
    let sums = numbers.key_on(|n| n.to_string()).stateful_map(add_up);
    let lines = sums.map(|(key, sum)| format!("{key} {sum}"));
    lines.clone().sink(sink::from_fn(|_: String| ()));
    lines.sink(TextLines::write_to(file));
}

const GRAPH: &str = "\
source numbers (from_iter)
    token: u64
state add_up (stateful_map)
    key: String
    state: u64
sink from_fn (from_fn)
sink text_lines (text_lines)
    position: struct FilePosition {
        bytes: u64,
        tail: u64,
        path: String,
    }
";

#[test]
fn a_graph_is_compared_with_its_file() {
    let output = String::from("out");
    testing::assert_graph!(|flow| sums(flow, &output), "tests/sums.graph");
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sums.graph");
    assert_eq!(fs::read_to_string(file).unwrap(), GRAPH);
}

#[test]
fn a_graph_that_differs_fails_with_both_and_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("old.graph");
    fs::write(&file, GRAPH.replace("add_up", "add")).unwrap();
    let panic = std::panic::catch_unwind(|| {
        testing::check_graph(|flow: &Flow| sums(flow, "out"), &file);
    });
    let message = *panic.unwrap_err().downcast::<String>().unwrap();
    for part in [
        "state add (stateful_map)",
        "state add_up (stateful_map)",
        "renamed_from",
    ] {
        assert!(message.contains(part), "{message}");
    }
}
