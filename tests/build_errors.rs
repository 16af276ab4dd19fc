//! What is wrong with a flow as it is built: found before anything is opened, all at once, with places.
#![cfg(test)]

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use flow::{
    BuildError, Flow, RunError, Runner,
    prelude::*,
    sink,
    source::{self, NoResume, Source as _},
};

fn numbers(flow: &Flow) -> Stream<u64> {
    flow.source(source::from_iter(0..3u64))
}

fn error(build: impl Fn(&Flow) + Send + Sync + 'static) -> BuildError {
    Runner::new(build).graph().unwrap_err()
}

fn count(seen: &mut u64, _: u64) -> u64 {
    *seen += 1;
    *seen
}

fn nothing() -> impl flow::sink::IntoSink<u64> {
    sink::from_fn(|_: u64| ())
}

#[test]
fn a_stateful_step_without_an_id() {
    let line = line!() + 2;
    let error = error(|flow| {
        let counts = numbers(flow).key_on(|n| *n).stateful_map(count);
        counts.map(|(_, n)| n).sink(nothing());
    });
    let text = error.to_string();
    assert!(matches!(error, BuildError::NoName { .. }), "{text}");
    assert!(
        text.starts_with(&format!("tests/build_errors.rs:{line}:")),
        "{text}"
    );
    assert!(text.contains("`.named(\"..\")`"), "{text}");
}

#[test]
fn two_steps_of_one_id() {
    let error = error(|flow| {
        let keyed = numbers(flow).key_on(|n| *n);
        let first = keyed.clone().stateful_map(count).named("count");
        let second = keyed.stateful_map(count).named("count");
        first.merge(second).map(|(_, n)| n).sink(nothing());
    });
    assert!(matches!(error, BuildError::DoubleId { .. }), "{error}");
    assert!(
        error.to_string().contains("two steps are called `count`"),
        "{error}"
    );
}

#[test]
fn two_sources_or_sinks_of_one_id() {
    let error = error(|flow| {
        numbers(flow).sink(nothing());
        numbers(flow).sink(nothing());
    });
    let BuildError::Several(errors) = error else {
        panic!("{error}");
    };
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(
        errors
            .iter()
            .all(|error| matches!(error, BuildError::DoubleId { .. }))
    );
}

#[dataflow]
fn counts(numbers: Stream<u64>) -> Stream<u64, u64> {
    numbers.key_on(|n| *n).stateful_map(count)
}

