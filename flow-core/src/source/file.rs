//! Files as partitions: where a reader stands in one, and whether it is still the same file.

mod facts;
mod identity;
mod names;
mod search;

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

pub(super) use self::facts::{Changed, changed, number, read_at, tail_hash};
pub use self::identity::FileNumber;
use self::{
    identity::{Now, Reason, Verdict, judge},
    names::{name_of, path_of, rotated_from, series},
    search::Search,
};
use super::{At, Found, Known, SourceError, beginning, open};
use crate::files::{FileId, folder_of};

/// How much of a file's beginning tells it from another one, in bytes.
const HEAD: usize = 1024;

/// How much of what comes before a position tells it from the same position in another file, in bytes.
pub(super) const TAIL: usize = 256;

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
    /// A hash of the last bytes before `offset`, which tells it from another file that begins the same. None where the
    /// system can't say.
    pub tail_hash: Option<u64>,
    /// Which file it is, whatever its name is. None where the system does not number files.
    pub number: Option<FileNumber>,
    /// The input that was called like this partition's base before it was rotated: what is read here is its rest, and no input
    /// of its own.
    pub rest_of: Option<String>,
}

/// What tells a file from others: its first bytes, as far as they have been read, and what the system calls it.
#[derive(Debug, Default)]
pub(super) struct FileHead {
    bytes: Vec<u8>,
    number: Option<FileNumber>,
    rest_of: Option<String>,
}

impl FileHead {
    /// Takes in bytes that were read at `offset`, if they belong to the head.
    pub(super) fn read(&mut self, offset: u64, bytes: &[u8]) {
        let known = self.bytes.len();
        if offset == known as u64 && known < HEAD {
            let take = bytes.len().min(HEAD - known);
            self.bytes.extend_from_slice(&bytes[..take]);
        }
    }

    /// The first bytes, as far as they are before an offset.
    pub(super) fn before(&self, offset: u64) -> &[u8] {
        let known = usize::try_from(offset).map_or(HEAD, |offset| offset.min(self.bytes.len()));
        &self.bytes[..known]
    }

    pub(super) fn token(&self, tail_hash: Option<u64>, offset: u64, line: u64) -> FileToken {
        let head = self.before(offset);
        FileToken {
            offset,
            line,
            head_len: head.len() as u64,
            head_hash: flow_store::hash(head),
            tail_hash,
            number: self.number,
            rest_of: self.rest_of.clone(),
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
    if let Some(token) = token {
        let facts = facts::of(&file, token).map_err(|e| error("can't be read", e))?;
        if let Verdict::Refuse(reason) = judge::<()>(&token.was(), &Now::File(facts), &[]) {
            return Err(refused(name, token, facts.length, reason));
        }
    }
    let token = token.cloned().unwrap_or_default();
    let read = |file: &mut File, from: u64, bytes: u64| -> std::io::Result<Vec<u8>> {
        let mut read = Vec::new();
        file.seek(SeekFrom::Start(from))?;
        file.take(bytes).read_to_end(&mut read)?;
        Ok(read)
    };
    let mut head = FileHead {
        bytes: Vec::new(),
        number: facts::number(&metadata),
        rest_of: token.rest_of.clone(),
    };
    if token.offset == 0 {
        let start = read(&mut file, 0, beginning::TELLING as u64);
        beginning::check(&start.map_err(|e| error("can't be read", e))?, name)?;
    }
    if token.offset > 0 {
        let head_len = token.head_len.min(HEAD as u64);
        let bytes = read(&mut file, 0, head_len).map_err(|e| error("can't be read", e))?;
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

/// Why a file is not read on, in words.
fn refused<Place>(
    name: &str,
    token: &FileToken,
    length: u64,
    reason: Reason<Place>,
) -> SourceError {
    let FileToken {
        offset,
        line,
        head_len,
        ..
    } = token;
    let what = match reason {
        Reason::Shorter => format!(
            "{name} is shorter than what was read of it: {length} bytes are there, {offset} had been read up to line {line}"
        ),
        Reason::OtherHead => format!(
            "{name} has other content than when it was read: its first {head_len} bytes differ"
        ),
        Reason::OtherTail => format!(
            "{name} has other content than when it was read: the {} bytes before the end of line {line} differ",
            offset.min(&(TAIL as u64))
        ),
        Reason::OtherFile => format!(
            "{name} was replaced by another file while the flow started; of the one before, {offset} bytes had been read"
        ),
        Reason::Gone
        | Reason::NoFile
        | Reason::Unreadable(_)
        | Reason::Copied(_)
        | Reason::Perhaps(_) => format!("{name} is not the file that was read"),
    };
    SourceError::new(what).and_help(&format!(
        "bring the file back as it was. If it was moved, name it where it is now as an input too, with `--rename-partition {name}=NEW`. If what had not been read of it is lost, `--drop-partition {name}` agrees to that, and reads {name} from its beginning"
    ))
}

/// The files of a source.
#[derive(Clone, Debug)]
pub(super) struct Files {
    /// By the names of their partitions, sorted.
    named: Vec<(String, PathBuf)>,
}

impl Files {
    pub(super) fn new(paths: impl IntoIterator<Item = impl Into<PathBuf>>) -> Self {
        let paths = paths.into_iter().map(Into::into);
        let mut named: Vec<_> = paths.map(|path| (name_of(&path), path)).collect();
        named.sort();
        Files { named }
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

    /// The path of a partition: that of an input, or of the rest of one, which lies beside it.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        let found = self
            .named
            .binary_search_by(|(other, _)| other.as_str().cmp(name));
        match found.ok().and_then(|index| self.named.get(index)) {
            Some((_, path)) => path.clone(),
            None => path_of(name),
        }
    }

    /// Whether a file lies beside an input, or beside what it leads to, under a name that a missed one may have. It need not be
    /// there any more.
    pub(super) fn may_be_missed(&self, name: &str) -> bool {
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

    /// Where the files are now of which something was read.
    pub(super) fn find(
        &self,
        known: &[Known<FileToken>],
        is_output: &dyn Fn(&Path) -> bool,
    ) -> Vec<Found<FileToken>> {
        Search::new(&self.named, known, is_output).find()
    }
}
