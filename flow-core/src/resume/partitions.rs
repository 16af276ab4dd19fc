//! Where the partitions of a source go on.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use flow_store::Row;

use super::Renames;
use crate::error::TypeChange;

/// What a source goes on from.
pub(crate) struct Unsettled<'a> {
    /// The id of the step.
    pub(crate) step: &'a str,
    /// The rows of its partitions.
    pub(crate) rows: Vec<Row>,
    /// How the type of its tokens changed.
    pub(crate) change: TypeChange,
    /// The partitions that it has, sorted.
    pub(crate) listed: &'a [String],
    /// Those that the user gives up.
    pub(crate) dropped: &'a BTreeSet<String>,
    /// Those of which the user says what they are called now.
    pub(crate) renames: &'a Renames,
    /// Whether the flow writes a file.
    pub(crate) is_output: &'a dyn Fn(&Path) -> bool,
}

/// What a start has made of the partitions of a source.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settled {
    /// Those that are read, sorted: the listed ones, and others to which listed ones have moved.
    pub(crate) partitions: Vec<String>,
    /// The rows of those that have moved, by their new names.
    pub(crate) moved: BTreeMap<String, Vec<u8>>,
    /// Those whose rows in the store do not count any more.
    pub(crate) given_up: BTreeSet<String>,
    /// Which partition is read only when which other one has come to its end.
    pub(crate) after: Vec<(String, String)>,
    /// Which has moved where.
    pub(crate) moves: Vec<(String, String)>,
    /// Those that are read on in something else of their name.
    pub(crate) replaced: Vec<String>,
    /// The partitions that the store knows.
    pub(crate) known: Vec<String>,
}
