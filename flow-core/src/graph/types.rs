//! The types of what a step keeps.

use std::any::TypeId;

use flow_store::{Schema, Schemas};

/// Traces a type. Two of them are not told apart: which types a step has, its names say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trace(pub(crate) fn() -> Schema);

impl PartialEq for Trace {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Trace {}

/// What a step keeps, and what it can make it of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Types {
    /// Its keys, where they are the user's.
    pub(crate) key: Option<Trace>,
    /// Its states, tokens or positions.
    pub(crate) state: Option<Trace>,
    /// What a conversion of its state has to make.
    pub(crate) state_type: Option<TypeId>,
    /// The types that its keys can be converted from.
    pub(crate) old_keys: Vec<Old>,
    /// The types that its states can be converted from.
    pub(crate) old_states: Vec<Old>,
}

/// A type that a step had before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Old {
    pub(crate) name: &'static str,
    pub(crate) trace: Trace,
    /// What it is converted to.
    pub(crate) to: TypeId,
    pub(crate) to_name: &'static str,
}

impl Types {
    /// Traces all of them.
    pub(crate) fn schemas(&self) -> Schemas {
        let all = |old: &[Old]| old.iter().map(|old| (old.trace.0)()).collect();
        Schemas {
            key: self.key.map(|trace| (trace.0)()),
            state: self.state.map(|trace| (trace.0)()),
            old_keys: all(&self.old_keys),
            old_states: all(&self.old_states),
        }
    }
}
