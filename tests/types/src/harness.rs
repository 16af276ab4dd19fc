//! What happens to a value that a flow keeps, from one run to the next.

use flow::{Recovery, RunError, Runner, Stream, sink, source};
use serde::{Serialize, de::DeserializeOwned};
use std::fmt::Debug;
use std::hash::Hash;
use std::path::Path;

/// What became of some values.
pub(crate) enum Outcome {
    /// The second run had what the first one kept.
    Back,
    /// A run ended before a value was durable that would not come back.
    Refused,
    /// Anything else, in words: this must never happen.
    Lost(String),
}

/// Keeps or skips a value for each number, and gives out what is wrong: nothing, or a text.
type Attach = fn(Stream<u64>, Values) -> Stream<String>;

/// The values of a probe that a run works with.
#[derive(Clone, Copy)]
pub(crate) enum Values {
    All,
    /// What the program does once its author has seen the refusal.
    None,
}

/// What a state has to be to be compared.
pub(crate) trait Kept: Serialize + DeserializeOwned + PartialEq + Debug + 'static {}
impl<T: Serialize + DeserializeOwned + PartialEq + Debug + 'static> Kept for T {}

/// Makes the values that are kept as states, or as keys.
pub(crate) trait Probe {
    type Value;
    fn values() -> Vec<Self::Value>;
}

/// Keeps each value as the state of a key of its own.
pub(crate) fn as_states<P: Probe<Value: Kept>>() -> Outcome {
    fn attach<P: Probe<Value: Kept>>(numbers: Stream<u64>, which: Values) -> Stream<String> {
        let values = P::values();
        let len = values.len() as u64;
        // Made again, so that a value need not be `Clone`.
        let mut fresh: Vec<_> = P::values().into_iter().map(Some).collect();
        let keep = move |state: &mut Option<P::Value>, n: u64| {
            if n < len {
                let value = fresh[n as usize].take();
                *state = value.filter(|_| matches!(which, Values::All));
                return String::new();
            }
            let expected = &values[(n % len) as usize];
            match state {
                Some(found) if found == expected => String::new(),
                None if matches!(which, Values::None) => String::new(),
                found => format!("{expected:?} came back as {found:?}"),
            }
        };
        numbers
            .key_on(move |n| n % len)
            .stateful_map_opt(keep)
            .named("kept")
            .map(|(_, text)| text)
    }
    outcome(attach::<P>, P::values().len() as u64)
}

/// Keeps a count for each value as the key of a stream.
pub(crate) fn as_keys<P>() -> Outcome
where
    P: Probe<Value: Kept + Clone + Eq + Hash + Send>,
{
    fn attach<P>(numbers: Stream<u64>, which: Values) -> Stream<String>
    where
        P: Probe<Value: Kept + Clone + Eq + Hash + Send>,
    {
        let values = P::values();
        let expected = P::values();
        let len = values.len() as u64;
        let numbers = numbers.filter(move |_| matches!(which, Values::All));
        let count = |count: &mut u64, n: u64| {
            *count += 1;
            (n, *count)
        };
        numbers
            .key_on(move |n| values[(n % len) as usize].clone())
            .stateful_map(count)
            .named("kept")
            .map(move |(key, (n, count))| {
                let expected = &expected[(n % len) as usize];
                match (key == *expected, count == n / len + 1) {
                    (true, true) => String::new(),
                    _ => format!("the key {expected:?} is {key:?}, with the count {count}"),
                }
            })
    }
    outcome(attach::<P>, P::values().len() as u64)
}

/// Runs the flow twice. It reads a number for each value, and in the second run as many again.
fn outcome(attach: Attach, len: u64) -> Outcome {
    // No disk has to be waited for: nothing here has to outlive the test.
    let memory = tempfile::tempdir_in("/dev/shm");
    let directory = memory.or_else(|_| tempfile::tempdir()).unwrap();
    let state = directory.path().join("state");
    let lost = |text: String| Outcome::Lost(text);
    match run(&state, attach, Values::All, len, 1) {
        Err(error) => match check_refusal(&state, attach, len, &error) {
            Ok(()) => Outcome::Refused,
            Err(wrong) => lost(format!("{wrong}\n{error}")),
        },
        Ok(wrong) if !wrong.is_empty() => lost(format!("in the first run, {wrong}")),
        Ok(_) => match run(&state, attach, Values::All, 2 * len, 2) {
            Ok(wrong) if wrong.is_empty() => Outcome::Back,
            Ok(wrong) => lost(wrong),
            Err(error) => lost(format!("it is durable, and not readable: {error}")),
        },
    }
}

/// The refusal names the step. Epochs before it may be durable: what they hold is read, and is what
/// it was, by a program that goes on without the values that are still to come.
fn check_refusal(state: &Path, attach: Attach, len: u64, error: &RunError) -> Result<(), String> {
    if !error.to_string().contains("`kept`") {
        return Err("the refusal does not name the step".to_owned());
    }
    if matches!(error, RunError::Build(_)) {
        return match state.exists() {
            false => Ok(()),
            true => Err("refused as it was built, and there is a store".to_owned()),
        };
    }
    match run(state, attach, Values::None, 2 * len, 2) {
        Ok(wrong) if wrong.is_empty() => Ok(()),
        Ok(wrong) => Err(format!("refused, and {wrong}")),
        Err(error) => Err(format!("refused, and no other program starts: {error}")),
    }
}

/// One run up to a number; what is wrong, one after the other.
fn run(
    state: &Path,
    attach: Attach,
    which: Values,
    upto: u64,
    workers: usize,
) -> Result<String, RunError> {
    let (out, seen) = sink::collect();
    let runner = Runner::new(move |flow| {
        let numbers = flow.source(source::from_iter(0..upto)).named("numbers");
        attach(numbers, which).sink(out.clone()).named("out");
    });
    runner.workers(workers).recover(Recovery::at(state)).run()?;
    let wrong: Vec<String> = seen
        .take()
        .into_iter()
        .filter(|text| !text.is_empty())
        .collect();
    Ok(wrong.join("; "))
}
