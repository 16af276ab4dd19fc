//! `filter_map`, and `filter_map_values` on a keyed stream.

use std::{convert::Infallible, panic::Location};

use super::Stream;
use crate::{
    chain::{Batch, BoxConsumer, Consumer, Fault, StepContext},
    record::{IsKeyed, KeyKind, NoKey},
    time::TimeKind,
};

impl<T, Key, Time: TimeKind> Stream<T, Key, Time> {
    /// Replaces each item by the function's result, or drops it if that is `None`.
    ///
    /// On a keyed stream the function sees `(key, value)`, and the result has no key; see
    /// [`filter_map_values`](Stream::filter_map_values).
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// # let (out, seen) = sink::collect();
    /// # Runner::new(move |flow| {
    /// let words = flow.source(source::from_iter(["1", "x", "3"].map(String::from)));
    /// words.filter_map(|word| word.parse::<u64>().ok()).sink(out.clone());
    /// # }).run().unwrap();
    /// # assert_eq!(seen.take(), [1, 3]);
    /// ```
    #[track_caller]
    pub fn filter_map<U, F>(self, mut f: F) -> Stream<U, NoKey, Time>
    where
        Key: KeyKind,
        T: 'static,
        U: 'static,
        F: FnMut(Key::Item<T>) -> Option<U> + 'static,
    {
        self.chain("filter_map", Location::caller(), |at, _, next| {
            Box::new(Pick::new(at, next, move |(time, pair)| {
                Some((time, (NoKey, f(Key::item(pair))?)))
            }))
        })
    }

    /// Replaces the value of each record and keeps its key, or drops the record if the function
    /// returns `None`.
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// # let (out, seen) = sink::collect();
    /// # Runner::new(move |flow| {
    /// let words = flow.source(source::from_iter(["1", "x", "33"].map(String::from)));
    /// let keyed = words.key_on(|word| word.len());
    /// let keyed = keyed.filter_map_values(|word| word.parse::<u64>().ok());
    /// keyed.map(|(length, n)| (length, n)).sink(out.clone());
    /// # }).run().unwrap();
    /// # assert_eq!(seen.take(), [(1, 1), (2, 33)]);
    /// ```
    #[track_caller]
    pub fn filter_map_values<U, F>(self, mut f: F) -> Stream<U, Key, Time>
    where
        Key: IsKeyed + 'static,
        T: 'static,
        U: 'static,
        F: FnMut(T) -> Option<U> + 'static,
    {
        self.chain("filter_map_values", Location::caller(), |at, _, next| {
            Box::new(Pick::new(at, next, move |(time, (key, value))| {
                Some((time, (key, f(value)?)))
            }))
        })
    }
}

/// A step that makes at most one record of each.
pub(super) struct Pick<F, U> {
    at: StepContext,
    f: F,
    out: Batch<U>,
    next: BoxConsumer<U>,
}

impl<F, U> Pick<F, U> {
    pub(super) fn new(at: StepContext, next: BoxConsumer<U>, f: F) -> Self {
        let out = Batch::new();
        Pick { at, f, out, next }
    }
}

impl<T, U, F: FnMut(T) -> Option<U>> Consumer<T> for Pick<F, U> {
    fn push_batch(&mut self, batch: &mut Batch<T>) -> Result<(), Fault> {
        let f = |record| Ok::<_, Infallible>((self.f)(record));
        batch.try_filter_map(&self.at, &mut self.out, f, |never, _| match never {})?;
        self.next.push_batch(&mut self.out)
    }

    fn resume(&mut self) -> Result<bool, Fault> {
        self.next.resume()
    }
}
