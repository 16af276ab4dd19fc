//! `map`, and `map_values` on a keyed stream.

use std::panic::Location;

use super::Stream;
use crate::{
    chain::{Batch, BoxConsumer, Consumer, Fault, StepContext},
    record::{IsKeyed, KeyKind, NoKey},
    time::TimeKind,
};

impl<T, Key, Time: TimeKind> Stream<T, Key, Time> {
    /// Replaces each item by the function's result.
    ///
    /// On a keyed stream the function sees `(key, value)`, and the result has no key; see
    /// [`map_values`](Stream::map_values). If the function returns a `Result`, use
    /// [`try_map`](Stream::try_map).
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// # let (out, seen) = sink::collect();
    /// # Runner::new(move |flow| {
    /// flow.source(source::from_iter(1..=3u64)).map(|n| n * 2).sink(out.clone());
    /// # }).run().unwrap();
    /// # assert_eq!(seen.take(), [2, 4, 6]);
    /// ```
    #[track_caller]
    pub fn map<U, F>(self, mut f: F) -> Stream<U, NoKey, Time>
    where
        Key: KeyKind,
        T: 'static,
        U: 'static,
        F: FnMut(Key::Item<T>) -> U + 'static,
    {
        self.chain("map", Location::caller(), |at, _, next| {
            Box::new(Each::new(at, next, move |(time, pair)| {
                (time, (NoKey, f(Key::item(pair))))
            }))
        })
    }

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
    pub fn map_values<U, F>(self, mut f: F) -> Stream<U, Key, Time>
    where
        Key: IsKeyed + 'static,
        T: 'static,
        U: 'static,
        F: FnMut(T) -> U + 'static,
    {
        self.chain("map_values", Location::caller(), |at, _, next| {
            Box::new(Each::new(at, next, move |(time, (key, value))| {
                (time, (key, f(value)))
            }))
        })
    }
}

/// A step that makes one record of each.
pub(super) struct Each<F, U> {
    at: StepContext,
    f: F,
    out: Batch<U>,
    next: BoxConsumer<U>,
}

impl<F, U> Each<F, U> {
    pub(super) fn new(at: StepContext, next: BoxConsumer<U>, f: F) -> Self {
        let out = Batch::new();
        Each { at, f, out, next }
    }
}

impl<T, U, F: FnMut(T) -> U> Consumer<T> for Each<F, U> {
    fn push_batch(&mut self, batch: &mut Batch<T>) -> Result<(), Fault> {
        batch.map(&self.at, &mut self.out, &mut self.f);
        self.next.push_batch(&mut self.out)
    }

    fn resume(&mut self) -> Result<bool, Fault> {
        self.next.resume()
    }
}
