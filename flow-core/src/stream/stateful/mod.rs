//! Steps that keep a state for each key.
//!
//! [`Stream::stateful`] begins a step, its options follow, and the function comes last. By then the
//! compiler knows the types of all arguments, so a closure needs to name only the type of its
//! state. The usual steps have short names (`short`).

mod dead;
mod fallible;
mod plain;
mod short;

use std::{any::TypeId, marker::PhantomData, panic::Location, rc::Rc};

use super::{KeyedStream, Stream};
use crate::{
    chain::{Carried, Port, Shuffle, Wiring},
    error::BoxError,
    graph::{Keeps, StepIndex, Trace, Types},
    record::{Key, Record, StateCodec},
    state::{self, Emit, Results},
    time::{NoTime, TimeKind},
};

pub use dead::AndDead;
pub use fallible::OnFailure;

/// A stateful step that still lacks its function: see [`Stream::stateful`].
#[must_use = "a step does nothing until it has its function: `.map(..)` or `.flat_map(..)`"]
pub struct Stateful<T, K, Sees = Value, Has = Always, Fails = Never, Time = NoTime> {
    stream: KeyedStream<K, T, Time>,
    options: PhantomData<(Sees, Has, Fails)>,
}

/// The function sees the value of a record.
pub enum Value {}
/// The function sees the key of a record and its value.
pub enum KeyAndValue {}

/// Each key has a state, which begins as `S::default()`.
pub enum Always {}
/// A key has a state or none.
pub enum Perhaps {}

/// The function can't fail.
pub enum Never {}
/// The function may fail. [`Fail`] or [`Skip`] is what then happens to the record.
pub struct Or<OnFailure>(PhantomData<OnFailure>);
/// A record on which the function fails ends the run.
pub enum Fail {}
/// A record on which the function fails is skipped and counted.
pub enum Skip {}
/// A record on which the function fails goes into a second stream.
pub enum OrDead {}

/// The state as the function gets it: an `S` with [`Always`], an `Option<S>` with [`Perhaps`].
pub trait Slot<S> {
    /// The type behind the `&mut`.
    type State;

    #[doc(hidden)]
    fn of(kept: &mut Option<S>) -> &mut Self::State;
}

impl<S: Default> Slot<S> for Always {
    type State = S;

    #[inline]
    fn of(kept: &mut Option<S>) -> &mut S {
        kept.get_or_insert_default()
    }
}

impl<S> Slot<S> for Perhaps {
    type State = Option<S>;

    #[inline]
    fn of(kept: &mut Option<S>) -> &mut Option<S> {
        kept
    }
}

impl<T, K, Time: TimeKind> Stream<T, K, Time> {
    /// Begins a step that keeps a state for each key, with options. The function comes last, in
    /// [`map`](Stateful::map) or [`flat_map`](Stateful::flat_map).
    ///
    /// | option | the function | what it does |
    /// |---|---|---|
    /// | | `(&mut S, V) -> W` | each key has a state, which begins as `S::default()` |
    /// | [`with_key`](Stateful::with_key) | `(&K, &mut S, V) -> W` | it also sees the key |
    /// | [`optional`](Stateful::optional) | `(&mut Option<S>, V) -> W` | a key has a state or none; if the function leaves `None`, key and row are removed |
    /// | [`or_fail`](Stateful::or_fail) | `.. -> Result<W, E>` | an error ends the run |
    /// | [`or_skip`](Stateful::or_skip) | `.. -> Result<W, E>` | the record is skipped and counted |
    /// | [`or_dead`](Stateful::or_dead) | `.. -> Result<W, E>` | the record goes into a second stream, with the error |
    ///
    /// Options can be combined: `.stateful().with_key().optional().or_dead().flat_map(f)`. The
    /// usual steps have short names, such as [`stateful_map`](Stream::stateful_map), which explains
    /// id, state and order.
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// # let ((out, seen), (bad, failed)) = (sink::collect(), sink::collect());
    /// # Runner::new(move |flow| {
    /// # let cents = flow.source(source::from_iter([5i64, -7, -2]));
    /// fn withdraw(account: &String, balance: &mut i64, cents: i64) -> Result<i64, String> {
    ///     *balance += cents;
    ///     if *balance < 0 { Err(format!("{account} is overdrawn")) } else { Ok(*balance) }
    /// }
    /// let accounts = cents.key_on(|_| "ada".to_owned());
    /// let (balances, dead) = accounts.stateful().with_key().or_dead().map(withdraw);
    /// # let balances = balances.named("withdraw");
    /// # balances.drop_key().sink(out.clone());
    /// # dead.map(|dead| (dead.record.1, dead.cause)).sink(bad.clone()).named("dead");
    /// # }).run().unwrap();
    /// # assert_eq!(seen.take(), [5, 3]);
    /// # assert_eq!(failed.take(), [(-7, "ada is overdrawn".to_string())]);
    /// ```
    #[doc(alias = "stateful_flat_map_with_key")]
    #[doc(alias = "stateful_map_opt_with_key")]
    #[doc(alias = "try_stateful_flat_map")]
    #[doc(alias = "try_stateful_map_opt")]
    pub fn stateful(self) -> Stateful<T, K, Value, Always, Never, Time> {
        Stateful::of(self)
    }
}

