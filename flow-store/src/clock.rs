//! The current time, as the store keeps it.

use jiff::Timestamp;

/// The current time, to the millisecond, as it is stored.
pub(crate) fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}
