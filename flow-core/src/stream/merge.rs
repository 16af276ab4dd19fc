//! `merge`: two streams of one type as one.

use std::panic::Location;

use super::Stream;
use crate::{
    chain::{Port, Shared},
    graph::Keeps,
    time::TimeKind,
};

impl<T, Key, Time: TimeKind> Stream<T, Key, Time> {
    /// Merges the records of `other` with those of this stream.
    ///
    /// The order between the two is not specified. Keyed streams of one key type stay keyed.
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// # let (out, seen) = sink::collect();
    /// # Runner::new(move |flow| {
    /// let old = flow.source(source::from_iter([1u64, 2])).named("old");
    /// let new = flow.source(source::from_iter([3u64])).named("new");
    /// old.merge(new).sink(out.clone());
    /// # }).run().unwrap();
    /// # let mut seen = seen.take(); seen.sort();
    /// # assert_eq!(seen, [1, 2, 3]);
    /// ```
    #[track_caller]
    pub fn merge(self, other: Stream<T, Key, Time>) -> Stream<T, Key, Time>
    where
        T: 'static,
        Key: 'static,
    {
        let mut step = self.follow("merge", Keeps::Nothing, Location::caller());
        step.inputs.push(other.step.as_usize());
        step.item = std::any::type_name::<T>();
        step.key = super::key_name::<Key>();
        let index = self.flow.add_step(step);
        let port = Port::new();
        Shared::merge(&[&self.port, &other.port], port.clone());
        Stream::new(self.flow, index, port)
    }
}
