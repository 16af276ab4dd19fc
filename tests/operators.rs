//! Operators one by one: their results, the keys of keyed streams, and states that survive a crash.
#![cfg(test)]

use std::collections::BTreeMap;

use flow::{
    RunError, Runner,
    prelude::*,
    sink, source,
    testing::{Event, Harness},
};

fn numbers(flow: &Flow, upto: u64) -> Stream<u64> {
    flow.source(source::from_iter(1..=upto)).named("numbers")
}

/// The results of a flow of the numbers from 1 to 6.
fn outputs<T>(dataflow: impl Fn(Stream<u64>) -> Stream<T> + Send + Sync + 'static) -> Vec<T>
where
    T: Clone + Send + Serialize + serde::de::DeserializeOwned + 'static,
{
    let (out, seen) = sink::collect();
    let runner = Runner::new(move |flow| {
        dataflow(numbers(flow, 6)).sink(out.clone());
    });
    runner.run().unwrap();
    seen.take()
}

// ---- stateless

#[test]
fn steps_on_values_keep_the_key() {
    let keyed = |numbers: Stream<u64>| numbers.key_on(|n| n % 2 == 0);
    let filtered = outputs(move |all| keyed(all).filter_values(|n| *n > 3).map(|pair| pair));
    assert_eq!(filtered, [(true, 4), (false, 5), (true, 6)]);
    let mapped = outputs(move |all| {
        let odd = keyed(all).filter_map_values(|n| (n % 2 == 1).then(|| n.to_string()));
        odd.map(|pair| pair)
    });
    assert_eq!(mapped, ["1", "3", "5"].map(|n| (false, n.to_owned())));
    let flat = outputs(move |all| keyed(all).flat_map_values(|n| n..2).map(|pair| pair));
    assert_eq!(flat, [(false, 1)]);
    let flat = outputs(move |all| {
        let three = keyed(all).filter_values(|n| *n == 6);
        three.flat_map_values(|n| [n, n + 1, n + 2]).map(|p| p)
    });
    assert_eq!(flat, [(true, 6), (true, 7), (true, 8)]);
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let saw = seen.clone();
    let passed = outputs(move |all| {
        let saw = saw.clone();
        let looked = keyed(all).inspect_values(move |n| saw.lock().unwrap().push(*n));
        looked.map(|(_, n)| n)
    });
    assert_eq!(passed, *seen.lock().unwrap());
    assert_eq!(passed, [1, 2, 3, 4, 5, 6]);
}

#[test]
fn a_key_is_changed_and_dropped() {
    let keys = outputs(|all| {
        let keyed = all.key_on(|n| n % 2 == 0).map_values(|n| n * 10);
        keyed.rekey_on(|n| n.to_string()).map(|(key, n)| (key, n))
    });
    let expected = (1..=6u64).map(|n| ((n * 10).to_string(), n * 10));
    assert_eq!(keys, expected.collect::<Vec<_>>());
    let values = outputs(|all| all.key_on(|n| n % 2).drop_key());
    assert_eq!(values, [1, 2, 3, 4, 5, 6]);
    // The same function gives a first key and another one.
    fn half(n: &u64) -> u64 {
        n / 2
    }
    let halves = outputs(|all| all.key_on(half).rekey_on(half).map(|(half, _)| half));
    assert_eq!(halves, [0, 1, 1, 2, 2, 3]);
}

#[test]
fn a_branch_gives_each_item_to_one_of_two_streams() {
    let sides = outputs(|all| {
        let (even, odd) = all.branch(|n| n % 2 == 0);
        even.map(|n| (n, "even".to_owned()))
            .merge(odd.map(|n| (n, "odd".to_owned())))
    });
    let mut sides = sides;
    sides.sort_unstable();
    let expected = (1..=6u64).map(|n| (n, if n % 2 == 0 { "even" } else { "odd" }.to_owned()));
    assert_eq!(sides, expected.collect::<Vec<_>>());
    // On a keyed stream it sees the key, and keeps it.
    let keyed = outputs(|all| {
        let (one, other) = all.key_on(|n| n % 3).branch(|(key, n)| *key == 0 && *n > 3);
        one.map(|pair| (1u64, pair))
            .merge(other.map(|pair| (2, pair)))
    });
    let mut keyed = keyed;
    keyed.sort_unstable();
    let expected = [(1, 1), (2, 2), (3, 0), (4, 1), (5, 2)].map(|(n, key)| (2, (key, n)));
    assert_eq!(keyed[0], (1, (0, 6)));
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(keyed[1..], expected);
}

#[test]
fn both_streams_of_a_branch_must_be_used() {
    for used in ["both", "true", "false", "none"] {
        let built = Runner::new(move |flow| {
            let (even, odd) = numbers(flow, 6).branch(|n| n % 2 == 0);
            if used == "both" || used == "true" {
                even.sink(sink::from_fn(|_| ())).named("even");
            }
            if used == "both" || used == "false" {
                odd.sink(sink::from_fn(|_| ())).named("odd");
            }
        });
        let text = built
            .graph()
            .map_or_else(|error| error.to_string(), |_| String::new());
        let unused = text.matches("is never used").count();
        assert_eq!(
            unused,
            ["both", "", "none"]
                .iter()
                .position(|u| *u == used)
                .unwrap_or(1)
        );
        assert_eq!(
            text.contains("`branch (false)`"),
            unused > 0 && used != "false",
            "{text}"
        );
    }
}

/// A record that fails after a branch leaves nothing in the other branch, and loses nothing before
/// it.
#[test]
fn a_failure_behind_a_branch_is_exact() {
    let directory = tempfile::tempdir().unwrap();
    for failing in [true, false] {
        let base = directory.path().join(failing.to_string());
        std::fs::create_dir(&base).unwrap();
        let run = |is_mended: bool| {
            let at = base.clone();
            let runner = Runner::new(move |flow| {
                let check = move |n: u64| match n {
                    7 if !is_mended => Err("seven"),
                    n => Ok(n),
                };
                let (odd, even) = numbers(flow, 20).branch(|n| n % 2 == 1);
                let (odd, even) = match failing {
                    true => (odd.try_map(check), even),
                    false => (odd, even.try_map(Ok::<_, String>)),
                };
                odd.sink(JsonLines::write_to(at.join("odd"))).named("odd");
                even.sink(JsonLines::write_to(at.join("even")))
                    .named("even");
            });
            runner.recover(Recovery::at(base.join("state"))).run()
        };
        let text = |name: &str| std::fs::read_to_string(base.join(name)).unwrap();
        let lines =
            |numbers: &[u64]| -> String { numbers.iter().map(|n| format!("{n}\n")).collect() };
        if failing {
            assert!(matches!(run(false).unwrap_err(), RunError::Record(_)));
            assert_eq!(text("odd"), lines(&[1, 3, 5]));
            assert_eq!(text("even"), lines(&[2, 4, 6]));
        }
        run(true).unwrap();
        assert_eq!(text("odd"), lines(&[1, 3, 5, 7, 9, 11, 13, 15, 17, 19]));
        assert_eq!(text("even"), lines(&[2, 4, 6, 8, 10, 12, 14, 16, 18, 20]));
    }
}

// ---- stateful: each combination of options, through a crash, beside a plain interpreter

/// What a record on which the function fails leads to.
#[derive(Clone, Copy, Debug, PartialEq)]
enum On {
    /// The function does not fail.
    Never,
    Fail,
    Skip,
    Dead,
}

#[derive(Clone, Copy, Debug)]
struct Combination {
    with_key: bool,
    optional: bool,
    on: On,
    many: bool,
}

/// The sum of a key so far. It is forgotten beyond ten, if the step may forget.
fn step(
    key: u64,
    kept: &mut Option<u64>,
    n: u64,
    case: Combination,
) -> Result<Vec<String>, String> {
    let sum = kept.unwrap_or_default() + n;
    *kept = (!case.optional || sum <= 10).then_some(sum);
    if matches!(case.on, On::Skip | On::Dead) && n.is_multiple_of(3) {
        // By then the state has been changed.
        return Err(format!("{n} is bad"));
    }
    let key = if case.with_key {
        format!("{key}: ")
    } else {
        String::new()
    };
    let times = if case.many { n % 3 } else { 1 };
    Ok((0..times)
        .map(|copy| format!("{key}{sum}.{copy}"))
        .collect())
}

/// The expected results for the numbers.
fn expected(numbers: &[u64], case: Combination) -> Vec<String> {
    let mut states: BTreeMap<u64, Option<u64>> = BTreeMap::new();
    let mut out = Vec::new();
    for n in numbers {
        let key = n % 2;
        let kept = states.entry(key).or_default();
        let before = *kept;
        match step(key, kept, *n, case) {
            Ok(results) => out.extend(results),
            Err(error) => {
                *kept = before;
                if case.on == On::Dead {
                    out.push(format!("dead: {key} {n}, {error}"));
                }
            }
        }
    }
    out.sort_unstable();
    out
}

/// The flow of a combination.
fn combined(numbers: Stream<u64>, case: Combination) -> Stream<String> {
    let keyed = numbers.key_on(|n| n % 2).stateful();
    // The state of a key that always has one is the sum itself.
    let always = move |key: u64, state: &mut u64, n: u64| {
        let mut kept = Some(*state);
        let result = step(key, &mut kept, n, case);
        *state = kept.unwrap();
        result
    };
    let perhaps = move |key: u64, kept: &mut Option<u64>, n: u64| step(key, kept, n, case);
    fn one(results: Vec<String>) -> String {
        results.into_iter().next().unwrap()
    }
    macro_rules! functions {
        ($stateful:expr, $state:ty, $f:expr, $result:expr) => {{
            let (f, result) = ($f, $result);
            match (case.with_key, case.many) {
                (false, false) => {
                    $stateful.map(move |s: &mut $state, n| result(f(n % 2, s, n)).map(one))
                }
                (false, true) => {
                    $stateful.flat_map(move |s: &mut $state, n| result(f(n % 2, s, n)))
                }
                (true, false) => $stateful
                    .with_key()
                    .map(move |k, s: &mut $state, n| result(f(*k, s, n)).map(one)),
                (true, true) => $stateful
                    .with_key()
                    .flat_map(move |k, s: &mut $state, n| result(f(*k, s, n))),
            }
        }};
    }
    /// Lets functions that can't fail be written as those that can.
    macro_rules! plain {
        ($stateful:expr, $state:ty, $f:expr) => {{
            let f = $f;
            match (case.with_key, case.many) {
                (false, false) => {
                    $stateful.map(move |s: &mut $state, n| one(f(n % 2, s, n).unwrap()))
                }
                (false, true) => {
                    $stateful.flat_map(move |s: &mut $state, n| f(n % 2, s, n).unwrap())
                }
                (true, false) => $stateful
                    .with_key()
                    .map(move |k, s: &mut $state, n| one(f(*k, s, n).unwrap())),
                (true, true) => $stateful
                    .with_key()
                    .flat_map(move |k, s: &mut $state, n| f(*k, s, n).unwrap()),
            }
        }};
    }
    let same = |result: Result<Vec<String>, String>| result;
    type OrDead = (
        KeyedStream<u64, String>,
        Stream<flow::Dead<(u64, u64), String>>,
    );
    let with_dead = |(good, dead): OrDead| {
        let dead =
            dead.map(|dead| format!("dead: {} {}, {}", dead.record.0, dead.record.1, dead.cause));
        good.named("step").drop_key().merge(dead)
    };
    match (case.on, case.optional) {
        (On::Never, false) => plain!(keyed, u64, always).named("step").drop_key(),
        (On::Never, true) => plain!(keyed.optional(), Option<u64>, perhaps)
            .named("step")
            .drop_key(),
        (On::Fail, false) => functions!(keyed.or_fail(), u64, always, same)
            .named("step")
            .drop_key(),
        (On::Fail, true) => functions!(keyed.optional().or_fail(), Option<u64>, perhaps, same)
            .named("step")
            .drop_key(),
        (On::Skip, false) => functions!(keyed.or_skip(), u64, always, same)
            .named("step")
            .drop_key(),
        (On::Skip, true) => functions!(keyed.or_skip().optional(), Option<u64>, perhaps, same)
            .named("step")
            .drop_key(),
        (On::Dead, false) => with_dead(functions!(keyed.or_dead(), u64, always, same)),
        (On::Dead, true) => with_dead(functions!(
            keyed.optional().or_dead(),
            Option<u64>,
            perhaps,
            same
        )),
    }
}

#[test]
fn every_combination_of_options_survives_a_crash() {
    for with_key in [false, true] {
        for optional in [false, true] {
            for on in [On::Never, On::Fail, On::Skip, On::Dead] {
                for many in [false, true] {
                    let case = Combination {
                        with_key,
                        optional,
                        on,
                        many,
                    };
                    let mut test = Harness::new(move |numbers| combined(numbers, case));
                    let all: Vec<u64> = (1..=14).collect();
                    test.feed(all[..6].iter().copied());
                    test.run().unwrap();
                    test.feed_events("items", [Event::Record(7), Event::Abort]);
                    test.feed(all[7..].iter().copied());
                    test.workers(2).run().unwrap_err();
                    let outcome = test.run().unwrap();
                    assert!(on == On::Skip || outcome.skipped() == 0, "{case:?}");
                    let mut out = test.outputs();
                    out.sort_unstable();
                    assert_eq!(out, expected(&all, case), "{case:?}");
                }
            }
        }
    }
}

#[test]
fn an_error_of_a_stateful_step_ends_the_run() {
    for (with_key, many) in [(false, false), (true, true)] {
        let runner = Runner::new(move |flow| {
            let step = numbers(flow, 6).key_on(|n| n % 2).stateful().or_fail();
            let check = |n: u64| match n {
                3 => Err("three"),
                n => Ok(n),
            };
            let out = match (with_key, many) {
                (true, _) => step
                    .with_key()
                    .flat_map(move |_, _: &mut u64, n| check(n).map(Some)),
                (false, _) => step.map(move |_: &mut u64, n| check(n)),
            };
            out.named("step").drop_key().sink(sink::from_fn(|_| ()));
        });
        let error = runner.run().unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("step `step` failed: for key 1: three"),
            "{error}"
        );
    }
}

