//! Last lines that were taken without their end and have grown since.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Seek},
    path::Path,
};

use memchr::memchr;

use super::line::line_content;
use crate::source::{
    At, FileToken, SourceError,
    file::{Opened, open_at, tail_hash},
};

/// The token behind the rest of a line that was taken before its writer had finished it.
pub(super) fn skip_rest_of_line(
    path: &Path,
    name: &str,
    token: &FileToken,
) -> Result<FileToken, SourceError> {
    let Opened {
        file,
        mut head,
        token,
        open_line,
    } = open_at(path, name, At::Token(token))?;
    let mut rest = Vec::new();
    if open_line {
        BufReader::new(&file)
            .read_until(b'\n', &mut rest)
            .map_err(|error| SourceError::caused_by(format!("{name}: can't be read"), error))?;
    }
    if line_content(&rest).is_empty() {
        return Err(SourceError::new(format!(
            "{name} has no line that has grown since it was read, so there is nothing to skip"
        )));
    }
    head.read(token.offset, &rest);
    let offset = token.offset + rest.len() as u64;
    let tail = tail_hash(&file, offset)
        .map_err(|error| SourceError::caused_by(format!("{name}: can't be read"), error))?;
    Ok(head.token(Some(tail), offset, token.line))
}

/// The next bytes of a file, enough to see whether they end a line.
pub(super) fn rest_of_line(mut file: &File, name: &str) -> Result<Vec<u8>, SourceError> {
    let mut rest = Vec::new();
    let read = file.take(3).read_to_end(&mut rest);
    read.and_then(|read| file.seek_relative(-i64::try_from(read).unwrap_or_default()))
        .map_err(|error| SourceError::caused_by(format!("{name}: can't be read"), error))?;
    Ok(match memchr(b'\n', &rest) {
        Some(end) => rest[..=end].to_vec(),
        None => rest,
    })
}

/// The error for a line that was taken before its writer had finished it, and has grown.
pub(super) fn grown_line(name: &str) -> SourceError {
    SourceError::new(
        "the line was read before its writer had finished it, and has grown \
        since",
    )
    .and_help(&format!(
        "`--skip-rest-of-line {name}` keeps what was read of it and resumes behind it; with \
         `--retain`, `--from-epoch` rolls back to before it was read"
    ))
}
