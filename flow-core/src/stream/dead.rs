//! `try_map_or_dead` and `try_filter_map_or_dead`: failed records as a stream of their own.

use std::{panic::Location, rc::Rc};

use super::{Flow, Stream};
use crate::{
    chain::{
        Batch, BoxConsumer, Branches, Carried, Consumer, Fault, Locator, Port, StepContext, Wiring,
    },
    error::Dead,
    graph::{Keeps, Step, StepIndex},
    record::{KeyKind, NoKey},
    time::TimeKind,
};

impl<T, Key, Time: TimeKind> Stream<T, Key, Time> {
    /// Replaces each item by the function's result. Items on which the function fails go into the
    /// second stream.
    ///
    /// The second stream is as durable as any other: a file at its end holds each failed record
    /// exactly once. Before the first shuffle, each also has its position. Each item is cloned
    /// before the function gets it.
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// # let ((out, seen), (bad, failed)) = (sink::collect(), sink::collect());
    /// # Runner::new(move |flow| {
    /// let lines = flow.source(source::from_iter(["1", "x"].map(String::from)));
    /// let (numbers, dead) = lines.try_map_or_dead(|line| line.parse::<u64>());
    /// numbers.sink(out.clone());
    /// dead.map(|dead| format!("{}: {}", dead.record, dead.cause)).sink(bad.clone()).named("dead");
    /// # }).run().unwrap();
    /// # assert_eq!(seen.take(), [1]);
    /// # assert_eq!(failed.take(), ["x: invalid digit found in string"]);
    /// ```
    #[track_caller]
    #[allow(clippy::type_complexity)] // two streams, as `partition` returns two collections
    pub fn try_map_or_dead<U, E, F>(
        self,
        mut f: F,
    ) -> (
        Stream<U, NoKey, Time>,
        Stream<Dead<Key::Item<T>, E>, NoKey, Time>,
    )
    where
        Key: KeyKind,
        Key::Item<T>: Clone,
        T: 'static,
        U: 'static,
        E: 'static,
        F: FnMut(Key::Item<T>) -> Result<U, E> + 'static,
    {
        self.or_dead("try_map_or_dead", Location::caller(), move |item| {
            f(item).map(Some)
        })
    }

    /// Replaces each item by the function's result, or drops it if the function returns `Ok(None)`.
    /// Items on which the function fails go into the second stream.
    ///
    /// See [`try_map_or_dead`](Stream::try_map_or_dead) for the second stream.
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// # let ((out, seen), (bad, failed)) = (sink::collect(), sink::collect());
    /// # Runner::new(move |flow| {
    /// let lines = flow.source(source::from_iter(["1", "", "x"].map(String::from)));
    /// let (numbers, dead) = lines.try_filter_map_or_dead(|line| match line.as_str() {
    ///     "" => Ok(None),
    ///     number => number.parse::<u64>().map(Some),
    /// });
    /// numbers.sink(out.clone());
    /// dead.map(|dead| dead.record).sink(bad.clone()).named("dead");
    /// # }).run().unwrap();
    /// # assert_eq!(seen.take(), [1]);
    /// # assert_eq!(failed.take(), ["x"]);
    /// ```
    #[track_caller]
    #[allow(clippy::type_complexity)] // two streams, as `partition` returns two collections
    pub fn try_filter_map_or_dead<U, E, F>(
        self,
        f: F,
    ) -> (
        Stream<U, NoKey, Time>,
        Stream<Dead<Key::Item<T>, E>, NoKey, Time>,
    )
    where
        Key: KeyKind,
        Key::Item<T>: Clone,
        T: 'static,
        U: 'static,
        E: 'static,
        F: FnMut(Key::Item<T>) -> Result<Option<U>, E> + 'static,
    {
        self.or_dead("try_filter_map_or_dead", Location::caller(), f)
    }

    #[allow(clippy::type_complexity)]
    fn or_dead<U, E, F>(
        self,
        kind: &'static str,
        place: &'static Location<'static>,
        mut f: F,
    ) -> (
        Stream<U, NoKey, Time>,
        Stream<Dead<Key::Item<T>, E>, NoKey, Time>,
    )
    where
        Key: KeyKind,
        Key::Item<T>: Clone,
        T: 'static,
        U: 'static,
        E: 'static,
        F: FnMut(Key::Item<T>) -> Result<Option<U>, E> + 'static,
    {
        let mut step = self.follow(kind, Keeps::Nothing, place);
        step.item = std::any::type_name::<U>();
        let index = self.flow.add_step(step);
        let dead_index = second_step::<Dead<Key::Item<T>, E>>(&self.flow, "dead", index, place);

        let (port, dead_port) = (Port::new(), Port::new());
        let (next, dead): (Rc<Port<_>>, Rc<Port<_>>) = (port.clone(), dead_port.clone());
        self.port.attach(move |wiring| {
            OrDead::build(index, wiring, &next, &dead, move |pair| {
                let record: Key::Item<T> = Key::item(pair);
                let copy = record.clone();
                f(record).map_err(|cause| (copy, cause))
            })
        });
        (
            Stream::new(self.flow.clone(), index, port),
            Stream::new(self.flow, dead_index, dead_port),
        )
    }
}

