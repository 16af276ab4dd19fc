//! Before a run: the flow and its store do not fit.

use flow_store::{StoreError, visible_on_a_line};

use super::{Chain, NotKept, SinkError, SourceError, TypeChange};

/// Why a flow was not started from its store. The store has not been changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResumeError {
    /// The store itself refused.
    #[error(transparent)]
    Store(Box<StoreError>),
    /// A stored state no longer decodes.
    #[error(
        "the state of step `{step}` for key {key} can't be read as `{state}`: {cause}{change}{}{}",
        .change.hints(.cause),
        .change.ways_out(.cause, .change.conversion(), "give it up")
    )]
    State {
        /// The step.
        step: String,
        /// The key, as text.
        key: String,
        /// The type that the flow now has.
        state: String,
        /// What the decoder says.
        cause: String,
        /// How the type differs from the one that was stored.
        change: Box<TypeChange>,
    },
    /// A stored key no longer decodes, or has other bytes than it had.
    #[error(
        "a key of step `{step}` can't be read as `{key}`: {cause}\nhelp: other key bytes are another key, so all its state would be out of reach: convert each key with `.rekey_from::<Old>(..)`, give the state up with `--drop-state {stored_id}`, or bring the key type back"
    )]
    Key {
        /// The step.
        step: String,
        /// Its id in the store.
        stored_id: String,
        /// The key type that the flow now has.
        key: String,
        /// What is wrong.
        cause: String,
    },
    /// Two stored keys are converted to the same one.
    #[error(
        "the keys {first} and {second} of step `{step}` would both become {key}\nhelp: states can't be put together: make `.rekey_from` give each key one of its own"
    )]
    KeysMeet {
        /// The step.
        step: String,
        /// One key, as text.
        first: String,
        /// The other one.
        second: String,
        /// What both become.
        key: String,
    },
    /// A conversion of keys did not give each stored key to one worker.
    #[error(
        "`.rekey_from` of step `{step}` did not convert each key in the same way on all workers: of {all} stored states {kept} would be kept\nhelp: a key may depend on nothing but the old one: no random numbers, no clock, no hasher with a seed of its own"
    )]
    KeysScattered {
        /// The step.
        step: String,
        /// How many states are stored.
        all: u64,
        /// How many the workers took, together.
        kept: u64,
    },
    /// A resume token or a sink's position no longer decodes.
    #[error(
        "where `{step}` stood in `{part}` can't be read as `{token}`: {cause}{change}{}{}",
        .change.hints(.cause),
        .change.ways_out(
            .cause,
            &if *.gone { format!("it is gone: give it up with `--drop-partition {part}`, ") } else { String::new() },
            "start that step anew",
        ), part = visible_on_a_line(.part)
    )]
    Token {
        /// The source or sink.
        step: String,
        /// Whether it is a partition that the source has no more.
        gone: bool,
        /// The partition or output.
        part: String,
        /// The type that the flow now has.
        token: String,
        /// What the decoder says.
        cause: String,
        /// How the type differs from the one that was stored.
        change: Box<TypeChange>,
    },
    /// What the start would store could not be read back as what it is.
    #[error("step `{step}`: {error}")]
    NotKept {
        /// The step.
        step: String,
        /// What could not be kept, and why.
        #[source]
        error: Box<NotKept>,
    },
    /// Partitions that had not been read to their end are gone.
    #[error(
        "source `{step}` had not finished {}, which {} gone\nhelp: bring {} back; if a file was moved, name it as an input where it is now, and say so with `--rename-partition {}=NEW`; or agree to leave the rest unread with {}",
        names(partitions), if partitions.len() == 1 { "is" } else { "are" },
        if partitions.len() == 1 { "it" } else { "them" },
        partitions.first().map_or("OLD", String::as_str),
        drop_flags(partitions)
    )]
    PartitionGone {
        /// The source.
        step: String,
        /// The partitions.
        partitions: Vec<String>,
    },
    /// What was read under another name would be read again.
    #[error(
        "source `{step}` would read `{new}` from its beginning, and has read it already as `{old}`: it is the same, or begins with all that was read of that one\nhelp: go on in it with `--rename-partition {old}={new}`; or agree to read it again with `--drop-partition {old}`", old = visible_on_a_line(.old), new = visible_on_a_line(.new)
    )]
    PartitionRenamed {
        /// The source.
        step: String,
        /// The name that it had.
        old: String,
        /// The name that it has now.
        new: String,
    },
    /// `--rename-partition` names a new partition that the source does not have.
    #[error(
        "source `{step}` has no partition `{new}`, so `{old}` can't be that one\nhelp: name it as an input too", old = visible_on_a_line(.old), new = visible_on_a_line(.new)
    )]
    RenamedToNothing {
        /// The source.
        step: String,
        /// The name that it had.
        old: String,
        /// The name that was given.
        new: String,
    },
    /// Two partitions would go on as one.
    #[error(
        "source `{step}` would go on as `{new}` with what it read as `{old}`, and has read another partition under that name\nhelp: one of them has to be given up with `--drop-partition`, or renamed as well", old = visible_on_a_line(.old), new = visible_on_a_line(.new)
    )]
    PartitionsMeet {
        /// The source.
        step: String,
        /// The name that it had.
        old: String,
        /// The name that both would have.
        new: String,
    },
    /// Between what a partition was and what has its name now there was more, which nobody has read.
    #[error(
        "source `{step}` read `{old}` as what is `{new}` now, and never {}, which came after it under the same name\nhelp: name {} as an input too, or leave {} unread with {}",
        names(missed), if missed.len() == 1 { "it" } else { "them" }, if missed.len() == 1 { "it" } else { "them" },
        drop_flags(missed), old = visible_on_a_line(.old), new = visible_on_a_line(.new)
    )]
    PartitionsMissed {
        /// The source.
        step: String,
        /// The name that it had.
        old: String,
        /// The name that it has now.
        new: String,
        /// What was never read.
        missed: Vec<String>,
    },
    /// `--drop-partition` or `--rename-partition` names a partition that the store does not know.
    #[error(
        "no source has read a partition `{partition}`, so there is nothing to drop or rename; there {}",
        known_partitions(known), partition = visible_on_a_line(.partition)
    )]
    NoSuchPartition {
        /// The name that was given.
        partition: String,
        /// What the store has.
        known: Vec<String>,
    },
    /// `--drop-partition` or `--rename-partition` names a partition that is there.
    #[error(
        "partition `{partition}` is there and is what it was, so there is nothing to drop or rename: only one that is gone or was replaced can be", partition = visible_on_a_line(.partition)
    )]
    PartitionThere {
        /// The name that was given.
        partition: String,
    },
    /// `--skip-rest-of-line` names a partition that no source has.
    #[error(
        "no source has a partition `{partition}`, so no line of it can be skipped; there {}",
        known_partitions(known), partition = visible_on_a_line(.partition)
    )]
    NoLineToSkip {
        /// The name that was given.
        partition: String,
        /// The partitions that there are.
        known: Vec<String>,
    },
    /// A source can't go on at its token.
    #[error("source `{step}` can't go on where it was: {}", Chain(.error))]
    Source {
        /// The source.
        step: String,
        /// Why.
        #[source]
        error: SourceError,
    },
    /// A sink can't go on at its position.
    #[error(
        "sink `{step}` can't go on where it was: {}{}", Chain(.error), begin_anew(.error, .stored_id)
    )]
    Sink {
        /// The sink.
        step: String,
        /// Its id in the store.
        stored_id: String,
        /// Why.
        #[source]
        error: SinkError,
    },
}

impl From<StoreError> for ResumeError {
    fn from(error: StoreError) -> Self {
        ResumeError::Store(Box::new(error))
    }
}

/// What can be done about an output that is not what it was; where the system refused, it is no help to give it up.
fn begin_anew(error: &SinkError, stored_id: &str) -> String {
    match std::error::Error::source(error) {
        Some(_) => String::new(),
        None => format!(
            "\nhelp: bring the output back as it was, or begin it anew with `--drop-state {stored_id}`"
        ),
    }
}

fn names(names: &[String]) -> String {
    let quoted: Vec<String> = names
        .iter()
        .map(|name| format!("`{}`", visible_on_a_line(name)))
        .collect();
    quoted.join(", ")
}

fn drop_flags(partitions: &[String]) -> String {
    let flags: Vec<String> = partitions
        .iter()
        .map(|name| format!("`--drop-partition {}`", visible_on_a_line(name)))
        .collect();
    flags.join(" ")
}

fn known_partitions(known: &[String]) -> String {
    if known.is_empty() {
        "are none".to_owned()
    } else {
        format!("are {}", names(known))
    }
}
