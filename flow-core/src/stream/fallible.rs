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
            may_fail(on_error, wiring);
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
            may_fail(on_error, wiring);
            Box::new(Try::new(at, wiring, on_error, next, move |pair| {
                Ok::<_, E>(f(Key::item(pair))?.map(|item| (NoKey, item)))
            }))
        })
    }
}

/// Notes that the chain has a step that may fail, in front of what it has already.
fn may_fail(on_error: OnError, wiring: &mut Wiring) {
    if on_error == OnError::Fail {
        wiring.only_first = !wiring.fallible;
        wiring.fallible = true;
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
                self.skips.add_failed(self.at.step(), error);
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
        let mut failure = Ok(());
        for (good, record) in records.drain(..).enumerate() {
            match (self.f)(record) {
                Ok(Some(record)) => self.out.push(record),
                Ok(None) => {}
                Err(error) => {
                    failure = self.failed(error).map_err(|fault| fault.behind(good));
                    if failure.is_err() {
                        break;
                    }
                }
            }
        }
        // Those before it are good, and go on.
        self.next.push_batch(&mut self.out)?;
        failure
    }

    fn resume(&mut self) -> Result<bool, Fault> {
        self.next.resume()
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, rc::Rc};

    use super::*;
    use crate::{
        chain::{Port, Whereabouts},
        flow::Flow,
        graph::StepIndex,
        sink,
    };

    fn wiring() -> Wiring {
        Wiring {
            worker: 0,
            workers: 1,
            whereabouts: Whereabouts::new(),
            outlets: Vec::new(),
            fallible: false,
            only_first: false,
            may_rest: false,
            rests: false,
            skips: Arc::new(Skips::none()),
        }
    }

    struct Collect(Rc<RefCell<Vec<u64>>>);

    impl Consumer<u64> for Collect {
        fn push(&mut self, record: u64) -> Result<(), Fault> {
            self.0.borrow_mut().push(record);
            Ok(())
        }

        fn push_batch(&mut self, records: &mut Vec<u64>) -> Result<(), Fault> {
            self.0.borrow_mut().append(records);
            Ok(())
        }

        fn resume(&mut self) -> Result<bool, Fault> {
            Ok(false)
        }
    }

    #[test]
    fn of_a_batch_the_records_before_the_failure_go_on() {
        let wiring = wiring();
        let seen = Rc::new(RefCell::new(Vec::new()));
        let mut step = Try::new(
            wiring.whereabouts.of(StepIndex(0)),
            &wiring,
            OnError::Fail,
            Box::new(Collect(seen.clone())),
            |n: u64| match n {
                5 => Err("five"),
                n => Ok((n % 2 == 1).then_some(n)),
            },
        );
        let fault = step.push_batch(&mut (0..10).collect()).unwrap_err();
        assert_eq!(fault.good(), Some(5));
        assert_eq!(*seen.borrow(), [1, 3]);
        step.push_batch(&mut vec![7]).unwrap();
        assert_eq!(*seen.borrow(), [1, 3, 7]);
    }

    /// Whether the chain that `steps` makes has a step that may fail, and whether that is the first and only one.
    fn kind(steps: impl FnOnce(Stream<u64>)) -> (bool, bool) {
        let port = Port::new();
        steps(Stream::new(Flow::new(), StepIndex(0), port.clone()));
        let mut wiring = wiring();
        let _ = port.build(&mut wiring);
        (wiring.fallible, wiring.only_first)
    }

    fn good(n: u64) -> Result<u64, String> {
        Ok(n)
    }

    fn end(stream: Stream<u64>) {
        let _ = stream.sink(sink::from_fn(|_: u64| ()));
    }

    #[test]
    fn a_chain_knows_whether_only_its_first_step_may_fail() {
        let (no, only_first, one_by_one) = ((false, false), (true, true), (true, false));
        assert_eq!(kind(end), no);
        assert_eq!(kind(|s| end(s.map(|n| n))), no);
        assert_eq!(kind(|s| end(s.try_map_with(good, OnError::Skip))), no);
        assert_eq!(kind(|s| end(s.try_map(good))), only_first);
        assert_eq!(kind(|s| end(s.try_map(good).map(|n| n))), only_first);
        let branches = |s: Stream<u64>| {
            end(s.clone());
            end(s);
        };
        assert_eq!(kind(|s| branches(s.try_map(good))), only_first);
        // A record behind the one that fails would have been elsewhere already.
        assert_eq!(kind(|s| end(s.map(|n| n).try_map(good))), one_by_one);
        assert_eq!(kind(|s| end(s.try_map(good).try_map(good))), one_by_one);
        let json = |s: Stream<u64>| {
            let _ = s.try_map(good).sink(crate::JsonLines::stdout());
        };
        assert_eq!(kind(json), one_by_one);
        for failing_first in [true, false] {
            let branches = |s: Stream<u64>| {
                let (one, other) = (s.clone(), s);
                if failing_first {
                    end(one.try_map(good));
                    end(other);
                } else {
                    end(one);
                    end(other.try_map(good));
                }
            };
            assert_eq!(kind(branches), one_by_one);
        }
        assert_eq!(kind(|s| end(s.clone().try_map(good).merge(s))), one_by_one);
        let merged = |s: Stream<u64>| end(s.clone().merge(s).try_map(good));
        assert_eq!(kind(merged), one_by_one);
    }
}
