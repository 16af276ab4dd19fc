//! `into_keyed`: each record as a key and a value.

use std::panic::Location;

use super::{KeyedStream, Stream, map::Each};
use crate::{
    record::{IsUnkeyed, KeyKind},
    time::TimeKind,
};

impl<T, Key, Time: TimeKind> Stream<T, Key, Time> {
    /// Splits each record into a key and a value.
    ///
    /// Use it instead of [`key_on`](Stream::key_on) if the key is a part of the record: the key is
    /// moved, not cloned. With short records and a text as key, that saves about a fifth of a
    /// flow's time (`cargo bench --bench flow -- key`).
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
    pub fn into_keyed<K, V, F>(self, mut f: F) -> KeyedStream<K, V, Time>
    where
        Key: IsUnkeyed + 'static,
        T: 'static,
        K: KeyKind,
        V: 'static,
        F: FnMut(T) -> (K, V) + 'static, // a key owns its data: a `String`, not a `&str`
    {
        self.chain("into_keyed", Location::caller(), |at, _, next| {
            Box::new(Each::new(at, next, move |(time, (_, record))| {
                (time, f(record))
            }))
        })
    }
}
