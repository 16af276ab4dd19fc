//! After a run: what ended it, and what is safe.

use std::fmt;

use flow_store::{Epoch, ExecutionError, StoreError, visible, visible_on_a_line};

use super::{
    BoxError, BuildError, Chain, NotKept, OutputError, ResumeError, SinkError, chain::find,
};
use crate::source::LineError;

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
    #[error("step `{step}` failed: {}{}{}\n{safe}", Chain(&**.cause), at(origin), again(*.times, "If such records are to be left out, use `OnError::Skip`."))]
    Step {
        /// The step.
        step: String,
        /// The worker that it failed on.
        worker: usize,
        /// The error.
        #[source]
        cause: BoxError,
        /// Where the record came from, before the first shuffle.
        origin: Option<Box<Origin>>,
        /// What is not lost.
        safe: Safe,
        /// How many runs in a row have ended like this, this one included.
        times: u64,
    },
    /// A key, state, token or position could not be written so that it is read back as what it was. The open epochs were
    /// given up.
    #[error("step `{step}`: {error}{}\n{safe}", at(origin))]
    NotKept {
        /// The step.
        step: String,
        /// The worker that it failed on.
        worker: usize,
        /// What could not be kept, and why.
        #[source]
        error: Box<NotKept>,
        /// Where the record came from, before the first shuffle.
        origin: Option<Box<Origin>>,
        /// What is not lost.
        safe: Safe,
    },
    /// User code panicked. The open epochs were given up.
    #[error("step `{step}` panicked: {}{}{}\n{safe}", visible(.message), at(origin), again(*.times, "A step that returns an error in place of a panic can leave such records out."))]
    Panicked {
        /// The step.
        step: String,
        /// The worker that it ran on.
        worker: usize,
        /// The panic's message.
        message: String,
        /// Where the record came from, before the first shuffle.
        origin: Option<Box<Origin>>,
        /// What is not lost.
        safe: Safe,
        /// How many runs in a row have ended like this, this one included.
        times: u64,
    },
    /// An epoch could not be made durable.
    #[error("epochs could not be made durable: {}", of_store(.error, .safe))]
    Commit {
        /// Why.
        #[source]
        error: Box<StoreError>,
        /// What is not lost.
        safe: Safe,
    },
    /// A sink's output could not be made durable.
    #[error("the output of `{step}` could not be made durable: {}{}", Chain(.error), after(.error, .safe))]
    Sync {
        /// The sink.
        step: String,
        /// Why.
        #[source]
        error: SinkError,
        /// What is not lost.
        safe: Safe,
    },
    /// The end of the run could not be written to the store; what was committed before is safe.
    #[error("the run is over, but the store could not be closed: {}", of_store(.error, .safe))]
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
    /// A thread of the run was lost.
    #[error("a thread of the run was lost: {message}\n{safe}")]
    Lost {
        /// What is known of it.
        message: String,
        /// What is not lost.
        safe: Safe,
    },
    /// The threads of the run could not be started.
    #[error("the workers could not run: {0}")]
    Workers(String),
    /// The system has no more threads for the run. Nothing has been opened or changed.
    #[error(
        "the run needs {needs} threads and can't have them: {cause}\nhelp: threads are limited (`ulimit -u`, or the pids limit of the container): raise the limit, or run it with fewer workers"
    )]
    Threads {
        /// How many it needs: one for each worker, and one that commits.
        needs: usize,
        /// What the system says.
        #[source]
        cause: std::io::Error,
    },
}

impl RunError {
    /// The first error of this type among all that led to this one: the user's own error, as the function returned it.
    ///
    /// An error inside an `anyhow::Error` is found if it has been given a context; `anyhow` hides it otherwise.
    ///
    /// ```
    /// # use flow::prelude::*;
    /// # use flow::{sink, source};
    /// use std::num::ParseIntError;
    ///
    /// let error = Runner::new(|flow| {
    ///     let lines = flow.source(source::from_iter(["x".to_owned()]));
    ///     lines.try_map(|line| line.parse::<u64>()).sink(sink::from_fn(|_| ()));
    /// }).run().unwrap_err();
    /// assert_eq!(error.caused_by::<ParseIntError>(), "x".parse::<u64>().err().as_ref());
    /// ```
    #[must_use]
    pub fn caused_by<E: std::error::Error + 'static>(&self) -> Option<&E> {
        match self {
            // Both are errors that are shown in place of this one.
            RunError::Build(error) => error.caused_by(),
            RunError::Resume(error) => find(error),
            RunError::Record(error) => find(&**error),
            RunError::WhileStopping { error, first } => {
                error.caused_by().or_else(|| first.caused_by())
            }
            error => find(error),
        }
    }

    /// Where the record came from at which a step panicked or failed before the first shuffle. A [`RunError::Record`] says so
    /// itself.
    #[must_use]
    pub fn origin(&self) -> Option<&Origin> {
        match self {
            RunError::Step { origin, .. }
            | RunError::NotKept { origin, .. }
            | RunError::Panicked { origin, .. } => origin.as_deref(),
            RunError::WhileStopping { error, .. } => error.origin(),
            _ => None,
        }
    }

    /// Up to where the run's results are safe, for a run that had started.
    #[must_use]
    pub fn safe(&self) -> Option<Safe> {
        match self {
            RunError::Record(error) => Some(error.safe),
            RunError::Step { safe, .. }
            | RunError::NotKept { safe, .. }
            | RunError::Panicked { safe, .. }
            | RunError::Commit { safe, .. }
            | RunError::Sync { safe, .. }
            | RunError::Close { safe, .. }
            | RunError::Lost { safe, .. }
            | RunError::CutShort { safe }
            | RunError::StopTimedOut { safe, .. } => Some(*safe),
            RunError::WhileStopping { error, .. } => error.safe(),
            RunError::Build(_)
            | RunError::Resume(_)
            | RunError::Workers(_)
            | RunError::Threads { .. } => None,
        }
    }
}

