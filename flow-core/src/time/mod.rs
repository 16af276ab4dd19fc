//! The time of records: what travels with each record of a stream, and how far streams have come.

mod clock;

use flow_store::CodecError;
use jiff::Timestamp;

use crate::record::NoKey;

pub(crate) use clock::{Clock, ClockRef, Clocks, add_clocks};

/// The mark of a sender of which nothing is known yet. It is before every time.
pub(crate) const NEVER: i64 = i64::MIN;

/// The mark of a sender whose input has ended. It is after every time.
pub(crate) const END: i64 = i64::MAX;

/// How far a sender has come with what it has sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The least watermark of its partitions, of those that have not ended.
    pub(crate) at: i64,
    /// The greatest watermark of its partitions.
    pub(crate) last: i64,
}

impl Mark {
    pub(crate) const NEVER: Mark = Mark {
        at: NEVER,
        last: NEVER,
    };

    /// How far a sender without any partition has come.
    pub(crate) const NONE: Mark = Mark {
        at: END,
        last: NEVER,
    };

    /// How far all of them have come.
    pub(crate) fn all(marks: impl Iterator<Item = Mark>) -> Option<Mark> {
        marks.reduce(|a, b| Mark {
            at: a.at.min(b.at),
            last: a.last.max(b.last),
        })
    }

    /// Up to where what comes later is late for good, even if the input grows after its end.
    pub(crate) fn closed(self) -> i64 {
        match self.at {
            END => self.last,
            at => at,
        }
    }
}

/// The microseconds since 1970 of a timestamp, rounded down.
pub(crate) fn micros(at: Timestamp) -> i64 {
    // The range of a timestamp fits 30 times.
    at.as_second() * 1_000_000 + i64::from(at.subsec_nanosecond().div_euclid(1000))
}

/// The timestamp of microseconds since 1970; the nearest one, if there is none.
pub(crate) fn timestamp(micros: i64) -> Timestamp {
    let nearest = match micros {
        ..0 => Timestamp::MIN,
        _ => Timestamp::MAX,
    };
    Timestamp::from_microsecond(micros).unwrap_or(nearest)
}

/// The `Time` parameter of a [`Stream`](crate::Stream) whose records have no time.
#[derive(Clone, Copy, Debug)]
pub struct NoTime;

/// The `Time` parameter of a [`Stream`](crate::Stream) whose records know when they happened.
// It is not `PartialEq`, so that it is no key where a stream's `NoKey` was forgotten.
#[derive(Clone, Copy, Debug)]
pub struct EventTime {
    /// Microseconds since 1970.
    pub(crate) at: i64,
    /// By how many microseconds the watermark of the record's partition was past `at` when the
    /// record came. Almost all records are ahead of it: 0.
    pub(crate) behind: u64,
}

impl EventTime {
    /// A record at `at` which comes when its partition's watermark is `watermark`.
    #[inline]
    pub(crate) fn new(at: i64, watermark: i64) -> Self {
        EventTime {
            at,
            behind: watermark.saturating_sub(at).max(0).unsigned_abs(),
        }
    }

    /// The watermark of its partition when the record came, if it was past the record's time.
    pub(crate) fn watermark(self) -> Option<i64> {
        (self.behind > 0).then(|| self.at.saturating_add_unsigned(self.behind))
    }
}

/// The `Time` parameter of any stream: [`NoTime`] or [`EventTime`].
///
/// A dataflow with this bound takes both kinds of streams:
///
/// ```
/// use flow::{NoKey, TimeKind, prelude::*};
///
/// #[dataflow]
/// fn large<Time: TimeKind>(cents: Stream<u64, NoKey, Time>) -> Stream<u64, NoKey, Time> {
///     cents.filter(|cents| *cents >= 100_00)
/// }
/// ```
pub trait TimeKind: Copy + Send + 'static {
    /// Appends the time's bytes.
    #[doc(hidden)]
    fn encode(self, into: &mut Vec<u8>) -> Result<(), CodecError>;

    /// Reads one time from the front of `bytes`, and advances `bytes` past it.
    #[doc(hidden)]
    fn decode_front(bytes: &mut &[u8]) -> Result<Self, CodecError>;

    /// Whether there is a time.
    #[doc(hidden)]
    const IS_TIMED: bool;

    /// The time of a record of a block, once the partition's watermark before the block is known.
    #[doc(hidden)]
    fn raise(&mut self, watermark: i64);
}

impl TimeKind for NoTime {
    const IS_TIMED: bool = false;

    fn raise(&mut self, _: i64) {}

    #[inline]
    fn encode(self, _: &mut Vec<u8>) -> Result<(), CodecError> {
        Ok(())
    }

    #[inline]
    fn decode_front(_: &mut &[u8]) -> Result<Self, CodecError> {
        Ok(NoTime)
    }
}

impl TimeKind for EventTime {
    const IS_TIMED: bool = true;

