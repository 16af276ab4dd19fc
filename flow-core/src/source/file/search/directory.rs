//! The files in a directory that may have been read, or may have been made from an input.

use std::{
    collections::{HashMap, HashSet},
    ffi::{OsStr, OsString},
    fs, io,
    path::Path,
};

use super::super::{
    identity::FileNumber,
    names::{rotated_from, series},
};
use crate::files::folder_of;

/// The files of a directory that matter. It may contain many others.
#[derive(Default)]
pub(super) struct Directory {
    /// Files that may have been read.
    pub(super) by_inode: HashMap<u64, Vec<OsString>>,
    /// Files that rotation may have made from an input, by the name of the input.
    pub(super) numbered: HashMap<String, Vec<OsString>>,
}

/// The identities of files.
#[derive(Default)]
pub(super) struct Numbers(HashMap<u64, Vec<FileNumber>>);

impl Numbers {
    pub(super) fn add(&mut self, number: FileNumber) {
        self.0.entry(number.inode).or_default().push(number);
    }

    /// Compares the creation time too, because the system gives an inode to a later file at once.
    pub(super) fn has(&self, number: FileNumber) -> bool {
        let mut same = self.0.get(&number.inode).into_iter().flatten();
        same.any(|other| other.is(number) == Some(true))
    }
}

/// Lists the files of a directory that may have been read, or may have been made from inputs.
pub(super) fn list(
    folder: &Path,
    read: &Numbers,
    inputs: &HashSet<String>,
) -> io::Result<Directory> {
    let mut directory = Directory::default();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if let Some(inode) = inode_of(&entry).filter(|inode| read.0.contains_key(inode)) {
            let same = directory.by_inode.entry(inode).or_default();
            same.push(name.clone());
        }
        let from = rotated_from(&name.to_string_lossy());
        for from in from.into_iter().filter(|from| inputs.contains(from)) {
            let numbered = directory.numbered.entry(from).or_default();
            numbered.push(name.clone());
        }
    }
    Ok(directory)
}

/// The names beside a file that differ from its name only in their numbers.
pub(super) fn names_like(path: &Path) -> io::Result<Vec<OsString>> {
    let series_of = |name: &OsStr| series(&name.to_string_lossy());
    let own = series_of(path.file_name().unwrap_or_default());
    let entries = fs::read_dir(folder_of(path))?.map(|entry| Ok(entry?.file_name()));
    let names: io::Result<Vec<OsString>> = entries.collect();
    Ok(names?
        .into_iter()
        .filter(|name| series_of(name) == own)
        .collect())
}

#[cfg(unix)]
#[allow(clippy::unnecessary_wraps)] // elsewhere there is none
pub(super) fn inode_of(entry: &fs::DirEntry) -> Option<u64> {
    Some(std::os::unix::fs::DirEntryExt::ino(entry))
}

#[cfg(not(unix))]
pub(super) fn inode_of(_: &fs::DirEntry) -> Option<u64> {
    None
}
