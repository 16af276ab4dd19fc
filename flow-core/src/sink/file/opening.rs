//! Opens an output file and checks that it is what was committed. It changes nothing.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{ErrorKind, Read, Seek, SeekFrom},
    path::Path,
    time::{Duration, Instant},
};

use flow_store::os;

use super::{Existing, FileLines, FilePosition, TAIL, writer::FileWriter};
use crate::{
    error::{OutputError, OutputProblem},
    files::{self, folder_of},
    sink::{OutputId, SinkError},
};

/// What is at a path.
pub(super) enum Found {
    /// A file, open and locked.
    File(Opened),
    /// Nothing yet. A file can be made there.
    Nothing { notices: Vec<String> },
}

/// An open file, locked if its file system has locks.
pub(super) struct Opened {
    pub(super) file: File,
    pub(super) length: u64,
    notices: Vec<String>,
}

/// Opens and locks the file at a path, or checks that one can be made there.
pub(super) fn find(path: &Path) -> Result<Found, SinkError> {
    let name = path.display();
    let failed = |what: &str, error| SinkError::caused_by(format!("{name} can't be {what}"), error);
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return to_be_made(path),
        Err(error) => return Err(failed("read", error)),
    };
    if !metadata.is_file() {
        let what = if metadata.is_dir() {
            "a directory"
        } else {
            "no regular file"
        };
        return Err(SinkError::new(format!(
            "{name} is {what}: a file sink needs a file that can be cut back after a crash"
        )));
    }
    let file = OpenOptions::new().read(true).write(true).open(path);
    let file = file.map_err(|error| failed("written", error))?;
    let notices = lock(&file, path)?.into_iter().collect();
    let metadata = file.metadata().map_err(|error| failed("read", error))?;
    Ok(Found::File(Opened {
        file,
        length: metadata.len(),
        notices,
    }))
}

/// Checks that a file can be made, there or where a link leads.
fn to_be_made(path: &Path) -> Result<Found, SinkError> {
    let target = files::target(path);
    let folder = folder_of(&target);
    let name = match path.is_symlink() {
        true => format!("{}, a link to {},", path.display(), target.display()),
        false => path.display().to_string(),
    };
    if target.is_symlink() {
        let text = format!("{name} can't be created: the link leads to itself");
        return Err(SinkError::new(text));
    }
    // The directory as the user wrote it, if no link leads elsewhere.
    let named = match path.is_symlink() {
        true => folder,
        false => folder_of(path),
    };
    let named = named.display();
    if !folder.is_dir() {
        return Err(SinkError::new(format!(
            "{name} can't be created: there is no directory {named}"
        )));
    }
    os::may_create_in(folder).map_err(|error| {
        let what = format!("{name} can't be created: the directory {named} can't be written to");
        SinkError::caused_by(what, error)
    })?;
    let synced = os::sync_directory(folder).map_err(|error| {
        let what = format!("{name} can't be created: the directory {named} can't be synced");
        SinkError::caused_by(what, error)
    })?;
    let mut notices = Vec::new();
    if !synced && cfg!(unix) {
        notices.push(format!(
            "{}: the file system can't make a directory durable, so a power failure may take a \
             new file away",
            path.display()
        ));
    }
    Ok(Found::Nothing { notices })
}

/// Locks a file. The notice says that its file system has no locks.
pub(super) fn lock(file: &File, path: &Path) -> Result<Option<String>, SinkError> {
    /// A killed process releases the store first, and its outputs a little later.
    const DYING: Duration = Duration::from_secs(1);
    const POLL: Duration = Duration::from_millis(5);
    let name = path.display();
    let deadline = Instant::now() + DYING;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(None),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => std::thread::sleep(POLL),
            Err(TryLockError::WouldBlock) => {
                return Err(SinkError::new(format!(
                    "{name} is being written by another run"
                )));
            }
            // Without a lock, the length of the file reveals another writer, but only later.
            Err(TryLockError::Error(error)) if os::has_no_locks(&error) => {
                return Ok(Some(format!(
                    "{name}: the file system has no locks ({error}), so a second run that writes \
                     to it is noticed only when both have written"
                )));
            }
            Err(TryLockError::Error(error)) => {
                return Err(SinkError::caused_by(
                    format!("{name} can't be locked"),
                    error,
                ));
            }
        }
    }
}

