//! `branch`: one stream as two.

use std::{panic::Location, rc::Rc};

use super::Stream;
use crate::{
    chain::{Batch, BoxConsumer, Branches, Carried, Consumer, Fault, Port, StepContext},
    graph::Keeps,
    record::KeyKind,
    time::TimeKind,
};

impl<T, Key, Time: TimeKind> Stream<T, Key, Time> {
    /// Splits the stream in two: items for which the function returns true, and all others.
    ///
    /// The function sees whole items: `&T`, or `&(K, T)` on a keyed stream. Both streams keep the
    /// key. Both must be used. If only one is needed, use [`filter`](Stream::filter) or
    /// [`filter_values`](Stream::filter_values).
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// # let ((out, seen), (other, rest)) = (sink::collect(), sink::collect());
    /// # Runner::new(move |flow| {
    /// let numbers = flow.source(source::from_iter(1..=4u64));
    /// let (even, odd) = numbers.branch(|n| n % 2 == 0);
    /// even.sink(out.clone()).named("even");
    /// odd.sink(other.clone()).named("odd");
    /// # }).run().unwrap();
    /// # assert_eq!(seen.take(), [2, 4]);
    /// # assert_eq!(rest.take(), [1, 3]);
    /// ```
    #[track_caller]
    #[must_use = "a stream does nothing until it reaches a sink"]
    pub fn branch<F>(self, mut f: F) -> (Self, Self)
    where
        Key: KeyKind,
        T: 'static,
        F: FnMut(&Key::Item<T>) -> bool + 'static,
    {
        let mut step = self.follow("branch", Keeps::Nothing, Location::caller());
        step.item = std::any::type_name::<T>();
        step.key = super::key_name::<Key>();
        let mut other = step.clone();
        let index = self.flow.add_step(step);
        // The second stream is a step of its own, with the same input. So each stream is refused by
        // itself if it is not used.
        other.set_name(format!("{} (false)", other.own_name()));
        let other = self.flow.add_step(other);

        let (when_true, when_false) = (Port::new(), Port::new());
        let ports: (Rc<Port<_>>, Rc<Port<_>>) = (when_true.clone(), when_false.clone());
        self.port.attach(move |wiring| {
            // They are built in reverse, so that the first finds in `wiring` what runs after it.
            let when_false = ports.1.build(wiring);
            let when_true = ports.0.build(wiring);
            Box::new(Branch {
                at: wiring.whereabouts.of(index),
                f: move |(_, pair): &Carried<T, Key, Time>| f(Key::item_ref(pair)),
                when_true: Side::of(when_true),
                when_false: Side::of(when_false),
            })
        });
        (
            Stream::new(self.flow.clone(), index, when_true),
            Stream::new(self.flow, other, when_false),
        )
    }
}

struct Branch<F, T> {
    at: StepContext,
    f: F,
    when_true: Side<T>,
    when_false: Side<T>,
}

/// One of the two streams.
struct Side<T> {
    out: Batch<T>,
    next: BoxConsumer<T>,
}

impl<T> Side<T> {
    fn of(next: BoxConsumer<T>) -> Self {
        Side {
            out: Batch::new(),
            next,
        }
    }
}

impl<T, F: FnMut(&T) -> bool> Consumer<T> for Branch<F, T> {
    fn push_batch(&mut self, batch: &mut Batch<T>) -> Result<(), Fault> {
        let Branch {
            at,
            f,
            when_true,
            when_false,
        } = self;
        when_true.out.restart(batch);
        when_false.out.restart(batch);
        for (record, parent) in batch.drain(at) {
            match f(&record) {
                true => when_true.out.push(record, parent),
                false => when_false.out.push(record, parent),
            }
        }
        let mut branches = Branches::default();
        branches.push(&mut when_true.next, &mut when_true.out)?;
        branches.push(&mut when_false.next, &mut when_false.out)?;
        branches.end()
    }

    fn resume(&mut self) -> Result<bool, Fault> {
        Ok(self.when_true.next.resume()? | self.when_false.next.resume()?)
    }
}
