//! Opens a file at a token, if it is still the file that was read.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

use super::{
    HEAD, TAIL, beginning, facts,
    identity::{Now, Reason, Verdict, judge},
    open::open,
    token::{FileHead, FileToken},
};
use crate::source::{At, SourceError};

/// A file that was opened at a token.
pub(in crate::source) struct Opened {
    pub(in crate::source) file: File,
    pub(in crate::source) head: FileHead,
    pub(in crate::source) token: FileToken,
    /// Whether the last line before the token was read without its end.
    pub(in crate::source) open_line: bool,
}

/// Opens a file at a token, after checking that it is still the file that was read.
pub(in crate::source) fn open_at(
    path: &Path,
    name: &str,
    at: At<&FileToken>,
) -> Result<Opened, SourceError> {
    let token = at.token();
    let error = |what: &str, error| SourceError::caused_by(format!("{name}: {what}"), error);
    let mut file = open(path).map_err(|e| match token {
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
    let read = |file: &mut File, from: u64, bytes: u64| -> io::Result<Vec<u8>> {
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

/// The error for a file that can't be read any further.
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
            "{name} is shorter than what was read of it: {length} bytes are there, {offset} had \
             been read up to line {line}"
        ),
        Reason::OtherHead => format!(
            "{name} has other content than when it was read: its first {head_len} bytes differ"
        ),
        Reason::OtherTail => format!(
            "{name} has other content than when it was read: the {} bytes before the end of line \
             {line} differ",
            offset.min(&(TAIL as u64))
        ),
        Reason::OtherFile => format!(
            "{name} was replaced by another file while the flow started; of the one before, \
             {offset} bytes had been read"
        ),
        Reason::Gone
        | Reason::NoFile
        | Reason::Unreadable(_)
        | Reason::Copied(_)
        | Reason::Perhaps(_) => format!("{name} is not the file that was read"),
    };
    SourceError::new(what).and_help(&format!(
        "bring the file back as it was. If it was moved, name it where it is now as an input too, \
         with `--rename-partition {name}=NEW`. If what had not been read of it is lost, \
         `--drop-partition {name}` agrees to that, and reads {name} from its beginning"
    ))
}
