//! Functions that can't fail.

use std::panic::Location;

use super::{KeyAndValue, Never, Slot, Stateful, Value};
use crate::{
    KeyedStream,
    record::{Key, KeyKind, Record, StepKey, StepState},
    state::{Many, One},
    time::TimeKind,
};

impl<T, K, Has, Time: TimeKind> Stateful<T, K, Value, Has, Never, Time> {
    /// Replaces each value by the result of `f(&mut state, value)`.
    #[track_caller]
    pub fn map<S, W, F>(self, f: F) -> KeyedStream<K, W, Time>
    where
        K: Key + KeyKind + StepKey<K::Kind>,
        T: Record,
        S: 'static,
        W: 'static,
        Has: Slot<S>,
        F: FnMut(&mut Has::State, T) -> W + StepState<S> + 'static,
    {
        let mut f = f;
        let f = move |_: &K, kept: &mut Option<S>, value| Ok(One(f(Has::of(kept), value)));
        self.stream
            .keep_one("stateful_map", Location::caller(), F::codec(), f)
    }

    /// Replaces each value by any number of others: `f(&mut state, value)` returns them.
    #[track_caller]
    pub fn flat_map<S, I, F>(self, f: F) -> KeyedStream<K, I::Item, Time>
    where
        K: Key + KeyKind + StepKey<K::Kind>,
        T: Record,
        S: 'static,
        I: IntoIterator<Item: 'static> + 'static,
        Has: Slot<S>,
        F: FnMut(&mut Has::State, T) -> I + StepState<S> + 'static,
    {
        let mut f = f;
        let f = move |_: &K, kept: &mut Option<S>, value| Ok(Many(f(Has::of(kept), value)));
        self.stream
            .keep_one("stateful_flat_map", Location::caller(), F::codec(), f)
    }
}

impl<T, K, Has, Time: TimeKind> Stateful<T, K, KeyAndValue, Has, Never, Time> {
    /// Replaces each value by the result of `f(&key, &mut state, value)`.
    #[track_caller]
    pub fn map<S, W, F>(self, f: F) -> KeyedStream<K, W, Time>
    where
        K: Key + KeyKind + StepKey<K::Kind>,
        T: Record,
        S: 'static,
        W: 'static,
        Has: Slot<S>,
        F: FnMut(&K, &mut Has::State, T) -> W + StepState<S> + 'static,
    {
        let mut f = f;
        let f = move |key: &K, kept: &mut Option<S>, value| Ok(One(f(key, Has::of(kept), value)));
        self.stream
            .keep_one("stateful_map", Location::caller(), F::codec(), f)
    }

    /// Replaces each value by any number of others: `f(&key, &mut state, value)` returns them.
    #[track_caller]
    pub fn flat_map<S, I, F>(self, f: F) -> KeyedStream<K, I::Item, Time>
    where
        K: Key + KeyKind + StepKey<K::Kind>,
        T: Record,
        S: 'static,
        I: IntoIterator<Item: 'static> + 'static,
        Has: Slot<S>,
        F: FnMut(&K, &mut Has::State, T) -> I + StepState<S> + 'static,
    {
        let mut f = f;
        let f = move |key: &K, kept: &mut Option<S>, value| Ok(Many(f(key, Has::of(kept), value)));
        self.stream
            .keep_one("stateful_flat_map", Location::caller(), F::codec(), f)
    }
}
