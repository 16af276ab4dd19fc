//! The time of day, as the store keeps it.

use jiff::Timestamp;

/// Now, as precise as it is stored.
pub(crate) fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}
