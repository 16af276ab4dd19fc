//! The types of what a step keeps.

use std::{any::TypeId, sync::OnceLock};

use flow_store::{Schema, Schemas};

/// Traces a type. All of them are equal, because graphs are compared by the names of types.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trace(pub(crate) fn() -> Schema);

impl PartialEq for Trace {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Trace {}

/// The result of tracing, kept because tracing takes a while. All of them are equal, as with
/// [`Trace`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Traced(OnceLock<Schemas>);

impl PartialEq for Traced {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Traced {}

/// The types of what a step keeps, and the types that it can be converted from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Types {
    /// Its keys; `None` if they are not the user's.
    pub(crate) key: Option<Trace>,
    /// Its states, tokens or positions.
    pub(crate) state: Option<Trace>,
    /// The type that a conversion of its states must return.
    pub(crate) state_type: Option<TypeId>,
    /// The types that its keys can be converted from.
    pub(crate) old_keys: Vec<Old>,
    /// The types that its states can be converted from.
    pub(crate) old_states: Vec<Old>,
    /// The schemas of all of these, once they have been traced.
    pub(crate) traced: Traced,
}

/// A type that a step had before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Old {
    pub(crate) name: &'static str,
    pub(crate) trace: Trace,
    /// The type that it is converted to.
    pub(crate) to: TypeId,
    pub(crate) to_name: &'static str,
}

impl Types {
    /// The schemas of these types, which are traced once.
    pub(crate) fn schemas(&self) -> Schemas {
        let all = |old: &[Old]| old.iter().map(|old| (old.trace.0)()).collect();
        let traced = self.traced.0.get_or_init(|| Schemas {
            key: self.key.map(|trace| (trace.0)()),
            state: self.state.map(|trace| (trace.0)()),
            old_keys: all(&self.old_keys),
            old_states: all(&self.old_states),
        });
        traced.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

    use super::*;

    #[test]
    fn a_type_is_traced_once() {
        static TRACED: AtomicU64 = AtomicU64::new(0);
        let types = Types {
            state: Some(Trace(|| {
                TRACED.fetch_add(1, SeqCst);
                flow_store::trace::<u64>()
            })),
            ..Types::default()
        };
        assert!(types.schemas().state.is_some());
        assert_eq!(types.schemas(), types.clone().schemas());
        assert_eq!(TRACED.load(SeqCst), 1);
        let untraced = Types {
            state: types.state,
            ..Types::default()
        };
        assert_eq!(types, untraced);
    }
}
