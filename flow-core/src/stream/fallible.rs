//! `try_map`, `try_filter_map`: stateless steps that may fail.
//!
//! A record that fails before the first shuffle stops the flow exactly there. Everything before it
//! becomes durable, and the next run starts at it.

use std::{cell::RefCell, panic::Location, rc::Rc, sync::Arc};

use super::Stream;
use crate::{
    chain::{Batch, BoxConsumer, Consumer, Fault, Parent, Skips, Staged, StepContext, Wiring},
    error::{Failure, OnError},
    graph::StepIndex,
    record::{KeyKind, NoKey},
    time::TimeKind,
};

impl<T, Key, Time: TimeKind> Stream<T, Key, Time> {
    /// Replaces each item by the function's result, and stops the flow at the first error.
    ///
    /// The error is any type that implements `std::error::Error`, or a text. To skip the record
    /// instead, use [`try_map_with`](Stream::try_map_with).
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
    pub fn try_map<U, E, F>(self, f: F) -> Stream<U, NoKey, Time>
    where
        Key: KeyKind,
        T: 'static,
        U: 'static,
        E: Failure,
        F: FnMut(Key::Item<T>) -> Result<U, E> + 'static,
    {
        self.try_map_with(f, OnError::Fail)
    }

    /// Like [`try_map`](Stream::try_map), but `on_error` says what happens to a record that fails.
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
    pub fn try_map_with<U, E, F>(self, mut f: F, on_error: OnError) -> Stream<U, NoKey, Time>
    where
        Key: KeyKind,
        T: 'static,
        U: 'static,
        E: Failure,
        F: FnMut(Key::Item<T>) -> Result<U, E> + 'static,
    {
        self.chain("try_map", Location::caller(), move |at, wiring, next| {
            Box::new(Try::new(at, wiring, on_error, next, move |(time, pair)| {
                f(Key::item(pair)).map(|item| Some((time, (NoKey, item))))
            }))
        })
    }

    /// Replaces each item by the function's result, drops it if that is `Ok(None)`, and stops the
    /// flow at the first error.
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
    pub fn try_filter_map<U, E, F>(self, f: F) -> Stream<U, NoKey, Time>
    where
        Key: KeyKind,
        T: 'static,
        U: 'static,
        E: Failure,
        F: FnMut(Key::Item<T>) -> Result<Option<U>, E> + 'static,
    {
        self.try_filter_map_with(f, OnError::Fail)
    }

    /// Like [`try_filter_map`](Stream::try_filter_map), but `on_error` says what happens to a
    /// record that fails.
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// # let (out, seen) = sink::collect();
    /// let outcome = Runner::new(move |flow| {
    ///     let lines = flow.source(source::from_iter(["1", "", "x"].map(String::from)));
    ///     let parse = |line: String| match line.as_str() {
    ///         "" => Ok(None),
    ///         number => number.parse::<u64>().map(Some),
    ///     };
    ///     lines.try_filter_map_with(parse, OnError::Skip).sink(out.clone());
    /// }).run().unwrap();
    /// assert_eq!(outcome.skipped(), 1);
    /// # assert_eq!(seen.take(), [1]);
    /// ```
    #[track_caller]
    pub fn try_filter_map_with<U, E, F>(self, mut f: F, on_error: OnError) -> Stream<U, NoKey, Time>
    where
        Key: KeyKind,
        T: 'static,
        U: 'static,
        E: Failure,
        F: FnMut(Key::Item<T>) -> Result<Option<U>, E> + 'static,
    {
        let at = Location::caller();
        self.chain("try_filter_map", at, move |at, wiring, next| {
            Box::new(Try::new(at, wiring, on_error, next, move |(time, pair)| {
                Ok::<_, E>(f(Key::item(pair))?.map(|item| (time, (NoKey, item))))
            }))
        })
    }
}

/// A step that makes at most one record of each and may fail.
pub(super) struct Try<F, U> {
    at: StepContext,
    f: F,
    /// The records that were skipped, if the step skips records that fail.
    skipped: Option<Rc<RefCell<Skipped>>>,
    out: Batch<U>,
    next: BoxConsumer<U>,
}

