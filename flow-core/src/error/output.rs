//! A file that would be used for two things.

use std::path::PathBuf;

use crate::graph::Place;

/// A sink would write a file that the flow reads.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "sink `{sink}` ({place}) would write to {output}, which source `{source_step}` ({source_place}) reads{}\nhelp: {}",
    if *.output == .input.display().to_string() { String::new() } else { format!(" as {}: they are one file", .input.display()) },
    self.help()
)]
#[non_exhaustive]
pub struct OutputIsInput {
    /// The sink.
    pub sink: String,
    /// Where the sink was made.
    pub place: Place,
    /// What it would write to.
    pub output: String,
    /// The source.
    pub source_step: String,
    /// Where the source was made.
    pub source_place: Place,
    /// The path that the source reads.
    pub input: PathBuf,
}

impl OutputIsInput {
    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> String {
        "name another file: `.overwrite()` would empty the input, and `.append()` would have the flow read its own results"
            .to_owned()
    }

    /// The id of the step that it is about.
    #[must_use]
    pub fn step(&self) -> &str {
        &self.sink
    }
}

/// A sink would write into the directory of the store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "sink `{sink}` ({place}) would write to {}, which is in the recovery directory {}\nhelp: {}",
    .output.display(), .store.display(), self.help()
)]
#[non_exhaustive]
pub struct OutputInStore {
    /// The sink.
    pub sink: String,
    /// Where the sink was made.
    pub place: Place,
    /// What it would write to.
    pub output: PathBuf,
    /// The directory of the store.
    pub store: PathBuf,
}

impl OutputInStore {
    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> String {
        "give the store a directory of its own: it is backed up, replaced and removed as a whole"
            .to_owned()
    }

    /// The id of the step that it is about.
    #[must_use]
    pub fn step(&self) -> &str {
        &self.sink
    }
}

/// A source would read a file of the store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "source `{source_step}` ({place}) would read {}, which is a file of the store in {}\nhelp: {}",
    .input.display(), .store.display(), self.help()
)]
#[non_exhaustive]
pub struct InputIsStore {
    /// The source.
    pub source_step: String,
    /// Where the source was made.
    pub place: Place,
    /// The path that it would read.
    pub input: PathBuf,
    /// The directory of the store.
    pub store: PathBuf,
}

impl InputIsStore {
    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> String {
        "leave the files of the store out of the inputs, and give it a directory of its own"
            .to_owned()
    }

    /// The id of the step that it is about.
    #[must_use]
    pub fn step(&self) -> &str {
        &self.source_step
    }
}
