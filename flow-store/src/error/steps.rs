//! The steps of the flow and those of the store do not fit.

use crate::schema::{self, Difference, Schema};
use crate::step::{StepKind, StoredStep};
use std::path::PathBuf;

/// Why the flow can't go on with the steps of the store. The store is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StepsError {
    /// Two steps of the flow have one id.
    #[error("the flow has two steps `{id}`, at {} and at {}", .places[0], .places[1])]
    SameId {
        /// The directory of the store.
        directory: PathBuf,
        /// The id.
        id: String,
        /// Where the flow says it.
        places: [String; 2],
    },
    /// The store has steps that the flow has not.
    #[error(
        "the store in {} has {} that the flow has not: {}{}",
        .directory.display(),
        if .steps.len() == 1 { "a step" } else { "steps" },
        list(.steps),
        list_unused(.unused)
    )]
    UnknownSteps {
        /// The directory.
        directory: PathBuf,
        /// The steps.
        steps: Vec<StoredStep>,
        /// Steps that are not in the store, each with an id that the flow says it had before and
        /// that is not there either.
        unused: Vec<(String, String)>,
    },
    /// A step is of another kind than it was.
    #[error(
        "{place}: step `{id}` is a {flow} step, and the store in {} has {} as a {stored} step",
        .directory.display(),
        if .id == .stored_id { "it".to_owned() } else { format!("`{}`, its old name,", .stored_id) }
    )]
    KindChanged {
        /// The directory.
        directory: PathBuf,
        /// The id of the step in the flow.
        id: String,
        /// Its id in the store.
        stored_id: String,
        /// What it is in the store.
        stored: StepKind,
        /// What it is in the flow.
        flow: StepKind,
        /// Where the flow says it.
        place: String,
    },
    /// The keys of a step are of another type than they were.
    #[error(
        "the key of step `{}` ({}) is not what it was in the store in {}:{}{}",
        .0.id, .0.place, .0.directory.display(), schema::list(&.0.differences),
        .0.note(".rekey_from")
    )]
    KeyChanged(Box<AnotherType>),
    /// What a step keeps is of another type than it was, and serde could at best take it for
    /// something else.
    #[error(
        "the {} of step `{}` ({}) are of another type than in the store in {}:{}{}",
        .0.kind.keeps(), .0.id, .0.place, .0.directory.display(), schema::list(&.0.differences),
        .0.note(".migrate_from")
    )]
    StateChanged(Box<AnotherType>),
    /// A step that was to be dropped is not in the store.
    #[error(
        "there is no step `{id}` to drop in the store in {}: it has {}",
        .directory.display(), list(.stored)
    )]
    NoSuchStep {
        /// The directory.
        directory: PathBuf,
        /// The id that was given.
        id: String,
        /// The steps there are.
        stored: Vec<StoredStep>,
    },
    /// A renamed step would have the rows of two stored steps.
    #[error(
        "{place}: the store in {} has both `{}` and `{}`, and step `{id}` can go on with one only",
        .directory.display(), .stored[0], .stored[1]
    )]
    RenameOfTwo {
        /// The directory.
        directory: PathBuf,
        /// The step in the flow.
        id: String,
        /// The ids in the store.
        stored: [String; 2],
        /// Where the flow says it.
        place: String,
    },
    /// A step says that it was renamed from a step that the flow still has.
    #[error(
        "{place}: step `{id}` says that it was `{old}`, and the flow still has a step `{old}`, \
         which the rows in {} could as well be for",
        .directory.display()
    )]
    RenameInUse {
        /// The directory.
        directory: PathBuf,
        /// The step that was renamed.
        id: String,
        /// The id that is still in use.
        old: String,
        /// Where the flow says it.
        place: String,
    },
    /// Two steps say that they were renamed from the same one.
    #[error(
        "steps `{}` ({}) and `{}` ({}) both say that they were `{old}`, and the rows in {} can go \
         to one only",
        .ids[0], .places[0], .ids[1], .places[1], .directory.display()
    )]
    RenamedTwice {
        /// The directory.
        directory: PathBuf,
        /// The id in the store.
        old: String,
        /// The steps in the flow.
        ids: Box<[String; 2]>,
        /// Where the flow says them.
        places: Box<[String; 2]>,
    },
    /// No number is left for a new step.
    #[error(
        "the store in {directory} has given all its 65,536 step numbers away, and none is used \
         twice"
    )]
    TooManySteps {
        /// The directory.
        directory: PathBuf,
    },
}

