//! Errors before a run: the flow itself is wrong, or its inputs or outputs can't be opened.

use flow_store::Schema;

use super::{
    BoxError, Chain, InputIsStore, OutputInStore, OutputIsInput, Place, SinkError, SourceError,
    chain::{find, help_of},
    with_help,
};

/// What is wrong with a flow as it was built. Nothing has been changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A step that keeps state has no id to keep it under.
    NoName {
        /// The method that made the step.
        kind: String,
        /// Where.
        place: Place,
    },
    /// The function that builds the flow returned an error.
    Function(#[source] BoxError),
    /// A name can't be part of an id.
    BadName {
        /// The name.
        name: String,
        /// Whether it names a step or a scope, or is a former name.
        what: &'static str,
        /// What is wrong with it.
        why: BadName,
        /// The step, or one in the scope.
        place: Place,
    },
    /// Two sources or two sinks of one kind have no names.
    TwoOfOneKind {
        /// Whether they are sources or sinks.
        what: &'static str,
        /// The id that both would have.
        id: String,
        /// The first one.
        first: Place,
        /// The second one.
        second: Place,
    },
    /// A loop, or a closure that is called several times, makes a step under one id.
    MadeInLoop {
        /// The id that came up again.
        id: String,
        /// Where.
        place: Place,
    },
    /// Two steps would keep their rows under one id.
    DoubleId {
        /// The id.
        id: String,
        /// The first step.
        first: Place,
        /// The second step.
        second: Place,
    },
    /// A nested dataflow is used more than once under one name.
    DataflowUsedTwice {
        /// The id that came up again.
        id: String,
        /// The step inside the nested dataflow.
        place: Place,
    },
    /// A stream leads nowhere.
    Unused {
        /// The step whose output is not used.
        id: String,
        /// Where it was made.
        place: Place,
        /// The method that drops the output, if there is one.
        drop: Option<&'static str>,
    },
    /// The flow has no step at all.
    Empty,
    /// Results go into a sink as they are.
    ResultInSink {
        /// The sink.
        id: String,
        /// The type that reaches it.
        item: String,
        /// Where.
        place: Place,
    },
    /// Options would be written as lines of JSON.
    OptionInSink {
        /// The sink.
        id: String,
        /// The type that reaches it.
        item: String,
        /// Where.
        place: Place,
    },
    /// Two sinks write to one output.
    DoubleOutput {
        /// The output.
        output: String,
        /// The first sink.
        first: Place,
        /// The second sink.
        second: Place,
    },
    /// A sink would write a file that the flow reads.
    OutputIsInput(Box<OutputIsInput>),
    /// A sink would write into the directory of the store.
    OutputInStore(Box<OutputInStore>),
    /// A source would read a file of the store.
    InputIsStore(Box<InputIsStore>),
    /// A source can't resume, and the flow has a recovery store.
    CannotResume {
        /// The source.
        id: String,
        /// Where.
        place: Place,
    },
    /// A source can't be read.
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
    NothingToConvert {
        /// The step.
        id: String,
        /// Where it was made.
        place: Place,
    },
    /// A migration does not make the state of its step.
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
    LooksTheSame {
        /// The step.
        id: String,
        /// Where it was made.
        place: Place,
        /// The old type.
        old: String,
        /// The type that looks the same: the present one, or another old one.
        other: String,
        /// What both look like.
        schema: Box<Schema>,
    },
    /// A type has two values that the store would write as one.
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
    NotDeterministic {
        /// The worker.
        worker: usize,
        /// The first difference.
        difference: String,
    },
    /// The function that builds the flow panicked, or user code that a step calls before the run
    /// starts.
    Panicked {
        /// The step; `None` for the dataflow function itself.
        step: Option<String>,
        /// The panic's message.
        message: String,
    },
    /// A record would go through too many steps without a shuffle.
    ChainTooLong {
        /// The first step beyond the limit.
        id: String,
        /// Where it was made.
        place: Place,
        /// The most steps that may follow each other.
        most: usize,
    },
    /// A step gives records a time behind a shuffle.
    TimeBehindShuffle {
        /// The step.
        id: String,
        /// Where it was made.
        place: Place,
        /// The stateful step before it.
        shuffle: String,
    },
    /// A setting of the run is invalid.
    Setting {
        /// What is wrong with it.
        message: String,
        /// Advice on what to do about it.
        help: Option<String>,
    },
    /// Several things are wrong.
    Several(Vec<BuildError>),
}

