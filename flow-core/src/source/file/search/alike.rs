//! Files that begin alike.

use std::{
    collections::{BTreeSet, HashMap},
    ffi::OsString,
    path::Path,
};

use super::super::{names::path_of, token::FileToken};
use crate::source::Known;

/// If more files begin alike, that says nothing. Then only files with the same length, or with the
/// same name in another directory, are compared.
const ALIKE: usize = 16;

/// Files that were read, by their first bytes.
#[derive(Default)]
pub(super) struct Alike {
    /// The lengths of these first bytes.
    pub(super) lengths: BTreeSet<u64>,
    by_head: HashMap<Head, Vec<usize>>,
    by_length: HashMap<(Head, u64), Vec<usize>>,
    by_name: HashMap<(Head, OsString), Vec<usize>>,
}

/// The length of the known first bytes of a file, and their hash.
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

    /// The files that were read that a file with these first bytes may be.
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
