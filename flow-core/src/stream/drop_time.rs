//! `drop_time`: records without their times.

use std::panic::Location;

use super::{Stream, map::Each};
use crate::time::{HasTime, NoTime};

impl<T, Key, Time> Stream<T, Key, Time> {
    /// Drops the time of each record, and keeps key and value.
    ///
    /// ```
    /// use flow::{EventTime, NoKey, prelude::*};
    ///
    /// #[dataflow]
    /// fn untimed(cents: Stream<u64, NoKey, EventTime>) -> Stream<u64> {
    ///     cents.map(|cents| cents / 100).drop_time()
    /// }
    /// ```
    #[track_caller]
    pub fn drop_time(self) -> Stream<T, Key>
    where
        Time: HasTime,
        T: 'static,
        Key: 'static,
    {
        self.chain("drop_time", Location::caller(), |at, _, next| {
            Box::new(Each::new(at, next, |(_, pair)| (NoTime, pair)))
        })
    }
}
