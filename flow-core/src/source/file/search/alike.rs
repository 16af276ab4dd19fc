//! Files that begin alike.

use std::{
    collections::{BTreeSet, HashMap},
    ffi::OsString,
    path::Path,
};

use super::super::{names::path_of, token::FileToken};
use crate::source::Known;

/// Where more files than that begin alike, that says nothing: then only those that are as long, or
/// have the same name in another directory, are compared.
const ALIKE: usize = 16;

/// Files that were read, by what they begin with.
#[derive(Default)]
pub(super) struct Alike {
    /// The lengths of their beginnings.
    pub(super) lengths: BTreeSet<u64>,
    by_head: HashMap<Head, Vec<usize>>,
    by_length: HashMap<(Head, u64), Vec<usize>>,
    by_name: HashMap<(Head, OsString), Vec<usize>>,
}

/// The length of a file's beginning, and its hash.
type Head = (u64, u64);

impl Alike {
    pub(super) fn add(&mut self, index: usize, known: &Known<FileToken>) {
        let token = &known.token;
        if token.head_len == 0 {
            return;
        }
        let head = (token.head_len, token.head_hash);
        self.lengths.insert(token.head_len);
        self.by_head.entry(head).or_default().push(index);
        self.by_length
            .entry((head, token.offset))
            .or_default()
            .push(index);
        if let Some(name) = path_of(&known.partition).file_name() {
            let named = self.by_name.entry((head, name.to_owned()));
            named.or_default().push(index);
        }
    }

    /// Those that a file may be which begins like this.
    pub(super) fn to(&self, path: &Path, head: &[u8], length: u64) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let few = |like: Option<&'_ Vec<usize>>| match like {
            Some(like) if like.len() <= ALIKE => like.clone(),
            _ => Vec::new(),
        };
        for head_len in &self.lengths {
            let bytes = usize::try_from(*head_len)
                .ok()
                .and_then(|len| head.get(..len));
            let Some(bytes) = bytes else {
                break;
            };
            let head = (*head_len, flow_store::hash(bytes));
            if !self.by_head.contains_key(&head) {
                continue;
            }
            found.extend(few(self.by_head.get(&head)));
            found.extend(few(self.by_length.get(&(head, length))));
            let name = path.file_name().unwrap_or_default();
            found.extend(few(self.by_name.get(&(head, name.to_owned()))));
        }
        found
    }
}
