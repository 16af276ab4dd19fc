//! What a flow is, as data: its steps, their ids, and how they are connected.
//!
//! A flow is built by running the user's function. That makes this graph, and beside it the
//! closures that the engine needs; nothing is opened. The graph of the plan is what is checked, and
//! what every worker's own build is compared with.

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

/// The number of a step in its graph, in the order in which steps were made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct StepIndex(pub(crate) u32);

impl StepIndex {
    pub(crate) fn as_usize(self) -> usize {
        self.0 as usize
    }
}

/// What a step has in the store.
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
}

/// The most steps that a record may go through between its source, or a shuffle, and the next
/// shuffle or sink.
///
/// They call each other, so each takes some of its thread's stack: [`STACK`](crate::engine::STACK)
/// has room for them, in a debug build too.
pub(crate) const MOST_STEPS: usize = 1000;

/// One step of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What the user called: `map`, `stateful_map`; for sources and sinks their kind: `text_lines`.
    pub kind: String,
    /// What the step has in the store.
    pub keeps: Keeps,
    /// The type of the items it gives out; for a sink, of those it takes.
    pub item: &'static str,
    /// The type of the key, where the stream that it gives out has one.
    pub key: Option<&'static str>,
    /// The type of what it keeps, for a step that keeps something.
    pub state: Option<&'static str>,
    /// Where in the user's code it was made.
    pub place: Place,
    /// The indices of the steps it takes its input from.
    pub inputs: Vec<usize>,
    /// What a sink guarantees.
    pub guarantee: Option<Guarantee>,
    name: Option<String>,
    renamed_from: Vec<String>,
    path: ScopePath,
    /// Facts that only the checks need.
    pub(crate) facts: Facts,
    /// What it keeps, as the store will have to know it.
    pub(crate) types: Types,
}

/// What the checks ask of sources and sinks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// A source whose token says that it can't resume, and that has not been allowed to.
    pub(crate) cannot_resume: bool,
    /// The files that a source reads.
    pub(crate) inputs: Vec<PathBuf>,
    /// What a sink writes to, where opening it twice would be wrong.
    pub(crate) output: Option<Output>,
    /// How many steps lead here from the last source or shuffle, this one included; none where it
    /// is one of these.
    pub(crate) depth: usize,
    /// A sink that would write an `Option` of the stream as it is.
    pub(crate) may_write_null: bool,
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

    /// The step's id: what the store knows it by. A step that keeps nothing has a label of the same
    /// form, which need not be unique.
    #[must_use]
    pub fn id(&self) -> String {
        self.path.join(&self.own_name())
    }

    /// The ids under which the store may still hold what this step keeps.
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

    /// Its name, or what stands for one: a source or a sink of which there is only one needs none.
    pub(crate) fn own_name(&self) -> Cow<'_, str> {
        match (&self.name, self.keeps) {
            (Some(name), _) => name.into(),
            // A source and a sink may be of one kind.
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
/// Printed, it is a table with a line for each step.
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
            Keeps::Nothing | Keeps::Positions => {
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

    /// Whether more steps lead to this one than may.
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
