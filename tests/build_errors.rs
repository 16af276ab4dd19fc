//! Mistakes in a flow that are found when it is built: before anything is opened, all at once, with
//! their places.
#![cfg(test)]

use std::{
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    time::Duration,
};

use flow::{
    BuildError, Flow, RunError, Runner, Timestamp, Windows,
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
fn two_sources_and_two_sinks_of_one_kind_without_names() {
    let error = error(|flow| {
        numbers(flow).sink(JsonLines::write_to("one"));
        numbers(flow).sink(JsonLines::write_to("two"));
    });
    let BuildError::Several(errors) = error else {
        panic!("{error}");
    };
    let said: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(errors.len(), 2, "{said:?}");
    // The function `numbers` is called twice.
    let at = errors[0].place().unwrap();
    assert_eq!(errors[0].kind(), "made-in-loop");
    assert_eq!(
        said[0],
        format!(
            "{at}: `from_iter_source` is made more than once, by a loop or a closure\nhelp: give \
             each its own id: \
             `.named(format!(\"from_iter_source-{{name}}\"))`"
        )
    );
    assert_eq!(errors[1].kind(), "two-of-one-kind");
    assert_eq!(errors[1].step(), Some("json_lines"));
    assert!(
        said[1].starts_with("two sinks have no name but that of their kind, `json_lines`: tests/"),
        "{said:?}"
    );
    assert!(errors[1].help().unwrap().contains(".named(\"..\")"));
}

/// The store keeps nothing of these steps, so they need no id.
#[test]
fn any_number_of_sinks_that_keep_nothing() {
    let runner = Runner::new(|flow| {
        let items = numbers(flow);
        for _ in 0..2 {
            items.clone().sink(nothing());
        }
        items.sink(nothing());
    });
    let directory = tempfile::tempdir().unwrap();
    let outcome = runner
        .recover(Recovery::at(directory.path().join("state")))
        .run();
    assert_eq!(outcome.unwrap().records, 3);
}

/// The first program of most users: lines from one file to another, without names, and it resumes.
#[test]
fn a_source_and_a_sink_of_one_kind() {
    let directory = tempfile::tempdir().unwrap();
    let [input, output, store] = ["in", "out", "state"].map(|name| directory.path().join(name));
    for (text, records) in [("a\nb\n", 2), ("a\nb\nc\n", 1)] {
        std::fs::write(&input, text).unwrap();
        let (from, to) = (input.clone(), output.clone());
        // A closure may end in its sink.
        let runner = Runner::new(move |flow| {
            flow.source(TextLines::open(&from))
                .sink(TextLines::write_to(&to))
        });
        let graph = runner.graph().unwrap();
        let ids: Vec<_> = graph.steps().iter().map(flow::Step::id).collect();
        assert_eq!(ids, ["text_lines_source", "text_lines"]);
        let outcome = runner.recover(Recovery::at(&store)).run().unwrap();
        assert_eq!(outcome.records, records);
        assert_eq!(std::fs::read_to_string(&output).unwrap(), text);
    }
}

#[test]
fn a_loop_needs_a_name_for_each() {
    let build = |flow: &Flow, named: bool| {
        for name in ["a", "b"] {
            let items = flow.source(source::from_iter(0..3u64));
            let items = match named {
                true => items.named(format!("items-{name}")),
                false => items.named("items"),
            };
            items.sink(nothing());
        }
    };
    let text = error(move |flow| build(flow, false)).to_string();
    assert!(
        text.contains("`items` is made more than once, by a loop"),
        "{text}"
    );
    Runner::new(move |flow| build(flow, true)).graph().unwrap();
}

#[test]
fn names_that_cannot_be_part_of_an_id() {
    use flow::BadName;
    let long = "x".repeat(256);
    let names = [
        ("", BadName::Empty),
        ("a.b", BadName::Period),
        (".", BadName::Period),
        ("two\nlines", BadName::Invisible),
        ("bell\u{7}", BadName::Invisible),
        (" space", BadName::Invisible),
        ("space\u{a0}", BadName::Invisible),
        ("turned\u{202e}", BadName::Invisible),
        (long.as_str(), BadName::TooLong),
    ];
    for (bad, expected) in names {
        for what in ["source", "step", "state", "sink", "former step", "scope"] {
            let name = bad.to_owned();
            let named = move |of: &str, good: &str| {
                if of == what {
                    name.clone()
                } else {
                    good.to_owned()
                }
            };
            let built = Runner::new(move |flow| {
                flow::scope(named("scope", "eu"), || {
                    let items = numbers(flow).named(named("source", "items"));
                    let mapped = items.map(|n| n).named(named("step", "mapped"));
                    let counts = mapped
                        .key_on(|n| *n)
                        .stateful_map(count)
                        .named(named("state", "count"));
                    let counts = counts.renamed_from(named("former step", "eu.counts"));
                    counts
                        .sink(sink::from_fn(|_| ()))
                        .named(named("sink", "end"));
                });
            });
            let result = built.graph();
            if what == "former step" && bad == "a.b" {
                result.unwrap();
                continue;
            }
            let error = result.unwrap_err();
            let BuildError::BadName { name, why, .. } = &error else {
                panic!("{bad:?} as {what}: {error}");
            };
            let expected = match (what, expected) {
                // Two empty parts.
                ("former step", BadName::Period) => BadName::Empty,
                (_, expected) => expected,
            };
            assert_eq!((name.as_str(), *why), (bad, expected), "{what}");
            let text = error.to_string();
            assert!(text.starts_with("tests/build_errors.rs:"), "{text}");
            let word = if what.contains("step") || what == "scope" {
                what
            } else {
                "step"
            };
            assert!(
                text.contains(&format!("{bad:?} can't be the name of a {word}: ")),
                "{text}"
            );
            assert_eq!(text.lines().count(), 2, "{text}");
        }
    }
}

#[test]
fn names_of_any_language() {
    let directory = tempfile::tempdir().unwrap();
    for records in [3, 0] {
        let runner = Runner::new(|flow| {
            let items = numbers(flow).named("zähler 数");
            let counts = items.key_on(|n| *n).stateful_map(count).named("Σ-сумма");
            flow::scope("è", || counts.sink(sink::from_fn(|_| ())).named("🦀"));
        });
        let graph = runner.graph().unwrap();
        assert_eq!(graph.steps().last().unwrap().id(), "è.🦀");
        let outcome = runner
            .recover(Recovery::at(directory.path().join("state")))
            .run();
        assert_eq!(outcome.unwrap().records, records);
    }
}

#[test]
fn two_scopes_of_one_name() {
    let error = error(|flow| {
        let items = numbers(flow);
        let one = flow::scope("eu", || counts(items.clone()));
        let other = flow::scope("eu", || counts(items));
        one.merge(other).sink(sink::from_fn(|_| ()));
    });
    let text = error.to_string();
    assert!(
        text.starts_with("`eu.counts.count` (tests/build_errors.rs:"),
        "{text}"
    );
    assert!(
        text.ends_with("put each use in a scope of its own: `flow::scope(\"eu\", || ..)`"),
        "{text}"
    );
}

#[dataflow]
fn counts(numbers: Stream<u64>) -> KeyedStream<u64, u64> {
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
            .contains("the output of `map` is never used"),
        "{error}"
    );
}

