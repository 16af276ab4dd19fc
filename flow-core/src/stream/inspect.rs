//! `inspect`, and `inspect_values` on a keyed stream.

use std::panic::Location;

use super::{Stream, map::Each};
use crate::{
    record::{IsKeyed, KeyKind, NoKey},
    time::TimeKind,
};

impl<T, Key, Time: TimeKind> Stream<T, Key, Time> {
    /// Calls the function with each item, and passes the item on.
    ///
    /// On a keyed stream the function sees `&(key, value)`, and the result has no key; see
    /// [`inspect_values`](Stream::inspect_values).
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// # let (out, seen) = sink::collect();
    /// # Runner::new(move |flow| {
    /// let numbers = flow.source(source::from_iter(1..=2u64));
    /// numbers.inspect(|n| eprintln!("saw {n}")).sink(out.clone());
    /// # }).run().unwrap();
    /// # assert_eq!(seen.take(), [1, 2]);
    /// ```
    #[track_caller]
    pub fn inspect<F>(self, mut f: F) -> Stream<Key::Item<T>, NoKey, Time>
    where
        Key: KeyKind,
        T: 'static,
        F: FnMut(&Key::Item<T>) + 'static,
    {
        self.chain("inspect", Location::caller(), |at, _, next| {
            Box::new(Each::new(at, next, move |(time, pair)| {
                f(Key::item_ref(&pair));
                (time, (NoKey, Key::item(pair)))
            }))
        })
    }

    /// Calls the function with the value of each record, and passes the record on with its key.
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// # let (out, seen) = sink::collect();
    /// # Runner::new(move |flow| {
    /// let numbers = flow.source(source::from_iter(1..=2u64));
    /// let keyed = numbers.key_on(|n| n % 2).inspect_values(|n| eprintln!("saw {n}"));
    /// keyed.map(|(parity, n)| (parity, n)).sink(out.clone());
    /// # }).run().unwrap();
    /// # assert_eq!(seen.take(), [(1, 1), (0, 2)]);
    /// ```
    #[track_caller]
    pub fn inspect_values<F>(self, mut f: F) -> Stream<T, Key, Time>
    where
        Key: IsKeyed + 'static,
        T: 'static,
        F: FnMut(&T) + 'static,
    {
        self.chain("inspect_values", Location::caller(), |at, _, next| {
            Box::new(Each::new(at, next, move |(time, (key, value))| {
                f(&value);
                (time, (key, value))
            }))
        })
    }
}