/// Where the record came from at which a step panicked, as exactly as is known.
///
/// Before the first shuffle records go through the steps in batches, so it is one of a batch. It is known exactly where they go
/// one at a time: behind a source from which a step may fail that is not the first one, and in a run that follows on one that was
/// aborted, which goes in small steps.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Origin {
    /// The source.
    pub source_step: String,
    /// The source's partition: for a file, its path.
    pub partition: String,
    /// Where the first of the records stands in the partition: `line 6`.
    pub first: Option<String>,
    /// Where the last of them stands. The same as the first if the record is known exactly.
    pub last: Option<String>,
    /// The record's text, if it is known exactly and the source can show it.
    pub excerpt: Option<String>,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Origin {
            source_step: source,
            partition,
            ..
        } = self;
        let partition = visible_on_a_line(partition);
        match (&self.first, &self.last) {
            (Some(first), Some(last)) if first == last => {
                write!(f, "The record is {partition}, {first} (source `{source}`).")?;
            }
            (Some(first), Some(last)) => write!(
                f,
                "The record is one of {partition}, {first} to {last} (source `{source}`)."
            )?,
            _ => write!(f, "The record is one of {partition} (source `{source}`).")?,
        }
        match &self.excerpt {
            Some(excerpt) => write!(f, "\n    {}", visible_on_a_line(excerpt)),
            None => Ok(()),
        }
    }
}

/// The place of a record, on a line of its own: the first line of an error is the same each time that it happens.
fn at(origin: &Option<Box<Origin>>) -> String {
    origin
        .as_ref()
        .map_or_else(String::new, |origin| format!("\n{origin}"))
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
    /// How many runs in a row have failed at this place, this one included.
    pub times: u64,
}

/// What the store says, and what is not lost if the store itself is not.
fn of_store(error: &StoreError, safe: &Safe) -> String {
    let mut text = error.message();
    if !matches!(error, StoreError::Execution(ExecutionError::Gone { .. })) {
        text += &format!("\n{safe}");
    }
    if let Some(help) = error.help() {
        text += &format!("\nhelp: {help}");
    }
    text
}

/// What is not lost, where an output may be: then the next run is refused until that is put right.
fn after(error: &SinkError, safe: &Safe) -> String {
    let cause = std::error::Error::source(error);
    match (
        cause.and_then(|cause| cause.downcast_ref::<OutputError>()),
        safe.epoch,
    ) {
        (Some(_), Some(epoch)) if epoch.number() > 0 => {
            format!("\nThe store is at epoch {epoch}.")
        }
        _ => format!("\n{safe}"),
    }
}

/// From this many runs in a row on, a record that fails gets a hint.
const AGAIN: u64 = 3;

/// What may help when run after run ends in the same way.
fn again(times: u64, help: &str) -> String {
    match times >= AGAIN {
        true => format!("\nThis is run {times} in a row that ends like this. {help}"),
        false => String::new(),
    }
}

impl RecordError {
    /// What the cause says, with its own causes: `bad line: invalid digit found in string`.
    #[must_use]
    pub fn cause_text(&self) -> String {
        Chain(&*self.cause).to_string()
    }

    /// What to do about the record, where its source knows that.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        let mut cause: &(dyn std::error::Error + 'static) = self.cause.as_ref();
        loop {
            if let Some(line) = cause.downcast_ref::<LineError>() {
                return line.help_in(&self.partition);
            }
            cause = cause.source()?;
        }
    }

    /// What may help when the same record fails again and again.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        (self.times >= AGAIN).then(|| {
            format!(
                "This is run {} in a row that fails here. If such records are to be left out, use `OnError::Skip` or `try_map_or_dead`.",
                self.times
            )
        })
    }

    fn text(&self) -> String {
        let mut text = format!("step `{}` failed at {}", self.step, self.partition);
        if let Some(position) = &self.position {
            text += &format!(", {position}");
        }
        text += &format!(": {}", self.cause_text());
        if let Some(excerpt) = &self.excerpt {
            text += &format!("\n    {}", visible_on_a_line(excerpt));
        }
        if let Some(help) = self.help() {
            text += &format!("\nhelp: {help}");
        }
        text += &format!("\n{}", self.safe);
        if let Some(hint) = self.hint() {
            text += &format!("\n{hint}");
        }
        visible(&text).into_owned()
    }
}

/// Up to where a run's results are safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Safe {
    /// The last durable epoch; `None` for a run without a store.
    pub epoch: Option<Epoch>,
    /// Whether every record before the failed one is in it.
    pub exact: bool,
    /// How many records were taken from where they can't be taken again, and not processed: see
    /// [`Outcome::unprocessed`](crate::Outcome::unprocessed).
    pub unprocessed: u64,
}

impl fmt::Display for Safe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.epoch, self.exact) {
            (Some(epoch), false) if epoch.number() == 0 => f.write_str(
                "No epoch of this run was durable; the next run starts where this one did.",
            ),
            (None, _) => f.write_str("Nothing is kept: this run has no recovery store."),
            (Some(epoch), true) if epoch.is_start() => {
                f.write_str("Nothing is durable yet; the next run starts at it.")
            }
            (Some(epoch), true) => write!(
                f,
                "Everything before it is safe, up to epoch {epoch}; the next run starts at it."
            ),
            (Some(epoch), false) => write!(
                f,
                "Everything up to epoch {epoch} is safe; the next run goes on from there."
            ),
        }?;
        match self.unprocessed {
            0 => Ok(()),
            left => write!(
                f,
                " {left} more records were taken and not processed in time: they are lost."
            ),
        }
    }
}
