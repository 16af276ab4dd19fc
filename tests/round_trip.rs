//! Every durable value can be read back unchanged. Otherwise the run ends before the commit, and
//! names step, key and type.
//!
//! `tests/kept.rs` has each refusal with its message, and `tests/types` the types of other crates
//! in every shape. Here are programs in which users met unreadable values, on a real store, and
//! what follows the refusal: the store is intact, and the fixed program resumes.
#![cfg(test)]

mod support;

use std::{
    fmt::Debug,
    hash::{Hash, Hasher},
    os::unix::ffi::OsStringExt,
    path::PathBuf,
    sync::Arc,
    task::Waker,
};

use flow::{
    CodecError, Kept, Key, NotKept, RunError, SinkError, SourceError,
    prelude::*,
    sink::{self, OutputId, Shards, Sink, Writer},
    source::{self, At, Next, Reader, Source},
};
use flow_store::Look;
use serde::{Serializer, de::DeserializeOwned};
use serde_json::{Value, json};
use support::Workdir;

/// Runs of one flow on one store, while its author changes it.
struct Story(Workdir, usize);

impl Story {
    fn new() -> Self {
        Story(Workdir::in_memory(), 1)
    }

    fn workers(self, workers: usize) -> Self {
        Story(self.0, workers)
    }

    /// What comes out of a run in which each record is an epoch.
    fn run(
        &self,
        build: impl Fn(&Flow) -> Stream<String> + Send + Sync + 'static,
    ) -> Result<Vec<String>, RunError> {
        let (out, seen) = sink::collect();
        Runner::new(move |flow: &Flow| {
            build(flow).sink(out.clone()).named("out");
        })
        .epochs(Epochs::every_record())
        .workers(self.1)
        .recover(Recovery::at(self.0.path("state")))
        .run()?;
        Ok(seen.take())
    }

    /// Counts keys. A run goes on behind the keys that the runs before it have counted.
    fn count<K>(&self, keys: &[K]) -> Result<Vec<String>, RunError>
    where
        K: Key + Sync + Serialize + DeserializeOwned,
    {
        let keys: Arc<[K]> = keys.into();
        self.run(move |flow| {
            let keys = keys.clone();
            let numbers = source::from_iter(0..keys.len());
            let counted = |count: &mut u64, _: usize| {
                *count += 1;
                *count
            };
            flow.source(numbers)
                .named("numbers")
                .key_on(move |n| keys[*n].clone())
                .stateful_map(counted)
                .named("count")
                .map(|(_, count)| count.to_string())
        })
    }

    /// Sets the state of the key `k` to one value after the other, and says what it was each time.
    /// A run goes on behind the values that the runs before it have set.
    fn set<S>(&self, states: &[S]) -> Result<Vec<String>, RunError>
    where
        S: Serialize + DeserializeOwned + Clone + Debug + Send + Sync + 'static,
    {
        let states: Arc<[S]> = states.into();
        self.run(move |flow| {
            let states = states.clone();
            let numbers = source::from_iter(0..states.len());
            let set = move |state: &mut Option<S>, n: usize| {
                let before = state.replace(states[n].clone());
                before.map_or_else(|| "nothing".to_owned(), |before| format!("{before:?}"))
            };
            flow.source(numbers)
                .named("numbers")
                .key_on(|_| "k".to_owned())
                .stateful_map_opt(set)
                .named("last")
                .map(|(_, before)| before)
        })
    }

    /// The store is whole, and holds no epoch behind this one of the first run.
    #[track_caller]
    fn is_whole_before(&self, epoch: u64) {
        let look = Look::at(self.0.path("state")).unwrap();
        assert!(look.epoch().number() < epoch, "{}", look.epoch());
        let found = look.verify(&mut |_, _| ()).unwrap();
        assert!(found.damage.is_empty(), "{:?}", found.damage);
    }
}

/// The value that a run could not keep.
#[track_caller]
fn not_kept<T: Debug>(ended: Result<T, RunError>, step: &str) -> NotKept {
    let error = ended.unwrap_err();
    let text = error.to_string();
    let (named, error) = match error {
        RunError::NotKept { step, error, .. } => (step, error),
        // Before the first shuffle it is the failure of a record.
        RunError::Record(record) => (record.step, record.cause.downcast().unwrap()),
        error => panic!("{error}"),
    };
    assert_eq!(named, step, "{text}");
    for part in [step, error.type_name(), error.of().unwrap_or_default()] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("OnError"), "that is no way out here: {text}");
    *error
}