#[test]
fn a_nested_dataflow_used_twice_needs_scopes() {
    #[dataflow]
    fn twice(flow: &Flow) {
        let items = numbers(flow);
        let merged = counts(items.clone()).merge(counts(items));
        merged.map(|(_, n)| n).sink(nothing());
    }
    let error = error(twice);
    assert!(
        matches!(error, BuildError::DataflowUsedTwice { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("flow::scope("), "{error}");

    #[dataflow]
    fn scoped(flow: &Flow) {
        let items = numbers(flow);
        let eu = flow::scope("eu", || counts(items.clone()));
        let us = flow::scope("us", || counts(items));
        eu.merge(us).map(|(_, n)| n).sink(nothing());
    }
    let graph = Runner::new(scoped).graph().unwrap();
    let ids: Vec<_> = graph.steps().iter().map(flow::Step::id).collect();
    assert!(ids.contains(&"eu.counts.count".to_owned()), "{ids:?}");
    assert!(ids.contains(&"us.counts.count".to_owned()), "{ids:?}");
}

#[test]
fn a_stream_that_leads_nowhere() {
    let error = error(|flow| {
        let items = numbers(flow);
        drop(items.clone().map(|n| n + 1));
        items.sink(nothing());
    });
    assert!(matches!(error, BuildError::Unused { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains("what `map` gives out is never used"),
        "{error}"
    );
}

#[test]
fn an_empty_flow() {
    assert!(matches!(error(|_| {}), BuildError::Empty));
}

#[test]
fn results_that_reach_a_sink() {
    let error = error(|flow| {
        let texts = numbers(flow).map(|n| n.to_string());
        let parsed = texts.map(|text| text.parse::<u64>().map_err(|error| error.to_string()));
        parsed.sink(JsonLines::stdout());
    });
    assert!(matches!(error, BuildError::ResultInSink { .. }), "{error}");
    assert!(
        error.to_string().contains("`Result<u64, String>`"),
        "{error}"
    );
    assert!(error.to_string().contains("try_map"), "{error}");
}

#[test]
fn one_output_in_two_sinks() {
    let error = error(|flow| {
        let items = numbers(flow);
        items.clone().sink(JsonLines::write_to("out.json"));
        items.sink(TextLines::write_to("out.json"));
    });
    assert!(matches!(error, BuildError::DoubleOutput { .. }), "{error}");
    assert!(error.to_string().contains("merge"), "{error}");
}

/// A source that can't go on where it was.
struct Once;

struct OnceReader;

impl source::Source for Once {
    type Item = u64;
    type Token = NoResume;
    type Reader = OnceReader;

    fn partitions(&self) -> Result<Vec<String>, source::SourceError> {
        Ok(vec!["once".to_owned()])
    }

    fn open(&self, _: &str, _: source::At<NoResume>) -> Result<OnceReader, source::SourceError> {
        Ok(OnceReader)
    }
}

impl source::Reader for OnceReader {
    type Item = u64;
    type Token = NoResume;

    fn read(
        &mut self,
        out: &mut Vec<u64>,
        _: &std::task::Waker,
    ) -> Result<source::Next, source::SourceError> {
        out.push(1);
        Ok(source::Next::End)
    }

    fn token(&self, _: usize) -> NoResume {
        NoResume
    }
}

#[test]
fn a_source_that_cannot_resume_under_a_store() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("state");
    let refused = Runner::new(|flow| {
        flow.source(Once).sink(nothing());
    });
    let error = refused.recover(Recovery::at(&store)).run().unwrap_err();
    assert!(
        matches!(error, RunError::Build(BuildError::CannotResume { .. })),
        "{error}"
    );
    assert!(
        error.to_string().contains("`once`") && error.to_string().contains(".lossy()"),
        "{error}"
    );
    assert!(!store.exists());

    let without_store = Runner::new(|flow| {
        flow.source(Once).sink(nothing());
    });
    assert_eq!(without_store.run().unwrap().records, 1);
    for _ in 0..2 {
        let agreed = Runner::new(|flow| {
            flow.source(Once.lossy()).sink(nothing());
        });
        let outcome = agreed.recover(Recovery::at(&store)).run().unwrap();
        assert_eq!(outcome.records, 1);
    }
}

#[test]
fn a_flow_that_is_built_otherwise_on_a_worker() {
    static BUILT: AtomicUsize = AtomicUsize::new(0);
    let runner = Runner::new(|flow| {
        let built = BUILT.fetch_add(1, SeqCst);
        let items = numbers(flow);
        if built == 0 {
            items.map(|n| n).sink(nothing());
        } else {
            items.filter(|_| true).sink(nothing());
        }
    });
    let error = runner.run().unwrap_err();
    assert!(
        matches!(error, RunError::Build(BuildError::NotDeterministic { .. })),
        "{error}"
    );
    assert!(
        error.to_string().contains("`map`") && error.to_string().contains("`filter`"),
        "{error}"
    );
}

#[test]
fn settings_that_cannot_be() {
    let runner = || {
        Runner::new(|flow| {
            numbers(flow).sink(nothing());
        })
    };
    for (runner, word) in [
        (runner().workers(0), "worker"),
        (runner().epochs(Epochs::items(0)), "epoch"),
        (runner().in_flight(0, 1), "in flight"),
    ] {
        let error = runner.run().unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
}
