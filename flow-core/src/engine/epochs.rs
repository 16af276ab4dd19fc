//! When epochs end.

use std::{str::FromStr, time::Duration};

/// When an epoch ends and becomes durable.
///
/// An epoch ends only if something has been read in it, so an idle flow makes none. It also ends
/// - when the budget of records in flight is used up
///   ([`Runner::records_in_flight`](crate::Runner::records_in_flight)),
/// - at the end of the input,
/// - when the flow stops.
///
/// As a text, for command lines: `every-record`, a number of records (`200`), or a duration (`7ms`,
/// `1s`, `1h`).
///
/// ```
/// use std::time::Duration;
/// use flow::Epochs;
///
/// assert_eq!("200".parse(), Ok(Epochs::records(200)));
/// assert_eq!("7ms".parse(), Ok(Epochs::every(Duration::from_millis(7))));
/// assert_eq!("every-record".parse(), Ok(Epochs::every_record()));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epochs {
    max_records: Option<u64>,
    max_age: Duration,
}

const SECOND: Duration = Duration::from_secs(1);

impl Epochs {
    /// Ends an epoch after this time. The default is one second.
    #[must_use]
    pub fn every(duration: Duration) -> Self {
        Epochs {
            max_records: None,
            max_age: duration,
        }
    }

    /// Ends an epoch after this many records, or after one second if that is earlier. Records are
    /// counted over all sources, from the end of the last epoch.
    ///
    /// An epoch has fewer records if fewer may be in flight: at the beginning of a run, and in a
    /// flow with a slow step. See [`Runner::records_in_flight`](crate::Runner::records_in_flight).
    #[must_use]
    pub fn records(records: u64) -> Self {
        Epochs {
            max_records: Some(records),
            max_age: SECOND,
        }
    }

    /// Ends an epoch after each record. With several workers this is approximate, because each may
    /// read one record before it sees that the epoch has ended.
    #[must_use]
    pub fn every_record() -> Self {
        Epochs::records(1)
    }

    /// Sets the greatest age of an epoch that ends after a number of records.
    #[must_use]
    pub fn or_after(self, age: Duration) -> Self {
        Epochs {
            max_age: age,
            ..self
        }
    }

    pub(crate) fn max_records(&self) -> Option<u64> {
        self.max_records
    }

    pub(crate) fn max_age(&self) -> Duration {
        self.max_age
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        if self.max_records == Some(0) {
            return Err("an epoch has at least one record".to_owned());
        }
        if self.max_age.is_zero() {
            return Err("the time of an epoch can't be zero".to_owned());
        }
        Ok(())
    }
}

impl Default for Epochs {
    fn default() -> Self {
        Epochs::every(SECOND)
    }
}

/// The error of a text that is not a setting of epochs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected `every-record`, a number of records such as `200`, or a duration such as `7ms`, \
     `1s`, `1h`"
)]
pub struct ParseEpochsError;

impl FromStr for Epochs {
    type Err = ParseEpochsError;

    fn from_str(text: &str) -> Result<Self, ParseEpochsError> {
        let epochs = if text == "every-record" {
            Epochs::every_record()
        } else if let Ok(records) = text.parse() {
            Epochs::records(records)
        } else {
            let duration: jiff::SignedDuration = text.parse().map_err(|_| ParseEpochsError)?;
            Epochs::every(duration.try_into().map_err(|_| ParseEpochsError)?)
        };
        epochs.check().map_err(|_| ParseEpochsError)?;
        Ok(epochs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_says_nothing_is_refused() {
        for text in ["", "0", "-1", "0s", "-1s", "1 fortnight", "each", "1.5"] {
            assert_eq!(text.parse::<Epochs>(), Err(ParseEpochsError), "{text:?}");
        }
        assert_eq!("1h".parse(), Ok(Epochs::every(Duration::from_secs(3600))));
    }
}
