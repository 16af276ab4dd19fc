//! Giving records a key, another key, and none.

use std::panic::Location;

use super::{KeyedStream, Stream, map::Each};
use crate::record::{IsKeyed, IsUnkeyed, KeyKind, NoKey};

impl<T, Key> Stream<T, Key> {
    /// Gives each record a key. The steps after it may keep a state for each key.
    ///
    /// The records of one key are all handled by one worker, in order. The key owns its data: the
    /// commonest first mistake is `fn(&Event) -> &str`, where `String` is needed.
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
    pub fn key_on<K, F>(self, mut f: F) -> KeyedStream<K, T>
    where
        Key: IsUnkeyed + 'static,
        T: 'static,
        // Not `Key`: the steps that keep something ask for that, and one error is enough.
        K: KeyKind,
        F: FnMut(&T) -> K + 'static, // a key owns its data: a `String`, not a `&str`
    {
        self.chain("key_on", Location::caller(), |at, _, next| {
            Box::new(Each::new(at, next, move |(_, record)| (f(&record), record)))
        })
    }

    /// Takes each record apart into a key and a value: as [`key_on`](Stream::key_on), for a key that is part of the
    /// record, which is moved instead of cloned.
    ///
    /// Of short records with a text as their key this saves a fifth of what a flow costs
    /// (`cargo bench --bench flow -- key`).
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// # #[derive(Clone, Serialize, Deserialize)] struct Order { user_id: String, cents: u64 }
    /// fn by_user(order: Order) -> (String, u64) { (order.user_id, order.cents) }
    /// fn add_up(spent: &mut u64, cents: u64) -> u64 { *spent += cents; *spent }
    ///
    /// #[dataflow]
    /// fn spending(orders: Stream<Order>) -> KeyedStream<String, u64> {
    ///     orders.into_keyed(by_user).stateful_map(add_up)
    /// }
    /// # let (out, seen) = sink::collect();
    /// # Runner::new(move |flow| {
    /// # let orders = ["a", "b", "a"].map(|u| Order { user_id: u.into(), cents: 5 });
    /// # let orders = flow.source(source::from_iter(orders));
    /// # spending(orders).map(|pair| pair).sink(out.clone());
    /// # }).run().unwrap();
    /// # let seen = seen.take().into_iter().map(|(user, n)| format!("{user} {n}"));
    /// # assert_eq!(seen.collect::<Vec<_>>(), ["a 5", "b 5", "a 10"]);
    /// ```
    #[track_caller]
    pub fn into_keyed<K, V, F>(self, mut f: F) -> KeyedStream<K, V>
    where
        Key: IsUnkeyed + 'static,
        T: 'static,
        K: KeyKind,
        V: 'static,
        F: FnMut(T) -> (K, V) + 'static, // a key owns its data: a `String`, not a `&str`
    {
        self.chain("into_keyed", Location::caller(), |at, _, next| {
            Box::new(Each::new(at, next, move |(_, record)| f(record)))
        })
    }

    /// Gives each record of a keyed stream another key. The old key is dropped.
    ///
    /// The function sees the value, as with [`key_on`](Stream::key_on). Where the new key depends on the old one too, use
    /// [`map`](Stream::map), which sees both, and then [`into_keyed`](Stream::into_keyed).
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// fn total(sum: &mut u64, n: u64) -> u64 { *sum += n; *sum }
    /// fn count(seen: &mut u64, _total: u64) -> u64 { *seen += 1; *seen }
    ///
    /// /// How many totals have had each number of digits.
    /// #[dataflow]
    /// fn digits(numbers: Stream<u64>) -> KeyedStream<usize, u64> {
    ///     let totals = numbers.key_on(|n| n % 2).stateful_map(total);
    ///     totals.rekey_on(|total| total.to_string().len()).stateful_map(count)
    /// }
    /// # let (out, seen) = sink::collect();
    /// # Runner::new(move |flow| {
    /// #     digits(flow.source(source::from_iter([1, 2, 9, 8u64]))).map(|x| x).sink(out.clone());
    /// # }).run().unwrap();
    /// # let mut seen = seen.take(); seen.sort();
    /// # assert_eq!(seen, [(1, 1), (1, 2), (2, 1), (2, 2)]);
    /// ```
    #[track_caller]
    pub fn rekey_on<K, F>(self, mut f: F) -> KeyedStream<K, T>
    where
        Key: IsKeyed + 'static,
        T: 'static,
        K: KeyKind,
        F: FnMut(&T) -> K + 'static, // a key owns its data: a `String`, not a `&str`
    {
        self.chain("rekey_on", Location::caller(), |at, _, next| {
            Box::new(Each::new(at, next, move |(_, value)| (f(&value), value)))
        })
    }

    /// Drops the key of each record: what remains is a stream of the values.
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// fn total(sum: &mut u64, n: u64) -> u64 { *sum += n; *sum }
    ///
    /// #[dataflow]
    /// fn totals(numbers: Stream<u64>) -> Stream<u64> {
    ///     numbers.key_on(|n| n % 2).stateful_map(total).drop_key()
    /// }
    /// # let (out, seen) = sink::collect();
    /// # Runner::new(move |flow| {
    /// #     totals(flow.source(source::from_iter(1..=4u64))).sink(out.clone());
    /// # }).run().unwrap();
    /// # assert_eq!(seen.take(), [1, 2, 4, 6]);
    /// ```
    #[track_caller]
    pub fn drop_key(self) -> Stream<T>
    where
        Key: IsKeyed + 'static,
        T: 'static,
    {
        self.chain("drop_key", Location::caller(), |at, _, next| {
            Box::new(Each::new(at, next, |(_, value)| (NoKey, value)))
        })
    }
}