impl BuildError {
    /// Says what is wrong, without advice.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            BuildError::NoName { kind, place } => {
                format!("{place}: this `{kind}` keeps state but has no id to keep it under")
            }
            BuildError::Function(error) => {
                format!("the dataflow function failed: {}", Chain(&**error))
            }
            BuildError::BadName {
                name,
                what,
                why,
                place,
            } => {
                format!("{place}: {name:?} can't be the name of a {what}: {why}")
            }
            BuildError::TwoOfOneKind {
                what,
                id,
                first,
                second,
            } => format!(
                "two {what}s have no name but that of their kind, `{id}`: {first} and {second}"
            ),
            BuildError::MadeInLoop { id, place } => {
                format!("{place}: `{id}` is made more than once, by a loop or a closure")
            }
            BuildError::DoubleId { id, first, second } => {
                format!("two steps are called `{id}`: {first} and {second}")
            }
            BuildError::DataflowUsedTwice { id, place } => format!(
                "`{id}` ({place}) is made more than once: the dataflow around it is used twice, or \
                 a loop makes it"
            ),
            BuildError::Unused { id, place, .. } => {
                format!("{place}: the output of `{id}` is never used")
            }
            BuildError::Empty => "the flow is empty: start it with `flow.source(..)`".to_owned(),
            BuildError::ResultInSink { id, item, place } => {
                format!("{place}: `{item}` reaches the sink `{id}`, which would write errors too")
            }
            BuildError::OptionInSink { id, item, place } => format!(
                "{place}: `{item}` reaches the sink `{id}`, which would write `null` where there \
                 is none"
            ),
            BuildError::DoubleOutput {
                output,
                first,
                second,
            } => {
                format!("`{output}` is written by two sinks: {first} and {second}")
            }
            BuildError::OutputIsInput(error) => error.message(),
            BuildError::OutputInStore(error) => error.message(),
            BuildError::InputIsStore(error) => error.message(),
            BuildError::CannotResume { id, place } => format!(
                "{place}: the source `{id}` can't resume where it stopped, so a restart would lose \
                 records"
            ),
            BuildError::Source { step, place, error } => {
                format!("source `{step}` ({place}): {}", Chain(error))
            }
            BuildError::Sink { step, place, error } => {
                format!("sink `{step}` ({place}): {}", Chain(error))
            }
            BuildError::NothingToConvert { id, place } => {
                format!("{place}: `{id}` keeps no state, so there is nothing to convert")
            }
            BuildError::MigratesToOther {
                id,
                place,
                makes,
                keeps,
            } => {
                format!("{place}: `.migrate_from` makes a `{makes}`, but `{id}` keeps a `{keeps}`")
            }
            BuildError::LooksTheSame {
                id,
                place,
                old,
                other,
                schema,
            } => format!(
                "{place}: the store can't tell the old `{old}` of `{id}` from {other}: both look \
                 like {schema}"
            ),
            BuildError::Ambiguous {
                id,
                place,
                what,
                path,
                part,
            } => {
                let whole = || "it".to_owned();
                let which = Some(path).filter(|path| !path.is_empty());
                let which = which.map_or_else(whole, |path| format!("`{path}`"));
                format!(
                    "{place}: the {what} of `{id}` can't be stored as it is: {which} is an \
                     `{part}`, and the store can't tell its `Some` from `None`"
                )
            }
            BuildError::NotDeterministic { worker, difference } => {
                format!("worker {worker} built another flow than the plan: {difference}")
            }
            BuildError::Panicked { step, message } => {
                format!(
                    "{} panicked before the run started: {message}",
                    panicked(step)
                )
            }
            BuildError::ChainTooLong { id, place, most } => format!(
                "{place}: `{id}` is one step too many: a record goes through at most {most} steps \
                 between a source or shuffle and the next"
            ),
            BuildError::TimeBehindShuffle { id, place, shuffle } => format!(
                "{place}: `{id}` gives records their time behind the shuffle of `{shuffle}`, where \
                 nobody knows of which partition they are"
            ),
            BuildError::Setting { message, .. } => message.clone(),
            BuildError::Several(errors) => list(errors),
        }
    }

    /// Advice on what to do about it, if there is any.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        let text = match self {
            BuildError::NoName { .. } => {
                "pass a named function in a `#[dataflow]`, or add `.named(\"..\")`; calls inside \
                 another macro's arguments always need it"
            }
            BuildError::BadName { why, .. } => why.help(),
            BuildError::TwoOfOneKind { .. } => {
                "the store keeps under its id where each of them stands: give one of them an id of \
                 its own, `.named(\"..\")`"
            }
            BuildError::MadeInLoop { id, .. } => {
                return Some(format!(
                    "give each its own id: `.named(format!(\"{id}-{{name}}\"))`"
                ));
            }
            BuildError::DoubleId { .. } => {
                "ids name what the store keeps: give one of them `.named(\"..\")`"
            }
            BuildError::DataflowUsedTwice { .. } => {
                "put each use in a scope of its own: `flow::scope(\"eu\", || ..)`"
            }
            BuildError::Unused {
                drop: Some(drop), ..
            } => return Some(format!("end it in a sink, or drop it with `.{drop}()`")),
            BuildError::Unused { .. } => "end it in a sink, or take the step out",
            BuildError::ResultInSink { .. } => {
                "give a function that returns a `Result` to `try_map`, one with a state to \
                 `try_stateful_map`: then an error stops the flow at its record"
            }
            BuildError::OptionInSink { .. } => {
                "leave `None` out with `filter_map`, on a keyed stream with \
                 `filter_map_values(|value| value)`, for a step with a state with \
                 `stateful_flat_map`; where `null` is meant, put the value into a struct"
            }
            BuildError::DoubleOutput { .. } => "`merge` the streams before one sink",
            BuildError::OutputIsInput(error) => return error.help(),
            BuildError::OutputInStore(error) => return error.help(),
            BuildError::InputIsStore(error) => return error.help(),
            BuildError::CannotResume { .. } => {
                "read from something that can, or agree to the loss with `.lossy()`"
            }
            BuildError::Function(error) => return help_of(&**error),
            BuildError::Source { error, .. } => return help_of(error),
            BuildError::Sink { error, .. } => return help_of(error),
            BuildError::NothingToConvert { .. } => {
                "put `.migrate_from` and `.rekey_from` right behind the step that keeps it"
            }
            // Windows are stored with their times, so the types are not the same.
            BuildError::MigratesToOther { makes, keeps, .. } if makes == keeps => {
                "a step with windows has a `.migrate_from` of its own: call it on what \
                 `.fold_window(..)` returns, before `.drop_late()`"
            }
            BuildError::MigratesToOther { keeps, .. } => {
                return Some(format!("give it a function that makes a `{keeps}`"));
            }
            BuildError::LooksTheSame { schema, .. } if schema.has_any() => {
                "put the present type into a struct with one field, `struct New { v2: .. }`: what \
                 shows as `?` can't be traced, and a field with a name can"
            }
            BuildError::LooksTheSame { .. } => {
                "give a field that changed its meaning another name, so that stored ones are never \
                 taken for new ones"
            }
            BuildError::Ambiguous { .. } => "use an enum of your own, or one `Option` less",
            BuildError::NotDeterministic { .. } => {
                "a dataflow function runs once for each worker and must do the same each time: no \
                 random numbers, no clock, no files"
            }
            BuildError::ChainTooLong { .. } => {
                "put the work of several steps into one function, or break the chain with \
                 `.key_on(..)` and a stateful step"
            }
            BuildError::TimeBehindShuffle { .. } => {
                "call `.event_time(..)` right behind the source: the steps behind it pass the time \
                 on"
            }
            BuildError::Setting { help, .. } => return help.clone(),
            // Each error of several shows its own help.
            BuildError::Empty | BuildError::Panicked { .. } | BuildError::Several(_) => {
                return None;
            }
        };
        Some(text.to_owned())
    }
}

