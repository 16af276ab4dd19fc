//! Stateless steps that may fail.
//!
//! A record that fails before the first shuffle stops the flow exactly at it: everything before it is
//! made durable, and the next run starts at it.

use std::{panic::Location, sync::Arc};

use super::Stream;
use crate::{
    chain::{At, BoxConsumer, Consumer, Fault, Wiring},
    error::Failure,
    record::{KeyKind, NoKey},
    run::Skips,
};

/// What happens to a record that fails in a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnError {
    /// The flow stops at the record; the next run starts at it.
    #[default]
    Fail,
    /// The record is left out, and counted in [`Outcome::skipped`](crate::Outcome::skipped).
    Skip,
}

impl<T, Key> Stream<T, Key> {
    /// Replaces each item by what the function returns, and stops the flow where that is an error.
    ///
    /// The error is anything that implements `std::error::Error`, or a text. See
    /// [`try_map_with`](Stream::try_map_with) for going on without the record.
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// fn parse(line: String) -> Result<u64, std::num::ParseIntError> { line.parse() }
    ///
    /// # let (out, seen) = sink::collect();
    /// let error = Runner::new(move |flow| {
    ///     let lines = flow.source(source::from_iter(["1", "x", "3"].map(String::from)));
    ///     lines.try_map(parse).sink(out.clone());
    /// }).run().unwrap_err();
    /// assert!(matches!(error, RunError::Record(_)));
    /// # assert_eq!(seen.take(), [1]);
    /// ```
    #[track_caller]
    pub fn try_map<U, E, F>(self, f: F) -> Stream<U>
    where
        Key: KeyKind,
        T: 'static,
        U: 'static,
        E: Failure,
        F: FnMut(Key::Item<T>) -> Result<U, E> + 'static,
    {
        self.try_map_with(f, OnError::Fail)
    }

    /// Like [`try_map`](Stream::try_map), with a choice of what happens to a record that fails.
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// # let (out, seen) = sink::collect();
    /// let outcome = Runner::new(move |flow| {
    ///     let lines = flow.source(source::from_iter(["1", "x", "3"].map(String::from)));
    ///     lines.try_map_with(|line| line.parse::<u64>(), OnError::Skip).sink(out.clone());
    /// }).run().unwrap();
    /// assert_eq!(outcome.skipped(), 1);
    /// # assert_eq!(seen.take(), [1, 3]);
    /// ```
    #[track_caller]
    pub fn try_map_with<U, E, F>(self, f: F, on_error: OnError) -> Stream<U>
    where
        Key: KeyKind,
        T: 'static,
        U: 'static,
        E: Failure,
        F: FnMut(Key::Item<T>) -> Result<U, E> + 'static,
    {
        self.chain("try_map", Location::caller(), move |at, wiring, next| {
            let mut f = f;
            wiring.fallible |= on_error == OnError::Fail;
            Box::new(Try::new(at, wiring, on_error, next, move |pair| {
                f(Key::item(pair)).map(|item| Some((NoKey, item)))
            }))
        })
    }

    /// Replaces each item, drops it where the function returns `Ok(None)`, and stops the flow where
    /// it returns an error.
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// # let (out, seen) = sink::collect();
    /// # Runner::new(move |flow| {
    /// let lines = flow.source(source::from_iter(["1", "", "3"].map(String::from)));
    /// let numbers = lines.try_filter_map(|line| {
    ///     (!line.is_empty()).then(|| line.parse::<u64>()).transpose()
    /// });
    /// numbers.sink(out.clone());
    /// # }).run().unwrap();
    /// # assert_eq!(seen.take(), [1, 3]);
    /// ```
    #[track_caller]
    pub fn try_filter_map<U, E, F>(self, f: F) -> Stream<U>
    where
        Key: KeyKind,
        T: 'static,
        U: 'static,
        E: Failure,
        F: FnMut(Key::Item<T>) -> Result<Option<U>, E> + 'static,
    {
        self.try_filter_map_with(f, OnError::Fail)
    }

    /// Like [`try_filter_map`](Stream::try_filter_map), with a choice of what happens to a record
    /// that fails.
    #[track_caller]
    pub fn try_filter_map_with<U, E, F>(self, f: F, on_error: OnError) -> Stream<U>
    where
        Key: KeyKind,
        T: 'static,
        U: 'static,
        E: Failure,
        F: FnMut(Key::Item<T>) -> Result<Option<U>, E> + 'static,
    {
        let at = Location::caller();
        self.chain("try_filter_map", at, move |at, wiring, next| {
            let mut f = f;
            wiring.fallible |= on_error == OnError::Fail;
            Box::new(Try::new(at, wiring, on_error, next, move |pair| {
                Ok::<_, E>(f(Key::item(pair))?.map(|item| (NoKey, item)))
            }))
        })
    }
}

/// A step that makes at most one record of each, and may fail.
pub(super) struct Try<F, U> {
    at: At,
    on_error: OnError,
    skips: Arc<Skips>,
    f: F,
    out: Vec<U>,
    next: BoxConsumer<U>,
}

impl<F, U> Try<F, U> {
    pub(super) fn new(
        at: At,
        wiring: &Wiring,
        on_error: OnError,
        next: BoxConsumer<U>,
        f: F,
    ) -> Self {
        Try {
            at,
            on_error,
            skips: wiring.skips.clone(),
            f,
            out: Vec::new(),
            next,
        }
    }

    fn failed(&self, error: impl Failure) -> Result<(), Fault> {
        match self.on_error {
            OnError::Fail => Err(self.at.fault(error.into_error())),
            OnError::Skip => {
                self.skips.add(self.at.step());
                Ok(())
            }
        }
    }
}

impl<T, U, E: Failure, F: FnMut(T) -> Result<Option<U>, E>> Consumer<T> for Try<F, U> {
    fn push(&mut self, record: T) -> Result<(), Fault> {
        self.at.enter();
        match (self.f)(record) {
            Ok(Some(record)) => self.next.push(record),
            Ok(None) => Ok(()),
            Err(error) => self.failed(error),
        }
    }

    fn push_batch(&mut self, records: &mut Vec<T>) -> Result<(), Fault> {
        self.at.enter();
        for record in records.drain(..) {
            match (self.f)(record) {
                Ok(Some(record)) => self.out.push(record),
                Ok(None) => {}
                Err(error) => self.failed(error)?,
            }
        }
        self.next.push_batch(&mut self.out)
    }
}
