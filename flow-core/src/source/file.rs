//! Files as partitions: where a reader stands in one, and whether it is still the same file.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{ErrorKind, Read, Seek, SeekFrom},
    path::{Component, Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{SourceError, compressed::Compressed};

/// How much of a file's beginning tells it from another one, in bytes.
const HEAD: usize = 1024;

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

    pub(super) fn token(&self, offset: u64, line: u64) -> FileToken {
        let head_len = usize::try_from(offset).map_or(HEAD, |offset| offset.min(self.0.len()));
        FileToken {
            offset,
            line,
            head_len: head_len as u64,
            head_hash: flow_store::hash(&self.0[..head_len]),
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
pub(super) fn open_at(
    path: &Path,
    name: &str,
    token: Option<&FileToken>,
) -> Result<Opened, SourceError> {
    let error = |what: &str, error| SourceError::caused_by(format!("{name}: {what}"), error);
    let mut file = File::open(path).map_err(|e| match (e.kind(), token) {
        (ErrorKind::NotFound, Some(_)) => SourceError::caused_by(
            format!("{name} is gone"),
            format!("{e}\nhelp: bring it back; a file that was read to its end need not be named any more"),
        ),
        _ => error("can't be opened", e),
    })?;
    let metadata = file.metadata().map_err(|e| error("can't be read", e))?;
    if metadata.is_dir() {
        return Err(SourceError::new(format!(
            "{name} is a directory, not a file"
        )));
    }
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
        let start = read(&mut file, 0, 4).map_err(|e| error("can't be read", e))?;
        if let Some(compressed) = Compressed::of(&start, name) {
            return Err(compressed.into());
        }
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
        let around = read(&mut file, token.offset - 1, 3).map_err(|e| error("can't be read", e))?;
        open_line = around.first() != Some(&b'\n');
        if open_line && !matches!(&around[..], [_] | [_, b'\n', ..] | [_, b'\r', b'\n']) {
            return Err(grown_line(name, token.line));
        }
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

/// A last line that was read without its end has grown.
pub(super) fn grown_line(name: &str, line: u64) -> SourceError {
    SourceError::new(format!(
        "{name}, line {line}: it was read as the last line, without an end, and has grown since\nhelp: end each line with a newline before the flow reads it"
    ))
}

/// The files of a source by the names of their partitions.
#[derive(Clone, Debug)]
pub(super) struct Files(Vec<PathBuf>);

impl Files {
    pub(super) fn new(paths: impl IntoIterator<Item = impl Into<PathBuf>>) -> Self {
        Files(paths.into_iter().map(Into::into).collect())
    }

    fn by_name(&self) -> Result<BTreeMap<String, &Path>, SourceError> {
        let mut files = BTreeMap::new();
        let mut real: BTreeMap<PathBuf, String> = BTreeMap::new();
        for path in &self.0 {
            let name = name_of(path);
            if files.insert(name.clone(), path.as_path()).is_some() {
                return Err(SourceError::new(format!("{name} is named twice")));
            }
            let Ok(file) = path.canonicalize() else {
                continue;
            };
            if let Some(other) = real.insert(file, name.clone()) {
                let text = format!("{other} and {name} are one file");
                return Err(SourceError::new(text));
            }
        }
        Ok(files)
    }

    /// Whether a file is what was read under another name.
    pub(super) fn is_renamed(
        &self,
        old: &str,
        token: &FileToken,
        new: &str,
    ) -> Result<bool, SourceError> {
        let path = self.path(new)?;
        let (was, is) = (Path::new(old).canonicalize(), path.canonicalize());
        if matches!((was, is), (Ok(was), Ok(is)) if was == is) {
            return Ok(token.offset > 0);
        }
        if token.head_len < TELLING {
            return Ok(false);
        }
        let read = || -> std::io::Result<Vec<u8>> {
            let mut head = Vec::new();
            File::open(&path)?
                .take(token.head_len)
                .read_to_end(&mut head)?;
            Ok(head)
        };
        // What can't be read is told when it is opened.
        Ok(read().is_ok_and(|head| flow_store::hash(&head) == token.head_hash))
    }

    pub(super) fn names(&self) -> Result<Vec<String>, SourceError> {
        Ok(self.by_name()?.into_keys().collect())
    }

    pub(super) fn path(&self, name: &str) -> Result<PathBuf, SourceError> {
        let files = self.by_name()?;
        let path = files.get(name);
        path.map(|path| path.to_path_buf()).ok_or_else(|| {
            SourceError::new(format!("{name} is not among the files of this source"))
        })
    }
}
