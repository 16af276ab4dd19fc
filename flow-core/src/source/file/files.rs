//! The files of a source, and the names of their partitions.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use super::{
    names::{name_of, path_of, rotated_from, series},
    search::Search,
    token::FileToken,
};
use crate::{
    files::{FileId, folder_of},
    source::{Found, Known, SourceError},
};

/// The files of a source.
#[derive(Clone, Debug)]
pub(in crate::source) struct Files {
    /// The paths by the names of their partitions, sorted.
    named: Vec<(String, PathBuf)>,
}

impl Files {
    pub(in crate::source) fn new(paths: impl IntoIterator<Item = impl Into<PathBuf>>) -> Self {
        let paths = paths.into_iter().map(Into::into);
        let mut named: Vec<_> = paths.map(|path| (name_of(&path), path)).collect();
        named.sort();
        Files { named }
    }

    /// The names of the partitions. Refuses files that are named twice.
    pub(in crate::source) fn names(&self) -> Result<Vec<String>, SourceError> {
        let mut names: Vec<String> = Vec::new();
        let mut files: HashMap<FileId, &str> = HashMap::new();
        for (name, path) in &self.named {
            if names.last() == Some(name) {
                return Err(SourceError::new(format!("{name} is named twice")));
            }
            names.push(name.clone());
            // A missing file is reported when it is opened.
            if !path.exists() {
                continue;
            }
            if let Some(other) = files.insert(FileId::of(path), name) {
                let text = format!("{other} and {name} are one file");
                return Err(SourceError::new(text));
            }
        }
        Ok(names)
    }

    /// The paths of all files, including missing ones.
    pub(in crate::source) fn paths(&self) -> Vec<PathBuf> {
        self.named.iter().map(|(_, path)| path.clone()).collect()
    }

    /// The path of a partition: an input, or the rest of one beside it.
    pub(in crate::source) fn path(&self, name: &str) -> PathBuf {
        let found = self
            .named
            .binary_search_by(|(other, _)| other.as_str().cmp(name));
        match found.ok().and_then(|index| self.named.get(index)) {
            Some((_, path)) => path.clone(),
            None => path_of(name),
        }
    }

    /// Whether this could be the name of a missed file: it lies beside an input, or beside the
    /// target of one that is a link. The file need not exist any more.
    pub(in crate::source) fn may_be_missed(&self, name: &str) -> bool {
        let path = path_of(name);
        let text = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into());
        let Some(name): Option<String> = text(&path) else {
            return false;
        };
        let from = rotated_from(&name);
        let is_beside = |input: &Path| {
            let own: Option<String> = text(input);
            own.is_some_and(|own| {
                from.contains(&own) || own != name && series(&own) == series(&name)
            }) && FileId::of(folder_of(input)) == FileId::of(folder_of(&path))
        };
        (self.named.iter()).any(|(_, input)| {
            is_beside(input) || input.canonicalize().is_ok_and(|target| is_beside(&target))
        })
    }

    /// Finds where the files are now that have been read.
    pub(in crate::source) fn find(
        &self,
        known: &[Known<FileToken>],
        is_output: &dyn Fn(&Path) -> bool,
    ) -> Vec<Found<FileToken>> {
        Search::new(&self.named, known, is_output).find()
    }
}
