//! Before a run: the flow itself is wrong, or what it reads and writes can't be opened.

use flow_store::Schema;

use super::{InputIsStore, OutputInStore, OutputIsInput, SinkError, SourceError};
use crate::graph::Place;

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
    /// A sink would write a file that the flow reads.
    #[error(transparent)]
    OutputIsInput(Box<OutputIsInput>),
    /// A sink would write into the directory of the store.
    #[error(transparent)]
    OutputInStore(Box<OutputInStore>),
    /// A source would read a file of the store.
    #[error(transparent)]
    InputIsStore(Box<InputIsStore>),
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
    /// A conversion stands behind a step that keeps no state.
    #[error(
        "{place}: `{id}` keeps no state, so there is nothing to convert\nhelp: put `.migrate_from` and `.rekey_from` right behind the step that keeps it"
    )]
    NothingToConvert {
        /// The step.
        id: String,
        /// Where it was made.
        place: Place,
    },
    /// A migration does not make the state of its step.
    #[error(
        "{place}: `.migrate_from` makes a `{makes}`, but `{id}` keeps a `{keeps}`\nhelp: give it a function that makes a `{keeps}`"
    )]
    MigratesToOther {
        /// The step.
        id: String,
        /// Where it was made.
        place: Place,
        /// What the function makes.
        makes: String,
        /// What the step keeps.
        keeps: String,
    },
    /// A type and the one before it can't be told apart in a store.
    #[error(
        "{place}: the store can't tell the old `{old}` of `{id}` from {other}: both look like {schema}\nhelp: give a field that changed its meaning another name, so that stored ones are never taken for new ones"
    )]
    LooksTheSame {
        /// The step.
        id: String,
        /// Where it was made.
        place: Place,
        /// The old type.
        old: String,
        /// The one that it can't be told from: the present one, or another old one.
        other: String,
        /// What both look like.
        schema: Box<Schema>,
    },
    /// A type has two values that the store would write as one.
    #[error(
        "{place}: the {what} of `{id}` can't be stored as it is: {} is an `{part}`, and the store can't tell its `Some` from `None`\nhelp: use an enum of your own, or one `Option` less",
        if path.is_empty() { "it".to_owned() } else { format!("`{path}`") }
    )]
    Ambiguous {
        /// The step.
        id: String,
        /// Where it was made.
        place: Place,
        /// Whether it is the key, the state, the token or the position.
        what: &'static str,
        /// Where in the type.
        path: String,
        /// The part.
        part: Box<Schema>,
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
    /// The user's function panicked, or what a step calls before the run starts.
    #[error("{} panicked before the run started: {message}", panicked(step))]
    Panicked {
        /// The step; `None` for the dataflow function itself.
        step: Option<String>,
        /// The panic's message.
        message: String,
    },
    /// A record would go through too many steps in one go.
    #[error(
        "{place}: `{id}` is one step too many: a record goes through at most {most} steps between a source or shuffle and the next\nhelp: put the work of several steps into one function, or break the chain with `.key_on(..)` and a stateful step"
    )]
    ChainTooLong {
        /// The first step that is one too many.
        id: String,
        /// Where it was made.
        place: Place,
        /// How many may follow on each other.
        most: usize,
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

fn panicked(step: &Option<String>) -> String {
    match step {
        Some(step) => format!("step `{step}`"),
        None => "the dataflow function".to_owned(),
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
