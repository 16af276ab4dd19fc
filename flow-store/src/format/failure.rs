//! Why and where an execution failed, as data that a later execution compares with its own failure.

use crate::format::bounded::bounded;
use serde::{Deserialize, Serialize};

/// Why and where an execution failed or was aborted.
///
/// Unknown parts are `None`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FailureRecord {
    /// What failed.
    pub kind: FailureKind,
    /// The id of the step that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The id of the source that the record came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The partition of the source: for a file, its path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<String>,
    /// The place of the record in the partition, as the source describes it, if the record is
    /// known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<String>,
    /// The error in words.
    pub error: String,
}

/// What failed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FailureKind {
    /// A record, before the first shuffle. All records before it are durable.
    Record,
    /// A step behind a shuffle, or a sink.
    Step,
    /// The user's code panicked.
    Panic,
    /// A key, state, token or position that can't be kept.
    NotKept,
    /// An epoch could not be committed to the store.
    Commit,
    /// The output of a sink could not be made durable.
    Sync,
    /// The flow was stopped at once, or a stop took too long.
    Stop,
    /// Anything else.
    Other,
}

impl FailureRecord {
    /// A failure without a known step or place.
    #[must_use]
    pub fn new(kind: FailureKind, error: impl Into<String>) -> FailureRecord {
        FailureRecord {
            kind,
            step: None,
            source: None,
            partition: None,
            position: None,
            error: error.into(),
        }
    }

    /// Whether two failures have the same kind, step and place.
    ///
    /// Parts of the place that one of them does not know count as the same. The texts of the errors
    /// do not count.
    ///
    /// ```
    /// use flow_store::{FailureKind, FailureRecord};
    ///
    /// let mut first = FailureRecord::new(FailureKind::Step, "no such user: anna");
    /// first.step = Some("join".to_owned());
    /// let mut second = first.clone();
    /// second.error = "no such user: bert".to_owned();
    /// assert!(first.is_like(&second));
    ///
    /// second.step = Some("out".to_owned());
    /// assert!(!first.is_like(&second));
    /// ```
    #[must_use]
    pub fn is_like(&self, other: &FailureRecord) -> bool {
        // One of them may come from a store, which keeps only the beginning of a long text.
        let kept = |text: &Option<String>| text.as_deref().map(bounded);
        let may_be_one = |a, b| match (kept(a), kept(b)) {
            (Some(a), Some(b)) => a == b,
            _ => true,
        };
        self.kind == other.kind
            && kept(&self.step) == kept(&other.step)
            && may_be_one(&self.source, &other.source)
            && may_be_one(&self.partition, &other.partition)
            && may_be_one(&self.position, &other.position)
    }

    /// The partition and the position in it, for people: `events.jsonl, line 7`.
    #[must_use]
    pub fn place(&self) -> Option<String> {
        match (&self.partition, &self.position) {
            (Some(partition), Some(position)) => Some(format!("{partition}, {position}")),
            (one, other) => one.as_ref().or(other.as_ref()).cloned(),
        }
    }

    /// The same with bounded texts.
    pub(super) fn bounded(&self) -> FailureRecord {
        let kept = |text: &Option<String>| text.as_deref().map(bounded);
        FailureRecord {
            kind: self.kind,
            step: kept(&self.step),
            source: kept(&self.source),
            partition: kept(&self.partition),
            position: kept(&self.position),
            error: bounded(&self.error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_places_are_compared_and_no_words() {
        let at = |partition: Option<&str>, position: Option<&str>, error: &str| FailureRecord {
            step: Some("parse".to_owned()),
            source: Some("lines".to_owned()),
            partition: partition.map(str::to_owned),
            position: position.map(str::to_owned),
            ..FailureRecord::new(FailureKind::Record, error)
        };
        let one = at(Some("a.txt"), Some("line 6"), "no number");
        assert!(one.is_like(&at(Some("a.txt"), Some("line 6"), "in other words")));
        assert!(!one.is_like(&at(Some("a.txt"), Some("line 7"), "no number")));
        assert!(!one.is_like(&at(Some("b.txt"), Some("line 6"), "no number")));
        // A failure with an unknown position may be at the same place.
        assert!(one.is_like(&at(Some("a.txt"), None, "no number")));
        assert!(at(None, None, "").is_like(&one));
        let mut other = one.clone();
        other.kind = FailureKind::Panic;
        assert!(!one.is_like(&other));
        let mut other = one.clone();
        other.step = None;
        assert!(!one.is_like(&other));
        // Compared with itself as read from a store.
        let long = at(Some(&"x".repeat(10_000)), Some("line 6"), "no number");
        assert_ne!(long.bounded(), long);
        assert!(long.is_like(&long.bounded()) && long.bounded().is_like(&long));
    }
}