/// The last of some keys can't be kept, and the run ends before it is durable. Once it is replaced,
/// each key is counted exactly once.
#[track_caller]
fn refuses_last_key<K>(keys: &[K], text: Option<&str>, fixed: K) -> CodecError
where
    K: Key + Sync + Serialize + DeserializeOwned,
{
    let story = Story::new();
    let error = not_kept(story.count(keys), "count");
    assert_eq!((error.kind(), error.of()), (Kept::Key, text));
    assert!(error.help().is_some(), "{error}");
    let (_, before) = keys.split_last().unwrap();
    story.is_whole_before(keys.len() as u64);
    let counts = story.count(&[before, &[fixed]].concat()).unwrap();
    assert_eq!(counts.last(), Some(&keys.len().to_string()));
    error.cause().clone()
}

fn lower_case<S: Serializer>(name: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&name.to_lowercase())
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde has it
fn in_tens<S: Serializer>(cents: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(cents / 10 * 10)
}

/// Two keys in memory and one row would lose a state with each restart.
#[test]
fn a_key_is_what_its_bytes_are() {
    #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
    struct User {
        name: String,
        #[serde(skip)]
        region: u8,
    }
    let ann = |region| User {
        name: "ann".to_owned(),
        region,
    };
    let text = Some(r#"{"name":"ann"}"#);
    let cause = refuses_last_key(&[ann(0), ann(0), ann(1)], text, ann(0));
    assert_eq!(cause, CodecError::NotEqual);

    #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
    struct Name(#[serde(serialize_with = "lower_case")] String);
    let name = |name: &str| Name(name.to_owned());
    let cause = refuses_last_key(
        &[name("anna"), name("Anna")],
        Some(r#""anna""#),
        name("anna"),
    );
    assert_eq!(cause, CodecError::NotEqual);

    #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
    struct Cents(#[serde(serialize_with = "in_tens")] u64);
    let cause = refuses_last_key(&[Cents(10), Cents(12)], Some("10"), Cents(10));
    assert_eq!(cause, CodecError::NotEqual);

    #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Account {
        Supplier(u64),
        Customer(u64),
    }
    let keys = [Account::Supplier(7), Account::Customer(7)];
    let cause = refuses_last_key(&keys, Some("7"), Account::Supplier(7));
    assert_eq!(cause, CodecError::NotEqual);
}

/// The other way round: equal keys have rows of their own, on different workers.
#[test]
fn a_key_that_equals_another_one_is_refused() {
    /// A text of which it does not matter how it is written.
    #[derive(Clone, Debug, Serialize, Deserialize)]
    struct Caseless(String);
    impl PartialEq for Caseless {
        fn eq(&self, other: &Self) -> bool {
            self.0.eq_ignore_ascii_case(&other.0)
        }
    }
    impl Eq for Caseless {}
    impl Hash for Caseless {
        fn hash<H: Hasher>(&self, state: &mut H) {
            self.0.to_ascii_lowercase().hash(state);
        }
    }
    let name = |name: &str| Caseless(name.to_owned());
    for n in 0..8 {
        let (small, large) = (name(&format!("anna {n}")), name(&format!("Anna {n}")));
        equal_keys(&[small.clone(), small.clone(), large], small);
    }

    /// A moment, in a time zone that does not matter.
    #[derive(Clone, Debug, Serialize, Deserialize)]
    struct Moment {
        utc: i64,
        offset: i64,
    }
    impl PartialEq for Moment {
        fn eq(&self, other: &Self) -> bool {
            self.utc == other.utc
        }
    }
    impl Eq for Moment {}
    impl Hash for Moment {
        fn hash<H: Hasher>(&self, state: &mut H) {
            self.utc.hash(state);
        }
    }
    let moment = |utc, offset| Moment { utc, offset };
    for utc in 0..8 {
        equal_keys(
            &[moment(utc, 0), moment(utc + 8, 2), moment(utc, 2)],
            moment(utc, 0),
        );
    }

    /// A number of which all `NaN`s are one.
    #[derive(Clone, Debug, Serialize, Deserialize)]
    struct Number(f64);
    impl PartialEq for Number {
        fn eq(&self, other: &Self) -> bool {
            self.0 == other.0 || self.0.is_nan() && other.0.is_nan()
        }
    }
    impl Eq for Number {}
    impl Hash for Number {
        fn hash<H: Hasher>(&self, state: &mut H) {
            let number = if self.0.is_nan() {
                f64::NAN
            } else {
                self.0 + 0.0
            };
            number.to_bits().hash(state);
        }
    }
    equal_keys(&[Number(f64::NAN), Number(-f64::NAN)], Number(f64::NAN));
    equal_keys(&[Number(0.0), Number(-0.0)], Number(0.0));
}

/// The last of some keys equals one before it: in the first run, and when it meets the stored one.
#[track_caller]
fn equal_keys<K>(keys: &[K], fixed: K)
where
    K: Key + Sync + Serialize + DeserializeOwned,
{
    let (_, before) = keys.split_last().unwrap();
    for workers in [1, 2] {
        let mut story = Story::new().workers(workers);
        for workers in [workers, 3 - workers] {
            let error = not_kept(story.count(keys), "count");
            assert_eq!(error.kind(), Kept::Key);
            let cause = error.cause();
            assert!(matches!(cause, CodecError::EqualsAnother { .. }), "{error}");
            assert!(
                error
                    .to_string()
                    .contains("\nhelp: a key is identified by its bytes")
            );
            story.is_whole_before(keys.len() as u64);
            story = story.workers(workers);
        }
        let keys = [before, &[fixed.clone(), fixed.clone()]].concat();
        let counts = story.count(&keys).unwrap();
        let same = keys.iter().filter(|key| **key == fixed).count();
        assert_eq!(counts.last(), Some(&same.to_string()));
    }
}

#[test]
fn a_key_that_cannot_be_read_is_refused() {
    #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
    struct Tenant {
        id: u64,
        #[serde(skip_serializing_if = "String::is_empty")]
        region: String,
    }
    let tenant = |region: &str| Tenant {
        id: 1,
        region: region.to_owned(),
    };
    let keys = [tenant("eu"), tenant("")];
    let cause = refuses_last_key(&keys, Some(r#"{"id":1}"#), tenant("eu"));
    assert!(matches!(cause, CodecError::Unreadable(_)), "{cause}");

    // `Some(null)` has the bytes of `None`.
    let cause = refuses_last_key(&[None, Some(Value::Null)], None, None);
    assert_eq!(cause, CodecError::SomeOfNothing);
}

/// The last of some states can't be kept, and the run ends before it is durable. Once it is
/// replaced, the flow resumes.
#[track_caller]
fn refuses_last_state<S>(states: &[S], fixed: S) -> CodecError
where
    S: Serialize + DeserializeOwned + Clone + Debug + Send + Sync + 'static,
{
    let story = Story::new();
    let error = not_kept(story.set(states), "last");
    assert_eq!((error.kind(), error.of()), (Kept::State, Some(r#""k""#)));
    story.is_whole_before(states.len() as u64);
    // Again and again: what was refused is not in the way, and the message is the same.
    let again = not_kept(story.set(states), "last");
    assert_eq!(again.to_string(), error.to_string());
    let (_, before) = states.split_last().unwrap();
    let fixed = [before, &[fixed.clone(), fixed]].concat();
    let seen = story.set(&fixed).unwrap();
    assert_eq!(seen.last(), Some(&format!("{:?}", fixed.last().unwrap())));
    error.cause().clone()
}

#[test]
fn a_state_that_cannot_be_read_is_refused() {
    #[derive(Clone, Default, Debug, Serialize, Deserialize)]
    struct Orders {
        seen: u64,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        open: Vec<u64>,
    }
    let orders = |seen, open: &[u64]| Orders {
        seen,
        open: open.to_vec(),
    };
    let states = [orders(1, &[1]), orders(2, &[1, 2]), orders(3, &[])];
    let cause = refuses_last_state(&states, orders(3, &[3]));
    let CodecError::Unreadable(cause) = cause else {
        panic!("{cause}");
    };
    assert!(cause.contains("missing field `open`"), "{cause}");

    #[derive(Clone, Debug, Serialize, Deserialize)]
    #[serde(tag = "type")]
    enum Total {
        Known { cents: u128 },
        Unknown,
    }
    let cause = refuses_last_state(&[Total::Unknown, Total::Known { cents: 1 }], Total::Unknown);
    assert!(matches!(cause, CodecError::Unreadable(_)), "{cause}");
}

/// The fix that the message names rescues a flow, with all that was durable.
#[test]
fn a_default_lets_the_flow_go_on() {
    mod before {
        #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
        pub(super) struct Orders {
            pub(super) seen: u64,
            #[serde(skip_serializing_if = "Vec::is_empty")]
            pub(super) open: Vec<u64>,
        }
    }
    mod after {
        #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
        pub(super) struct Orders {
            pub(super) seen: u64,
            #[serde(default, skip_serializing_if = "Vec::is_empty")]
            pub(super) open: Vec<u64>,
        }
    }
    let story = Story::new();
    let before = |seen, open| before::Orders { seen, open };
    let first = [before(1, vec![1]), before(2, vec![])];
    // One run makes the first record durable, the next one fails at the second.
    story.set(&first[..1]).unwrap();
    let error = not_kept(story.set(&first), "last");
    let text = error.to_string();
    assert!(
        text.contains("`open`") && text.contains("#[serde(default)]"),
        "{text}"
    );
    let after = |seen, open| after::Orders { seen, open };
    let all = [after(1, vec![1]), after(2, vec![]), after(3, vec![3])];
    assert_eq!(
        story.set(&all).unwrap(),
        [
            "Orders { seen: 1, open: [1] }",
            "Orders { seen: 2, open: [] }"
        ]
    );
}

#[test]
fn a_some_that_is_written_as_nothing_is_refused() {
    #[derive(Clone, Default, Debug, Serialize, Deserialize)]
    struct Last {
        seen: u64,
        last: Option<Value>,
    }
    let last = |last: Value| Last {
        seen: 1,
        last: Some(last),
    };
    let cause = refuses_last_state(&[last(json!([null])), last(Value::Null)], last(json!(0)));
    assert_eq!(cause, CodecError::SomeOfNothing);

    #[derive(Clone, Debug, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Amount {
        None,
        Some(u64),
    }
    let states = [Some(Amount::Some(1)), None, Some(Amount::None)];
    assert_eq!(refuses_last_state(&states, None), CodecError::SomeOfNothing);
}

#[test]
fn a_state_that_cannot_be_written_names_its_key() {
    let path = |name: &[u8]| PathBuf::from(std::ffi::OsString::from_vec(name.to_vec()));
    let cause = refuses_last_state(&[path(b"a"), path(b"a\xff")], path(b"b"));
    let CodecError::Encode(cause) = cause else {
        panic!("{cause}");
    };
    assert!(cause.contains("UTF-8"), "{cause}");
}

/// Replies below replies: the state of a thread gets a level deeper with each record.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Comment {
    text: String,
    answers: Option<Box<Comment>>,
}

impl Debug for Comment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// A debug build needs the most stack for each level.
#[test]
fn a_state_is_no_deeper_than_it_can_be_read() {
    let story = Story::new();
    let nest = |upto: usize, most: usize| {
        story.run(move |flow| {
            let nest = move |root: &mut Option<(usize, Comment)>, n: usize| {
                let (levels, answers) = root.take().unwrap_or_default();
                let answers = (levels < most).then(|| Box::new(answers));
                let levels = if answers.is_some() { levels + 1 } else { 0 };
                *root = Some((
                    levels,
                    Comment {
                        text: n.to_string(),
                        answers,
                    },
                ));
                levels.to_string()
            };
            let numbers = flow.source(source::from_iter(0..upto)).named("numbers");
            let nested = numbers.key_on(|_| 't').stateful_map_opt(nest).named("nest");
            nested.map(|(_, levels)| levels)
        })
    };
    for _ in 0..2 {
        let error = not_kept(nest(5000, usize::MAX), "nest");
        assert_eq!((error.kind(), error.of()), (Kept::State, Some("\"t\"")));
        assert_eq!(error.cause(), &CodecError::TooDeep);
        story.is_whole_before(1000);
    }
    // What is durable is read, and a program that keeps fewer levels goes on.
    let levels = nest(5000, 50).unwrap();
    assert!(levels.len() > 4000, "{}", levels.len());
    assert!(
        levels
            .iter()
            .all(|levels| levels.parse::<usize>().unwrap() <= 50)
    );
}

/// The limit of the promise: if two values have the same bytes, they can't be told apart. It is
/// documented beside the promise.
#[test]
fn variants_without_a_tag_and_with_the_same_fields_cannot_be_told_apart() {
    #[derive(Clone, Debug, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Money {
        Euro { amount: u64 },
        Dollar { amount: u64 },
    }
    let story = Story::new();
    let dollars = [1, 2].map(|amount| Money::Dollar { amount });
    story.set(&dollars[..1]).unwrap();
    let seen = story.set(&dollars).unwrap();
    assert_eq!(seen, [format!("{:?}", Money::Euro { amount: 1 })]);
}

/// A token or position that can't be read if it is odd.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Mark {
    n: u64,
    #[serde(skip_serializing_if = "is_odd")]
    even: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde has it
fn is_odd(n: &u64) -> bool {
    n % 2 == 1
}

/// Numbers from 0 to 9, with such a token if requested.
struct Numbers {
    marked: bool,
}

struct NumbersReader {
    /// The first number of the last read, and how many that had.
    first: u64,
    count: u64,
    marked: bool,
}

impl Source for Numbers {
    type Item = u64;
    type Token = Mark;
    type Reader = NumbersReader;

    fn partitions(&self) -> Result<Vec<String>, SourceError> {
        Ok(vec!["all".to_owned()])
    }

    fn open(&self, _: &str, at: At<Mark>) -> Result<NumbersReader, SourceError> {
        Ok(NumbersReader {
            first: at.token().map_or(0, |mark| mark.n),
            count: 0,
            marked: self.marked,
        })
    }
}

impl Reader for NumbersReader {
    type Item = u64;
    type Token = Mark;

    fn read(&mut self, out: &mut Vec<u64>, _: &Waker) -> Result<Next, SourceError> {
        self.first += self.count;
        self.count = u64::from(self.first < 10);
        out.extend((self.first < 10).then_some(self.first));
        match self.count {
            0 => Ok(Next::End),
            _ => Ok(Next::Ready),
        }
    }

    fn token(&self, index: usize) -> Mark {
        let n = self.first + index as u64;
        Mark {
            n,
            even: if self.marked { n } else { 0 },
        }
    }
}

/// Counts what it writes, with such a position if requested.
struct Counter {
    marked: bool,
}

struct CounterWriter {
    written: u64,
    marked: bool,
}

impl Sink for Counter {
    type Item = u64;
    type Position = Mark;
    type Writer = CounterWriter;

    fn shards(&self) -> Shards {
        Shards::One
    }

    fn open(&self, _: &OutputId, resume: Option<Mark>) -> Result<CounterWriter, SinkError> {
        Ok(CounterWriter {
            written: resume.map_or(0, |mark| mark.n),
            marked: self.marked,
        })
    }
}

impl Writer for CounterWriter {
    type Item = u64;
    type Position = Mark;

    fn position(&self) -> Mark {
        let n = self.written;
        Mark {
            n,
            even: if self.marked { n } else { 0 },
        }
    }

    fn write(&mut self, items: &mut Vec<u64>) -> Result<(), SinkError> {
        self.written += items.drain(..).count() as u64;
        Ok(())
    }

    fn close_epoch(&mut self) -> Result<(Mark, Option<sink::SyncOutput>), SinkError> {
        Ok((self.position(), None))
    }
}

#[test]
fn tokens_and_positions_are_checked_as_states_are() {
    for (token, kind, step, of) in [
        (true, Kept::Token, "numbers", "all"),
        (false, Kept::Position, "counter", "0"),
    ] {
        let work = Workdir::in_memory();
        let run = |marked: bool| {
            Runner::new(move |flow: &Flow| {
                let numbers = Numbers {
                    marked: marked && token,
                };
                let counter = Counter {
                    marked: marked && !token,
                };
                flow.source(numbers)
                    .named("numbers")
                    .sink(counter)
                    .named("counter");
            })
            .epochs(Epochs::every_record())
            .recover(Recovery::at(work.path("state")))
            .run()
        };
        let error = not_kept(run(true), step);
        assert_eq!((error.kind(), error.of()), (kind, Some(of)));
        assert_eq!(error.type_name(), "Mark");
        let look = Look::at(work.path("state")).unwrap();
        let durable = look.epoch().number();
        assert!(durable < 2, "{durable}");
        drop(look);
        assert_eq!(run(false).unwrap().records, 10 - durable);
    }
}