with_help!(BuildError);

/// What is wrong with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadName {
    /// It is empty.
    #[error("it is empty")]
    Empty,
    /// It has a period.
    #[error("ids are names joined by periods, so it would look like that of a nested step")]
    Period,
    /// It has a line end, a tab or another control character, or white space at its ends.
    #[error("it has a control character, or white space at its ends, which nobody can see")]
    Invisible,
    /// It is longer than 255 bytes.
    #[error("it is longer than 255 bytes")]
    TooLong,
}

impl BadName {
    /// Advice on what to do about it.
    #[must_use]
    pub fn help(self) -> &'static str {
        match self {
            BadName::Empty => "give it a word, or leave the call out",
            BadName::Period => {
                "use another sign, such as `-`; where names are to be nested, use `flow::scope`"
            }
            BadName::Invisible => "use letters, digits, `-` and `_`",
            BadName::TooLong => {
                "a name is a word or two; what changes from run to run is no part of it"
            }
        }
    }
}

impl BuildError {
    /// The first error of type `E` among this error and its causes: see
    /// [`RunError::caused_by`](crate::RunError::caused_by).
    #[must_use]
    pub fn caused_by<E: std::error::Error + 'static>(&self) -> Option<&E> {
        match self {
            BuildError::Several(errors) => errors.iter().find_map(BuildError::caused_by),
            error => find(error),
        }
    }

    /// The kind of error, as a word for logs and metrics.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            BuildError::NoName { .. } => "no-name",
            BuildError::Function(_) => "function",
            BuildError::BadName { .. } => "bad-name",
            BuildError::TwoOfOneKind { .. } => "two-of-one-kind",
            BuildError::MadeInLoop { .. } => "made-in-loop",
            BuildError::DoubleId { .. } => "double-id",
            BuildError::DataflowUsedTwice { .. } => "dataflow-used-twice",
            BuildError::Unused { .. } => "unused",
            BuildError::Empty => "empty",
            BuildError::ChainTooLong { .. } => "chain-too-long",
            BuildError::TimeBehindShuffle { .. } => "time-behind-shuffle",
            BuildError::ResultInSink { .. } => "result-in-sink",
            BuildError::OptionInSink { .. } => "option-in-sink",
            BuildError::DoubleOutput { .. } => "double-output",
            BuildError::OutputIsInput(_) => "output-is-input",
            BuildError::OutputInStore(_) => "output-in-store",
            BuildError::InputIsStore(_) => "input-is-store",
            BuildError::CannotResume { .. } => "cannot-resume",
            BuildError::Source { .. } => "source",
            BuildError::Sink { .. } => "sink",
            BuildError::NothingToConvert { .. } => "nothing-to-convert",
            BuildError::MigratesToOther { .. } => "migrates-to-other",
            BuildError::LooksTheSame { .. } => "looks-the-same",
            BuildError::Ambiguous { .. } => "ambiguous",
            BuildError::NotDeterministic { .. } => "not-deterministic",
            BuildError::Panicked { .. } => "panicked",
            BuildError::Setting { .. } => "setting",
            BuildError::Several(_) => "several",
        }
    }

    /// The id of the step that failed, if the error is about a step.
    #[must_use]
    pub fn step(&self) -> Option<&str> {
        match self {
            BuildError::TwoOfOneKind { id, .. }
            | BuildError::MadeInLoop { id, .. }
            | BuildError::DoubleId { id, .. }
            | BuildError::DataflowUsedTwice { id, .. }
            | BuildError::Unused { id, .. }
            | BuildError::ResultInSink { id, .. }
            | BuildError::OptionInSink { id, .. }
            | BuildError::ChainTooLong { id, .. }
            | BuildError::TimeBehindShuffle { id, .. }
            | BuildError::CannotResume { id, .. }
            | BuildError::NothingToConvert { id, .. }
            | BuildError::MigratesToOther { id, .. }
            | BuildError::LooksTheSame { id, .. }
            | BuildError::Ambiguous { id, .. } => Some(id),
            BuildError::Source { step, .. } | BuildError::Sink { step, .. } => Some(step),
            BuildError::Panicked { step, .. } => step.as_deref(),
            BuildError::OutputIsInput(error) => Some(error.step()),
            BuildError::OutputInStore(error) => Some(error.step()),
            BuildError::InputIsStore(error) => Some(error.step()),
            _ => None,
        }
    }

    /// The place in the user's code, if the error has one. Of two places, the second.
    #[must_use]
    pub fn place(&self) -> Option<&Place> {
        match self {
            BuildError::NoName { place, .. }
            | BuildError::BadName { place, .. }
            | BuildError::MadeInLoop { place, .. }
            | BuildError::DataflowUsedTwice { place, .. }
            | BuildError::Unused { place, .. }
            | BuildError::ResultInSink { place, .. }
            | BuildError::OptionInSink { place, .. }
            | BuildError::ChainTooLong { place, .. }
            | BuildError::TimeBehindShuffle { place, .. }
            | BuildError::CannotResume { place, .. }
            | BuildError::Source { place, .. }
            | BuildError::Sink { place, .. }
            | BuildError::NothingToConvert { place, .. }
            | BuildError::MigratesToOther { place, .. }
            | BuildError::LooksTheSame { place, .. }
            | BuildError::Ambiguous { place, .. } => Some(place),
            BuildError::TwoOfOneKind { second, .. }
            | BuildError::DoubleId { second, .. }
            | BuildError::DoubleOutput { second, .. } => Some(second),
            BuildError::OutputIsInput(error) => Some(&error.place),
            BuildError::OutputInStore(error) => Some(&error.place),
            BuildError::InputIsStore(error) => Some(&error.place),
            _ => None,
        }
    }

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
