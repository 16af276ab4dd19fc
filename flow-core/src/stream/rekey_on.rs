//! `rekey_on`: another key for each record.

use std::panic::Location;

use super::{KeyedStream, Stream, map::Each};
use crate::{
    record::{IsKeyed, KeyKind},
    time::TimeKind,
};

impl<T, Key, Time: TimeKind> Stream<T, Key, Time> {
    /// Gives each record of a keyed stream another key. The old key is dropped.
    ///
    /// The function sees the value, as with [`key_on`](Stream::key_on). If the new key depends on
    /// the old one, use [`map`](Stream::map), which sees both, and then
    /// [`into_keyed`](Stream::into_keyed).
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// fn total(sum: &mut u64, n: u64) -> u64 { *sum += n; *sum }
    /// fn count(seen: &mut u64, _total: u64) -> u64 { *seen += 1; *seen }
    ///
    /// /// How many totals have had each number of digits.
    /// #[dataflow]
    /// fn digits(numbers: Stream<u64>) -> KeyedStream<usize, u64> {
    ///     let totals = numbers.key_on(|n| n % 2).stateful_map(total);
    ///     totals.rekey_on(|total| total.to_string().len()).stateful_map(count)
    /// }
    /// # let (out, seen) = sink::collect();
    /// # Runner::new(move |flow| {
    /// #     digits(flow.source(source::from_iter([1, 2, 9, 8u64]))).map(|x| x).sink(out.clone());
    /// # }).run().unwrap();
    /// # let mut seen = seen.take(); seen.sort();
    /// # assert_eq!(seen, [(1, 1), (1, 2), (2, 1), (2, 2)]);
    /// ```
    #[track_caller]
    pub fn rekey_on<K, F>(self, mut f: F) -> KeyedStream<K, T, Time>
    where
        Key: IsKeyed + 'static,
        T: 'static,
        K: KeyKind,
        F: FnMut(&T) -> K + 'static, // a key owns its data: a `String`, not a `&str`
    {
        self.chain("rekey_on", Location::caller(), |at, _, next| {
            Box::new(Each::new(at, next, move |(time, (_, value))| {
                (time, (f(&value), value))
            }))
        })
    }
}
