//! Short names for the usual stateful steps.

use super::AndDead;
use crate::{
    KeyedStream, Stream,
    error::{Failure, OnError},
    record::{Key, KeyKind, Record, StepKey, StepState},
    time::TimeKind,
};

impl<T, K, Time: TimeKind> Stream<T, K, Time> {
    /// Replaces each value by the result of `f(&mut state, value)`, with a state for each key.
    ///
    /// The function may change the state. A new key begins with `S::default()`. A change becomes
    /// durable together with its epoch. The records of one key are processed one after the other,
    /// in order.
    ///
    /// The step's id is the function's name. The id of a closure is the name of the `let` that it
    /// is bound to; otherwise the closure needs [`named`](Stream::named).
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// fn total(sum: &mut u64, n: u64) -> u64 { *sum += n; *sum }
    ///
    /// #[dataflow]
    /// fn totals(numbers: Stream<u64>) -> KeyedStream<bool, u64> {
    ///     numbers.key_on(|n| n % 2 == 0).stateful_map(total)
    /// }
    /// # let (out, seen) = sink::collect();
    /// # Runner::new(move |flow| {
    /// #     totals(flow.source(source::from_iter(1..=4u64))).map(|x| x).sink(out.clone());
    /// # }).run().unwrap();
    /// # assert_eq!(seen.take(), [(false, 1), (true, 2), (false, 4), (true, 6)]);
    /// ```
    #[track_caller]
    pub fn stateful_map<S, W, F>(self, f: F) -> KeyedStream<K, W, Time>
    where
        K: Key + KeyKind + StepKey<K::Kind>,
        T: Record,
        S: Default + 'static,
        W: 'static,
        F: FnMut(&mut S, T) -> W + StepState<S> + 'static,
    {
        self.stateful().map(f)
    }

    /// Replaces each value by any number of others, with a state for each key.
    ///
    /// It is like [`stateful_map`](Stream::stateful_map), but `f(&mut state, value)` returns the
    /// values: an iterator, a `Vec`, an `Option`.
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// /// Gives out the numbers of a key that are larger than all before them.
    /// fn records(highest: &mut u64, n: u64) -> Option<u64> {
    ///     (n > *highest).then(|| { *highest = n; n })
    /// }
    /// # #[dataflow] fn highs(numbers: Stream<u64>) -> KeyedStream<bool, u64> {
    /// numbers.key_on(|n| n % 2 == 0).stateful_flat_map(records)
    /// # }
    /// # let (out, seen) = sink::collect();
    /// # Runner::new(move |flow| {
    /// #     highs(flow.source(source::from_iter([4, 3, 2, 6u64]))).map(|x| x).sink(out.clone());
    /// # }).run().unwrap();
    /// # assert_eq!(seen.take(), [(true, 4), (false, 3), (true, 6)]);
    /// ```
    #[track_caller]
    pub fn stateful_flat_map<S, I, F>(self, f: F) -> KeyedStream<K, I::Item, Time>
    where
        K: Key + KeyKind + StepKey<K::Kind>,
        T: Record,
        S: Default + 'static,
        I: IntoIterator<Item: 'static> + 'static,
        F: FnMut(&mut S, T) -> I + StepState<S> + 'static,
    {
        self.stateful().flat_map(f)
    }

    /// Like [`stateful_map`](Stream::stateful_map), for a function that may fail.
    ///
    /// The step is behind a shuffle, so a failure aborts the run. Epochs that are not yet durable
    /// are rolled back, and the next run reads their records again. To skip the record instead, use
    /// [`try_stateful_map_with`](Stream::try_stateful_map_with).
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// fn withdraw(balance: &mut i64, cents: i64) -> Result<i64, String> {
    ///     *balance += cents;
    ///     if *balance < 0 { Err(format!("overdrawn by {}", -*balance)) } else { Ok(*balance) }
    /// }
    /// # #[dataflow] fn balances(cents: Stream<i64>) -> KeyedStream<bool, i64> {
    /// cents.key_on(|_| true).try_stateful_map(withdraw)
    /// # }
    /// # let (out, seen) = sink::collect();
    /// # let error = Runner::new(move |flow| {
    /// #     balances(flow.source(source::from_iter([5, -7]))).map(|x| x).sink(out.clone());
    /// # }).run().unwrap_err();
    /// # assert!(error.to_string().contains("overdrawn by 2"), "{error}");
    /// ```
    #[track_caller]
    pub fn try_stateful_map<S, W, E, F>(self, f: F) -> KeyedStream<K, W, Time>
    where
        K: Key + KeyKind + StepKey<K::Kind>,
        T: Record,
        S: Default + 'static,
        W: 'static,
        E: Failure,
        F: FnMut(&mut S, T) -> Result<W, E> + StepState<S> + 'static,
    {
        self.stateful().or_fail().map(f)
    }