impl<F, U> Try<F, U> {
    pub(super) fn new(
        at: StepContext,
        wiring: &mut Wiring,
        on_error: OnError,
        next: BoxConsumer<U>,
        f: F,
    ) -> Self {
        let mut skipped = None;
        match on_error {
            OnError::Fail => {
                wiring.fallible.insert(at.step());
            }
            OnError::Skip => {
                let counted = Rc::new(RefCell::new(Skipped::new(at.step(), wiring.skips.clone())));
                wiring.others.push(counted.clone());
                skipped = Some(counted);
            }
        }
        Try {
            at,
            f,
            skipped,
            out: Batch::new(),
            next,
        }
    }
}

impl<T, U, E: Failure, F: FnMut(T) -> Result<Option<U>, E>> Consumer<T> for Try<F, U> {
    fn push_batch(&mut self, batch: &mut Batch<T>) -> Result<(), Fault> {
        let Try {
            at,
            f,
            skipped,
            out,
            ..
        } = self;
        let failure = batch.try_filter_map(at, out, f, |error, parent| match skipped {
            Some(skipped) => {
                skipped.borrow_mut().add(parent, error);
                Ok(())
            }
            None => Err(at.fault(error.into_error()).of(parent)),
        });
        // Records before the failed one are passed on. If one of them fails in a later step, that
        // is the first failure.
        self.next.push_batch(&mut self.out)?;
        failure
    }

    fn resume(&mut self) -> Result<bool, Fault> {
        self.next.resume()
    }
}

/// The records that a step has skipped. They count when their push is settled.
struct Skipped {
    step: StepIndex,
    skips: Arc<Skips>,
    parents: Vec<Parent>,
}

impl Skipped {
    fn new(step: StepIndex, skips: Arc<Skips>) -> Self {
        Skipped {
            step,
            skips,
            parents: Vec::new(),
        }
    }

    #[cold]
    fn add(&mut self, parent: Parent, error: impl Failure) {
        self.skips.log_failed(self.step, error);
        match parent.place() {
            Some(_) => self.parents.push(parent),
            None => self.skips.add(self.step),
        }
    }
}

impl Staged for Skipped {
    fn settle(&mut self) {
        self.skips.add_many(self.step, self.parents.len() as u64);
        self.parents.clear();
    }

    fn take_back(&mut self, place: u32) {
        self.parents.retain(|parent| parent.is_before(place));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        chain::{Locator, Port, Whereabouts},
        sink,
        stream::Flow,
    };

    fn wiring() -> Wiring {
        let mut wiring = Wiring::new(
            0,
            1,
            Whereabouts::new(),
            Locator::default(),
            Arc::new(Skips::none()),
        );
        wiring.may_rest = true;
        wiring
    }

    struct Collect(Rc<RefCell<Vec<u64>>>);

    impl Consumer<u64> for Collect {
        fn push_batch(&mut self, batch: &mut Batch<u64>) -> Result<(), Fault> {
            let at = Whereabouts::new().of(StepIndex(9));
            self.0.borrow_mut().extend(batch.drain(&at).map(|(n, _)| n));
            Ok(())
        }

        fn resume(&mut self) -> Result<bool, Fault> {
            Ok(false)
        }
    }

    fn fails_at(bad: u64, step: u32, next: BoxConsumer<u64>) -> BoxConsumer<u64> {
        let mut wiring = wiring();
        let at = wiring.whereabouts.of(StepIndex(step));
        let f = move |n: u64| match n {
            n if n == bad => Err(format!("{n}")),
            n => Ok((n % 2 == 1).then_some(n)),
        };
        Box::new(Try::new(at, &mut wiring, OnError::Fail, next, f))
    }

