//! Keeps a flow's graph in a file, so that a rename that would separate the flow from its store
//! fails a test.

use std::{fmt::Write, path::Path};

use crate::{
    Built,
    graph::{Graph, Keeps},
    run::plan,
    stream::Flow,
};

/// The environment variable with which [`assert_graph!`](crate::testing::assert_graph) writes the
/// file.
const UPDATE: &str = "FLOW_UPDATE_GRAPHS";

/// Compares the steps that keep something in a store with a file of your crate: ids, kinds, and the
/// fields of keys and states.
///
/// Keep the file under version control. If flow and file differ, the assertion fails and shows
/// both. Run the test with `FLOW_UPDATE_GRAPHS=1` to write the file, and read the difference before
/// you commit it: a store knows steps by these ids.
///
/// ```no_run
/// # use flow::prelude::*;
/// # #[dataflow] fn spending(flow: &Flow) {}
/// #[test]
/// fn the_store_will_know_every_step() {
///     flow::testing::assert_graph!(spending, "tests/spending.graph");
/// }
/// ```
///
/// A flow with arguments is given as a closure. The path is relative to the crate's directory.
///
/// ```no_run
/// # use flow::prelude::*;
/// # struct Args { input: &'static str }
/// # #[dataflow] fn spending(flow: &Flow, args: &Args) {}
/// let args = Args { input: "orders.json" };
/// flow::testing::assert_graph!(|flow| spending(flow, &args), "tests/spending.graph");
/// ```
#[macro_export]
macro_rules! assert_graph {
    ($flow:expr, $path:expr $(,)?) => {
        $crate::testing::check_graph(
            |flow: &_| $flow(flow),
            ::std::path::Path::new(::core::env!("CARGO_MANIFEST_DIR")).join($path),
        )
    };
}

/// The function behind [`assert_graph!`](crate::testing::assert_graph).
///
/// # Panics
/// If the graph and the file differ, the flow can't be built, or the file can't be read or written.
#[doc(hidden)]
#[track_caller]
#[allow(clippy::panic)] // it is an assertion
pub fn check_graph<R: Built<M>, M>(flow: impl Fn(&Flow) -> R, path: impl AsRef<Path>) {
    let path = path.as_ref();
    let graph = match plan(&|| Flow::built(&flow), None) {
        Ok((graph, _)) => outline(&graph),
        Err(error) => panic!("{error}"),
    };
    let name = path.display();
    if std::env::var_os(UPDATE).is_some() {
        if let Err(error) = std::fs::write(path, graph) {
            panic!("{name} can't be written: {error}");
        }
        return;
    }
    let expected = match std::fs::read_to_string(path) {
        Ok(expected) => expected,
        Err(error) => panic!("{name} can't be read: {error}\nhelp: {UPDATE}=1 makes it"),
    };
    assert!(
        graph == expected,
        "the flow keeps other things than {name} says\n--- in the file\n{expected}--- now\n{graph}\
         help: a step that was renamed needs `.renamed_from(\"old\")`, a state that changed \
         fields that serde can \
         read or `.migrate_from`; {UPDATE}=1 writes the file"
    );
}

/// One line for each step that keeps something, and the shapes of its keys and states.
fn outline(graph: &Graph) -> String {
    let mut text = String::new();
    for step in graph.steps() {
        let (what, kept) = match step.keeps {
            Keeps::Nothing | Keeps::Times => continue,
            Keeps::Tokens => ("source", "token"),
            Keeps::States => ("state", "state"),
            Keeps::Positions => ("sink", "position"),
        };
        let _ = writeln!(text, "{what} {} ({})", step.id(), step.kind);
        let schemas = step.types.schemas();
        for (what, schema) in [("key", schemas.key), (kept, schemas.state)] {
            let Some(schema) = schema else { continue };
            for (index, line) in format!("{schema:#}").lines().enumerate() {
                let _ = match index {
                    0 => writeln!(text, "    {what}: {line}"),
                    _ => writeln!(text, "    {line}"),
                };
            }
        }
    }
    text
}
