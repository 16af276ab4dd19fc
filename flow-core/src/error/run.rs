//! Errors of a run: what ended it, and what is safe.

use std::fmt;

use flow_store::{Epoch, ExecutionError, StoreError, visible, visible_on_a_line};

use super::{
    BoxError, BuildError, Chain, LineError, NotKept, OutputError, ResumeError, SinkError,
    chain::{find, help_of},
    write_help,
};

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The flow is wrong as it was built.
    Build(#[from] BuildError),
    /// The flow could not resume from its store.
    Resume(#[from] ResumeError),
    /// A record failed before the first shuffle, and the flow stopped exactly before it.
    Record(Box<RecordError>),
    /// A step failed behind a shuffle, or a sink failed. The open epochs were given up.
    Step {
        /// The step.
        step: String,
        /// The worker on which it failed.
        worker: usize,
        /// The error.
        #[source]
        cause: BoxError,
        /// Where the record came from, if that is known.
        origin: Option<Box<Origin>>,
        /// What is safe.
        safe: Safe,
        /// The number of runs in a row that ended like this, this one included.
        times: u64,
    },
    /// A key, state, token or position can't be written so that it is read back unchanged. The open
    /// epochs were given up.
    NotKept {
        /// The step.
        step: String,
        /// The worker on which it failed.
        worker: usize,
        /// The value that can't be kept, and why.
        #[source]
        error: Box<NotKept>,
        /// Where the record came from, if that is known.
        origin: Option<Box<Origin>>,
        /// What is safe.
        safe: Safe,
    },
    /// User code panicked. The open epochs were given up.
    Panicked {
        /// The step.
        step: String,
        /// The worker on which it ran.
        worker: usize,
        /// The panic's message.
        message: String,
        /// Where the record came from, if that is known.
        origin: Option<Box<Origin>>,
        /// What is safe.
        safe: Safe,
        /// The number of runs in a row that ended like this, this one included.
        times: u64,
    },
    /// Epochs could not be made durable.
    Commit {
        /// Why.
        #[source]
        error: Box<StoreError>,
        /// What is safe.
        safe: Safe,
    },
    /// A sink's output could not be made durable.
    SyncOutput {
        /// The sink.
        step: String,
        /// Why.
        #[source]
        error: SinkError,
        /// What is safe.
        safe: Safe,
    },
    /// The end of the run could not be written to the store. Everything that was committed before
    /// is safe.
    Close {
        /// Why.
        #[source]
        error: Box<StoreError>,
        /// What is safe.
        safe: Safe,
    },
    /// The flow was told to stop at once.
    CutShort {
        /// What is safe.
        safe: Safe,
    },
    /// The flow did not come to rest in time after it was told to stop.
    StopTimedOut {
        /// The time that it had.
        limit: std::time::Duration,
        /// The step in which each worker was last seen.
        steps: String,
        /// What is safe.
        safe: Safe,
    },
    /// While the flow was stopping for one failure, a second one ended it.
    WhileStopping {
        /// The failure that ended the run.
        #[source]
        error: Box<RunError>,
        /// The failure that it was stopping for.
        first: Box<RunError>,
    },
    /// A thread of the run was lost.
    Lost {
        /// What is known about it.
        message: String,
        /// What is safe.
        safe: Safe,
    },
    /// The workers could not be started.
    Workers(String),
    /// The system has no more threads for the run. Nothing has been changed.
    Threads {
        /// The number of threads that it needs: one for each worker, and one that commits.
        needs: usize,
        /// The system's error.
        #[source]
        cause: std::io::Error,
    },
}

impl RunError {
    /// Says what is wrong, without advice and without what is safe.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            RunError::Build(error) => error.message(),
            RunError::Resume(error) => error.message(),
            RunError::Record(error) => error.message(),
            RunError::Step {
                step,
                cause,
                origin,
                ..
            } => {
                format!("step `{step}` failed: {}{}", Chain(&**cause), at(origin))
            }
            RunError::NotKept {
                step,
                error,
                origin,
                ..
            } => {
                format!("step `{step}`: {}{}", error.message(), at(origin))
            }
            RunError::Panicked {
                step,
                message,
                origin,
                ..
            } => {
                format!("step `{step}` panicked: {}{}", visible(message), at(origin))
            }
            RunError::Commit { error, .. } => {
                format!("epochs could not be made durable: {}", error.message())
            }
            RunError::SyncOutput { step, error, .. } => {
                format!(
                    "the output of `{step}` could not be made durable: {}",
                    Chain(error)
                )
            }
            RunError::Close { error, .. } => format!(
                "the run is over, but the store could not be closed: {}",
                error.message()
            ),
            RunError::CutShort { .. } => "the run was cut short".to_owned(),
            RunError::StopTimedOut { limit, steps, .. } => {
                format!("the flow did not stop within {limit:?}: {steps}")
            }
            RunError::WhileStopping { error, .. } => error.message(),
            RunError::Lost { message, .. } => format!("a thread of the run was lost: {message}"),
            RunError::Workers(message) => format!("the workers could not run: {message}"),
            RunError::Threads { needs, cause } => {
                format!("the run needs {needs} threads, which can't be started: {cause}")
            }
        }
    }

    /// Advice on what to do about it, if there is any. Each line is one piece of advice.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        match self {
            RunError::Build(error) => error.help(),
            RunError::Resume(error) => error.help(),
            RunError::Record(error) => error.help(),
            RunError::Step { cause, .. } => help_of(&**cause),
            RunError::NotKept { error, .. } => error.help(),
            RunError::Commit { error, .. } | RunError::Close { error, .. } => error.help(),
            RunError::SyncOutput { error, .. } => help_of(error),
            RunError::WhileStopping { error, .. } => error.help(),
            RunError::Threads { .. } => Some(
                "threads are limited (`ulimit -u`, or the pids limit of the container): raise the \
                 limit, or run it with fewer workers"
                    .to_owned(),
            ),
            RunError::Panicked { .. }
            | RunError::CutShort { .. }
            | RunError::StopTimedOut { .. }
            | RunError::Lost { .. }
            | RunError::Workers(_) => None,
        }
    }

    /// Advice if several runs in a row end in the same way.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let (times, help) = match self {
            RunError::Record(error) => return error.hint(),
            RunError::WhileStopping { error, .. } => return error.hint(),
            RunError::Step { times, .. } => (
                *times,
                "If such records are to be left out, use `OnError::Skip`.",
            ),
            RunError::Panicked { times, .. } => (
                *times,
                "A step that returns an error in place of a panic can leave such records out.",
            ),
            _ => return None,
        };
        (times >= AGAIN)
            .then(|| format!("This is run {times} in a row that ends like this. {help}"))
    }

    /// What is safe, as a sentence. `None` if the store itself is lost, or the run had not started.
    #[must_use]
    pub fn what_is_safe(&self) -> Option<String> {
        match self {
            RunError::Commit { error, .. } | RunError::Close { error, .. }
                if matches!(**error, StoreError::Execution(ExecutionError::Gone { .. })) =>
            {
                None
            }
            // The next run is refused until the output is put right.
            RunError::SyncOutput { error, safe, .. } if find::<OutputError>(error).is_some() => {
                let epoch = safe.epoch.filter(|epoch| epoch.number() > 0);
                Some(epoch.map_or_else(
                    || safe.to_string(),
                    |epoch| format!("The store is at epoch {epoch}."),
                ))
            }
            RunError::WhileStopping { error, .. } => error.what_is_safe(),
            error => error.safe().map(|safe| safe.to_string()),
        }
    }

    /// The kind of error, as a word for logs and metrics.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            RunError::Build(error) => error.kind(),
            RunError::Resume(error) => error.kind(),
            RunError::Record(_) => "record",
            RunError::Step { .. } => "step",
            RunError::NotKept { .. } => "not-kept",
            RunError::Panicked { .. } => "panicked",
            RunError::Commit { .. } => "commit",
            RunError::SyncOutput { .. } => "sync",
            RunError::Close { .. } => "close",
            RunError::CutShort { .. } => "cut-short",
            RunError::StopTimedOut { .. } => "stop-timed-out",
            RunError::WhileStopping { error, .. } => error.kind(),
            RunError::Lost { .. } => "lost",
            RunError::Workers(_) => "workers",
            RunError::Threads { .. } => "threads",
        }
    }

    /// The id of the step that failed, if the error is about a step.
    #[must_use]
    pub fn step(&self) -> Option<&str> {
        match self {
            RunError::Build(error) => error.step(),
            RunError::Resume(error) => error.step(),
            RunError::Record(error) => Some(&error.step),
            RunError::Step { step, .. }
            | RunError::NotKept { step, .. }
            | RunError::Panicked { step, .. }
            | RunError::SyncOutput { step, .. } => Some(step),
            RunError::WhileStopping { error, .. } => error.step(),
            RunError::Commit { .. }
            | RunError::Close { .. }
            | RunError::CutShort { .. }
            | RunError::StopTimedOut { .. }
            | RunError::Lost { .. }
            | RunError::Workers(_)
            | RunError::Threads { .. } => None,
        }
    }

    /// The first error of type `E` among this error and its causes: for example the user's own
    /// error, as the function returned it.
    ///
    /// An error inside an `anyhow::Error` is found only if it has been given a context. Otherwise
    /// `anyhow` hides it.
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
            // The errors inside are shown in place of this one, so they are not its `source`.
            RunError::Build(error) => error.caused_by(),
            RunError::Resume(error) => find(error),
            RunError::Record(error) => find(&**error),
            RunError::WhileStopping { error, first } => {
                error.caused_by().or_else(|| first.caused_by())
            }
            error => find(error),
        }
    }

    /// The origin of the record that failed, or at which a step failed or panicked. `None` if it is
    /// not known.
    #[must_use]
    pub fn origin(&self) -> Option<Origin> {
        match self {
            RunError::Record(error) => Some(error.origin()),
            RunError::Step { origin, .. }
            | RunError::NotKept { origin, .. }
            | RunError::Panicked { origin, .. } => origin.as_deref().cloned(),
            RunError::WhileStopping { error, .. } => error.origin(),
            _ => None,
        }
    }

    /// How far the results of the run are safe. `None` if the run had not started.
    #[must_use]
    pub fn safe(&self) -> Option<Safe> {
        match self {
            RunError::Record(error) => Some(error.safe),
            RunError::Step { safe, .. }
            | RunError::NotKept { safe, .. }
            | RunError::Panicked { safe, .. }
            | RunError::Commit { safe, .. }
            | RunError::SyncOutput { safe, .. }
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

/// Where a record came from, as exactly as it is known.
///
/// Before the first shuffle, records go through the steps in batches, so often it is one of a
/// batch. It is known exactly if records go one at a time:
/// - behind a source, if a step that is not the first one may fail,
/// - in the run after an aborted one, which takes small steps.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Origin {
    /// The source.
    pub source_step: String,
    /// The source's partition: for a file, its path.
    pub partition: String,
    /// The position of the first of the records: `line 6`.
    pub first: Option<String>,
    /// The position of the last one. Equal to `first` if the record is known exactly.
    pub last: Option<String>,
    /// The line number of the first one, from 1, if the partition has lines.
    pub line: Option<u64>,
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

/// The origin, on a line of its own. So the first line of an error is the same each time that the
/// error happens.
fn at(origin: &Option<Box<Origin>>) -> String {
    origin
        .as_ref()
        .map_or_else(String::new, |origin| format!("\n{origin}"))
}

/// A record that failed before the first shuffle. Everything before it is safe, and the next run
/// starts at it.
#[derive(Debug, thiserror::Error)]
pub struct RecordError {
    /// The step that failed.
    pub step: String,
    /// The source that the record came from.
    pub source_step: String,
    /// The source's partition: for a file, its path.
    pub partition: String,
    /// The position of the record in the partition: `line 6`.
    pub position: Option<String>,
    /// The line number, from 1, if the partition has lines.
    pub line: Option<u64>,
    /// The record's text, if the source can show it.
    pub excerpt: Option<String>,
    /// Why it failed.
    #[source]
    pub cause: BoxError,
    /// What is safe.
    pub safe: Safe,
    /// The number of runs in a row that failed at this place, this one included.
    pub times: u64,
}

/// From this many failed runs in a row on, the error has a hint.
const AGAIN: u64 = 3;

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::Record(error) => error.fmt(f),
            RunError::WhileStopping { error, first } => write!(
                f,
                "{error}\nThis happened while the flow was stopping for another failure:\n{first}"
            ),
            error => {
                f.write_str(&error.message())?;
                write_help(f, error.help().as_deref())?;
                write_lines(f, [error.what_is_safe(), error.hint()])
            }
        }
    }
}