/// Adds the second stream of the step `index` to the graph.
pub(super) fn second_step<D>(
    flow: &Flow,
    name: &str,
    index: StepIndex,
    place: &Location<'_>,
) -> StepIndex {
    let mut step = Step::new(name, Keeps::Nothing, place);
    step.set_name(name.to_owned());
    step.inputs = vec![index.as_usize()];
    step.item = std::any::type_name::<D>();
    flow.add_step(step)
}

impl<T: 'static, R: 'static, E: 'static> Stream<Result<T, (R, E)>> {
    /// Splits what a source has read from what it could not read.
    #[allow(clippy::type_complexity)] // two streams, as `partition` returns two collections
    pub(crate) fn split_dead(
        self,
        place: &'static Location<'static>,
    ) -> (Stream<T>, Stream<Dead<R, E>>) {
        let index = self.step;
        let dead_index = second_step::<Dead<R, E>>(&self.flow, "dead", index, place);
        let (port, dead_port) = (Port::new(), Port::new());
        let (next, dead): (Rc<Port<_>>, Rc<Port<_>>) = (port.clone(), dead_port.clone());
        self.port.attach(move |wiring| {
            let f = |(_, read): (NoKey, Result<T, (R, E)>)| read.map(Some);
            OrDead::build(index, wiring, &next, &dead, f)
        });
        (
            Stream::new(self.flow.clone(), index, port),
            Stream::new(self.flow, dead_index, dead_port),
        )
    }
}

struct OrDead<F, U, R, E, Time> {
    at: StepContext,
    locator: Locator,
    f: F,
    out: Batch<Carried<U, NoKey, Time>>,
    next: BoxConsumer<Carried<U, NoKey, Time>>,
    failed: Batch<Carried<Dead<R, E>, NoKey, Time>>,
    dead: BoxConsumer<Carried<Dead<R, E>, NoKey, Time>>,
}

impl<F, U, R, E, Time> OrDead<F, U, R, E, Time>
where
    F: 'static,
    U: 'static,
    R: 'static,
    E: 'static,
    Time: 'static,
{
    fn build<P>(
        index: StepIndex,
        wiring: &mut Wiring,
        next: &Port<Carried<U, NoKey, Time>>,
        dead: &Port<Carried<Dead<R, E>, NoKey, Time>>,
        f: F,
    ) -> BoxConsumer<(Time, P)>
    where
        F: FnMut(P) -> Result<Option<U>, (R, E)>,
    {
        // They are built in reverse, so that the first finds in `wiring` what runs after it.
        let dead = dead.build(wiring);
        let next = next.build(wiring);
        wiring.locates = true;
        Box::new(OrDead {
            at: wiring.whereabouts.of(index),
            locator: wiring.locator.clone(),
            f,
            out: Batch::new(),
            next,
            failed: Batch::new(),
            dead,
        })
    }
}

impl<P, U, R, E, F, Time> Consumer<(Time, P)> for OrDead<F, U, R, E, Time>
where
    F: FnMut(P) -> Result<Option<U>, (R, E)>,
{
    fn push_batch(&mut self, batch: &mut Batch<(Time, P)>) -> Result<(), Fault> {
        self.out.restart(batch);
        self.failed.restart(batch);
        for ((time, pair), parent) in batch.drain(&self.at) {
            match (self.f)(pair) {
                Ok(Some(record)) => self.out.push((time, (NoKey, record)), parent),
                Ok(None) => {}
                Err((record, cause)) => {
                    let position = self.locator.find(parent);
                    self.at.enter();
                    let dead = Dead {
                        record,
                        cause,
                        position,
                    };
                    self.failed.push((time, (NoKey, dead)), parent);
                }
            }
        }
        let mut branches = Branches::default();
        branches.push(&mut self.next, &mut self.out)?;
        branches.push(&mut self.dead, &mut self.failed)?;
        branches.end()
    }

    fn resume(&mut self) -> Result<bool, Fault> {
        Ok(self.next.resume()? | self.dead.resume()?)
    }
}
