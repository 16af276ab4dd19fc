//! Everything that can go wrong, one type for each stage of a flow's life.

use std::fmt;

use flow_store::{Epoch, StoreError};

use crate::graph::Place;

/// An error of any type, as it comes out of user code.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// What a fallible step may return as its error: anything that is an error, or a text.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be the error of a step",
    label = "this step fails with a `{Self}`",
    note = "implement `std::error::Error` for `{Self}` (thiserror does it with a derive) and own what it borrows, or return a `String`"
)]
pub trait Failure {
    /// The error as the run reports it.
    #[doc(hidden)]
    fn into_error(self) -> BoxError;
}

#[diagnostic::do_not_recommend]
impl<E: Into<BoxError>> Failure for E {
    fn into_error(self) -> BoxError {
        self.into()
    }
}

/// What is wrong with a flow as it was built. Nothing has been opened or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A step that keeps state has no id to keep it under.
    #[error(
        "{place}: this `{kind}` keeps state but has no id to keep it under\nhelp: pass a named function in a `#[dataflow]`, or add `.named(\"..\")`; calls inside another macro's arguments always need it"
    )]
    NoName {
        /// The method that made the step.
        kind: String,
        /// Where.
        place: Place,
    },
    /// Two steps would keep their rows under one id.
    #[error(
        "two steps are called `{id}`: {first} and {second}\nhelp: ids name what the store keeps: give one of them `.named(\"..\")`"
    )]
    DoubleId {
        /// The id.
        id: String,
        /// The first step.
        first: Place,
        /// The second step.
        second: Place,
    },
    /// A nested dataflow is used more than once under one name.
    #[error(
        "`{id}` ({place}) is made more than once: the dataflow around it is used twice\nhelp: put each use in a scope of its own: `flow::scope(\"eu\", || ..)`"
    )]
    DataflowUsedTwice {
        /// The id that came up again.
        id: String,
        /// The step inside the nested dataflow.
        place: Place,
    },
    /// A stream leads nowhere.
    #[error(
        "{place}: what `{id}` gives out is never used\nhelp: end it in a sink, or take the step out"
    )]
    Unused {
        /// The step whose output is not used.
        id: String,
        /// Where it was made.
        place: Place,
    },
    /// The flow has no step at all.
    #[error("the flow is empty: start it with `flow.source(..)`")]
    Empty,
    /// Results go into a sink as they are.
    #[error(
        "{place}: `{item}` reaches the sink `{id}`, errors and all\nhelp: use `try_map` instead of `map` for a function that returns a `Result`: then an error stops the flow at its record"
    )]
    ResultInSink {
        /// The sink.
        id: String,
        /// The type that reaches it.
        item: String,
        /// Where.
        place: Place,
    },
    /// Two sinks write to one output.
    #[error(
        "`{output}` is written by two sinks: {first} and {second}\nhelp: `merge` the streams before one sink"
    )]
    DoubleOutput {
        /// The output.
        output: String,
        /// The first sink.
        first: Place,
        /// The second sink.
        second: Place,
    },
    /// A source that can't go on where it was, in a flow that is to be recovered.
    #[error(
        "{place}: the source `{id}` can't go on where it was, so a restart would lose records\nhelp: read from something that can, or agree to the loss with `.lossy()`"
    )]
    CannotResume {
        /// The source.
        id: String,
        /// Where.
        place: Place,
    },
    /// A source can't be read.
    #[error("source `{step}` ({place}): {error}")]
    Source {
        /// The source.
        step: String,
        /// Where it was made.
        place: Place,
        /// Why.
        #[source]
        error: SourceError,
    },
    /// A sink can't be written.
    #[error("sink `{step}` ({place}): {error}")]
    Sink {
        /// The sink.
        step: String,
        /// Where it was made.
        place: Place,
        /// Why.
        #[source]
        error: SinkError,
    },
    /// The user's function built another flow on a worker than in the plan.
    #[error(
        "worker {worker} built another flow than the plan: {difference}\nhelp: a dataflow function runs once for each worker and must do the same each time: no random numbers, no clock, no files"
    )]
    NotDeterministic {
        /// The worker.
        worker: usize,
        /// The first difference.
        difference: String,
    },
    /// The user's function panicked.
    #[error("the dataflow function panicked: {message}")]
    Panicked {
        /// The panic's message.
        message: String,
    },
    /// A setting of the run that can't be.
    #[error("{0}")]
    Setting(String),
    /// Several things are wrong.
    #[error("{}", list(.0))]
    Several(Vec<BuildError>),
}