fn write_lines(f: &mut fmt::Formatter<'_>, lines: [Option<String>; 2]) -> fmt::Result {
    let mut lines = lines.into_iter().flatten();
    lines.try_for_each(|line| write!(f, "\n{line}"))
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message())?;
        let help = self.help();
        write_help(f, help.as_deref().map(visible).as_deref())?;
        write_lines(f, [Some(self.safe.to_string()), self.hint()])
    }
}

impl RecordError {
    /// The text of the cause, with its own causes: `bad line: invalid digit found in string`.
    #[must_use]
    pub fn cause_text(&self) -> String {
        Chain(&*self.cause).to_string()
    }

    /// Says where the record failed, and why, without advice and without what is safe.
    #[must_use]
    pub fn message(&self) -> String {
        let mut text = format!("{}: {}", self.place(), self.cause_text());
        if let Some(excerpt) = &self.excerpt {
            text += &format!("\n    {}", visible_on_a_line(excerpt));
        }
        visible(&text).into_owned()
    }

    /// The step that failed, the partition, and the record's position, as text.
    #[must_use]
    pub fn place(&self) -> String {
        let mut place = format!("step `{}` failed at {}", self.step, self.partition);
        if let Some(position) = &self.position {
            place += &format!(", {position}");
        }
        visible(&place).into_owned()
    }