impl<T, K, Sees, Has, Fails, Time> Stateful<T, K, Sees, Has, Fails, Time> {
    fn of(stream: KeyedStream<K, T, Time>) -> Self {
        Stateful {
            stream,
            options: PhantomData,
        }
    }

    /// Gives the function the key too: `(&key, &mut state, value)`.
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// # let (out, seen) = sink::collect();
    /// # Runner::new(move |flow| {
    /// # let numbers = flow.source(source::from_iter([7u64]));
    /// let numbers = numbers.key_on(|n| n % 2);
    /// let labels = numbers.stateful().with_key().map(|parity, seen: &mut u64, n| {
    ///     *seen += 1;
    ///     format!("{n} is number {seen} of those with remainder {parity}")
    /// });
    /// # labels.named("labels").drop_key().sink(out.clone());
    /// # }).run().unwrap();
    /// # assert_eq!(seen.take(), ["7 is number 1 of those with remainder 1"]);
    /// ```
    pub fn with_key(self) -> Stateful<T, K, KeyAndValue, Has, Fails, Time> {
        Stateful::of(self.stream)
    }

    /// Lets the function decide whether a key has a state: it gets a `&mut Option<S>`.
    ///
    /// The function gets `None` if the key has no state. If it leaves `None`, the key and its row
    /// in the store are removed.
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// # let (out, seen) = sink::collect();
    /// # Runner::new(move |flow| {
    /// # let numbers = flow.source(source::from_iter(1..=4u64));
    /// // Pairs up the values of a key.
    /// let numbers = numbers.key_on(|n| n % 2);
    /// let pairs = numbers.stateful().optional().flat_map(|waiting: &mut Option<u64>, n| {
    ///     match waiting.take() {
    ///         Some(first) => Some((first, n)),
    ///         None => { *waiting = Some(n); None }
    ///     }
    /// });
    /// # pairs.named("pairs").drop_key().sink(out.clone());
    /// # }).run().unwrap();
    /// # assert_eq!(seen.take(), [(1, 3), (2, 4)]);
    /// ```
    pub fn optional(self) -> Stateful<T, K, Sees, Perhaps, Fails, Time> {
        Stateful::of(self.stream)
    }

    /// Lets the function return a `Result`. An error ends the run.
    ///
    /// The step is behind a shuffle, so a failure aborts the run. Epochs that are not yet durable
    /// are rolled back, and the next run reads their records again.
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// # let (out, seen) = sink::collect::<i64>();
    /// # let error = Runner::new(move |flow| {
    /// # let cents = flow.source(source::from_iter([5i64, -7]));
    /// let balances = cents.key_on(|_| true).stateful().or_fail().map(|balance: &mut i64, cents| {
    ///     *balance += cents;
    ///     if *balance < 0 { Err(format!("overdrawn by {}", -*balance)) } else { Ok(*balance) }
    /// });
    /// # balances.named("balances").drop_key().sink(out.clone());
    /// # }).run().unwrap_err();
    /// # assert!(error.to_string().contains("overdrawn by 2"), "{error}");
    /// ```
    pub fn or_fail(self) -> Stateful<T, K, Sees, Has, Or<Fail>, Time> {
        Stateful::of(self.stream)
    }

    /// Lets the function return a `Result`. A record on which it fails is skipped, and counted in
    /// [`Outcome::skipped`](crate::Outcome::skipped).
    ///
    /// After a failure the state is what it was before the call. For that, it is cloned for each
    /// record.
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// # let (out, seen) = sink::collect::<i64>();
    /// # let outcome = Runner::new(move |flow| {
    /// # let cents = flow.source(source::from_iter([5i64, -7, -1]));
    /// let balances = cents.key_on(|_| true).stateful().or_skip().map(|balance: &mut i64, cents| {
    ///     *balance += cents;
    ///     if *balance < 0 { Err(format!("overdrawn by {}", -*balance)) } else { Ok(*balance) }
    /// });
    /// # balances.named("balances").drop_key().sink(out.clone());
    /// # }).run().unwrap();
    /// # assert_eq!(outcome.skipped(), 1);
    /// # assert_eq!(seen.take(), [5, 4]);
    /// ```
    pub fn or_skip(self) -> Stateful<T, K, Sees, Has, Or<Skip>, Time> {
        Stateful::of(self.stream)
    }