    fn raise(&mut self, watermark: i64) {
        let since_block = self.behind;
        *self = EventTime::new(self.at, watermark);
        self.behind = self.behind.max(since_block);
    }

    fn encode(self, into: &mut Vec<u8>) -> Result<(), CodecError> {
        flow_store::encode(&self.at, into)?;
        flow_store::encode(&self.behind, into)
    }

    fn decode_front(bytes: &mut &[u8]) -> Result<Self, CodecError> {
        Ok(EventTime {
            at: flow_store::decode_front(bytes)?,
            behind: flow_store::decode_front(bytes)?,
        })
    }
}

/// The `Time` parameter of a stream whose records have a time: [`EventTime`].
#[diagnostic::on_unimplemented(
    message = "this stream has no time",
    label = "this step needs the time of each record",
    note = "say when its records happened, right behind the source: \
        `.event_time(|record| record.at, wait)`"
)]
pub trait HasTime: TimeKind {
    /// The time, and by how much the watermark was past it.
    #[doc(hidden)]
    fn get(self) -> EventTime;

    /// The time of a result, which is never late.
    #[doc(hidden)]
    fn of_result(at: i64) -> Self;
}

#[diagnostic::do_not_recommend]
impl HasTime for EventTime {
    fn get(self) -> EventTime {
        self
    }

    fn of_result(at: i64) -> Self {
        EventTime { at, behind: 0 }
    }
}

/// The `Time` parameter of a stream whose records have no time yet: [`NoTime`].
#[diagnostic::on_unimplemented(
    message = "this stream has a time already",
    label = "this step would give its records a second one",
    note = "keep one of the two; if each is for windows of its own, call `.drop_time()` in between"
)]
pub trait IsUntimed: TimeKind {}

#[diagnostic::do_not_recommend]
impl IsUntimed for NoTime {}

/// The `Key` parameter of a stream whose records can be given a time: [`NoKey`](crate::NoKey).
#[diagnostic::on_unimplemented(
    message = "this stream has a key already, so it is too late to give its records a time",
    label = "its records have the key `{Self}`",
    note = "call `.event_time(..)` before `.key_on(..)`, right behind the source: the steps behind \
        it pass the time on"
)]
pub trait MayGetTime: 'static {}

#[diagnostic::do_not_recommend]
impl MayGetTime for NoKey {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::Carried;

    #[test]
    fn times_are_rounded_down() {
        let pairs = [
            (0, 0),
            (999, 0),
            (1000, 1),
            (-1, -1),
            (-1000, -1),
            (-1001, -2),
        ];
        for (nanoseconds, expected) in pairs {
            let at = Timestamp::from_nanosecond(nanoseconds).unwrap();
            assert_eq!(micros(at), expected, "{nanoseconds}");
        }
        assert_eq!(timestamp(micros(Timestamp::MIN)), Timestamp::MIN);
        assert_eq!(timestamp(i64::MIN), Timestamp::MIN);
        assert_eq!(timestamp(i64::MAX), Timestamp::MAX);
    }

    #[test]
    fn a_record_of_a_block_is_behind_both_watermarks() {
        let raised = |behind, watermark| {
            let mut time = EventTime { at: 10, behind };
            time.raise(watermark);
            time.behind
        };
        assert_eq!(
            [raised(0, NEVER), raised(0, 15), raised(3, 12), raised(0, 9)],
            [0, 5, 3, 0]
        );
    }

    #[test]
    fn a_stream_without_time_carries_none() {
        assert_eq!(size_of::<Carried<u64, NoKey, NoTime>>(), 8);
        let pair = size_of::<(String, [u8; 3])>();
        assert_eq!(size_of::<Carried<[u8; 3], String, NoTime>>(), pair);
        assert_eq!(size_of::<Carried<u64, NoKey, EventTime>>(), 24);
    }

    #[test]
    fn a_time_comes_back_from_the_front_of_its_bytes() {
        for at in [i64::MIN, -1, 0, 1_767_225_600_000_000, i64::MAX] {
            for behind in [0, 1, 3_600_000_000, u64::MAX] {
                let mut bytes = Vec::new();
                EventTime { at, behind }.encode(&mut bytes).unwrap();
                bytes.push(7);
                let mut rest = &*bytes;
                let time = EventTime::decode_front(&mut rest).unwrap();
                assert_eq!((time.at, time.behind, rest), (at, behind, &[7][..]));
            }
        }
        assert!(EventTime::decode_front(&mut &[][..]).is_err());
    }

    #[test]
    fn what_most_records_do_not_need_is_short() {
        let length = |time: EventTime| {
            let mut bytes = Vec::new();
            time.encode(&mut bytes).unwrap();
            bytes.len()
        };
        let at = 1_767_225_600_000_000;
        assert_eq!(length(EventTime { at, behind: 0 }), 9 + 1);
        let mut bytes = Vec::new();
        NoTime.encode(&mut bytes).unwrap();
        assert!(bytes.is_empty());
    }
}