fn second(n: &u64) -> Timestamp {
    Timestamp::from_second(*n as i64).unwrap()
}

#[test]
fn late_records_that_go_nowhere() {
    let build = |dropped: bool| {
        Runner::new(move |flow| {
            let keyed = numbers(flow)
                .event_time(second, Duration::ZERO)
                .key_on(|n| *n);
            let minutes = Windows::tumbling(Duration::from_secs(60));
            let sums = keyed.fold_window(minutes, || 0, |sum: &mut u64, n| *sum += n);
            let sums = sums.named("sums");
            let values = match dropped {
                true => sums.drop_late(),
                false => sums.values,
            };
            values.map(|(_, sum)| sum.value).sink(nothing());
        })
    };
    build(true).graph().unwrap();
    let error = build(false).graph().unwrap_err();
    assert!(matches!(error, BuildError::Unused { .. }), "{error}");
    let place = error.place().unwrap();
    assert_eq!(
        error.to_string(),
        format!(
            "{place}: the output of `late` is never used\nhelp: end it in a sink, or drop it with \
             `.drop_late()`"
        )
    );
}

#[test]
fn a_conversion_behind_the_streams_of_windows() {
    let error = error(|flow| {
        let timed = numbers(flow).event_time(second, Duration::ZERO);
        let minutes = Windows::tumbling(Duration::from_secs(60));
        let keyed = timed.key_on(|n| *n);
        let sums = keyed.fold_window(minutes, || 0, |sum: &mut u64, n| *sum += n);
        let sums = sums.named("sums").drop_late();
        let sums = sums.migrate_from(|sum: u32| u64::from(sum));
        sums.map(|(_, sum)| sum.value).sink(nothing());
    });
    assert_eq!(error.kind(), "migrates-to-other");
    let text = error.to_string();
    assert!(text.contains("before `.drop_late()`"), "{text}");
}