    /// The origin of the record.
    #[must_use]
    pub fn origin(&self) -> Origin {
        Origin {
            source_step: self.source_step.clone(),
            partition: self.partition.clone(),
            first: self.position.clone(),
            last: self.position.clone(),
            line: self.line,
            excerpt: self.excerpt.clone(),
        }
    }

    /// The column, from 1, at which the record is not JSON or not of the expected type. `None` if
    /// it failed for another reason.
    #[must_use]
    pub fn column(&self) -> Option<usize> {
        self.json().map(serde_json::Error::column)
    }

    /// The text of the cause without the [column](RecordError::column).
    #[must_use]
    pub fn beside_column(&self) -> String {
        match self.json() {
            Some(json) => {
                let place = format!(" at line {} column {}", json.line(), json.column());
                json.to_string().replace(&place, "")
            }
            None => self.cause_text(),
        }
    }

    /// The parser's error, if the record failed with one.
    fn json(&self) -> Option<&serde_json::Error> {
        match find(&*self.cause) {
            Some(LineError::Json { error, .. }) => Some(error),
            _ => find(&*self.cause),
        }
    }

    /// Advice on what to do about the record, if its source or its step has some.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        match find::<LineError>(&*self.cause) {
            Some(line) => line.help_in(&self.partition),
            None => help_of(&*self.cause),
        }
    }

    /// Advice if the same record fails in several runs in a row.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        (self.times >= AGAIN).then(|| {
            format!(
                "This is run {} in a row that fails here. If such records are to be left out, use \
                 `OnError::Skip` or `try_map_or_dead`.",
                self.times
            )
        })
    }
}

