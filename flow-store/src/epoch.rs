//! The number of a checkpoint: its execution, and its place within the execution.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

const BITS: u32 = 40;
const NUMBER: u64 = (1 << BITS) - 1;

/// The number of a checkpoint: an execution, and a count within it.
///
/// The execution is in the upper 24 bits and the count in the lower 40. So every epoch of a later
/// execution is greater than every epoch of an earlier one. No number is ever used twice, because
/// an execution is recorded before its first epoch.
///
/// It is displayed (also by `Debug`) and parsed as `execution.number`:
///
/// ```
/// use flow_store::Epoch;
///
/// let start = Epoch::opening(3);
/// assert_eq!(start.next(), Epoch::first(3));
/// assert_eq!(Epoch::first(3).next().to_string(), "3.2");
/// assert_eq!(format!("{:?}", Epoch::first(3)), "3.1");
/// assert_eq!("3.1".parse(), Ok(Epoch::first(3)));
/// assert!(Epoch::opening(4) > Epoch::first(3));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Epoch(u64);

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Epoch {
    /// The greatest number of an execution: 24 bits.
    pub const LAST_EXECUTION: u64 = (1 << (u64::BITS - BITS)) - 1;

    /// The epoch of the commit that starts an execution: its number is 0 and it has no records.
    ///
    /// `execution` must not exceed [`LAST_EXECUTION`](Self::LAST_EXECUTION): higher bits are lost.
    /// [`Look::start`](crate::Look::start) makes sure of it.
    #[must_use]
    pub const fn opening(execution: u64) -> Epoch {
        Epoch(execution << BITS)
    }

    /// The first epoch of an execution that can have records: its number is 1.
    #[must_use]
    pub const fn first(execution: u64) -> Epoch {
        Epoch(execution << BITS | 1)
    }

    /// The epoch after this one in the same execution.
    #[must_use]
    pub const fn next(self) -> Epoch {
        // 2^40 epochs last for 12 days at one a microsecond, and for 34 years at one a millisecond.
        // After the last one the number stays, and the store refuses an epoch that does not grow.
        if self.number() == NUMBER {
            return self;
        }
        Epoch(self.0 + 1)
    }

    /// The execution that this epoch belongs to.
    #[must_use]
    pub const fn execution(self) -> u64 {
        self.0 >> BITS
    }

    /// The count of this epoch within its execution; 0 for the commit that starts it.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0 & NUMBER
    }

    /// Whether nothing can be durable yet: there is no store, or its first execution has just
    /// begun.
    ///
    /// ```
    /// use flow_store::Epoch;
    ///
    /// assert!(Epoch::default().is_start() && Epoch::opening(1).is_start());
    /// assert!(!Epoch::first(1).is_start() && !Epoch::opening(2).is_start());
    /// ```
    #[must_use]
    pub const fn is_start(self) -> bool {
        self.0 <= Epoch::opening(1).0
    }

    /// The epoch of [`to_u64`](Self::to_u64).
    #[must_use]
    pub const fn from_u64(value: u64) -> Epoch {
        Epoch(value)
    }

    /// Execution and number in one: `execution << 40 | number`.
    #[must_use]
    pub const fn to_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.execution(), self.number())
    }
}

/// A text that is no epoch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an epoch as messages show it: execution and number, as in `3.17`")]
pub struct ParseEpochError;

impl FromStr for Epoch {
    type Err = ParseEpochError;

    fn from_str(text: &str) -> Result<Epoch, ParseEpochError> {
        let number = |text: &str, most: u64| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let number: Option<u64> = text.parse().ok().filter(|_| digits);
            number.filter(|number| *number <= most)
        };
        let parts = text.split_once('.').and_then(|(execution, rest)| {
            Some(Epoch(
                number(execution, Self::LAST_EXECUTION)? << BITS | number(rest, NUMBER)?,
            ))
        });
        parts.ok_or(ParseEpochError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_no_epoch_is_refused() {
        for text in [
            "",
            "3",
            "3.",
            ".1",
            "3.1.2",
            "-1.1",
            "+3.1",
            "16777216.1",
            "a.b",
        ] {
            assert_eq!(text.parse::<Epoch>(), Err(ParseEpochError), "{text:?}");
        }
        let last = Epoch(u64::MAX);
        assert_eq!(last.to_string().parse(), Ok(last));
    }

    #[test]
    fn parts_come_back() {
        let epoch = Epoch::from_u64(7 << 40 | 12);
        assert_eq!((epoch.execution(), epoch.number()), (7, 12));
        assert_eq!(epoch.to_u64(), 7 << 40 | 12);
        assert_eq!(epoch.to_string(), "7.12");
        assert_eq!(Epoch::default().to_string(), "0.0");
    }

    #[test]
    fn the_last_epoch_of_an_execution_does_not_reach_into_the_next() {
        let last = Epoch::from_u64((7 << 40) | NUMBER);
        assert_eq!(last.next(), last);
        let last = Epoch::opening(Epoch::LAST_EXECUTION);
        assert_eq!(last.execution(), Epoch::LAST_EXECUTION);
    }
}
