//! Reads the facts about a file for [`judge`](super::identity::judge).

use std::{
    fs::{File, Metadata},
    io::{self, ErrorKind},
    path::Path,
    time::UNIX_EPOCH,
};

use super::{
    HEAD, TAIL,
    identity::{Facts, FileNumber, Now, Reason, Verdict, Was, judge},
    open::{NotOpened, open},
    token::FileToken,
};

impl FileToken {
    pub(super) fn was(&self) -> Was {
        Was {
            number: self.number,
            offset: self.offset,
            lines: self.line,
            head: self.head_len,
            is_rest: self.rest_of.is_some(),
        }
    }
}

/// What is at a path, compared with the file that was read.
pub(super) fn at(path: &Path, token: &FileToken) -> Now {
    let facts = match open(path) {
        Ok(file) => of(&file, token),
        Err(NotOpened::Kind(_)) => return Now::NoFile,
        Err(NotOpened::Io(error)) if is_nothing(&error) => return Now::Gone,
        Err(NotOpened::Io(error)) => Err(error),
    };
    facts.map_or_else(|_| Now::Unreadable(number_at(path)), Now::File)
}

/// The number of the file at a path.
pub(super) fn number_at(path: &Path) -> Option<FileNumber> {
    number(&path.metadata().ok()?)
}

fn is_nothing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// The facts about an open file, compared with the file that was read.
pub(super) fn of(file: &File, token: &FileToken) -> io::Result<Facts> {
    let metadata = file.metadata()?;
    let length = metadata.len();
    let head_len = token.head_len.min(HEAD as u64);
    let head = hash(file, 0, head_len)? == Some(token.head_hash);
    let tail_len = token.offset.min(TAIL as u64);
    let tail = match token.tail_hash {
        Some(tail) => hash(file, token.offset - tail_len, tail_len)? == Some(tail),
        None => true,
    };
    Ok(Facts {
        number: number(&metadata),
        length,
        // If nothing was read, any file has all that was read.
        head: head || token.offset == 0,
        tail: tail || token.offset == 0,
    })
}

/// How a file has changed while it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::source) enum Changed {
    /// Its length in bytes, which is less than was read.
    Shorter(u64),
    /// The bytes that were read are not there any more.
    Overwritten,
}

/// How a file has changed while it was read up to `offset`. It began with `head`, and `tail` came
/// before `offset`.
///
/// Its name does not matter here. The open file is read to its end, and the next start finds out
/// where it is.
pub(in crate::source) fn changed(
    file: &File,
    head: &[u8],
    tail: &[u8],
    offset: u64,
) -> io::Result<Option<Changed>> {
    let has = |bytes: &[u8], offset: u64| -> io::Result<bool> {
        let mut there = vec![0; bytes.len()];
        let read = read_at(file, &mut there, offset)?;
        Ok(there[..read] == *bytes)
    };
    let was = Was {
        number: None,
        offset,
        lines: 0,
        head: head.len() as u64,
        is_rest: false,
    };
    let facts = Facts {
        number: None,
        length: file.metadata()?.len(),
        head: has(head, 0)?,
        tail: has(tail, offset - tail.len() as u64)?,
    };
    Ok(match judge::<()>(&was, &Now::File(facts), &[]) {
        Verdict::Refuse(Reason::Shorter) => Some(Changed::Shorter(facts.length)),
        Verdict::Refuse(_) => Some(Changed::Overwritten),
        _ => None,
    })
}

/// A hash of the last bytes before an offset. The position of the open file does not change if the
/// system allows it.
pub(in crate::source) fn tail_hash(file: &File, offset: u64) -> io::Result<u64> {
    let len = offset.min(TAIL as u64);
    hash(file, offset - len, len)?.ok_or_else(|| ErrorKind::UnexpectedEof.into())
}

/// A hash of at most `HEAD` bytes, if the file has them.
fn hash(file: &File, offset: u64, len: u64) -> io::Result<Option<u64>> {
    let mut bytes = vec![0; usize::try_from(len).map_or(HEAD, |len| len.min(HEAD))];
    let read = read_at(file, &mut bytes, offset)?;
    Ok((read == bytes.len()).then(|| flow_store::hash(&bytes)))
}

/// Reads bytes at an offset, as many as there are.
pub(in crate::source) fn read_at(file: &File, into: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut read = 0;
    while let Some(rest) = into.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match read_some_at(file, rest, offset + read as u64) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

#[cfg(unix)]
fn read_some_at(file: &File, into: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, into, offset)
}

/// Other systems move the position of the file, so it is put back.
#[cfg(not(unix))]
fn read_some_at(mut file: &File, into: &mut [u8], offset: u64) -> io::Result<usize> {
    use std::io::{Read, Seek, SeekFrom};
    let position = file.stream_position()?;
    file.seek(SeekFrom::Start(offset))?;
    let read = file.read(into);
    file.seek(SeekFrom::Start(position))?;
    read
}

/// The number of a file; `None` if the system does not number files.
#[cfg(unix)]
pub(in crate::source) fn number(metadata: &Metadata) -> Option<FileNumber> {
    use std::os::unix::fs::MetadataExt;
    let born = metadata.created().ok();
    let born = born.and_then(|born| born.duration_since(UNIX_EPOCH).ok());
    Some(FileNumber {
        device: metadata.dev(),
        inode: metadata.ino(),
        born: born.and_then(|born| u64::try_from(born.as_nanos()).ok()),
    })
}

#[cfg(not(unix))]
pub(in crate::source) fn number(_: &Metadata) -> Option<FileNumber> {
    let _ = UNIX_EPOCH;
    None
}
