//! `filter`, and `filter_values` on a keyed stream.

use std::panic::Location;

use super::{Stream, filter_map::Pick};
use crate::{
    record::{IsKeyed, KeyKind, NoKey},
    time::TimeKind,
};

impl<T, Key, Time: TimeKind> Stream<T, Key, Time> {
    /// Keeps the items for which the function returns true.
    ///
    /// On a keyed stream the function sees `&(key, value)`, and the result has no key; see
    /// [`filter_values`](Stream::filter_values).
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// # let (out, seen) = sink::collect();
    /// # Runner::new(move |flow| {
    /// flow.source(source::from_iter(1..=4u64)).filter(|n| n % 2 == 0).sink(out.clone());
    /// # }).run().unwrap();
    /// # assert_eq!(seen.take(), [2, 4]);
    /// ```
    #[track_caller]
    pub fn filter<F>(self, mut f: F) -> Stream<Key::Item<T>, NoKey, Time>
    where
        Key: KeyKind,
        T: 'static,
        F: FnMut(&Key::Item<T>) -> bool + 'static,
    {
        self.chain("filter", Location::caller(), |at, _, next| {
            Box::new(Pick::new(at, next, move |(time, pair)| {
                f(Key::item_ref(&pair)).then(|| (time, (NoKey, Key::item(pair))))
            }))
        })
    }

    /// Keeps the records for whose value the function returns true, with their keys.
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// # let (out, seen) = sink::collect();
    /// # Runner::new(move |flow| {
    /// let numbers = flow.source(source::from_iter(1..=4u64));
    /// let keyed = numbers.key_on(|n| n % 2).filter_values(|n| *n > 2);
    /// keyed.map(|(parity, n)| (parity, n)).sink(out.clone());
    /// # }).run().unwrap();
    /// # assert_eq!(seen.take(), [(1, 3), (0, 4)]);
    /// ```
    #[track_caller]
    pub fn filter_values<F>(self, mut f: F) -> Stream<T, Key, Time>
    where
        Key: IsKeyed + 'static,
        T: 'static,
        F: FnMut(&T) -> bool + 'static,
    {
        self.chain("filter_values", Location::caller(), |at, _, next| {
            Box::new(Pick::new(at, next, move |(time, (key, value))| {
                f(&value).then_some((time, (key, value)))
            }))
        })
    }
}
