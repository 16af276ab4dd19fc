//! Files as partitions: where a reader stands in one, and whether it is still the same file.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::{Component, Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};

use super::{At, SourceError, beginning, open};
use crate::files::FileId;

/// How much of a file's beginning tells it from another one, in bytes.
const HEAD: usize = 1024;

/// How much of what comes before a position tells it from the same position in another file, in bytes.
const TAIL: u64 = 256;

/// So many bytes that are the same at the beginning of two files are no accident.
const TELLING: u64 = 64;

/// What a path is called as a partition: the same whether it is written `a`, `./a` or `.//a`.
fn name_of(path: &Path) -> String {
    let parts = path.components();
    let name: PathBuf = parts.filter(|part| *part != Component::CurDir).collect();
    name.display().to_string()
}

/// Where a reader stands in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileToken {
    /// The byte at which the next unread line starts.
    pub offset: u64,
    /// How many lines come before it.
    pub line: u64,
    /// How many bytes of the file's beginning `head_hash` covers.
    pub head_len: u64,
    /// A hash of the file's beginning, which tells it from another file of the same name.
    pub head_hash: u64,
    /// A hash of the last bytes before `offset`, which tells it from another file that begins the same. None in stores that
    /// were written before there was one, and where the system can't say.
    #[serde(default)]
    pub tail_hash: Option<u64>,
}

/// A hash of the last bytes before an offset. The file's own position stays.
pub(super) fn tail_hash(file: &File, offset: u64) -> io::Result<u64> {
    let len = offset.min(TAIL);
    #[allow(clippy::cast_possible_truncation)] // at most TAIL
    let mut tail = vec![0; len as usize];
    read_exact_at(file, &mut tail, offset - len)?;
    Ok(flow_store::hash(&tail))
}

#[cfg(unix)]
fn read_exact_at(file: &File, out: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, out, offset)
}

/// Elsewhere a file can't be read without its position being moved.
#[cfg(not(unix))]
fn read_exact_at(_: &File, _: &mut [u8], _: u64) -> io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}

/// The first bytes of a file, as far as they have been read.
#[derive(Debug, Default)]
pub(super) struct FileHead(Vec<u8>);

impl FileHead {
    /// Takes in bytes that were read at `offset`, if they belong to the head.
    pub(super) fn read(&mut self, offset: u64, bytes: &[u8]) {
        if offset == self.0.len() as u64 && self.0.len() < HEAD {
            let take = bytes.len().min(HEAD - self.0.len());
            self.0.extend_from_slice(&bytes[..take]);
        }
    }

    pub(super) fn token(&self, tail_hash: Option<u64>, offset: u64, line: u64) -> FileToken {
        let head_len = usize::try_from(offset).map_or(HEAD, |offset| offset.min(self.0.len()));
        FileToken {
            offset,
            line,
            head_len: head_len as u64,
            head_hash: flow_store::hash(&self.0[..head_len]),
            tail_hash,
        }
    }
}

/// A file, open where a token says.
pub(super) struct Opened {
    pub(super) file: File,
    pub(super) head: FileHead,
    pub(super) token: FileToken,
    /// The last line before the token was read without its end.
    pub(super) open_line: bool,
}

/// Opens a file where a token says, after checking that it is still the file that was read.
pub(super) fn open_at(path: &Path, name: &str, at: At<&FileToken>) -> Result<Opened, SourceError> {
    let token = at.token();
    let error = |what: &str, error| SourceError::caused_by(format!("{name}: {what}"), error);
    let mut file = open::open(path).map_err(|e| match token {
        Some(_) if e.is_not_found() => {
            SourceError::caused_by(format!("{name} is gone"), io::Error::from(e)).and_help(
                "bring it back; a file that was read to its end need not be named any more",
            )
        }
        _ => e.about(name),
    })?;
    let metadata = file.metadata().map_err(|e| error("can't be read", e))?;
    let token = token.cloned().unwrap_or_default();
    if metadata.len() < token.offset {
        return Err(SourceError::new(format!(
            "{name} is shorter than what was read of it: {} bytes are there, {} had been read up to line {}\nhelp: bring the file back as it was; a new file needs a new name",
            metadata.len(),
            token.offset,
            token.line
        )));
    }
    let read = |file: &mut File, from: u64, bytes: u64| -> std::io::Result<Vec<u8>> {
        let mut read = Vec::new();
        file.seek(SeekFrom::Start(from))?;
        file.take(bytes).read_to_end(&mut read)?;
        Ok(read)
    };
    let mut head = FileHead::default();
    if token.offset == 0 {
        let start = read(&mut file, 0, beginning::TELLING as u64);
        beginning::check(&start.map_err(|e| error("can't be read", e))?, name)?;
    }
    if token.offset > 0 {
        let head_len = token.head_len.min(HEAD as u64);
        let bytes = read(&mut file, 0, head_len).map_err(|e| error("can't be read", e))?;
        if flow_store::hash(&bytes) != token.head_hash {
            return Err(SourceError::new(format!(
                "{name} has other content than when it was read: its first {head_len} bytes differ\nhelp: bring the file back as it was; a new file needs a new name"
            )));
        }
        head.read(0, &bytes);
    }
    let mut open_line = false;
    if token.offset > 0 {
        let before = read(&mut file, token.offset - 1, 1);
        open_line = before.map_err(|e| error("can't be read", e))? != b"\n";
    }
    file.seek(SeekFrom::Start(token.offset))
        .map_err(|e| error("can't be read", e))?;
    Ok(Opened {
        file,
        head,
        token,
        open_line,
    })
}

