//! Functions that may fail, with the failed records in a second stream.

use std::{panic::Location, rc::Rc};

use super::{KeyAndValue, OrDead, Slot, Stateful, Value, fallible::or_as_before};
use crate::{
    KeyedStream, Stream,
    chain::{Carried, Port, Wiring},
    record::{Key, KeyKind, NoKey, Record, StateCodec, StepKey, StepState},
    state::{DeadRecord, Emit, Many, One, Results, ResultsAndDead},
    stream::dead::second_step,
    time::{NoTime, TimeKind},
};

/// The results, and the records that failed.
pub type AndDead<W, T, K, E, Time = NoTime> = (
    KeyedStream<K, W, Time>,
    Stream<DeadRecord<K, T, E>, NoKey, Time>,
);

impl<T, K, Has, Time: TimeKind> Stateful<T, K, Value, Has, OrDead, Time> {
    /// Replaces each value by the result of `f(&mut state, value)`, which may fail.
    #[track_caller]
    pub fn map<S, W, E, F>(self, f: F) -> AndDead<W, T, K, E, Time>
    where
        K: Key + KeyKind + StepKey<K::Kind>,
        T: Record + Clone,
        S: Clone + 'static,
        W: 'static,
        E: 'static,
        Has: Slot<S>,
        F: FnMut(&mut Has::State, T) -> Result<W, E> + StepState<S> + 'static,
    {
        let mut f = f;
        let f = move |_: &K, kept: &mut Option<S>, value| f(Has::of(kept), value).map(One);
        self.stream
            .keep_or_dead("stateful_map", Location::caller(), F::codec(), f)
    }

    /// Replaces each value by any number of others: `f(&mut state, value)` returns them, or fails.
    #[track_caller]
    pub fn flat_map<S, I, E, F>(self, f: F) -> AndDead<I::Item, T, K, E, Time>
    where
        K: Key + KeyKind + StepKey<K::Kind>,
        T: Record + Clone,
        S: Clone + 'static,
        I: IntoIterator<Item: 'static> + 'static,
        E: 'static,
        Has: Slot<S>,
        F: FnMut(&mut Has::State, T) -> Result<I, E> + StepState<S> + 'static,
    {
        let mut f = f;
        let f = move |_: &K, kept: &mut Option<S>, value| f(Has::of(kept), value).map(Many);
        self.stream
            .keep_or_dead("stateful_flat_map", Location::caller(), F::codec(), f)
    }
}

impl<T, K, Has, Time: TimeKind> Stateful<T, K, KeyAndValue, Has, OrDead, Time> {
    /// Replaces each value by the result of `f(&key, &mut state, value)`, which may fail.
    #[track_caller]
    pub fn map<S, W, E, F>(self, f: F) -> AndDead<W, T, K, E, Time>
    where
        K: Key + KeyKind + StepKey<K::Kind>,
        T: Record + Clone,
        S: Clone + 'static,
        W: 'static,
        E: 'static,
        Has: Slot<S>,
        F: FnMut(&K, &mut Has::State, T) -> Result<W, E> + StepState<S> + 'static,
    {
        let mut f = f;
        let f = move |key: &K, kept: &mut Option<S>, value| f(key, Has::of(kept), value).map(One);
        self.stream
            .keep_or_dead("stateful_map", Location::caller(), F::codec(), f)
    }

    /// Replaces each value by any number of others: `f(&key, &mut state, value)` returns them, or
    /// fails.
    #[track_caller]
    pub fn flat_map<S, I, E, F>(self, f: F) -> AndDead<I::Item, T, K, E, Time>
    where
        K: Key + KeyKind + StepKey<K::Kind>,
        T: Record + Clone,
        S: Clone + 'static,
        I: IntoIterator<Item: 'static> + 'static,
        E: 'static,
        Has: Slot<S>,
        F: FnMut(&K, &mut Has::State, T) -> Result<I, E> + StepState<S> + 'static,
    {
        let mut f = f;
        let f = move |key: &K, kept: &mut Option<S>, value| f(key, Has::of(kept), value).map(Many);
        self.stream
            .keep_or_dead("stateful_flat_map", Location::caller(), F::codec(), f)
    }
}

impl<T, K, Time: TimeKind> Stream<T, K, Time> {
    /// Adds a step that keeps a state for each key and has two streams.
    fn keep_or_dead<S, W, R, E>(
        self,
        kind: &str,
        place: &Location<'_>,
        codec: StateCodec<S>,
        f: impl FnMut(&K, &mut Option<S>, T) -> Result<R, E> + 'static,
    ) -> AndDead<W, T, K, E, Time>
    where
        K: Key + KeyKind + StepKey<K::Kind>,
        T: Record + Clone,
        S: Clone + 'static,
        W: 'static,
        R: 'static,
        E: 'static,
        Results<Time, K, W>: Emit<Time, K, R>,
    {
        let mut f = f;
        let f = move |key: &K, kept: &mut Option<S>, value: T| {
            let copy = value.clone();
            Ok(or_as_before(kept, |kept| f(key, kept, value)).map_err(|cause| (copy, cause)))
        };
        let port: Rc<Port<Carried<W, K, Time>>> = Port::new();
        let dead_port = Port::<Carried<DeadRecord<K, T, E>, NoKey, Time>>::new();
        let (to, dead_to) = (port.clone(), dead_port.clone());
        let emit =
            move |index, wiring: &mut Wiring| ResultsAndDead::build(index, &to, &dead_to, wiring);
        let index = self.keep::<S, W, Result<R, (T, E)>, _>(kind, place, codec, f, emit);
        let dead_index = second_step::<DeadRecord<K, T, E>>(&self.flow, "dead", index, place);
        (
            Stream::new(self.flow.clone(), index, port),
            Stream::new(self.flow, dead_index, dead_port),
        )
    }
}
