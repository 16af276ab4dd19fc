//! Steps that are renamed, removed, added, or change their kind between two runs, also in nested
//! dataflows: the messages, and each solution.
#![cfg(test)]

mod support;

use std::{collections::BTreeMap, sync::Arc, sync::Mutex};

use flow::{BuildError, RunError, prelude::*, scope, sink, source};
use flow_store::KEY_GROUPS;
use support::Workdir;

fn count(count: &mut u64, _: u64) -> u64 {
    *count += 1;
    *count
}

fn add_up(sum: &mut u64, n: u64) -> u64 {
    *sum += n;
    *sum
}

/// Numbers by their parity. Each run has the same three numbers, and later runs have nothing to
/// read.
fn by_parity(flow: &Flow) -> KeyedStream<bool, u64> {
    let numbers = flow
        .source(source::from_iter([1, 2, 3u64]))
        .named("numbers");
    numbers.key_on(|n| n % 2 == 0)
}

fn end(stream: KeyedStream<bool, u64>) {
    stream.map(|_| ()).sink(sink::from_fn(|()| ())).named("end");
}

struct Store(Workdir);

impl Store {
    /// A store that a flow has left.
    fn of(flow: impl Fn(&Flow) + Send + Sync + 'static) -> Self {
        let store = Store(Workdir::new());
        assert_eq!(store.run(flow), Ok(vec![]));
        store
    }

    fn recovery(&self) -> Recovery {
        Recovery::at(self.0.path("state"))
    }

    fn run(&self, flow: impl Fn(&Flow) + Send + Sync + 'static) -> Result<Vec<String>, String> {
        self.run_with(self.recovery(), flow)
    }

    /// The notices of a run, or why it was refused; then it has changed nothing.
    fn run_with(
        &self,
        recovery: Recovery,
        flow: impl Fn(&Flow) + Send + Sync + 'static,
    ) -> Result<Vec<String>, String> {
        let before = self.0.snapshot("state");
        let told = Arc::new(Mutex::new(Vec::new()));
        let tell = told.clone();
        let ended = Runner::new(flow)
            .recover(recovery)
            .on_start(move |started| {
                tell.lock()
                    .unwrap()
                    .extend(started.notices.iter().map(ToString::to_string));
            })
            .run();
        if let Err(error) = ended {
            before.assert_same(&self.0.snapshot("state"));
            return Err(error
                .to_string()
                .replace(&self.0.path("state").display().to_string(), "STORE"));
        }
        Ok(std::mem::take(&mut *told.lock().unwrap()))
    }

    /// The states in the store, by step.
    fn states(&self) -> BTreeMap<String, Vec<u64>> {
        support::look(&self.0.path("state"), |look| {
            let stateful = look
                .steps()
                .iter()
                .filter(|step| step.kind == flow_store::StepKind::State);
            let states = stateful.map(|step| {
                let rows = look.rows(step.number, 0..KEY_GROUPS).unwrap();
                let mut states: Vec<u64> = rows
                    .map(|row| flow_store::decode(&row.unwrap().value).unwrap())
                    .collect();
                states.sort_unstable();
                (step.id.clone(), states)
            });
            states.collect()
        })
    }

    #[track_caller]
    fn holds<const N: usize>(&self, states: [(&str, &[u64]); N]) {
        let states = states.map(|(id, states)| (id.to_owned(), states.to_vec()));
        assert_eq!(self.states(), BTreeMap::from(states));
    }
}

#[dataflow]
fn counts(flow: &Flow) {
    end(by_parity(flow).stateful_map(count));
}

#[dataflow]
fn renamed(flow: &Flow) {
    end(by_parity(flow).stateful_map(count).named("tally"));
}

#[dataflow]
fn removed(flow: &Flow) {
    end(by_parity(flow).map_values(|n| n));
}

const UNKNOWN: &str = "the store in STORE has a step that the flow does not have: `count` (state, \
    stateful_map)\nhelp: if a \
    step was renamed, say `.renamed_from(\"count\")` where it is now; to give up the rows, \
    start with `--drop-state count`";

