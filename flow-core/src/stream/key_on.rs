//! `key_on`: a key for each record.

use std::panic::Location;

use super::{KeyedStream, Stream, map::Each};
use crate::{
    record::{IsUnkeyed, KeyKind},
    time::TimeKind,
};

impl<T, Key, Time: TimeKind> Stream<T, Key, Time> {
    /// Gives each record a key. The steps after it may keep a state for each key.
    ///
    /// One worker processes all records of a key, in order. The key owns its data: instead of
    /// `fn(&Event) -> &str`, write `fn(&Event) -> String`.
    ///
    /// On a stream of `String`s, `|word| letter(word)` lets `letter` take a `&str`.
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// # #[derive(Clone, Serialize, Deserialize)] struct Event { user_id: String }
    /// fn user_id(event: &Event) -> String { event.user_id.clone() }
    /// fn count(seen: &mut u64, _event: Event) -> u64 { *seen += 1; *seen }
    ///
    /// #[dataflow]
    /// fn visits(events: Stream<Event>) -> KeyedStream<String, u64> {
    ///     events.key_on(user_id).stateful_map(count)
    /// }
    /// # let (out, seen) = sink::collect();
    /// # Runner::new(move |flow| {
    /// # let events = ["a", "b", "a"].map(|u| Event { user_id: u.into() });
    /// # let events = flow.source(source::from_iter(events));
    /// # visits(events).map(|pair| pair).sink(out.clone());
    /// # }).run().unwrap();
    /// # let seen = seen.take().into_iter().map(|(user, n)| format!("{user} {n}"));
    /// # assert_eq!(seen.collect::<Vec<_>>(), ["a 1", "b 1", "a 2"]);
    /// ```
    #[track_caller]
    pub fn key_on<K, F>(self, mut f: F) -> KeyedStream<K, T, Time>
    where
        Key: IsUnkeyed + 'static,
        T: 'static,
        // The bound is not `Key`: stateful steps require that, and one error is enough.
        K: KeyKind,
        F: FnMut(&T) -> K + 'static, // a key owns its data: a `String`, not a `&str`
    {
        self.chain("key_on", Location::caller(), |at, _, next| {
            Box::new(Each::new(at, next, move |(time, (_, record))| {
                (time, (f(&record), record))
            }))
        })
    }
}
