//! Steps that keep a state for each key.

use std::panic::Location;

use super::Stream;
use crate::{
    chain::{Port, Shuffle},
    graph::Keeps,
    record::{IsKeyed, Key, Record, StateCodec, StepState},
    state,
};

impl<T, K> Stream<T, K> {
    /// Replaces each value, with a state for its key at hand.
    ///
    /// `f(&mut state, value)` changes the state and returns what goes on; a key that is met for the
    /// first time starts with `S::default()`. The state is durable with the epoch that changed it.
    /// The records of one key come one after the other, in their order.
    ///
    /// The step's id is the function's name; a closure takes the name of the `let` that it is bound
    /// to, or needs [`named`](Stream::named).
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// fn total(sum: &mut u64, n: u64) -> u64 { *sum += n; *sum }
    ///
    /// #[dataflow]
    /// fn totals(numbers: Stream<u64>) -> Stream<u64, bool> {
    ///     numbers.key_on(|n| n % 2 == 0).stateful_map(total)
    /// }
    /// # let (out, seen) = sink::collect();
    /// # Runner::new(move |flow| {
    /// #     totals(flow.source(source::from_iter(1..=4u64))).map(|x| x).sink(out.clone());
    /// # }).run().unwrap();
    /// # assert_eq!(seen.take(), [(false, 1), (true, 2), (false, 4), (true, 6)]);
    /// ```
    #[track_caller]
    pub fn stateful_map<S, W, F>(self, f: F) -> Stream<W, K>
    where
        K: IsKeyed + Key,
        T: Record,
        S: Default + 'static,
        W: 'static,
        F: FnMut(&mut S, T) -> W + StepState<S> + 'static,
    {
        let mut f = f;
        self.stateful(
            "stateful_map",
            Location::caller(),
            <F as StepState<S>>::codec(),
            move |_: &K, state: &mut Option<S>, value| f(state.get_or_insert_default(), value),
        )
    }

    /// Like [`stateful_map`](Stream::stateful_map), for a function that also sees the key:
    /// `f(&key, &mut state, value)`.
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// fn label(parity: &u64, seen: &mut u64, n: u64) -> String {
    ///     *seen += 1;
    ///     format!("{n} is number {seen} of those with remainder {parity}")
    /// }
    /// # #[dataflow] fn labels(numbers: Stream<u64>) -> Stream<String, u64> {
    /// numbers.key_on(|n| n % 2).stateful_map_with_key(label)
    /// # }
    /// # let (out, seen) = sink::collect();
    /// # Runner::new(move |flow| {
    /// #     labels(flow.source(source::from_iter([7u64]))).map(|(_, text)| text).sink(out.clone());
    /// # }).run().unwrap();
    /// # assert_eq!(seen.take(), ["7 is number 1 of those with remainder 1"]);
    /// ```
    #[track_caller]
    pub fn stateful_map_with_key<S, W, F>(self, f: F) -> Stream<W, K>
    where
        K: IsKeyed + Key,
        T: Record,
        S: Default + 'static,
        W: 'static,
        F: FnMut(&K, &mut S, T) -> W + StepState<S> + 'static,
    {
        let mut f = f;
        self.stateful(
            "stateful_map_with_key",
            Location::caller(),
            <F as StepState<S>>::codec(),
            move |key: &K, state: &mut Option<S>, value| {
                f(key, state.get_or_insert_default(), value)
            },
        )
    }

    /// Like [`stateful_map`](Stream::stateful_map), for a function that decides whether there is a
    /// state: `f(&mut Option<state>, value)`.
    ///
    /// `None` comes in where the key has no state. Where `None` is left, the key and its row in the
    /// store are forgotten.
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// /// Pairs up the values of a key.
    /// fn pair(waiting: &mut Option<u64>, n: u64) -> Option<(u64, u64)> {
    ///     match waiting.take() {
    ///         Some(first) => Some((first, n)),
    ///         None => { *waiting = Some(n); None }
    ///     }
    /// }
    /// # #[dataflow] fn pairs(numbers: Stream<u64>) -> Stream<Option<(u64, u64)>, u64> {
    /// numbers.key_on(|n| n % 2).stateful_map_opt(pair)
    /// # }
    /// # let (out, seen) = sink::collect();
    /// # Runner::new(move |flow| {
    /// #     pairs(flow.source(source::from_iter(1..=4u64))).filter_map(|(_, p)| p).sink(out.clone());
    /// # }).run().unwrap();
    /// # assert_eq!(seen.take(), [(1, 3), (2, 4)]);
    /// ```
    #[track_caller]
    pub fn stateful_map_opt<S, W, F>(self, f: F) -> Stream<W, K>
    where
        K: IsKeyed + Key,
        T: Record,
        S: 'static,
        W: 'static,
        F: FnMut(&mut Option<S>, T) -> W + StepState<S> + 'static,
    {
        let mut f = f;
        self.stateful(
            "stateful_map_opt",
            Location::caller(),
            <F as StepState<S>>::codec(),
            move |_: &K, state: &mut Option<S>, value| f(state, value),
        )
    }

    /// Adds a step behind a shuffle that keeps a state for each key.
    fn stateful<S, W>(
        self,
        kind: &str,
        at: &Location<'_>,
        codec: StateCodec<S>,
        f: impl FnMut(&K, &mut Option<S>, T) -> W + 'static,
    ) -> Stream<W, K>
    where
        K: Key,
        T: Record,
        S: 'static,
        W: 'static,
    {
        let mut step = self.follow(kind, Keeps::States, at);
        step.item = std::any::type_name::<W>();
        step.key = Some(std::any::type_name::<K>());
        step.state = Some(std::any::type_name::<S>());
        let index = self.flow.add_step(step);
        let inlet = self.flow.new_inlet();
        self.port.attach(move |wiring| {
            let at = wiring.whereabouts.of(index);
            Shuffle::attach(inlet, at, wiring)
        });
        let port = Port::new();
        self.flow
            .add_head(state::head(index, inlet, codec, f, port.clone()));
        Stream::new(self.flow, index, port)
    }
}
