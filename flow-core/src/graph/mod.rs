//! A flow as data: its steps, their ids, and how they are connected.
//!
//! The user's function builds the graph, and beside it the closures that the engine needs. It opens
//! nothing. The plan's graph is checked, and each worker's graph is compared with it.

mod check;
mod files;
mod output;
mod scope;
mod types;

use std::{
    borrow::Cow,
    collections::HashSet,
    fmt,
    panic::Location,
    path::{Path, PathBuf},
};

pub use output::{Guarantee, Output};
pub use scope::{Scope, Sites, enter, here, scope};
pub(crate) use scope::{ScopePath, id_at, path};
pub(crate) use types::{Old, Trace, Types};

use crate::{
    error::{BuildError, Place},
    files::FileId,
    names::short,
};

/// The number of a step in its graph, in the order in which the steps were made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct StepIndex(pub(crate) u32);

impl StepIndex {
    pub(crate) fn as_usize(self) -> usize {
        self.0 as usize
    }
}

/// What a step keeps in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeps {
    /// Nothing: the step only transforms what passes through it.
    Nothing,
    /// A resume token for each partition that it reads.
    Tokens,
    /// A state for each key.
    States,
    /// The position of each of its outputs.
    Positions,
    /// How far the times of each partition have come. The store keeps them with the tokens.
    Times,
}

/// The most steps of a chain, between a source or shuffle and the next shuffle or sink.
///
/// The steps call each other, so each takes some of the thread's stack.
/// [`STACK`](crate::engine::STACK) has room for them, even in a debug build.
pub(crate) const MOST_STEPS: usize = 1000;

/// One step of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The method that made the step, such as `map`; for a source or sink its kind, such as
    /// `text_lines`.
    pub kind: String,
    /// What the step keeps in the store.
    pub keeps: Keeps,
    /// The type of the items that it emits; for a sink, of the items that it takes.
    pub item: &'static str,
    /// The type of the key, if the stream that it emits has one.
    pub key: Option<&'static str>,
    /// The type of the tokens, states or positions that it keeps, if it keeps any.
    pub state: Option<&'static str>,
    /// The place in the user's code where it was made.
    pub place: Place,
    /// The indices of the steps it takes its input from.
    pub inputs: Vec<usize>,
    /// The guarantee of a sink.
    pub guarantee: Option<Guarantee>,
    name: Option<String>,
    renamed_from: Vec<String>,
    path: ScopePath,
    /// Facts for the checks.
    pub(crate) facts: Facts,
    /// The types of what it keeps, for the store.
    pub(crate) types: Types,
}

/// Facts that only the checks need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// A source that can't resume and is not lossy.
    pub(crate) cannot_resume: bool,
    /// The files that a source reads.
    pub(crate) inputs: Vec<PathBuf>,
    /// The output of a sink, if it must not be opened twice.
    pub(crate) output: Option<Output>,
    /// The number of steps since the last source or stateful step, this one included; 0 for those
    /// two.
    pub(crate) depth: usize,
    /// A sink that would write an `Option` as it is, and so `None` as `null`.
    pub(crate) may_write_null: bool,
    /// The method that says that a stream is not wanted, if there is one.
    pub(crate) drop: Option<&'static str>,
    /// A stream that need not be used.
    pub(crate) may_be_unused: bool,
}

impl Step {
    pub(crate) fn new(kind: impl Into<String>, keeps: Keeps, at: &Location<'_>) -> Self {
        Step {
            kind: kind.into(),
            keeps,
            item: "",
            key: None,
            state: None,
            place: at.into(),
            inputs: Vec::new(),
            guarantee: None,
            name: id_at(at).map(str::to_owned),
            renamed_from: Vec::new(),
            path: path(),
            facts: Facts::default(),
            types: Types::default(),
        }
    }

    /// The step's id, by which the store knows it.
    ///
    /// A step that keeps nothing has a label of the same form, which need not be unique.
    #[must_use]
    pub fn id(&self) -> String {
        self.path.join(&self.own_name())
    }

    /// The former ids, under which the store may still hold what this step keeps.
    #[must_use]
    pub fn former_ids(&self) -> Vec<String> {
        self.path.former(&self.own_name(), &self.renamed_from)
    }