/// In a dataflow, functions give their names to the steps, and a `let` gives its first name to a
/// closure.
#[test]
fn steps_with_options_have_ids() {
    fn add_up(sum: &mut u64, n: u64) -> u64 {
        *sum += n;
        *sum
    }
    fn check(_: &u64, sum: &mut u64, n: u64) -> Result<Vec<u64>, String> {
        *sum += n;
        Ok(vec![*sum])
    }
    #[dataflow]
    fn steps(flow: &Flow) {
        let keyed = flow.source(source::from_iter(1..=6u64)).key_on(|n| n % 2);
        let sums = keyed.clone().stateful().map(add_up);
        let (checked, bad) = keyed
            .clone()
            .stateful()
            .with_key()
            .or_dead()
            .flat_map(check);
        let (halves, odd) = keyed
            .stateful()
            .optional()
            .or_dead()
            .map(|_: &mut Option<u64>, n| if n % 2 == 0 { Ok(n / 2) } else { Err(n) });
        let all = sums.merge(checked).merge(halves);
        let dead = bad.map(|_| ()).merge(odd.map(|_| ()));
        all.drop_key()
            .map(|_| ())
            .merge(dead)
            .sink(sink::from_fn(|()| ()));
    }
    let graph = Runner::new(steps).graph().unwrap();
    let stateful = graph
        .steps()
        .iter()
        .filter(|step| step.keeps == flow::Keeps::States);
    let ids: Vec<_> = stateful.map(flow::Step::id).collect();
    assert_eq!(ids, ["add_up", "check", "halves"]);
}