    /// Lets the function return a `Result`. A record on which it fails goes into a second stream,
    /// as [`Dead`](crate::Dead), with its key and the error.
    ///
    /// After a failure the state is what it was before the call. For that, state and value are
    /// cloned for each record.
    ///
    /// The second stream is as durable as any other: a file at its end holds each failed record
    /// exactly once.
    ///
    /// The id of a closure is the first name: `let (balances, dead) = ..`.
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// # #[dataflow]
    /// # fn accounts(cents: Stream<i64>) -> (KeyedStream<bool, i64>, Stream<String>) {
    /// let cents = cents.key_on(|_| true);
    /// let (balances, dead) = cents.stateful().or_dead().map(|balance: &mut i64, cents| {
    ///     *balance += cents;
    ///     if *balance < 0 { Err(format!("overdrawn by {}", -*balance)) } else { Ok(*balance) }
    /// });
    /// let dead = dead.map(|dead| format!("{} cents: {}", dead.record.1, dead.cause));
    /// # (balances, dead)
    /// # }
    /// # let ((out, seen), (bad, failed)) = (sink::collect::<i64>(), sink::collect());
    /// # Runner::new(move |flow| {
    /// # let (balances, dead) = accounts(flow.source(source::from_iter([5i64, -7, -1])));
    /// # balances.drop_key().sink(out.clone());
    /// # dead.sink(bad.clone()).named("dead");
    /// # }).run().unwrap();
    /// # assert_eq!(seen.take(), [5, 4]);
    /// # assert_eq!(failed.take(), ["-7 cents: overdrawn by 2"]);
    /// ```
    pub fn or_dead(self) -> Stateful<T, K, Sees, Has, OrDead, Time> {
        Stateful::of(self.stream)
    }
}

impl<T, K, Time> Stream<T, K, Time>
where
    T: Record,
    K: Key,
    Time: TimeKind,
{
    /// Adds a step behind a shuffle that keeps a state for each key. `emit` makes what takes the
    /// results of its function.
    fn keep<S, W, R, E>(
        &self,
        kind: &str,
        place: &Location<'_>,
        codec: StateCodec<S>,
        f: impl FnMut(&K, &mut Option<S>, T) -> Result<R, BoxError> + 'static,
        emit: impl FnOnce(StepIndex, &mut Wiring) -> E + 'static,
    ) -> StepIndex
    where
        S: 'static,
        R: 'static,
        E: Emit<Time, K, R> + 'static,
    {
        let mut step = self.follow(kind, Keeps::States, place);
        step.item = std::any::type_name::<W>();
        step.key = Some(std::any::type_name::<K>());
        step.state = Some(std::any::type_name::<S>());
        step.types = Types {
            key: Some(Trace(<K as Key>::schema)),
            state: Some(Trace(codec.schema)),
            state_type: Some(TypeId::of::<S>()),
            ..Types::default()
        };
        let index = self.flow.add_step(step);
        let inlet = self.flow.new_inlet();
        self.port.attach(move |wiring| {
            let at = wiring.whereabouts.of(index);
            Shuffle::attach(inlet, at, wiring)
        });
        let emit = move |wiring: &mut Wiring| emit(index, wiring);
        self.flow
            .add_head(state::head(index, inlet, codec, f, emit));
        index
    }

    /// Like [`keep`](Stream::keep), with one stream of results.
    fn keep_one<S, W, R>(
        self,
        kind: &str,
        place: &Location<'_>,
        codec: StateCodec<S>,
        f: impl FnMut(&K, &mut Option<S>, T) -> Result<R, BoxError> + 'static,
    ) -> KeyedStream<K, W, Time>
    where
        S: 'static,
        W: 'static,
        R: 'static,
        Results<Time, K, W>: Emit<Time, K, R>,
    {
        let port: Rc<Port<Carried<W, K, Time>>> = Port::new();
        let to = port.clone();
        let emit = move |index, wiring: &mut Wiring| Results::build(index, &to, wiring);
        let index = self.keep::<S, W, R, _>(kind, place, codec, f, emit);
        Stream::new(self.flow, index, port)
    }
}
