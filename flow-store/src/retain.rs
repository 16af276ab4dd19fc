//! How long earlier epochs stay restorable.

use crate::epoch::Epoch;
use jiff::Timestamp;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// How long epochs before the last one stay restorable, for
/// [`Look::go_back`](crate::Look::go_back).
///
/// It is a setting of each execution: an execution that retains nothing forgets what earlier ones
/// retained. On a command line it is a number of epochs (`100`) or a duration (`30m`, `24h`).
///
/// ```
/// use flow_store::Retain;
/// use std::time::Duration;
///
/// assert_eq!("100".parse(), Ok(Retain::Epochs(100)));
/// assert_eq!("24h".parse(), Ok(Retain::For(Duration::from_secs(24 * 3600))));
/// assert_eq!(Retain::default(), Retain::Nothing);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Retain {
    /// Only the last epoch is kept.
    #[default]
    Nothing,
    /// This many epochs before the last one. Epochs that were committed together are retained as
    /// one.
    Epochs(u64),
    /// Every epoch that was the last one at some time within this duration.
    For(Duration),
}

/// An epoch before the last one that the store can go back to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Retained {
    /// The epoch.
    pub epoch: Epoch,
    /// When the next epoch replaced it as the last one, to the millisecond.
    pub until: Timestamp,
}

/// A text is neither a number of epochs nor a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a number of epochs such as `100`, or a duration such as `30m`, `24h`")]
pub struct ParseRetainError;

impl FromStr for Retain {
    type Err = ParseRetainError;

    fn from_str(text: &str) -> Result<Retain, ParseRetainError> {
        if let Ok(epochs) = text.parse() {
            return match epochs {
                0 => Err(ParseRetainError),
                epochs => Ok(Retain::Epochs(epochs)),
            };
        }
        let duration: jiff::SignedDuration = text.parse().map_err(|_| ParseRetainError)?;
        match Duration::try_from(duration) {
            Ok(duration) if !duration.is_zero() => Ok(Retain::For(duration)),
            _ => Err(ParseRetainError),
        }
    }
}

impl fmt::Display for Retain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Retain::Nothing => f.write_str("nothing"),
            Retain::Epochs(epochs) => write!(f, "{epochs}"),
            Retain::For(duration) => write!(f, "{duration:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_says_nothing_is_refused() {
        for text in ["", "0", "-1", "0s", "-1s", "all", "1.5", "1 fortnight"] {
            assert_eq!(text.parse::<Retain>(), Err(ParseRetainError), "{text:?}");
        }
    }
}