#[test]
fn a_time_behind_a_shuffle() {
    let place = line!() + 8;
    let error = error(|flow| {
        let counts = numbers(flow)
            .key_on(|n| *n)
            .stateful_map(count)
            .named("count");
        let timed = counts
            .map(|(_, n)| n + 1)
            .event_time(second, Duration::ZERO);
        timed.named("happened").drop_time().sink(nothing());
    });
    assert!(
        matches!(error, BuildError::TimeBehindShuffle { .. }),
        "{error}"
    );
    assert_eq!(error.kind(), "time-behind-shuffle");
    assert_eq!(error.step(), Some("happened"));
    let text = error.to_string();
    assert!(
        text.starts_with(&format!("tests/build_errors.rs:{place}:")),
        "{text}"
    );
    assert!(text.contains("behind the shuffle of `count`"), "{text}");
    assert!(text.contains("right behind the source"), "{text}");
}

#[test]
fn two_times_without_a_name() {
    let build = |name: Option<&'static str>| {
        Runner::new(move |flow| {
            let numbers = numbers(flow);
            let first = numbers.clone().event_time(second, Duration::ZERO);
            let other = numbers.event_time(second, Duration::from_secs(10));
            let other = match name {
                Some(name) => other.named(name),
                None => other,
            };
            first.merge(other).drop_time().sink(nothing());
        })
    };
    build(Some("other")).graph().unwrap();
    let error = build(None).graph().unwrap_err();
    assert!(matches!(error, BuildError::TwoOfOneKind { .. }), "{error}");
    assert_eq!(error.step(), Some("event_time"));
    let text = error.to_string();
    let start = "two event_time steps have no name but that of their kind, `event_time`: tests/";
    assert!(text.starts_with(start), "{text}");
    assert!(error.help().unwrap().contains(".named(\"..\")"), "{text}");
}

#[test]
fn an_empty_flow() {
    assert!(matches!(error(|_| {}), BuildError::Empty));
}

fn parsed(n: u64) -> Result<u64, String> {
    Ok(n)
}

fn checked(_: &mut u64, n: u64) -> Result<u64, String> {
    Ok(n)
}

#[test]
fn results_that_reach_a_sink() {
    type Build = fn(&Flow);
    let flows: [(Build, &str); 6] = [
        (
            |flow| drop(numbers(flow).map(parsed).sink(JsonLines::stdout())),
            "Result<u64, String>",
        ),
        (
            |flow| {
                let checked = numbers(flow).key_on(|n| *n).stateful_map(checked);
                checked.named("check").sink(JsonLines::stdout());
            },
            "(u64, Result<u64, String>)",
        ),
        (
            |flow| {
                let pairs = numbers(flow).map(|n| (n, vec![Some(parsed(n))]));
                pairs.sink(JsonLines::stdout());
            },
            "(u64, Vec<Option<Result<u64, String>>>)",
        ),
        (
            |flow| drop(numbers(flow).map(parsed).sink(sink::from_fn(|_| ()))),
            "Result<u64, String>",
        ),
        (
            |flow| {
                let keyed = numbers(flow).key_on(|n| *n).map_values(parsed);
                keyed.sink(sink::collect().0);
            },
            "(u64, Result<u64, String>)",
        ),
        (
            |flow| {
                drop(
                    numbers(flow)
                        .map(|n| [parsed(n)])
                        .sink(JsonLines::write_to("out")),
                )
            },
            "[Result<u64, String>; 1]",
        ),
    ];
    for (build, item) in flows {
        let error = error(build);
        assert!(matches!(error, BuildError::ResultInSink { .. }), "{error}");
        let text = error.to_string();
        assert!(
            text.contains(&format!("`{item}` reaches the sink")),
            "{text}"
        );
        assert!(
            text.contains("try_map") && text.contains("try_stateful_map"),
            "{text}"
        );
    }
    // A type of the user's own may have a `Result` in it, and mean it.
    #[derive(Clone, Serialize, Deserialize)]
    struct Checked<T>(T);
    let built = Runner::new(|flow| {
        numbers(flow)
            .map(|n| Checked(parsed(n)))
            .sink(JsonLines::stdout());
    });
    built.graph().unwrap();
}