/// The files of a source.
#[derive(Clone, Debug)]
pub(super) struct Files {
    /// By the names of their partitions, sorted.
    named: Vec<(String, PathBuf)>,
    seen: Seen,
}

impl Files {
    pub(super) fn new(paths: impl IntoIterator<Item = impl Into<PathBuf>>) -> Self {
        let paths = paths.into_iter().map(Into::into);
        let mut named: Vec<_> = paths.map(|path| (name_of(&path), path)).collect();
        named.sort();
        let seen = Seen::default();
        Files { named, seen }
    }

    /// The names of the partitions, each of which is a file of its own.
    pub(super) fn names(&self) -> Result<Vec<String>, SourceError> {
        let mut names: Vec<String> = Vec::new();
        let mut files: HashMap<FileId, &str> = HashMap::new();
        for (name, path) in &self.named {
            if names.last() == Some(name) {
                return Err(SourceError::new(format!("{name} is named twice")));
            }
            names.push(name.clone());
            // What is not there is told when it is opened.
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

    /// All of them, also those that are not there.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        self.named.iter().map(|(_, path)| path.clone()).collect()
    }

    pub(super) fn path(&self, name: &str) -> Result<&Path, SourceError> {
        let found = self
            .named
            .binary_search_by(|(other, _)| other.as_str().cmp(name));
        match found.ok().and_then(|index| self.named.get(index)) {
            Some((_, path)) => Ok(path),
            None => Err(SourceError::new(format!(
                "{name} is not among the files of this source"
            ))),
        }
    }

    /// Whether a file begins with all that was read of one under another name, or is that one.
    pub(super) fn is_renamed(
        &self,
        old: &str,
        token: &FileToken,
        new: &str,
    ) -> Result<bool, SourceError> {
        let path = self.path(new)?;
        if self.seen.are_one(Path::new(old), path) {
            return Ok(token.offset > 0);
        }
        let (head_len, tail) = (token.head_len, token.tail_hash);
        if head_len < TELLING || !self.seen.begins_as(path, token) {
            return Ok(false);
        }
        // What can't be read is told when it is opened.
        let same_tail = |tail: u64| {
            let file = open::open(path).map_err(io::Error::from);
            file.and_then(|file| tail_hash(&file, token.offset))
                .is_ok_and(|hash| hash == tail)
        };
        Ok(tail.is_none_or(same_tail))
    }
}

/// What has been found out about files at a start: each new one is compared with each that is gone.
#[derive(Debug, Default)]
struct Seen(Mutex<SeenFiles>);

#[derive(Debug, Default)]
struct SeenFiles {
    /// Where a path leads, if there is something.
    real: HashMap<PathBuf, Option<PathBuf>>,
    /// The first bytes of a file, and its length, if it can be read.
    heads: HashMap<PathBuf, Option<(Vec<u8>, u64)>>,
}

/// The source of another start finds out anew.
impl Clone for Seen {
    fn clone(&self) -> Self {
        Seen::default()
    }
}

impl Seen {
    /// Whether two paths lead to one file.
    fn are_one(&self, one: &Path, other: &Path) -> bool {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut real = |path: &Path| match seen.real.get(path) {
            Some(known) => known.clone(),
            None => {
                let found = path.canonicalize().ok();
                seen.real.insert(path.to_path_buf(), found.clone());
                found
            }
        };
        matches!((real(one), real(other)), (Some(one), Some(other)) if one == other)
    }

    /// Whether a file is as long as what a token says was read, and has its beginning.
    fn begins_as(&self, path: &Path, token: &FileToken) -> bool {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !seen.heads.contains_key(path) {
            seen.heads.insert(path.to_path_buf(), head_of(path).ok());
        }
        let Some(Some((head, len))) = seen.heads.get(path) else {
            return false;
        };
        let begins = usize::try_from(token.head_len).ok();
        let begins = begins.and_then(|head_len| head.get(..head_len));
        *len >= token.offset && begins.map(flow_store::hash) == Some(token.head_hash)
    }
}

/// The first bytes of a file, and its length.
fn head_of(path: &Path) -> io::Result<(Vec<u8>, u64)> {
    let file = open::open(path)?;
    let len = file.metadata()?.len();
    let mut head = Vec::new();
    file.take(HEAD as u64).read_to_end(&mut head)?;
    Ok((head, len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_compared_with_many_is_read_once() {
        let directory = tempfile::tempdir().unwrap();
        let (path, text) = (directory.path().join("new"), "a".repeat(2 * HEAD));
        std::fs::write(&path, &text).unwrap();
        let mut head = FileHead::default();
        head.read(0, text.as_bytes());
        let token = head.token(None, 2 * HEAD as u64, 1);
        let files = Files::new([&path]);
        let name = name_of(&path);
        let is_renamed = |files: &Files| files.is_renamed("old", &token, &name).unwrap();
        assert!(is_renamed(&files));
        std::fs::remove_file(&path).unwrap();
        assert!(is_renamed(&files));
        // of another start
        assert!(!is_renamed(&files.clone()));
    }

    #[test]
    fn a_token_without_a_tail_is_one() {
        #[derive(Serialize)]
        struct Before {
            offset: u64,
            line: u64,
            head_len: u64,
            head_hash: u64,
        }
        let before = Before {
            offset: 1,
            line: 2,
            head_len: 3,
            head_hash: 4,
        };
        let mut bytes = Vec::new();
        flow_store::encode(&before, &mut bytes).unwrap();
        let token: FileToken = flow_store::decode(&bytes).unwrap();
        assert_eq!((token.head_hash, token.tail_hash), (4, None));
    }
}
