//! `drop_key`: records without their keys.

use std::panic::Location;

use super::{Stream, map::Each};
use crate::{
    record::{IsKeyed, NoKey},
    time::TimeKind,
};

impl<T, Key, Time: TimeKind> Stream<T, Key, Time> {
    /// Drops the key of each record, and keeps the value.
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// fn total(sum: &mut u64, n: u64) -> u64 { *sum += n; *sum }
    ///
    /// #[dataflow]
    /// fn totals(numbers: Stream<u64>) -> Stream<u64> {
    ///     numbers.key_on(|n| n % 2).stateful_map(total).drop_key()
    /// }
    /// # let (out, seen) = sink::collect();
    /// # Runner::new(move |flow| {
    /// #     totals(flow.source(source::from_iter(1..=4u64))).sink(out.clone());
    /// # }).run().unwrap();
    /// # assert_eq!(seen.take(), [1, 2, 4, 6]);
    /// ```
    #[track_caller]
    pub fn drop_key(self) -> Stream<T, NoKey, Time>
    where
        Key: IsKeyed + 'static,
        T: 'static,
    {
        self.chain("drop_key", Location::caller(), |at, _, next| {
            Box::new(Each::new(at, next, |(time, (_, value))| {
                (time, (NoKey, value))
            }))
        })
    }
}
