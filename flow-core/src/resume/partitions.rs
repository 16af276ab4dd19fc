//! Where the partitions of a source resume.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use flow_store::Row;

use super::Renames;
use crate::error::TypeChange;

/// What a start knows of a source before it settles where its partitions resume.
pub(crate) struct Unsettled<'a> {
    /// The id of the step.
    pub(crate) step: &'a str,
    /// The stored rows of its partitions.
    pub(crate) rows: Vec<Row>,
    /// How the type of its tokens has changed.
    pub(crate) change: TypeChange,
    /// The partitions that it lists, sorted.
    pub(crate) listed: &'a [String],
    /// Partitions that the user gives up.
    pub(crate) dropped: &'a BTreeSet<String>,
    /// Partitions that the user has renamed.
    pub(crate) renames: &'a Renames,
    /// Whether the flow writes to this file.
    pub(crate) is_output: &'a dyn Fn(&Path) -> bool,
}

/// Where the partitions of a source resume, as settled by a start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settled {
    /// The partitions to read, sorted: the listed ones, and others to which listed ones have moved.
    pub(crate) partitions: Vec<String>,
    /// The rows of moved partitions, by their new names.
    pub(crate) moved: BTreeMap<String, Vec<u8>>,
    /// Partitions whose stored rows no longer count.
    pub(crate) given_up: BTreeSet<String>,
    /// Pairs: the first partition is read only when the second has come to its end.
    pub(crate) after: Vec<(String, String)>,
    /// Pairs of an old name and a new name.
    pub(crate) moves: Vec<(String, String)>,
    /// Partitions that resume in something else that has their name now.
    pub(crate) replaced: Vec<String>,
    /// The partitions that the store knows.
    pub(crate) known: Vec<String>,
}
