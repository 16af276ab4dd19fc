//! `flat_map`, and `flat_map_values` on a keyed stream.

use std::panic::Location;

use super::Stream;
use crate::{
    chain::{Batch, BoxConsumer, Carried, Consumer, Fault, Parent, StepContext, Wiring},
    record::{IsKeyed, KeyKind, NoKey},
    time::TimeKind,
};

impl<T, Key, Time: TimeKind> Stream<T, Key, Time> {
    /// Replaces each item by any number of others.
    ///
    /// On a keyed stream the function sees `(key, value)`, and the results have no key; see
    /// [`flat_map_values`](Stream::flat_map_values).
    ///
    /// The function may make very many items of one. The step takes a few thousand from its
    /// iterator, and they are processed before it takes more. So they are never all in memory,
    /// except in these cases:
    /// - A step that runs after it, up to the next shuffle, may fail.
    /// - The chain begins at a stateful step, or a [`merge`](Stream::merge) leads into it.
    /// - Several workers share the lines of one file.
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// # let (out, seen) = sink::collect();
    /// # Runner::new(move |flow| {
    /// let lines = flow.source(source::from_iter(["a b", "", "c"].map(String::from)));
    /// let words = lines
    ///     .flat_map(|line| line.split_whitespace().map(String::from).collect::<Vec<_>>());
    /// words.sink(out.clone());
    /// # }).run().unwrap();
    /// # assert_eq!(seen.take(), ["a", "b", "c"]);
    /// ```
    #[track_caller]
    pub fn flat_map<I, F>(self, mut f: F) -> Stream<I::Item, NoKey, Time>
    where
        Key: KeyKind,
        T: 'static,
        I: IntoIterator + 'static,
        I::Item: 'static,
        F: FnMut(Key::Item<T>) -> I + 'static,
    {
        self.chain("flat_map", Location::caller(), |at, wiring, next| {
            let items = move |(time, pair)| {
                let items = f(Key::item(pair)).into_iter();
                items.map(move |item| (time, (NoKey, item)))
            };
            Box::new(Many::new(at, wiring, next, items))
        })
    }

    /// Replaces the value of each record by any number of others, each with the record's key.
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// # let (out, seen) = sink::collect();
    /// # Runner::new(move |flow| {
    /// let lines = flow.source(source::from_iter(["a b", "", "c"].map(String::from)));
    /// let letters = lines.key_on(|line| line.len()).flat_map_values(|line| {
    ///     line.split_whitespace().map(String::from).collect::<Vec<_>>()
    /// });
    /// letters.map(|(length, letter)| format!("{letter} of {length}")).sink(out.clone());
    /// # }).run().unwrap();
    /// # assert_eq!(seen.take(), ["a of 3", "b of 3", "c of 1"]);
    /// ```
    #[track_caller]
    pub fn flat_map_values<I, F>(self, mut f: F) -> Stream<I::Item, Key, Time>
    where
        Key: IsKeyed + Clone + 'static,
        T: 'static,
        I: IntoIterator + 'static,
        I::Item: 'static,
        F: FnMut(T) -> I + 'static,
    {
        self.chain("flat_map_values", Location::caller(), |at, wiring, next| {
            let items = move |(time, (key, value)): Carried<T, Key, Time>| {
                let items = f(value).into_iter();
                items.map(move |item| (time, (key.clone(), item)))
            };
            Box::new(Many::new(at, wiring, next, items))
        })
    }
}

/// The most records passed on at a time.
const PASSED: usize = 1024;

/// The number of records after which a step rests, if it may.
const RESTS: usize = 8 * PASSED;

/// A step that makes any number of records of each.
pub(super) struct Many<F, T, I, U> {
    at: StepContext,
    f: F,
    out: Batch<U>,
    next: BoxConsumer<U>,
    may_rest: bool,
    /// While the step rests: the iterator of the record in hand, and the records behind that one.
    items: Option<(I, Parent)>,
    rest: std::vec::IntoIter<(T, Parent)>,
}

impl<T, U, I: Iterator<Item = U>, F: FnMut(T) -> I> Many<F, T, I, U> {
    pub(super) fn new(at: StepContext, wiring: &mut Wiring, next: BoxConsumer<U>, f: F) -> Self {
        // What a step has passed on before it rests can't be taken back, so no step that runs after
        // it may fail.
        let may_rest = wiring.may_rest && wiring.fallible.is_empty();
        wiring.rests |= may_rest;
        Many {
            at,
            f,
            out: Batch::new(),
            next,
            may_rest,
            items: None,
            rest: Vec::new().into_iter(),
        }
    }

    /// Passes on the items of an iterator. Returns the iterator if the step rests before its end.
    fn pass_on(
        &mut self,
        mut items: I,
        parent: Parent,
        passed: &mut usize,
    ) -> Result<Option<I>, Fault> {
        loop {
            let room = PASSED.saturating_sub(self.out.len());
            self.out.extend(&mut items, room, parent);
            if self.out.len() < PASSED {
                return Ok(None);
            }
            *passed += self.out.len();
            self.next.push_batch(&mut self.out)?;
            if !self.may_rest {
                // A step behind this one may rest. It must be resumed before it gets another batch,
                // and all of it stays in this push, which may still fail.
                while self.next.resume()? {}
            } else if self.next.resume()? || *passed >= RESTS {
                return Ok(Some(items));
            }
            // The iterator is user code, and other steps have run since.
            self.at.enter();
        }
    }
}

impl<T, U, I: Iterator<Item = U>, F: FnMut(T) -> I> Consumer<T> for Many<F, T, I, U> {
    fn push_batch(&mut self, batch: &mut Batch<T>) -> Result<(), Fault> {
        self.out.restart(batch);
        let at = self.at.clone();
        let mut passed = 0;
        let mut drained = batch.drain(&at);
        while let Some((record, parent)) = drained.next() {
            let items = (self.f)(record);
            self.items = self
                .pass_on(items, parent, &mut passed)?
                .map(|items| (items, parent));
            if self.items.is_some() {
                self.rest = drained.collect::<Vec<_>>().into_iter();
                return Ok(());
            }
        }
        self.next.push_batch(&mut self.out)
    }

    fn resume(&mut self) -> Result<bool, Fault> {
        if self.next.resume()? {
            return Ok(true);
        }
        let mut passed = 0;
        self.at.enter();
        let mut next = self.items.take();
        while let Some((items, parent)) = next {
            self.items = self
                .pass_on(items, parent, &mut passed)?
                .map(|items| (items, parent));
            if self.items.is_some() {
                return Ok(true);
            }
            let rest = self.rest.next();
            next = rest.map(|(record, parent)| ((self.f)(record), parent));
        }
        if self.out.is_empty() {
            return Ok(false);
        }
        self.next.push_batch(&mut self.out)?;
        self.next.resume()
    }
}