#[test]
fn options_that_would_be_lines_of_null() {
    fn third(_: &mut u64, n: u64) -> Option<u64> {
        (n == 3).then_some(n)
    }
    let flows: [fn(&Flow); 3] = [
        |flow| {
            drop(
                numbers(flow)
                    .map(|n| n.checked_sub(1))
                    .sink(JsonLines::stdout()),
            )
        },
        |flow| {
            let keyed = numbers(flow)
                .key_on(|n| *n)
                .stateful_map(third)
                .named("third");
            keyed.sink(JsonLines::stdout());
        },
        |flow| {
            let keyed = numbers(flow).key_on(|n| *n).map_values(Some);
            keyed.sink(JsonLines::write_to("out"));
        },
    ];
    for build in flows {
        let error = error(build);
        assert!(matches!(error, BuildError::OptionInSink { .. }), "{error}");
        let text = error.to_string();
        assert!(
            text.contains("Option<u64>") && text.contains("filter_map_values"),
            "{text}"
        );
    }
    // A sink that says what it takes is meant.
    let meant = Runner::new(|flow| {
        let options = numbers(flow).map(Some);
        options.clone().sink(sink::from_fn(|_: Option<u64>| ()));
        options.clone().sink(sink::collect().0);
        options.map(|n| (n, 1)).sink(JsonLines::stdout());
    });
    meant.graph().unwrap();
}

#[derive(Debug, PartialEq)]
struct NoLimit(std::num::ParseIntError);

impl std::fmt::Display for NoLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("there is no limit")
    }
}

impl std::error::Error for NoLimit {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

/// A flow function may use `?`, in each form of a flow and in pieces of it.
#[test]
fn a_flow_function_may_fail() {
    fn limit(text: &str) -> Result<u64, NoLimit> {
        text.parse().map_err(NoLimit)
    }
    #[dataflow]
    fn typed(flow: &Flow) -> Result<(), NoLimit> {
        let upto = limit("x")?;
        flow.source(source::from_iter(0..upto)).sink(nothing());
        Ok(())
    }
    #[dataflow]
    fn boxed(flow: &Flow) -> Result<(), Box<dyn std::error::Error>> {
        let upto = limit("x")?;
        flow.source(source::from_iter(0..upto)).sink(nothing());
        Ok(())
    }
    #[dataflow]
    fn piece(numbers: Stream<u64>) -> Result<Stream<u64>, NoLimit> {
        let upto = limit("x")?;
        Ok(numbers.filter(move |n| *n < upto))
    }
    #[dataflow]
    fn nested(flow: &Flow) -> Result<(), flow::BoxError> {
        piece(numbers(flow))?.sink(nothing());
        Ok(())
    }
    let runners = [
        Runner::new(typed),
        Runner::new(nested),
        Runner::new(|flow| {
            let upto = limit("x")?;
            flow.source(source::from_iter(0..upto)).sink(nothing());
            Ok::<_, flow::BoxError>(())
        }),
    ];
    let said = "the dataflow function failed: there is no limit: invalid digit found in string";
    for runner in runners {
        let error = runner.run().unwrap_err();
        assert_eq!(error.to_string(), said);
        assert!(matches!(error, RunError::Build(BuildError::Function(_))));
        assert_eq!(error.caused_by::<NoLimit>(), limit("x").err().as_ref());
    }
    // What is not `Send` is told, and can't be given back.
    let error = Runner::new(boxed).run().unwrap_err();
    assert_eq!(error.to_string(), said);
    let text = Runner::new(|_| Err::<(), _>("by hand"))
        .graph()
        .unwrap_err()
        .to_string();
    assert_eq!(text, "the dataflow function failed: by hand");
}

#[test]
fn a_flow_function_that_fails_on_a_worker() {
    static BUILT: AtomicUsize = AtomicUsize::new(0);
    let runner = Runner::new(|flow| {
        numbers(flow).sink(nothing());
        match BUILT.fetch_add(1, SeqCst) {
            0 => Ok(()),
            _ => Err("not twice"),
        }
    });
    let error = runner.workers(2).run().unwrap_err();
    assert!(
        matches!(error, RunError::Build(BuildError::Function(_))),
        "{error}"
    );
    assert!(error.to_string().contains("not twice"), "{error}");
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

/// A source that can't resume.
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
        error.to_string().contains("`once_source`") && error.to_string().contains(".lossy()"),
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
        (runner().epochs(Epochs::records(0)), "epoch"),
        (runner().records_in_flight(0), "in flight"),
        (runner().bytes_in_flight(0), "in flight"),
    ] {
        let error = runner.run().unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
}
