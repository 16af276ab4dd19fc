//! The steps of the flow and those of the store do not match.

use crate::schema::{self, Difference, Schema};
use crate::step::{StepKind, StoredStep};
use std::path::PathBuf;

/// Why the flow can't resume with the steps of the store. The store is unchanged.
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
        /// Its place in the flow's source.
        places: [String; 2],
    },
    /// The store has steps that the flow does not have.
    #[error(
        "the store in {} has {} that the flow does not have: {}{}",
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
        /// Steps that are not in the store, each with a former id that is not there either.
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
        /// Its place in the flow's source.
        place: String,
    },
    /// The keys of a step are of another type than they were.
    #[error(
        "the key of step `{}` ({}) is not what it was in the store in {}:{}{}",
        .0.id, .0.place, .0.directory.display(), schema::list(&.0.differences),
        .0.note(".rekey_from")
    )]
    KeyChanged(Box<AnotherType>),
    /// The values of a step are of another type than they were, and the new type can't read them
    /// faithfully.
    #[error(
        "the {} of step `{}` ({}) are of another type than in the store in {}:{}{}",
        .0.kind.keeps(), .0.id, .0.place, .0.directory.display(), schema::list(&.0.differences),
        .0.note(".migrate_from")
    )]
    StateChanged(Box<AnotherType>),
    /// The step to drop is not in the store.
    #[error(
        "there is no step `{id}` to drop in the store in {}: it has {}",
        .directory.display(), list(.stored)
    )]
    NoSuchStep {
        /// The directory.
        directory: PathBuf,
        /// The id that was given.
        id: String,
        /// The steps of the store.
        stored: Vec<StoredStep>,
    },
    /// A renamed step would get the rows of two stored steps.
    #[error(
        "{place}: the store in {} has both `{}` and `{}`, and step `{id}` can resume with one only",
        .directory.display(), .stored[0], .stored[1]
    )]
    RenameOfTwo {
        /// The directory.
        directory: PathBuf,
        /// The step in the flow.
        id: String,
        /// The ids in the store.
        stored: [String; 2],
        /// Its place in the flow's source.
        place: String,
    },
    /// A step was renamed from an id that another step of the flow still has.
    #[error(
        "{place}: step `{id}` says that it was `{old}`, and the flow still has a step `{old}`: \
         it is unclear which of them the rows in {} belong to",
        .directory.display()
    )]
    RenameInUse {
        /// The directory.
        directory: PathBuf,
        /// The step that was renamed.
        id: String,
        /// The id that is still in use.
        old: String,
        /// Its place in the flow's source.
        place: String,
    },
    /// Two steps were renamed from the same id.
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
        /// Their places in the flow's source.
        places: Box<[String; 2]>,
    },
    /// No number is left for a new step.
    #[error("the store in {directory} has used all of its 65,536 step numbers")]
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
                    true => " (a source then reads its input from the start)",
                    false => "",
                };
                format!(
                    "if a step was renamed, say `.renamed_from(\"{first}\")` where it is now; to \
                     give up the rows{but}, start with `{}`",
                    drop_flags(steps)
                )
            }
            StepsError::KindChanged { stored_id, .. } => format!(
                "give it another name with `.named(…)`, or start with `--drop-state {stored_id}`"
            ),
            StepsError::KeyChanged(another) => format!(
                "other keys have other bytes, so what is stored would be out of reach. Convert \
                 each key with `.rekey_from::<Old>(..)`, give up the rows with `--drop-state {}`, \
                 or go back to the key that is stored: {}",
                another.stored_id, another.stored
            ),
            StepsError::StateChanged(another) => format!(
                "{}give up what is stored with `--drop-state {}`, or go back to the type that is \
                 stored: {}",
                match another.kind {
                    StepKind::State => "convert them with `.migrate_from::<Old>(..)`, ",
                    StepKind::Source | StepKind::Sink | StepKind::Time => "",
                },
                another.stored_id,
                another.stored
            ),
            StepsError::NoSuchStep { .. } => return None,
            StepsError::RenameOfTwo { .. } => {
                "start with `--drop-state` for the one whose rows you give up".to_owned()
            }
            StepsError::RenameInUse { old, .. } => {
                format!("remove `.renamed_from(\"{old}\")`, or give the other step another name")
            }
            StepsError::RenamedTwice { old, .. } => {
                format!("remove one `.renamed_from(\"{old}\")`")
            }
            StepsError::TooManySteps { .. } => "start with a new directory".to_owned(),
        })
    }
}

/// A type of a step that differs from the one in the store.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct AnotherType {
    /// The directory of the store.
    pub directory: PathBuf,
    /// The id of the step.
    pub id: String,
    /// Its place in the flow's source.
    pub place: String,
    /// What the step keeps.
    pub kind: StepKind,
    /// Its id in the store.
    pub stored_id: String,
    /// The type in the store.
    pub stored: Schema,
    /// The differences between the stored type and the flow's.
    pub differences: Vec<Difference>,
    /// The types that the flow can convert.
    pub converted_from: Vec<Schema>,
}

impl AnotherType {
    /// Says that there is a conversion, but of another type.
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

/// At most three are shown: this is a hint at a misspelled id, and more are hardly misspelled.
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
