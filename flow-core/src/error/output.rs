//! Files that sinks can't write: they are used twice, or are not what they were.

use std::path::{Path, PathBuf};

use super::{Place, with_help};

/// A sink would write a file that the flow reads.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
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

with_help!(OutputIsInput);

impl OutputIsInput {
    /// Says what is wrong, without advice.
    #[must_use]
    pub fn message(&self) -> String {
        let OutputIsInput {
            sink,
            place,
            output,
            source_step: source,
            source_place,
            input,
        } = self;
        let input = input.display().to_string();
        let alias = match *output == input {
            true => String::new(),
            false => format!(" as {input}: they are one file"),
        };
        format!(
            "sink `{sink}` ({place}) would write to {output}, which source `{source}` \
             ({source_place}) reads{alias}"
        )
    }

    /// Advice on what to do about it.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        let help = "name another file: `.overwrite()` would empty the input, and `.append()` would \
                    have the flow read its own results";
        Some(help.to_owned())
    }

    /// The id of the step.
    #[must_use]
    pub fn step(&self) -> &str {
        &self.sink
    }
}

/// A sink would write into the directory of the store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
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

with_help!(OutputInStore);

impl OutputInStore {
    /// Says what is wrong, without advice.
    #[must_use]
    pub fn message(&self) -> String {
        format!(
            "sink `{}` ({}) would write to {}, which is in the recovery directory {}",
            self.sink,
            self.place,
            self.output.display(),
            self.store.display()
        )
    }

    /// Advice on what to do about it.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        let help = "give the store a directory of its own: it is backed up, replaced and removed \
                    as a whole";
        Some(help.to_owned())
    }

    /// The id of the step.
    #[must_use]
    pub fn step(&self) -> &str {
        &self.sink
    }
}

/// A source would read a file of the store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
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

with_help!(InputIsStore);

impl InputIsStore {
    /// Says what is wrong, without advice.
    #[must_use]
    pub fn message(&self) -> String {
        format!(
            "source `{}` ({}) would read {}, which is a file of the store in {}",
            self.source_step,
            self.place,
            self.input.display(),
            self.store.display()
        )
    }

    /// Advice on what to do about it.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        let help =
            "leave the files of the store out of the inputs, and give it a directory of its own";
        Some(help.to_owned())
    }

    /// The id of the step.
    #[must_use]
    pub fn step(&self) -> &str {
        &self.source_step
    }
}

/// A problem with a file that a sink writes.
///
/// It is the [source](std::error::Error::source) of the [`SinkError`](super::SinkError) that ends
/// the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputError {
    step: String,
    path: PathBuf,
    problem: OutputProblem,
}

/// What is wrong with a file that a sink writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutputProblem {
    /// It was removed while the flow wrote to it.
    Removed,
    /// It was moved away while the flow wrote to it.
    Moved,
    /// Another file was put in its place while the flow wrote to it.
    Replaced,
    /// Someone else cut it short while the flow wrote to it.
    CutShort {
        /// The length that it has, in bytes.
        there: u64,
        /// The length that the flow had written, in bytes.
        written: u64,
    },
    /// Someone else wrote to it or cut it short while the flow wrote to it.
    Changed {
        /// The length that it has, in bytes.
        there: u64,
        /// The length that the flow had written, in bytes.
        written: u64,
    },
    /// It has more than the committed output, although the last run ended cleanly.
    ForeignTail {
        /// The committed length, in bytes.
        bytes: u64,
        /// The number of bytes behind it.
        behind: u64,
    },
    /// The last run failed because someone else wrote to an output of the flow. This output has
    /// more than is committed, which may be theirs.
    MixedTail {
        /// The committed length, in bytes.
        bytes: u64,
        /// The number of bytes behind it, of the run or of others.
        behind: u64,
    },
}

impl OutputError {
    pub(crate) fn new(step: &str, path: &Path, problem: OutputProblem) -> Self {
        OutputError {
            step: step.to_owned(),
            path: path.to_path_buf(),
            problem,
        }
    }

    /// The id of the sink.
    #[must_use]
    pub fn step(&self) -> &str {
        &self.step
    }

    /// The file, as the flow names it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is wrong with it.
    #[must_use]
    pub fn problem(&self) -> OutputProblem {
        self.problem
    }

    /// Advice on what to do about it.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        let (step, path) = (&self.step, self.path.display());
        Some(match self.problem {
            OutputProblem::Removed => format!(
                "put a copy of {path} back before the next run, which cuts it to what is \
                 committed; without one, the results in it can only be made again, with a new store"
            ),
            OutputProblem::Moved | OutputProblem::Replaced => format!(
                "move the file back to {path} before the next run, which cuts it to what is \
                 committed; to rotate an output, stop the flow, move the file, and begin a new one \
                 with `--drop-state {step}`"
            ),
            OutputProblem::Changed { there, written } if there > written => format!(
                "{path} must be written by one flow only. The next start is refused, and says how \
                 to resume"
            ),
            OutputProblem::CutShort { .. } | OutputProblem::Changed { .. } => format!(
                "{path} must be written by one flow only; put it back as it was before the next run"
            ),
            OutputProblem::ForeignTail { bytes, .. } => format!(
                "if others wrote them, keep them elsewhere and cut the file back with \
                 `truncate -s {bytes} {path}`, or keep them and append with `.append()` and \
                 `--drop-state {step}`; if the store is an old one, from a backup, they are \
                 results that the flow makes again: cut the file back"
            ),
            OutputProblem::MixedTail { bytes, .. } => format!(
                "keep what is not the flow's elsewhere (`tail -c +{} {path}`), and cut the file \
                 back with `truncate -s {bytes} {path}`: the flow makes its own part again; or \
                 keep all of them and append with `.append()` and `--drop-state {step}`, and have \
                 that part twice",
                bytes + 1
            ),
        })
    }

    /// Says what is wrong, without advice.
    #[must_use]
    pub fn message(&self) -> String {
        let path = self.path.display();
        match self.problem {
            OutputProblem::Removed => {
                format!("{path} was removed while the flow wrote to it, with all results in it")
            }
            OutputProblem::Moved => format!("{path} was moved away while the flow wrote to it"),
            OutputProblem::Replaced => {
                format!("another file was put in the place of {path} while the flow wrote to it")
            }
            OutputProblem::CutShort { there, written } => format!(
                "{path} was cut short by someone else: it has {there} bytes, and {written} had \
                 been written"
            ),
            OutputProblem::Changed { there, written } => format!(
                "{path} was changed by someone else: it has {there} bytes, and {written} had been \
                 written"
            ),
            OutputProblem::ForeignTail { bytes, behind } => format!(
                "{path} was changed since the last run, which ended cleanly: behind the {bytes} \
                 bytes that are committed there are {behind} that the store knows nothing of"
            ),
            OutputProblem::MixedTail { bytes, behind } => format!(
                "someone else wrote to an output of this flow during the last run: behind the \
                 {bytes} bytes that are committed of {path} there are {behind}, which may not all \
                 be of this flow"
            ),
        }
    }
}

with_help!(OutputError);

impl std::error::Error for OutputError {}