    #[test]
    fn the_first_record_that_fails_in_any_step_is_the_one_that_failed() {
        for (first, second, failed) in [(5, 3, (3, 1)), (3, 5, (3, 0)), (4, 7, (4, 0))] {
            let seen = Rc::new(RefCell::new(Vec::new()));
            let chain = fails_at(second, 1, Box::new(Collect(seen.clone())));
            let mut chain = fails_at(first, 0, chain);
            let mut batch = Batch::of_source((0..10).collect());
            let fault = chain.push_batch(&mut batch).unwrap_err();
            assert!(batch.is_empty());
            assert_eq!(
                (fault.parent(), fault.step()),
                (Some(failed.0), StepIndex(failed.1))
            );
            assert!(
                seen.borrow()
                    .iter()
                    .copied()
                    .eq([1, 3].into_iter().filter(|n| *n < u64::from(failed.0)))
            );
            // The next batch has nothing left of the failed one.
            seen.borrow_mut().clear();
            chain
                .push_batch(&mut Batch::of_source(vec![9, 11]))
                .unwrap();
            assert_eq!(*seen.borrow(), [9, 11]);
        }
    }

    #[test]
    fn of_branches_the_first_record_that_fails_in_any_of_them_is_the_one_that_failed() {
        for (first, second, failed) in [(3, 7, (3, 0)), (7, 3, (3, 1)), (5, 5, (5, 0))] {
            let seen = Rc::new(RefCell::new(Vec::new()));
            let branch = |bad, step| fails_at(bad, step, Box::new(Collect(seen.clone())));
            let branches = vec![branch(first, 0), branch(second, 1)];
            let at = Whereabouts::new().of(StepIndex(2));
            let mut fan_out = crate::chain::FanOut::new(at, branches, Clone::clone);
            let mut batch = Batch::of_source((0..10).collect());
            let fault = fan_out.push_batch(&mut batch).unwrap_err();
            assert_eq!(
                (fault.parent(), fault.step()),
                (Some(failed.0), StepIndex(failed.1))
            );
        }
    }

    #[test]
    fn what_is_skipped_behind_a_failed_record_does_not_count() {
        let at = Whereabouts::new().of(StepIndex(0));
        let mut skipped = Skipped::new(StepIndex(0), Arc::new(Skips::none()));
        let mut batch = Batch::of_source((0..10_u64).collect());
        for (_, parent) in batch.drain(&at) {
            skipped.add(parent, "odd");
        }
        skipped.take_back(4);
        assert_eq!(skipped.parents.len(), 4);
        skipped.settle();
        assert!(skipped.parents.is_empty());
    }

    /// The number of steps that may fail in the chain that `steps` makes, and whether one may rest.
    fn kind(steps: impl FnOnce(Stream<u64>)) -> (usize, bool) {
        let port = Port::new();
        steps(Stream::new(Flow::new(), StepIndex(0), port.clone()));
        let mut wiring = wiring();
        let _ = port.build(&mut wiring);
        (wiring.fallible.len(), wiring.rests)
    }

    fn good(n: u64) -> Result<u64, String> {
        Ok(n)
    }

    fn end(stream: Stream<u64>) {
        let _ = stream.sink(sink::from_fn(|_: u64| ()));
    }

    fn many(stream: Stream<u64>) -> Stream<u64> {
        stream.flat_map(|n| [n])
    }

    #[test]
    fn a_step_rests_only_where_nothing_that_runs_after_it_may_fail() {
        assert_eq!(kind(|s| end(many(s))), (0, true));
        assert_eq!(
            kind(|s| end(many(s).try_map_with(good, OnError::Skip))),
            (0, true)
        );
        assert_eq!(kind(|s| end(many(s.try_map(good)))), (1, true));
        assert_eq!(kind(|s| end(many(s).try_map(good))), (1, false));
        let json = |s: Stream<u64>| {
            let _ = many(s).sink(crate::JsonLines::stdout());
        };
        assert_eq!(kind(json), (1, false));
        let branches = |failing_first: bool| {
            move |s: Stream<u64>| {
                let (one, other) = (s.clone(), s);
                if failing_first {
                    end(one.try_map(good));
                    end(many(other));
                } else {
                    end(many(one));
                    end(other.try_map(good));
                }
            }
        };
        assert_eq!(kind(branches(true)), (1, true));
        assert_eq!(kind(branches(false)), (1, false));
        let sides = |s: Stream<u64>| {
            let (even, odd) = s.branch(|n| n % 2 == 0);
            end(odd.try_map(good));
            end(many(even));
        };
        assert_eq!(kind(sides), (1, false));
        assert_eq!(kind(|s| end(many(s.clone().merge(s)))), (0, false));
    }
}