    pub(crate) fn set_name(&mut self, name: String) {
        self.name = Some(name);
    }

    pub(crate) fn add_former_name(&mut self, name: String) {
        self.renamed_from.push(name);
    }

    /// Its name, or its kind: a source or sink that is the only one of its kind needs no name.
    pub(crate) fn own_name(&self) -> Cow<'_, str> {
        match (&self.name, self.keeps) {
            (Some(name), _) => name.into(),
            // A source and a sink of one kind must not share an id.
            (None, Keeps::Tokens) => format!("{}_source", self.kind).into(),
            (None, _) => self.kind.as_str().into(),
        }
    }

    /// Whether the store keeps something under its id.
    pub(crate) fn has_rows(&self) -> bool {
        self.keeps != Keeps::Nothing && self.state.is_some()
    }

    fn is_named(&self) -> bool {
        self.name.is_some()
    }
}

/// The steps of a flow and how they are connected.
///
/// `Display` prints a table with a line for each step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Graph {
    name: Option<String>,
    steps: Vec<Step>,
}

impl Graph {
    /// The steps, in the order in which they were made.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The files that the flow writes.
    pub(crate) fn outputs(&self) -> HashSet<FileId> {
        files::written(self)
    }

    pub(crate) fn add(&mut self, mut step: Step) -> StepIndex {
        self.name = self.name.take().or_else(scope::outermost);
        step.facts.depth = match step.keeps {
            Keeps::Tokens | Keeps::States => 0,
            Keeps::Nothing | Keeps::Positions | Keeps::Times => {
                let inputs = step
                    .inputs
                    .iter()
                    .filter_map(|input| self.steps.get(*input));
                1 + inputs.map(|input| input.facts.depth).max().unwrap_or(0)
            }
        };
        self.steps.push(step);
        #[allow(clippy::cast_possible_truncation)] // a flow of 2^32 steps does not fit in memory
        StepIndex((self.steps.len() - 1) as u32)
    }

    pub(crate) fn step(&self, index: StepIndex) -> Option<&Step> {
        self.steps.get(index.as_usize())
    }

    pub(crate) fn step_mut(&mut self, index: StepIndex) -> Option<&mut Step> {
        self.steps.get_mut(index.as_usize())
    }

    /// Whether more steps lead to this one than a chain may have.
    pub(crate) fn is_too_deep(&self, index: StepIndex) -> bool {
        self.step(index)
            .is_some_and(|step| step.facts.depth > MOST_STEPS)
    }

    /// The id of a step, for messages.
    pub(crate) fn id(&self, index: StepIndex) -> String {
        self.step(index).map_or_else(String::new, Step::id)
    }

    /// Where a step was made, for messages.
    pub(crate) fn place(&self, index: StepIndex) -> Place {
        let place = self.step(index).map(|step| step.place.clone());
        place.unwrap_or(Place {
            file: "unknown".to_owned(),
            line: 0,
            column: 0,
        })
    }

    /// The name of the flow: that of its outermost dataflow.
    pub(crate) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or("flow")
    }

    /// Everything that is wrong with the flow as it was built.
    pub(crate) fn check(&self, store: Option<&Path>) -> Vec<BuildError> {
        check::check(self, store)
    }
}

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.steps.iter().enumerate() {
            let inputs: Vec<String> = step.inputs.iter().map(usize::to_string).collect();
            write!(f, "{index:>3}  {:<24} {:<14}", step.id(), step.kind)?;
            match step.key {
                Some(key) => write!(f, " KeyedStream<{}, {}>", short(step.item), short(key))?,
                None if step.keeps == Keeps::Positions => write!(f, " takes {}", short(step.item))?,
                None => write!(f, " Stream<{}>", short(step.item))?,
            }
            if !inputs.is_empty() {
                write!(f, "  from {}", inputs.join(", "))?;
            }
            if let Some(state) = step.state {
                write!(f, "  keeps {}", short(state))?;
            }
            if let Some(guarantee) = step.guarantee {
                write!(f, "  {guarantee}")?;
            }
            writeln!(f, "  ({})", step.place)?;
        }
        Ok(())
    }
}
