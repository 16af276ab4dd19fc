//! What the store knows of a step: its id, its kind, and the schemas of its keys and states.

use crate::codec::CodecError;
use crate::codec::TokenRow;
use crate::key::{group, hash};
use crate::schema::Schema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What kind of rows a step has.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StepKind {
    /// A source: its rows are the resume tokens of its partitions.
    Source,
    /// A stateful step: its rows are the states of its keys. It may have a row for itself, whose
    /// key is [`OWN_KEY`](crate::OWN_KEY).
    State,
    /// A sink: its rows are the positions of its shards.
    Sink,
    /// A step that gives records a time. It has no rows: the times that it has seen are in the rows
    /// of the partitions.
    Time,
}

impl StepKind {
    /// The key group of the row with this key. All rows of sources and sinks are in group 0.
    #[must_use]
    pub fn group(self, key: &[u8]) -> u16 {
        match self {
            StepKind::State => group(hash(key)),
            StepKind::Source | StepKind::Sink | StepKind::Time => 0,
        }
    }

    /// What the rows of such a step hold, as a plural noun: `states`.
    #[must_use]
    pub fn keeps(self) -> &'static str {
        match self {
            StepKind::Source => "tokens",
            StepKind::State => "states",
            StepKind::Sink => "positions",
            StepKind::Time => "times",
        }
    }

    /// Splits the value of a row: returns the user's value, and for the row of a source's
    /// partition, whose token that is, also the row as a whole.
    ///
    /// # Errors
    ///
    /// Those of [`TokenRow::read`], for the row of a source.
    ///
    /// ```
    /// use flow_store::StepKind;
    ///
    /// assert_eq!(StepKind::State.split(&[7])?, (None, &[7][..]));
    /// let (row, token) = StepKind::Source.split(&[0xc3, 0x80, 7])?;
    /// assert!(row.unwrap().finished && token == [7]);
    /// assert!(StepKind::Source.split(&[7]).is_err());
    /// # Ok::<(), flow_store::CodecError>(())
    /// ```
    pub fn split(self, value: &[u8]) -> Result<(Option<TokenRow<'_>>, &[u8]), CodecError> {
        match self {
            StepKind::State | StepKind::Sink | StepKind::Time => Ok((None, value)),
            StepKind::Source => {
                let row = TokenRow::read(value)?;
                let token = row.token;
                Ok((Some(row), token))
            }
        }
    }
}

impl fmt::Display for StepKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StepKind::Source => "source",
            StepKind::State => "state",
            StepKind::Sink => "sink",
            StepKind::Time => "time",
        })
    }
}

/// A step of the flow that keeps rows in the store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StepSpec {
    /// Its id, unique in the flow.
    pub id: String,
    /// What kind of rows it has.
    pub kind: StepKind,
    /// The operator, such as `stateful_map` or `text_lines`; shown, not compared.
    pub operator: String,
    /// The type of its keys; shown, not compared.
    pub key_type: String,
    /// The type of its state; shown, not compared.
    pub state_type: String,
    /// The schemas of its keys and states.
    pub schemas: Schemas,
    /// The ids that it had before: rows under one of these become its own.
    pub renamed_from: Vec<String>,
    /// Its place in the flow's source, such as `src/main.rs:12:9`; for messages, not stored.
    pub place: String,
}

impl StepSpec {
    /// The step as the store will have it.
    pub(crate) fn stored(&self, number: u16) -> StoredStep {
        StoredStep {
            number,
            id: self.id.clone(),
            kind: self.kind,
            operator: self.operator.clone(),
            key_type: self.key_type.clone(),
            state_type: self.state_type.clone(),
            key_schema: self.schemas.key.clone(),
            state_schema: self.schemas.state.clone(),
        }
    }
}

/// The schemas of a step's keys and states, and of the types that it can convert.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Schemas {
    /// Its keys; `None` if they are not of a type of the user, so that they are not compared.
    pub key: Option<Schema>,
    /// Its states, tokens or positions; `None` if they are not to be compared.
    pub state: Option<Schema>,
    /// The key types that it can convert to its own.
    pub old_keys: Vec<Schema>,
    /// The state types that it can convert to its own.
    pub old_states: Vec<Schema>,
}

/// A step that the store has rows for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StoredStep {
    /// The number of its rows. It is never used for another step.
    pub number: u16,
    /// Its id at the last start.
    pub id: String,
    /// What kind of rows it has.
    pub kind: StepKind,
    /// The operator at the last start.
    pub operator: String,
    /// The type of its keys at the last start.
    pub key_type: String,
    /// The type of its state at the last start.
    pub state_type: String,
    /// The schema of its keys, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_schema: Option<Schema>,
    /// The schema of its states, tokens or positions, if it is known. It holds for all rows: when
    /// it changes, all of them are rewritten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_schema: Option<Schema>,
}
