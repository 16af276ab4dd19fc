//! Errors before a run: the flow does not match its store.

use flow_store::{StoreError, visible_on_a_line};

use super::{Chain, NotKept, SinkError, SourceError, TypeChange, help_of, with_help};

/// Why a flow could not resume from its store. The store has not been changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResumeError {
    /// The store can't be opened, or does not match the flow.
    Store(Box<StoreError>),
    /// A stored state can't be read any more.
    State {
        /// The step.
        step: String,
        /// The key, as text.
        key: String,
        /// The type of the state in the flow.
        state: String,
        /// The decoder's error.
        cause: String,
        /// How the type differs from the one that was stored.
        change: Box<TypeChange>,
    },
    /// A stored key can't be read any more, or its bytes have changed.
    Key {
        /// The step.
        step: String,
        /// The id of the step in the store.
        stored_id: String,
        /// The type of the key in the flow.
        key: String,
        /// What is wrong.
        cause: String,
    },
    /// Two stored keys are converted to the same one.
    KeysMeet {
        /// The step.
        step: String,
        /// One key, as text.
        first: String,
        /// The other one.
        second: String,
        /// The key that both become.
        key: String,
    },
    /// A step has open windows that were divided in another way.
    WindowsChanged {
        /// The step.
        step: String,
        /// Its id in the store.
        stored_id: String,
        /// The windows in the store.
        stored: String,
        /// The windows of the flow.
        now: String,
    },
    /// A conversion of keys did not give each stored key to exactly one worker.
    KeysScattered {
        /// The step.
        step: String,
        /// The number of stored states.
        all: u64,
        /// The number of states that all workers together took.
        kept: u64,
    },
    /// A token of a source or a position of a sink can't be read any more.
    Token {
        /// The source or sink.
        step: String,
        /// Whether it is a partition that the source no longer has.
        gone: bool,
        /// The partition or output.
        part: String,
        /// The type of the token or position in the flow.
        token: String,
        /// The decoder's error.
        cause: String,
        /// How the type differs from the one that was stored.
        change: Box<TypeChange>,
    },
    /// A value that the start would store can't be read back unchanged.
    NotKept {
        /// The step.
        step: String,
        /// The value that can't be kept, and why.
        #[source]
        error: Box<NotKept>,
    },
    /// Partitions are gone that had not been read to their end.
    PartitionGone {
        /// The source.
        step: String,
        /// The partitions.
        partitions: Vec<String>,
    },
    /// Something that was read under another name would be read again.
    PartitionRenamed {
        /// The source.
        step: String,
        /// The name that it had.
        old: String,
        /// The name that it has now.
        new: String,
    },
    /// `--rename-partition` gives a new name that the source does not list.
    RenamedToNothing {
        /// The source.
        step: String,
        /// The name that it had.
        old: String,
        /// The name that was given.
        new: String,
    },
    /// Two partitions would resume as one.
    PartitionsMeet {
        /// The source.
        step: String,
        /// The old name.
        old: String,
        /// The name that both would have.
        new: String,
    },
    /// Other files had the name of a partition between its old file and its present one, and have
    /// never been read.
    PartitionsMissed {
        /// The source.
        step: String,
        /// The name that it had.
        old: String,
        /// The name that it has now.
        new: String,
        /// The names of what was never read.
        missed: Vec<String>,
    },
    /// `--drop-partition` or `--rename-partition` names a partition that the store does not know.
    NoSuchPartition {
        /// The name that the user gave.
        partition: String,
        /// The partitions in the store.
        known: Vec<String>,
    },
    /// `--drop-partition` or `--rename-partition` names a partition that is still there.
    PartitionThere {
        /// The name that the user gave.
        partition: String,
    },
    /// `--skip-rest-of-line` names a partition that no source has.
    NoLineToSkip {
        /// The name that the user gave.
        partition: String,
        /// The partitions of all sources.
        known: Vec<String>,
    },
    /// A source can't resume at its token.
    Source {
        /// The source.
        step: String,
        /// Why.
        #[source]
        error: SourceError,
    },
    /// A sink can't resume at its position.
    Sink {
        /// The sink.
        step: String,
        /// The id of the sink in the store.
        stored_id: String,
        /// Why.
        #[source]
        error: SinkError,
    },
}

