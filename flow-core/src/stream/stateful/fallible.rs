//! Functions that may fail, with failed records that end the run or are skipped.

use std::panic::Location;

use super::{Fail, KeyAndValue, Or, Skip, Slot, Stateful, Value};
use crate::{
    KeyedStream,
    chain::Skips,
    error::{BoxError, Failure},
    record::{Key, KeyKind, Record, StepKey, StepState},
    state::{Many, One},
    time::TimeKind,
};

/// What happens to a record on which the function fails, and to the state that it may have changed.
pub trait OnFailure<S> {
    /// Calls the function. `None` is a record to skip.
    #[doc(hidden)]
    fn call<W, E: Failure>(
        kept: &mut Option<S>,
        f: impl FnOnce(&mut Option<S>) -> Result<W, E>,
    ) -> Result<Option<W>, BoxError>;
}

impl<S> OnFailure<S> for Fail {
    #[inline]
    fn call<W, E: Failure>(
        kept: &mut Option<S>,
        f: impl FnOnce(&mut Option<S>) -> Result<W, E>,
    ) -> Result<Option<W>, BoxError> {
        // The run is aborted, so nobody sees the state again.
        f(kept).map(Some).map_err(Failure::into_error)
    }
}

impl<S: Clone> OnFailure<S> for Skip {
    #[inline]
    fn call<W, E: Failure>(
        kept: &mut Option<S>,
        f: impl FnOnce(&mut Option<S>) -> Result<W, E>,
    ) -> Result<Option<W>, BoxError> {
        let result = or_as_before(kept, f);
        Ok(result.map_err(Skips::log).ok())
    }
}

/// Calls the function. If it fails, the state stays what it was.
pub(super) fn or_as_before<S: Clone, W, E>(
    kept: &mut Option<S>,
    f: impl FnOnce(&mut Option<S>) -> Result<W, E>,
) -> Result<W, E> {
    let mut changed = kept.clone();
    let result = f(&mut changed)?;
    *kept = changed;
    Ok(result)
}

impl<T, K, Has, Fails, Time: TimeKind> Stateful<T, K, Value, Has, Or<Fails>, Time> {
    /// Replaces each value by the result of `f(&mut state, value)`, which may fail.
    #[track_caller]
    pub fn map<S, W, E, F>(self, f: F) -> KeyedStream<K, W, Time>
    where
        K: Key + KeyKind + StepKey<K::Kind>,
        T: Record,
        S: 'static,
        W: 'static,
        E: Failure,
        Has: Slot<S>,
        Fails: OnFailure<S>,
        F: FnMut(&mut Has::State, T) -> Result<W, E> + StepState<S> + 'static,
    {
        let mut f = f;
        let f = move |_: &K, kept: &mut Option<S>, value| {
            Fails::call(kept, |kept| f(Has::of(kept), value).map(One))
        };
        self.stream
            .keep_one("stateful_map", Location::caller(), F::codec(), f)
    }

    /// Replaces each value by any number of others: `f(&mut state, value)` returns them, or fails.
    #[track_caller]
    pub fn flat_map<S, I, E, F>(self, f: F) -> KeyedStream<K, I::Item, Time>
    where
        K: Key + KeyKind + StepKey<K::Kind>,
        T: Record,
        S: 'static,
        I: IntoIterator<Item: 'static> + 'static,
        E: Failure,
        Has: Slot<S>,
        Fails: OnFailure<S>,
        F: FnMut(&mut Has::State, T) -> Result<I, E> + StepState<S> + 'static,
    {
        let mut f = f;
        let f = move |_: &K, kept: &mut Option<S>, value| {
            Fails::call(kept, |kept| f(Has::of(kept), value).map(Many))
        };
        self.stream
            .keep_one("stateful_flat_map", Location::caller(), F::codec(), f)
    }
}

impl<T, K, Has, Fails, Time: TimeKind> Stateful<T, K, KeyAndValue, Has, Or<Fails>, Time> {
    /// Replaces each value by the result of `f(&key, &mut state, value)`, which may fail.
    #[track_caller]
    pub fn map<S, W, E, F>(self, f: F) -> KeyedStream<K, W, Time>
    where
        K: Key + KeyKind + StepKey<K::Kind>,
        T: Record,
        S: 'static,
        W: 'static,
        E: Failure,
        Has: Slot<S>,
        Fails: OnFailure<S>,
        F: FnMut(&K, &mut Has::State, T) -> Result<W, E> + StepState<S> + 'static,
    {
        let mut f = f;
        let f = move |key: &K, kept: &mut Option<S>, value| {
            Fails::call(kept, |kept| f(key, Has::of(kept), value).map(One))
        };
        self.stream
            .keep_one("stateful_map", Location::caller(), F::codec(), f)
    }

    /// Replaces each value by any number of others: `f(&key, &mut state, value)` returns them, or
    /// fails.
    #[track_caller]
    pub fn flat_map<S, I, E, F>(self, f: F) -> KeyedStream<K, I::Item, Time>
    where
        K: Key + KeyKind + StepKey<K::Kind>,
        T: Record,
        S: 'static,
        I: IntoIterator<Item: 'static> + 'static,
        E: Failure,
        Has: Slot<S>,
        Fails: OnFailure<S>,
        F: FnMut(&K, &mut Has::State, T) -> Result<I, E> + StepState<S> + 'static,
    {
        let mut f = f;
        let f = move |key: &K, kept: &mut Option<S>, value| {
            Fails::call(kept, |kept| f(key, Has::of(kept), value).map(Many))
        };
        self.stream
            .keep_one("stateful_flat_map", Location::caller(), F::codec(), f)
    }
}