/// How far the results of a run are safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Safe {
    /// The last durable epoch; `None` without a store.
    pub epoch: Option<Epoch>,
    /// Whether it includes every record before the failed one.
    pub exact: bool,
    /// Records that were taken from an input that can't be read again, and not processed: see
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
                "Everything up to epoch {epoch} is safe; the next run resumes from there."
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::SourceError;

    fn safe() -> Safe {
        Safe {
            epoch: Some(Epoch::first(2)),
            exact: true,
            unprocessed: 0,
        }
    }

    fn record(cause: BoxError) -> RecordError {
        RecordError {
            step: "parse".to_owned(),
            source_step: "orders".to_owned(),
            partition: "in.json".to_owned(),
            position: Some("line 6".to_owned()),
            line: Some(6),
            excerpt: Some("{\"n\":x}".to_owned()),
            cause,
            safe: safe(),
            times: 3,
        }
    }

    #[test]
    fn an_error_is_its_message_then_help_then_what_is_safe_then_a_hint() {
        let cause = SourceError::new("it is odd").and_help("even it out");
        let error = RunError::Record(Box::new(record(cause.into())));
        let message = "step `parse` failed at in.json, line 6: it is odd\n    {\"n\":x}";
        assert_eq!(error.message(), message);
        assert_eq!(error.help().as_deref(), Some("even it out"));
        let (safe, hint) = (error.what_is_safe().unwrap(), error.hint().unwrap());
        assert_eq!(
            error.to_string(),
            format!("{message}\nhelp: even it out\n{safe}\n{hint}")
        );
        assert_eq!((error.kind(), error.step()), ("record", Some("parse")));
        let origin = error.origin().unwrap();
        assert_eq!(
            (origin.source_step.as_str(), origin.line),
            ("orders", Some(6))
        );
    }

    #[test]
    fn the_column_of_a_record_is_no_text() {
        let json = serde_json::from_str::<u64>("[").unwrap_err();
        let column = json.column();
        let error = record(json.into());
        assert_eq!(error.column(), Some(column));
        assert!(!error.beside_column().contains("column"));
        assert_eq!(record("odd".into()).column(), None);
    }

    #[test]
    fn the_help_of_a_cause_is_not_in_the_middle_of_a_message() {
        let inner = SourceError::new("no file").and_help("name one");
        let outer = SourceError::caused_by("not read", inner);
        assert_eq!(outer.message(), "not read: no file");
        assert_eq!(outer.to_string(), "not read: no file\nhelp: name one");
        let both = outer.and_help("or none");
        assert!(
            both.to_string()
                .ends_with("\nhelp: name one\nhelp: or none")
        );
    }
}