impl ResumeError {
    /// Says what is wrong, without advice.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            ResumeError::Store(error) => error.message(),
            ResumeError::State {
                step,
                key,
                state,
                cause,
                change,
            } => format!(
                "the state of step `{step}` for key {key} can't be read as `{state}`: \
                 {cause}{change}{}",
                change.notes(cause)
            ),
            ResumeError::Key {
                step, key, cause, ..
            } => {
                format!("a key of step `{step}` can't be read as `{key}`: {cause}")
            }
            ResumeError::KeysMeet {
                step,
                first,
                second,
                key,
            } => {
                format!("the keys {first} and {second} of step `{step}` would both become {key}")
            }
            ResumeError::WindowsChanged {
                step, stored, now, ..
            } => format!(
                "step `{step}` has open windows of {stored}, and the flow now has windows of {now}"
            ),
            ResumeError::KeysScattered { step, all, kept } => format!(
                "`.rekey_from` of step `{step}` did not convert each key in the same way on all \
                 workers: of {all} stored states {kept} would be kept"
            ),
            ResumeError::Token {
                step,
                part,
                token,
                cause,
                change,
                ..
            } => format!(
                "the position of `{step}` in `{}` can't be read as `{token}`: {cause}{change}{}",
                visible_on_a_line(part),
                change.notes(cause)
            ),
            ResumeError::NotKept { step, error } => format!("step `{step}`: {}", error.message()),
            ResumeError::PartitionGone { step, partitions } => format!(
                "source `{step}` had not finished {}, which {} gone",
                names(partitions),
                if partitions.len() == 1 { "is" } else { "are" }
            ),
            ResumeError::PartitionRenamed { step, old, new } => {
                let (old, new) = (visible_on_a_line(old), visible_on_a_line(new));
                format!(
                    "source `{step}` would read `{new}` from its beginning, and has read it \
                     already as `{old}`: it is the same, or begins with all that was read of that \
                     one"
                )
            }
            ResumeError::RenamedToNothing { step, old, new } => {
                let (old, new) = (visible_on_a_line(old), visible_on_a_line(new));
                format!("source `{step}` has no partition `{new}`, so `{old}` can't be that one")
            }
            ResumeError::PartitionsMeet { step, old, new } => {
                let (old, new) = (visible_on_a_line(old), visible_on_a_line(new));
                format!(
                    "source `{step}` would resume as `{new}` with what it read as `{old}`, and has \
                     read another partition under that name"
                )
            }
            ResumeError::PartitionsMissed {
                step,
                old,
                new,
                missed,
            } => {
                let (old, new) = (visible_on_a_line(old), visible_on_a_line(new));
                format!(
                    "source `{step}` read `{old}` as what is `{new}` now, and never {}, which came \
                     after it under the same name",
                    names(missed)
                )
            }
            ResumeError::NoSuchPartition { partition, known } => format!(
                "no source has read a partition `{}`, so there is nothing to drop or rename; \
                 there {}",
                visible_on_a_line(partition),
                known_partitions(known)
            ),
            ResumeError::PartitionThere { partition } => format!(
                "partition `{}` is there and is what it was, so there is nothing to drop or \
                 rename: only one that is gone or was replaced can be",
                visible_on_a_line(partition)
            ),
            ResumeError::NoLineToSkip { partition, known } => format!(
                "no source has a partition `{}`, so no line of it can be skipped; there {}",
                visible_on_a_line(partition),
                known_partitions(known)
            ),
            ResumeError::Source { step, error } => {
                format!(
                    "source `{step}` can't resume where it stopped: {}",
                    Chain(error)
                )
            }
            ResumeError::Sink { step, error, .. } => {
                format!(
                    "sink `{step}` can't resume where it stopped: {}",
                    Chain(error)
                )
            }
        }
    }

    /// Advice on what to do about it, if there is any. Each line is one piece of advice.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        Some(match self {
            ResumeError::Store(error) => return error.help(),
            ResumeError::State { cause, change, .. } => {
                change.ways_out(cause, change.conversion(), "give it up")
            }
            ResumeError::Key { stored_id, .. } => format!(
                "other key bytes are another key, so all its state would be out of reach: convert \
                 each key with `.rekey_from::<Old>(..)`, give the state up with `--drop-state \
                 {stored_id}`, or bring the key type back"
            ),
            ResumeError::KeysMeet { .. } => {
                "states can't be put together: make `.rekey_from` give each key one of its own"
                    .to_owned()
            }
            ResumeError::WindowsChanged { stored_id, .. } => format!(
                "go back to the windows that are stored, or give up the open windows with \
                 `--drop-state {stored_id}`"
            ),
            ResumeError::KeysScattered { .. } => {
                "a key may depend on nothing but the old one: no random numbers, no clock, no \
                 hasher with a seed of its own"
                    .to_owned()
            }
            ResumeError::Token {
                gone,
                part,
                cause,
                change,
                ..
            } => {
                let part = visible_on_a_line(part);
                let first = match gone {
                    true => format!("it is gone: give it up with `--drop-partition {part}`, "),
                    false => String::new(),
                };
                change.ways_out(cause, &first, "start that step anew")
            }
            ResumeError::NotKept { error, .. } => return error.help(),
            ResumeError::PartitionGone { partitions, .. } => format!(
                "bring {} back; if a file was moved, name it as an input where it is now, and say \
                 so with `--rename-partition {}=NEW`; or agree to leave the rest unread with {}",
                it_or_them(partitions),
                partitions.first().map_or("OLD", String::as_str),
                drop_flags(partitions)
            ),
            ResumeError::PartitionRenamed { old, new, .. } => {
                let (old, new) = (visible_on_a_line(old), visible_on_a_line(new));
                format!(
                    "resume in it with `--rename-partition {old}={new}`; or agree to read it again \
                     with `--drop-partition {old}`"
                )
            }
            ResumeError::RenamedToNothing { .. } => "name it as an input too".to_owned(),
            ResumeError::PartitionsMeet { .. } => {
                "one of them has to be given up with `--drop-partition`, or renamed as well"
                    .to_owned()
            }
            ResumeError::PartitionsMissed { missed, .. } => {
                let them = it_or_them(missed);
                let flags = drop_flags(missed);
                format!("name {them} as an input too, or leave {them} unread with {flags}")
            }
            ResumeError::Source { error, .. } => return help_of(error),
            // An error with a cause has better advice.
            ResumeError::Sink { error, .. } if std::error::Error::source(error).is_some() => {
                return help_of(error);
            }
            ResumeError::Sink { stored_id, .. } => format!(
                "bring the output back as it was, or begin it anew with `--drop-state {stored_id}`"
            ),
            ResumeError::NoSuchPartition { .. }
            | ResumeError::PartitionThere { .. }
            | ResumeError::NoLineToSkip { .. } => return None,
        })
    }

    /// The kind of error, as a word for logs and metrics.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            ResumeError::Store(_) => "store",
            ResumeError::State { .. } => "state",
            ResumeError::Key { .. } => "key",
            ResumeError::KeysMeet { .. } => "keys-meet",
            ResumeError::KeysScattered { .. } => "keys-scattered",
            ResumeError::WindowsChanged { .. } => "windows-changed",
            ResumeError::Token { .. } => "token",
            ResumeError::NotKept { .. } => "not-kept",
            ResumeError::PartitionGone { .. } => "partition-gone",
            ResumeError::PartitionRenamed { .. } => "partition-renamed",
            ResumeError::RenamedToNothing { .. } => "renamed-to-nothing",
            ResumeError::PartitionsMeet { .. } => "partitions-meet",
            ResumeError::PartitionsMissed { .. } => "partitions-missed",
            ResumeError::NoSuchPartition { .. } => "no-such-partition",
            ResumeError::PartitionThere { .. } => "partition-there",
            ResumeError::NoLineToSkip { .. } => "no-line-to-skip",
            ResumeError::Source { .. } => "source",
            ResumeError::Sink { .. } => "sink",
        }
    }

    /// The id of the step that failed, if the error is about a step.
    #[must_use]
    pub fn step(&self) -> Option<&str> {
        match self {
            ResumeError::State { step, .. }
            | ResumeError::Key { step, .. }
            | ResumeError::KeysMeet { step, .. }
            | ResumeError::KeysScattered { step, .. }
            | ResumeError::WindowsChanged { step, .. }
            | ResumeError::Token { step, .. }
            | ResumeError::NotKept { step, .. }
            | ResumeError::PartitionGone { step, .. }
            | ResumeError::PartitionRenamed { step, .. }
            | ResumeError::RenamedToNothing { step, .. }
            | ResumeError::PartitionsMeet { step, .. }
            | ResumeError::PartitionsMissed { step, .. }
            | ResumeError::Source { step, .. }
            | ResumeError::Sink { step, .. } => Some(step),
            ResumeError::Store(_)
            | ResumeError::NoSuchPartition { .. }
            | ResumeError::PartitionThere { .. }
            | ResumeError::NoLineToSkip { .. } => None,
        }
    }

    /// The partition, if the error is about one. Of several partitions, the first; of two names,
    /// the old one.
    #[must_use]
    pub fn partition(&self) -> Option<&str> {
        match self {
            ResumeError::PartitionGone { partitions, .. } => partitions.first().map(String::as_str),
            ResumeError::PartitionRenamed { old, .. }
            | ResumeError::RenamedToNothing { old, .. }
            | ResumeError::PartitionsMeet { old, .. }
            | ResumeError::PartitionsMissed { old, .. } => Some(old),
            ResumeError::Token {
                part: partition, ..
            }
            | ResumeError::NoSuchPartition { partition, .. }
            | ResumeError::PartitionThere { partition }
            | ResumeError::NoLineToSkip { partition, .. } => Some(partition),
            _ => None,
        }
    }
}

with_help!(ResumeError);

fn it_or_them(partitions: &[String]) -> &'static str {
    match partitions {
        [_] => "it",
        _ => "them",
    }
}

impl From<StoreError> for ResumeError {
    fn from(error: StoreError) -> Self {
        ResumeError::Store(Box::new(error))
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