impl FileLines {
    /// Opens the output of the first run.
    pub(super) fn begin(&self, step: &str, found: Found) -> Result<FileWriter, SinkError> {
        match found {
            Found::Nothing { notices } => Ok(FileWriter::new_file(step, &self.path, notices)),
            Found::File(mut opened) => {
                let start = self.start_of(&opened)?;
                let tail = self.tail_at(&opened.file, start)?;
                let notices = std::mem::take(&mut opened.notices);
                Ok(FileWriter::of(
                    step, &self.path, opened, start, tail, notices,
                ))
            }
        }
    }

    fn start_of(&self, opened: &Opened) -> Result<u64, SinkError> {
        let path = self.path.display();
        let length = opened.length;
        match self.existing {
            _ if length == 0 => Ok(0),
            Existing::Overwrite => Ok(0),
            Existing::Append => {
                if self.tail_at(&opened.file, length)?.last() != Some(&b'\n') {
                    let what = format!("{path} can't be appended to: its last line has no end");
                    return Err(SinkError::new(what).and_help("add a newline to it"));
                }
                Ok(length)
            }
            Existing::Refuse => Err(SinkError::new(format!(
                "{path} exists and holds {length} bytes that this flow's store knows nothing of"
            ))
            .and_help(
                "was `--recover` forgotten? Otherwise name another file, or say `.append()` or \
                 `.overwrite()`",
            )),
        }
    }

    /// Opens the output of a run that resumes. The file must hold the committed output, and nothing
    /// that may be someone else's.
    pub(super) fn go_on(
        &self,
        found: Found,
        position: &FilePosition,
        output: &OutputId,
    ) -> Result<FileWriter, SinkError> {
        let (step, bytes) = (output.step(), position.bytes);
        let wrong = match found {
            Found::Nothing { notices } if bytes == 0 => {
                return Ok(FileWriter::new_file(step, &self.path, notices));
            }
            Found::Nothing { .. } => "it is gone".to_owned(),
            Found::File(opened) if opened.length < bytes => {
                format!("only {} are there", opened.length)
            }
            Found::File(mut opened) => {
                let tail = self.tail_at(&opened.file, bytes)?;
                if flow_store::hash(&tail) != position.tail {
                    "they have changed since".to_owned()
                } else if bytes == 0
                    && opened.length > 0
                    && position.path != self.path.display().to_string()
                {
                    "it is another file".to_owned()
                } else {
                    let mut notices = std::mem::take(&mut opened.notices);
                    let behind = opened.length - bytes;
                    if behind > 0 && (output.ended_cleanly() || output.others_wrote()) {
                        let problem = match output.others_wrote() {
                            true => OutputProblem::MixedTail { bytes, behind },
                            false => OutputProblem::ForeignTail { bytes, behind },
                        };
                        return Err(SinkError::because(OutputError::new(
                            step, &self.path, problem,
                        )));
                    }
                    if behind > 0 {
                        notices.push(format!(
                            "{}: the {behind} byte{} behind the last durable epoch are cut off",
                            self.path.display(),
                            if behind == 1 { "" } else { "s" }
                        ));
                    }
                    return Ok(FileWriter::of(
                        step, &self.path, opened, bytes, tail, notices,
                    ));
                }
            }
        };
        Err(SinkError::new(format!(
            "{} does not hold the output so far: {bytes} bytes are committed (as {}), but {wrong}",
            self.path.display(),
            position.path
        )))
    }

    /// The last bytes before `end`.
    fn tail_at(&self, mut file: &File, end: u64) -> Result<Vec<u8>, SinkError> {
        let mut tail = vec![0; usize::try_from(end).map_or(TAIL, |end| end.min(TAIL))];
        file.seek(SeekFrom::Start(end - tail.len() as u64))
            .and_then(|_| file.read_exact(&mut tail))
            .map_err(|error| {
                SinkError::caused_by(format!("{} can't be read", self.path.display()), error)
            })?;
        Ok(tail)
    }
}