#[test]
fn a_renamed_step_says_its_old_name() {
    let store = Store::of(counts);
    assert_eq!(store.run(renamed), Err(UNKNOWN.to_owned()));
    let notices = store.run(|flow: &Flow| {
        end(by_parity(flow)
            .stateful_map(count)
            .named("tally")
            .renamed_from("count"));
    });
    assert_eq!(
        notices,
        Ok(vec![
            "step `tally` resumes with the rows of `count`".to_owned()
        ])
    );
    store.holds([("tally", &[1, 2])]);
    // From then on that is its name, with the line or without.
    assert_eq!(store.run(renamed), Ok(vec![]));
    store.holds([("tally", &[1, 2])]);
}

#[test]
fn a_removed_step_is_given_up() {
    let store = Store::of(counts);
    assert_eq!(store.run(removed), Err(UNKNOWN.to_owned()));
    store.holds([("count", &[1, 2])]);
    let notices = store.run_with(store.recovery().drop_state("count"), removed);
    assert_eq!(
        notices,
        Ok(vec![
            "the stored rows of step `count` are dropped".to_owned()
        ])
    );
    store.holds([]);
}

#[test]
fn a_step_can_be_begun_anew() {
    let store = Store::of(counts);
    store
        .run_with(store.recovery().drop_state("count"), counts)
        .unwrap();
    store.holds([("count", &[])]);
}

#[test]
fn a_step_to_drop_must_be_there() {
    let store = Store::of(counts);
    let error = store
        .run_with(store.recovery().drop_state("cuont"), counts)
        .unwrap_err();
    assert_eq!(
        error,
        "there is no step `cuont` to drop in the store in STORE: it has `numbers` (source, \
         from_iter), `count` (state, \
         stateful_map)"
    );
}

#[test]
fn an_added_step_starts_empty() {
    let store = Store::of(counts);
    let notices = store.run(|flow: &Flow| {
        let numbers = by_parity(flow);
        end(numbers.clone().stateful_map(count).named("count"));
        numbers
            .stateful_map(add_up)
            .named("sum")
            .map(|_| ())
            .sink(sink::from_fn(|()| ()));
    });
    assert_eq!(
        notices,
        Ok(vec![
            "step `sum` is not in the store yet: it starts empty".to_owned()
        ])
    );
    store.holds([("count", &[1, 2]), ("sum", &[])]);
}

#[test]
fn a_step_of_another_kind_is_another_step() {
    let store = Store::of(counts);
    let flow = |flow: &Flow| {
        let numbers = flow.source(source::from_iter([1, 2, 3u64])).named("count");
        end(numbers
            .key_on(|n| n % 2 == 0)
            .stateful_map(count)
            .named("numbers"));
    };
    let error = store.run(flow).unwrap_err();
    let kinds = "step `count` is a source step, and the store in STORE has it as a state \
        step\nhelp: give it another name with \
        `.named(…)`, or start with `--drop-state count`";
    assert!(
        error.starts_with("tests/steps.rs:") && error.ends_with(kinds),
        "{error}"
    );
    store.holds([("count", &[1, 2])]);
    // Both given up, both begin anew.
    let recovery = store.recovery().drop_state("count").drop_state("numbers");
    store.run_with(recovery, flow).unwrap();
    store.holds([("numbers", &[1, 2])]);
}

/// A step is identified by what it keeps, not by its operator.
#[test]
fn a_step_may_have_another_operator() {
    let store = Store::of(counts);
    let notices = store.run(|flow: &Flow| {
        let count = |count: &mut Option<u64>, _: u64| *count.get_or_insert(0);
        end(by_parity(flow).stateful_map_opt(count).named("count"));
    });
    assert_eq!(notices, Ok(vec![]));
    store.holds([("count", &[1, 2])]);
}

// ---- nested dataflows

#[dataflow]
fn carts(numbers: KeyedStream<bool, u64>) -> KeyedStream<bool, u64> {
    numbers.stateful_map(count)
}

