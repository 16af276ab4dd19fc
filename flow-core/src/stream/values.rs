//! Stateless steps on the values of a keyed stream: the key stays.

use std::panic::Location;

use super::{Stream, map::Each};
use crate::record::IsKeyed;

impl<T, Key> Stream<T, Key> {
    /// Replaces the value of each record and keeps its key.
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// # let (out, seen) = sink::collect();
    /// # Runner::new(move |flow| {
    /// let numbers = flow.source(source::from_iter(1..=2u64));
    /// let keyed = numbers.key_on(|n| n % 2).map_values(|n| n * 10);
    /// keyed.map(|(parity, n)| (parity, n)).sink(out.clone());
    /// # }).run().unwrap();
    /// # assert_eq!(seen.take(), [(1, 10), (0, 20)]);
    /// ```
    #[track_caller]
    pub fn map_values<U, F>(self, f: F) -> Stream<U, Key>
    where
        Key: IsKeyed + 'static,
        T: 'static,
        U: 'static,
        F: FnMut(T) -> U + 'static,
    {
        self.chain("map_values", Location::caller(), |at, _, next| {
            let mut f = f;
            Box::new(Each {
                at,
                f: move |(key, value)| (key, f(value)),
                out: Vec::new(),
                next,
            })
        })
    }
}