    /// Like [`try_stateful_map`](Stream::try_stateful_map), but `on_error` says what happens to a
    /// record that fails.
    ///
    /// With [`OnError::Skip`] the record is skipped and counted, and the state is what it was
    /// before the call. For that, the state is cloned for each record.
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// fn withdraw(balance: &mut i64, cents: i64) -> Result<i64, String> {
    ///     *balance += cents;
    ///     if *balance < 0 { Err(format!("overdrawn by {}", -*balance)) } else { Ok(*balance) }
    /// }
    /// # #[dataflow] fn balances(cents: Stream<i64>) -> KeyedStream<bool, i64> {
    /// cents.key_on(|_| true).try_stateful_map_with(withdraw, OnError::Skip)
    /// # }
    /// # let (out, seen) = sink::collect();
    /// # let outcome = Runner::new(move |flow| {
    /// #     balances(flow.source(source::from_iter([5, -7, -1]))).map(|x| x).sink(out.clone());
    /// # }).run().unwrap();
    /// # assert_eq!(outcome.skipped(), 1);
    /// # assert_eq!(seen.take(), [(true, 5), (true, 4)]);
    /// ```
    #[track_caller]
    pub fn try_stateful_map_with<S, W, E, F>(
        self,
        f: F,
        on_error: OnError,
    ) -> KeyedStream<K, W, Time>
    where
        K: Key + KeyKind + StepKey<K::Kind>,
        T: Record,
        S: Default + Clone + 'static,
        W: 'static,
        E: Failure,
        F: FnMut(&mut S, T) -> Result<W, E> + StepState<S> + 'static,
    {
        match on_error {
            OnError::Fail => self.stateful().or_fail().map(f),
            OnError::Skip => self.stateful().or_skip().map(f),
        }
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
    /// # #[dataflow] fn labels(numbers: Stream<u64>) -> KeyedStream<u64, String> {
    /// numbers.key_on(|n| n % 2).stateful_map_with_key(label)
    /// # }
    /// # let (out, seen) = sink::collect();
    /// # Runner::new(move |flow| {
    /// #     let labels = labels(flow.source(source::from_iter([7u64])));
    /// #     labels.map(|(_, text)| text).sink(out.clone());
    /// # }).run().unwrap();
    /// # assert_eq!(seen.take(), ["7 is number 1 of those with remainder 1"]);
    /// ```
    #[track_caller]
    pub fn stateful_map_with_key<S, W, F>(self, f: F) -> KeyedStream<K, W, Time>
    where
        K: Key + KeyKind + StepKey<K::Kind>,
        T: Record,
        S: Default + 'static,
        W: 'static,
        F: FnMut(&K, &mut S, T) -> W + StepState<S> + 'static,
    {
        self.stateful().with_key().map(f)
    }

    /// Like [`stateful_map_with_key`](Stream::stateful_map_with_key), for a function that may fail.
    /// An error ends the run, as with [`try_stateful_map`](Stream::try_stateful_map).
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// fn withdraw(account: &u64, balance: &mut i64, cents: i64) -> Result<i64, String> {
    ///     *balance += cents;
    ///     if *balance < 0 { Err(format!("account {account} is overdrawn")) } else { Ok(*balance) }
    /// }
    /// # #[dataflow] fn balances(cents: Stream<i64>) -> KeyedStream<u64, i64> {
    /// cents.key_on(|_| 17).try_stateful_map_with_key(withdraw)
    /// # }
    /// # let (out, seen) = sink::collect();
    /// # let error = Runner::new(move |flow| {
    /// #     balances(flow.source(source::from_iter([5, -7]))).map(|x| x).sink(out.clone());
    /// # }).run().unwrap_err();
    /// # assert!(error.to_string().contains("account 17 is overdrawn"), "{error}");
    /// ```
    #[track_caller]
    pub fn try_stateful_map_with_key<S, W, E, F>(self, f: F) -> KeyedStream<K, W, Time>
    where
        K: Key + KeyKind + StepKey<K::Kind>,
        T: Record,
        S: Default + 'static,
        W: 'static,
        E: Failure,
        F: FnMut(&K, &mut S, T) -> Result<W, E> + StepState<S> + 'static,
    {
        self.stateful().with_key().or_fail().map(f)
    }

    /// Like [`try_stateful_map`](Stream::try_stateful_map), but records on which the function fails
    /// go into the second stream, each with its key.
    ///
    /// After a failure the state is what it was before the call. For that, state and value are
    /// cloned for each record. See [`try_map_or_dead`](Stream::try_map_or_dead) for the second
    /// stream.
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// fn withdraw(balance: &mut i64, cents: i64) -> Result<i64, String> {
    ///     *balance += cents;
    ///     if *balance < 0 { Err(format!("overdrawn by {}", -*balance)) } else { Ok(*balance) }
    /// }
    ///
    /// #[dataflow]
    /// fn balances(cents: Stream<i64>) -> (KeyedStream<bool, i64>, Stream<String>) {
    ///     let (balances, dead) = cents.key_on(|_| true).try_stateful_map_or_dead(withdraw);
    ///     (balances, dead.map(|dead| format!("{:?}: {}", dead.record, dead.cause)))
    /// }
    /// # let ((out, seen), (bad, failed)) = (sink::collect(), sink::collect());
    /// # Runner::new(move |flow| {
    /// #     let (balances, dead) = balances(flow.source(source::from_iter([5, -7, -1])));
    /// #     balances.drop_key().sink(out.clone());
    /// #     dead.sink(bad.clone()).named("dead");
    /// # }).run().unwrap();
    /// # assert_eq!(seen.take(), [5, 4]);
    /// # assert_eq!(failed.take(), ["(true, -7): overdrawn by 2"]);
    /// ```
    #[track_caller]
    pub fn try_stateful_map_or_dead<S, W, E, F>(self, f: F) -> AndDead<W, T, K, E, Time>
    where
        K: Key + KeyKind + StepKey<K::Kind>,
        T: Record + Clone,
        S: Default + Clone + 'static,
        W: 'static,
        E: 'static,
        F: FnMut(&mut S, T) -> Result<W, E> + StepState<S> + 'static,
    {
        self.stateful().or_dead().map(f)
    }

    /// Like [`stateful_map`](Stream::stateful_map), for a function that decides whether a key has a
    /// state: `f(&mut Option<state>, value)`.
    ///
    /// The function gets `None` if the key has no state. If it leaves `None`, the key and its row
    /// in the store are removed.
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
    /// # #[dataflow] fn pairs(numbers: Stream<u64>) -> KeyedStream<u64, Option<(u64, u64)>> {
    /// numbers.key_on(|n| n % 2).stateful_map_opt(pair)
    /// # }
    /// # let (out, seen) = sink::collect();
    /// # Runner::new(move |flow| {
    /// #     let pairs = pairs(flow.source(source::from_iter(1..=4u64)));
    /// #     pairs.filter_map(|(_, p)| p).sink(out.clone());
    /// # }).run().unwrap();
    /// # assert_eq!(seen.take(), [(1, 3), (2, 4)]);
    /// ```
    #[track_caller]
    pub fn stateful_map_opt<S, W, F>(self, f: F) -> KeyedStream<K, W, Time>
    where
        K: Key + KeyKind + StepKey<K::Kind>,
        T: Record,
        S: 'static,
        W: 'static,
        F: FnMut(&mut Option<S>, T) -> W + StepState<S> + 'static,
    {
        self.stateful().optional().map(f)
    }
}
