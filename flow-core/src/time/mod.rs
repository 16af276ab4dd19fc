//! The time of records: what travels with each record of a stream.

use flow_store::CodecError;

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
}

impl TimeKind for NoTime {
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
    label = "this step needs the time of each record"
)]
pub trait HasTime: TimeKind {}

#[diagnostic::do_not_recommend]
impl HasTime for EventTime {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{chain::Carried, record::NoKey};

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