impl BuildError {
    pub(crate) fn from_all(mut errors: Vec<BuildError>) -> Option<BuildError> {
        match errors.len() {
            0 => None,
            1 => errors.pop(),
            _ => Some(BuildError::Several(errors)),
        }
    }
}

fn list(errors: &[BuildError]) -> String {
    let mut out = format!("{} things are wrong with this flow:", errors.len());
    for error in errors {
        out.push_str("\n- ");
        out.push_str(&error.to_string().replace('\n', "\n  "));
    }
    out
}

/// Why a flow was not started from its store. The store has not been changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResumeError {
    /// The store itself refused.
    #[error(transparent)]
    Store(Box<StoreError>),
    /// A stored state no longer decodes.
    #[error(
        "the state of step `{step}` for key {key} can't be read as `{state}`: {cause}\nhelp: bring the type back to what was stored, or give the state up with `--drop-state {step}`"
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
    },
    /// A stored key no longer decodes, or has other bytes than it had.
    #[error(
        "a key of step `{step}` can't be read as `{key}`: {cause}\nhelp: other key bytes are another key, so all its state would be out of reach: bring the key type back, or give the state up with `--drop-state {step}`"
    )]
    Key {
        /// The step.
        step: String,
        /// The key type that the flow now has.
        key: String,
        /// What is wrong.
        cause: String,
    },
    /// A resume token or a sink's position no longer decodes.
    #[error(
        "where `{step}` stood in `{part}` can't be read as `{token}`: {cause}\nhelp: bring the type back, or start that step anew with `--drop-state {step}`"
    )]
    Token {
        /// The source or sink.
        step: String,
        /// The partition or output.
        part: String,
        /// The type that the flow now has.
        token: String,
        /// What the decoder says.
        cause: String,
    },
    /// Partitions that had not been read to their end are gone.
    #[error(
        "source `{step}` had not finished {}, which {} gone\nhelp: bring {} back, or agree to leave the rest unread with {}",
        names(partitions), if partitions.len() == 1 { "is" } else { "are" },
        if partitions.len() == 1 { "it" } else { "them" },
        drop_flags(partitions)
    )]
    PartitionGone {
        /// The source.
        step: String,
        /// The partitions.
        partitions: Vec<String>,
    },
    /// `--drop-partition` names a partition that the store does not know.
    #[error(
        "no source has read a partition `{partition}`, so it can't be dropped; there {}",
        known_partitions(known)
    )]
    NoSuchPartition {
        /// The name that was given.
        partition: String,
        /// What the store has.
        known: Vec<String>,
    },
    /// `--drop-partition` names a partition that is there.
    #[error(
        "partition `{partition}` is there, so there is nothing to drop: only one that is gone can be"
    )]
    PartitionThere {
        /// The name that was given.
        partition: String,
    },
    /// A source can't go on at its token.
    #[error("source `{step}` can't go on where it was: {error}")]
    Source {
        /// The source.
        step: String,
        /// Why.
        #[source]
        error: SourceError,
    },
    /// A sink can't go on at its position.
    #[error(
        "sink `{step}` can't go on where it was: {error}\nhelp: bring the output back as it was, or begin it anew with `--drop-state {step}`"
    )]
    Sink {
        /// The sink.
        step: String,
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

fn names(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

fn drop_flags(partitions: &[String]) -> String {
    let flags: Vec<String> = partitions
        .iter()
        .map(|name| format!("`--drop-partition {name}`"))
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

/// Why a run did not end well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The flow was not right as it was built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The flow was not started from its store.
    #[error(transparent)]
    Resume(#[from] ResumeError),
    /// A record failed, and the flow stopped exactly before it.
    #[error(transparent)]
    Record(Box<RecordError>),
    /// A step failed behind a shuffle, or a sink failed. The open epochs were given up.
    #[error("step `{step}` failed: {cause}\n{safe}")]
    Step {
        /// The step.
        step: String,
        /// The worker that it failed on.
        worker: usize,
        /// The error.
        #[source]
        cause: BoxError,
        /// What is not lost.
        safe: Safe,
    },
    /// User code panicked. The open epochs were given up.
    #[error("step `{step}` panicked: {message}\n{safe}")]
    Panicked {
        /// The step.
        step: String,
        /// The worker that it ran on.
        worker: usize,
        /// The panic's message.
        message: String,
        /// What is not lost.
        safe: Safe,
    },
    /// An epoch could not be made durable.
    #[error("epochs could not be made durable: {error}\n{safe}")]
    Commit {
        /// Why.
        #[source]
        error: Box<StoreError>,
        /// What is not lost.
        safe: Safe,
    },
    /// A sink's output could not be made durable.
    #[error("the output of `{step}` could not be made durable: {error}\n{safe}")]
    Sync {
        /// The sink.
        step: String,
        /// Why.
        #[source]
        error: std::io::Error,
        /// What is not lost.
        safe: Safe,
    },
    /// The end of the run could not be written to the store; what was committed before is safe.
    #[error("the run is over, but the store could not be closed: {error}\n{safe}")]
    Close {
        /// Why.
        #[source]
        error: Box<StoreError>,
        /// What is not lost.
        safe: Safe,
    },
    /// The flow was told to stop at once.
    #[error("the run was cut short\n{safe}")]
    CutShort {
        /// What is not lost.
        safe: Safe,
    },
    /// The flow did not come to rest in time after it was told to stop.
    #[error("the flow did not stop within {limit:?}: {steps}\n{safe}")]
    StopTimedOut {
        /// The time it had.
        limit: std::time::Duration,
        /// Where the workers are.
        steps: String,
        /// What is not lost.
        safe: Safe,
    },
    /// While the flow drained after one failure, a second one ended it.
    #[error("{error}\nThis happened while the flow was stopping for another failure:\n{first}")]
    WhileStopping {
        /// The failure that ended the run.
        #[source]
        error: Box<RunError>,
        /// The failure that it was stopping for.
        first: Box<RunError>,
    },
    /// The threads of the run could not be started, or one of them was lost.
    #[error("the workers could not run: {0}")]
    Workers(String),
}

/// A record that failed before the first shuffle: everything before it is safe, and the next run
/// starts at it.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.text())]
pub struct RecordError {
    /// The step that failed.
    pub step: String,
    /// The source that the record came from.
    pub source_step: String,
    /// The source's partition: for a file, its path.
    pub partition: String,
    /// Where in the partition the record stands: `line 6`.
    pub position: Option<String>,
    /// The record's text, where the source can show it.
    pub excerpt: Option<String>,
    /// Why it failed.
    #[source]
    pub cause: BoxError,
    /// What is not lost.
    pub safe: Safe,
}

impl RecordError {
    fn text(&self) -> String {
        let mut text = format!("step `{}` failed at {}", self.step, self.partition);
        if let Some(position) = &self.position {
            text += &format!(", {position}");
        }
        text += &format!(": {}", self.cause);
        if let Some(excerpt) = &self.excerpt {
            text += &format!("\n    {excerpt}");
        }
        text + &format!("\n{}", self.safe)
    }
}

/// Up to where a run's results are safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Safe {
    /// The last durable epoch; `None` for a run without a store.
    pub epoch: Option<Epoch>,
    /// Whether every record before the failed one is in it.
    pub exact: bool,
}

impl fmt::Display for Safe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.epoch, self.exact) {
            (Some(epoch), false) if epoch.number() == 0 => f.write_str(
                "No epoch of this run was durable; the next run starts where this one did.",
            ),
            (None, _) => f.write_str("Nothing is kept: this run has no recovery store."),
            (Some(epoch), true) => write!(
                f,
                "Everything before it is safe, up to epoch {epoch}; the next run starts at it."
            ),
            (Some(epoch), false) => write!(
                f,
                "Everything up to epoch {epoch} is safe; the next run goes on from there."
            ),
        }
    }
}

/// Why a source can't be opened or read.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct SourceError {
    message: String,
    #[source]
    cause: Option<BoxError>,
}

/// Why a sink can't be opened or written.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct SinkError {
    message: String,
    #[source]
    cause: Option<BoxError>,
}

macro_rules! io_error {
    ($name:ident) => {
        impl $name {
            /// An error with this message, which should name what it is about: the file, the line.
            pub fn new(message: impl Into<String>) -> Self {
                $name {
                    message: message.into(),
                    cause: None,
                }
            }

            /// An error with this message and what caused it.
            pub fn caused_by(message: impl fmt::Display, cause: impl Into<BoxError>) -> Self {
                let cause = cause.into();
                $name {
                    message: format!("{message}: {cause}"),
                    cause: Some(cause),
                }
            }
        }

        impl From<std::io::Error> for $name {
            fn from(error: std::io::Error) -> Self {
                $name {
                    message: error.to_string(),
                    cause: Some(error.into()),
                }
            }
        }
    };
}

io_error!(SourceError);
io_error!(SinkError);
