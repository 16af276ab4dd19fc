//! Types that change between two runs: which are read as they are, which are converted, and which
//! are refused.
#![cfg(test)]

mod keys;
mod migrations;
mod states;
#[path = "../support/mod.rs"]
mod support;
mod tokens;
mod windows;

use std::sync::Arc;

use flow::{Key, RunError, prelude::*, sink, source};
use flow_store::{KEY_GROUPS, Look};
use serde::{Serialize, de::DeserializeOwned};
use support::Workdir;

/// The traits that these tests need of a key.
trait AsKey: Key + Serialize + DeserializeOwned + Sync {}
impl<K: Key + Serialize + DeserializeOwned + Sync> AsKey for K {}

/// The traits that these tests need of a state.
trait AsState: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {}
impl<S: Serialize + DeserializeOwned + Clone + Send + Sync + 'static> AsState for S {}

/// A store with one step, `cart`, whose types change.
struct Store {
    work: Workdir,
    workers: usize,
}

/// The notices of a run.
type Notices = Vec<String>;

impl Store {
    fn new() -> Self {
        Store {
            work: Workdir::new(),
            workers: 1,
        }
    }

    fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Runs a flow that sets the state of some keys.
    fn run<K: AsKey, S: AsState>(
        &self,
        states: Vec<(K, S)>,
        change: impl Fn(KeyedStream<K, ()>) -> KeyedStream<K, ()> + Send + Sync + 'static,
    ) -> Result<Notices, RunError> {
        let states = Arc::new(states);
        let told = Arc::new(std::sync::Mutex::new(Notices::new()));
        let tell = told.clone();
        Runner::new(move |flow: &Flow| {
            // Another run's input goes on where the last one's ended, and has nothing of its own.
            let numbers = flow.source(source::from_iter(0..100u64)).named("numbers");
            let states = states.clone();
            let first =
                numbers.filter_map(move |n| states.get(usize::try_from(n).unwrap()).cloned());
            let set = |state: &mut Option<S>, (_, new): (K, S)| *state = Some(new);
            let cart = first
                .key_on(|(key, _)| key.clone())
                .stateful_map_opt(set)
                .named("cart");
            change(cart).map(|_| ()).sink(sink::from_fn(|()| ()));
        })
        .workers(self.workers)
        .recover(Recovery::at(self.work.path("state")))
        .on_start(move |started| {
            let notices = started.notices.iter().map(ToString::to_string);
            *tell.lock().unwrap() = notices.collect();
        })
        .run()?;
        let told = told.lock().unwrap().clone();
        Ok(told)
    }

    fn put<K: AsKey, S: AsState>(&self, states: impl IntoIterator<Item = (K, S)>) {
        self.run(states.into_iter().collect(), |cart| cart).unwrap();
    }

    /// What the store holds for `cart`, by key.
    fn states<K: DeserializeOwned + Ord, S: DeserializeOwned>(&self) -> Vec<(K, S)> {
        support::look(&self.work.path("state"), |look: &Look| {
            let cart = look.steps().iter().find(|step| step.id == "cart").unwrap();
            let rows = look.rows(cart.number, 0..KEY_GROUPS).unwrap();
            let decode = |row: flow_store::Row| {
                let key = flow_store::decode(&row.key).unwrap();
                assert_eq!(row.group, flow_store::group(flow_store::hash(&row.key)));
                (key, flow_store::decode(&row.value).unwrap())
            };
            let mut states: Vec<(K, S)> = rows.map(|row| decode(row.unwrap())).collect();
            states.sort_by(|(a, _), (b, _)| a.cmp(b));
            states
        })
    }

    /// What the flow is told when it goes on with these types; a refused start has changed nothing.
    fn go_on<K, S>(
        &self,
        change: impl Fn(KeyedStream<K, ()>) -> KeyedStream<K, ()> + Send + Sync + 'static,
    ) -> Result<Notices, String>
    where
        K: AsKey,
        S: AsState,
    {
        let before = self.work.snapshot("state");
        let ended = self.run(Vec::<(K, S)>::new(), change);
        if ended.is_err() {
            before.assert_same(&self.work.snapshot("state"));
        }
        ended.map_err(|error| text(&self.work, &error))
    }
}

/// An error, without what is another each time: directories and places.
fn text(work: &Workdir, error: &RunError) -> String {
    let text = error.to_string();
    let text = text.replace(&work.path("state").display().to_string(), "STORE");
    let mut parts = text.split("tests/changes/");
    let mut plain = parts.next().unwrap().to_owned();
    for part in parts {
        let (_, part) = part.split_once(".rs:").unwrap();
        let end = part.find(|c: char| !c.is_ascii_digit() && c != ':');
        plain += "PLACE";
        plain += part[end.unwrap_or(part.len())..].trim_start_matches(':');
    }
    plain
}

mod cents {
    #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
    pub(super) struct Euros {
        pub(super) euros: u32,
    }
    #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
    pub(super) struct Cents {
        pub(super) cents: u64,
    }
    /// Between the two: a text.
    #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
    pub(super) struct Text {
        pub(super) text: String,
    }

    pub(super) fn of_euros(old: Euros) -> Cents {
        Cents {
            cents: u64::from(old.euros) * 100,
        }
    }

    pub(super) fn of_text(old: Text) -> Cents {
        Cents {
            cents: old.text.parse().unwrap(),
        }
    }
}
use cents::Cents;

#[track_caller]
fn refused(build: impl Fn(&Flow) + Send + Sync + 'static) -> String {
    let store = Store::new();
    let runner = Runner::new(build).recover(Recovery::at(store.work.path("state")));
    let error = runner.run().unwrap_err();
    assert!(!store.work.path("state").exists());
    text(&store.work, &error)
}

fn cents(flow: &Flow) -> KeyedStream<u64, u64> {
    flow.source(source::from_iter(0..3u64)).key_on(|n| *n)
}

fn add(state: &mut Option<Cents>, cents: u64) {
    state.get_or_insert(Cents { cents: 0 }).cents += cents;
}