impl StepsError {
    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        Some(match self {
            StepsError::SameId { .. } => "give one another name with `.named(…)`".to_owned(),
            StepsError::UnknownSteps { steps, .. } => {
                let first = steps.first().map_or("", |step| &step.id);
                let is_source = |step: &StoredStep| step.kind == StepKind::Source;
                let but = match steps.iter().any(is_source) {
                    true => " (of a source that is where it stood: its input would be read again)",
                    false => "",
                };
                format!(
                    "if a step was renamed, say `.renamed_from(\"{first}\")` where it is now; if \
                     what it held may go{but}, start with `{}`",
                    drop_flags(steps)
                )
            }
            StepsError::KindChanged { stored_id, .. } => format!(
                "give it another name with `.named(…)`, or start with `--drop-state {stored_id}`"
            ),
            StepsError::KeyChanged(another) => format!(
                "other keys have other bytes, so what is stored would be out of reach. Convert \
                 each key with `.rekey_from::<Old>(..)`, give the rows up with `--drop-state {}`, \
                 or go back to the key that is stored: {}",
                another.stored_id, another.stored
            ),
            StepsError::StateChanged(another) => format!(
                "{}give what is stored up with `--drop-state {}`, or go back to the type that is \
                 stored: {}",
                match another.kind {
                    StepKind::State => "convert them with `.migrate_from::<Old>(..)`, ",
                    StepKind::Source | StepKind::Sink => "",
                },
                another.stored_id,
                another.stored
            ),
            StepsError::NoSuchStep { .. } => return None,
            StepsError::RenameOfTwo { .. } => {
                "start with `--drop-state` for the one whose rows may go".to_owned()
            }
            StepsError::RenameInUse { old, .. } => {
                format!("take `.renamed_from(\"{old}\")` away, or give the other step another name")
            }
            StepsError::RenamedTwice { old, .. } => {
                format!("take one `.renamed_from(\"{old}\")` away")
            }
            StepsError::TooManySteps { .. } => "start with a new directory".to_owned(),
        })
    }
}

/// A type that is not what it was in the store.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct AnotherType {
    /// The directory of the store.
    pub directory: PathBuf,
    /// The id of the step.
    pub id: String,
    /// Where the flow says it.
    pub place: String,
    /// What the step keeps.
    pub kind: StepKind,
    /// Its id in the store.
    pub stored_id: String,
    /// The type in the store.
    pub stored: Schema,
    /// What is not as it was.
    pub differences: Vec<Difference>,
    /// The types that the flow could convert.
    pub converted_from: Vec<Schema>,
}

impl AnotherType {
    /// That there is a conversion, of another type.
    fn note(&self, method: &str) -> String {
        match self.converted_from.as_slice() {
            [] => String::new(),
            types => format!(
                "\nnote: `{method}` reads {}, which is not what is stored",
                either(types)
            ),
        }
    }
}

fn either(schemas: &[Schema]) -> String {
    let texts: Vec<String> = schemas.iter().map(ToString::to_string).collect();
    texts.join(" or ")
}

/// Steps as messages name them.
pub(super) fn list(steps: &[StoredStep]) -> String {
    if steps.is_empty() {
        return "no steps".to_owned();
    }
    let one = |step: &StoredStep| format!("`{}` ({}, {})", step.id, step.kind, step.operator);
    steps.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Of those that are shown: more are no typing errors.
fn list_unused(unused: &[(String, String)]) -> String {
    let one = |(id, old): &(String, String)| {
        format!("; `{id}` was `{old}` before, the flow says, and the store has no `{old}`")
    };
    unused.iter().take(3).map(one).collect()
}

fn drop_flags(steps: &[StoredStep]) -> String {
    let one = |step: &StoredStep| format!("--drop-state {}", step.id);
    steps.iter().map(one).collect::<Vec<_>>().join(" ")
}