#[dataflow]
fn nested(flow: &Flow) {
    end(carts(by_parity(flow)));
}

#[dataflow]
fn baskets(numbers: KeyedStream<bool, u64>) -> KeyedStream<bool, u64> {
    numbers.stateful_map(count)
}

#[dataflow(renamed_from = "carts")]
fn bags(numbers: KeyedStream<bool, u64>) -> KeyedStream<bool, u64> {
    numbers.stateful_map(count)
}

#[test]
fn the_outermost_dataflow_may_be_renamed() {
    #[dataflow]
    fn totals(flow: &Flow) {
        end(by_parity(flow).stateful_map(count));
    }
    let store = Store::of(counts);
    assert_eq!(store.run(totals), Ok(vec![]));
}

#[test]
fn a_renamed_nested_dataflow_says_its_old_name() {
    #[dataflow]
    fn with_baskets(flow: &Flow) {
        end(baskets(by_parity(flow)));
    }
    #[dataflow]
    fn with_bags(flow: &Flow) {
        end(bags(by_parity(flow)));
    }
    let store = Store::of(nested);
    store.holds([("carts.count", &[1, 2])]);
    let error = store.run(with_baskets).unwrap_err();
    assert!(error.contains(".renamed_from(\"carts.count\")"), "{error}");
    let notices = store.run(with_bags);
    assert_eq!(
        notices,
        Ok(vec![
            "step `bags.count` resumes with the rows of `carts.count`".to_owned()
        ])
    );
    store.holds([("bags.count", &[1, 2])]);
}

/// A step moves from one dataflow to another. Its full old id says where it was.
#[test]
fn a_step_that_moved_says_its_whole_old_id() {
    #[dataflow]
    fn inner(numbers: KeyedStream<bool, u64>) -> KeyedStream<bool, u64> {
        numbers
            .stateful_map(count)
            .renamed_from("count")
            .renamed_from("carts.count")
    }
    #[dataflow]
    fn outer(flow: &Flow) {
        end(inner(by_parity(flow)));
    }
    for (before, old) in [(counts as fn(&Flow), "count"), (nested, "carts.count")] {
        let store = Store::of(before);
        let notices = store.run(outer);
        assert_eq!(
            notices,
            Ok(vec![format!(
                "step `inner.count` resumes with the rows of `{old}`"
            )])
        );
        store.holds([("inner.count", &[1, 2])]);
    }
}

#[test]
fn a_dataflow_that_is_used_twice_needs_a_scope_for_each_use() {
    #[dataflow]
    fn twice(flow: &Flow) {
        let numbers = by_parity(flow);
        end(carts(numbers.clone()).merge(carts(numbers)));
    }
    let error = Runner::new(twice).run().unwrap_err();
    let RunError::Build(BuildError::DataflowUsedTwice { id, .. }) = &error else {
        panic!("{error}");
    };
    assert_eq!(id, "carts.count");
    assert!(error.to_string().ends_with(
        "is made more than once: the dataflow around it is used twice, or a loop makes it\nhelp: \
         put each use in a scope of its own: \
         `flow::scope(\"eu\", || ..)`"
    ));

    #[dataflow]
    fn scoped(flow: &Flow) {
        let numbers = by_parity(flow);
        let eu = scope("eu", || carts(numbers.clone()));
        end(eu.merge(scope("us", || carts(numbers))));
    }
    let store = Store::of(scoped);
    store.holds([("eu.carts.count", &[1, 2]), ("us.carts.count", &[1, 2])]);
    // A scope that was renamed: the step says its whole old id.
    let moved = store.run(|flow: &Flow| {
        let numbers = by_parity(flow);
        let eu = scope("europe", || {
            carts(numbers.clone()).renamed_from("eu.carts.count")
        });
        end(eu.merge(scope("us", || carts(numbers))));
    });
    assert_eq!(
        moved,
        Ok(vec![
            "step `europe.carts.count` resumes with the rows of `eu.carts.count`".to_owned()
        ])
    );
}
