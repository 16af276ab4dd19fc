//! Lines in a file, exactly once.
//!
//! The position is the length of the file at the end of an epoch. The bytes are handed to the operating system
//! when the epoch ends and made durable before its commit, so the file is never shorter than the store
//! says; what a crash left behind that length is cut off before the next run writes.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use flow_store::FailPoint;
use serde::{Deserialize, Serialize};

use super::{Guarantee, Output, OutputId, Shards, Sink, SinkError, Sync, Writer};
use crate::files::folder_of;

/// How much is gathered before it is handed to the operating system, in bytes.
const BUFFER: usize = 1 << 16;

/// How many of the last bytes are hashed into the position.
const TAIL: usize = 256;

/// Writes lines to a file.
#[derive(Clone, Debug)]
pub struct FileLines {
    kind: &'static str,
    path: PathBuf,
    existing: Existing,
}

/// What is done with a file that the store knows nothing of and that is not empty.
#[derive(Clone, Copy, Debug)]
enum Existing {
    Refuse,
    Append,
    Overwrite,
}

impl FileLines {
    pub(crate) fn new(kind: &'static str, path: PathBuf) -> Self {
        FileLines {
            kind,
            path,
            existing: Existing::Refuse,
        }
    }

    pub(crate) fn append(mut self) -> Self {
        self.existing = Existing::Append;
        self
    }

    pub(crate) fn overwrite(mut self) -> Self {
        self.existing = Existing::Overwrite;
        self
    }

    fn start_of(&self, file: &File, length: u64) -> Result<u64, SinkError> {
        let path = self.path.display();
        match self.existing {
            _ if length == 0 => Ok(0),
            Existing::Overwrite => Ok(0),
            Existing::Append => {
                if self.tail_at(file, length)?.last() != Some(&b'\n') {
                    return Err(SinkError::new(format!(
                        "{path} can't be appended to: its last line has no end\nhelp: add a newline to it"
                    )));
                }
                Ok(length)
            }
            Existing::Refuse => Err(SinkError::new(format!(
                "{path} exists and holds {length} bytes that this flow's store knows nothing of\nhelp: was `--recover` forgotten? Otherwise name another file, or say `.append()` or `.overwrite()`"
            ))),
        }
    }
}

/// How much of the file belongs to the epochs so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilePosition {
    /// The length, in bytes.
    pub bytes: u64,
    /// A hash of the last bytes before it, by which the file is known again.
    pub tail: u64,
    /// The file's path when it was written; a file may be moved.
    pub path: String,
}

impl Sink for FileLines {
    type Item = String;
    type Position = FilePosition;
    type Writer = FileWriter;

    fn kind(&self) -> String {
        self.kind.to_owned()
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::ExactlyOnce
    }

    fn output(&self) -> Option<Output> {
        Some(Output::File(self.path.clone()))
    }

    fn shards(&self) -> Shards {
        Shards::One
    }

    fn open(&self, _: &OutputId, resume: Option<FilePosition>) -> Result<FileWriter, SinkError> {
        let file = open_existing(&self.path)?;
        match resume {
            None => self.begin(file),
            Some(position) => self.go_on(file, &position),
        }
    }
}

impl FileLines {
    /// The first run with this output.
    fn begin(&self, file: Option<(File, u64)>) -> Result<FileWriter, SinkError> {
        let Some((file, length)) = file else {
            let folder = folder_of(&self.path);
            if folder.is_dir() {
                return Ok(FileWriter::new(self.path.clone(), None, 0, Vec::new()));
            }
            return Err(SinkError::new(format!(
                "{} can't be created: there is no directory {}",
                self.path.display(),
                folder.display()
            )));
        };
        let start = self.start_of(&file, length)?;
        let tail = self.tail_at(&file, start)?;
        Ok(FileWriter::new(self.path.clone(), Some(file), start, tail))
    }

    /// A run that goes on: the file must hold what was committed.
    fn go_on(
        &self,
        file: Option<(File, u64)>,
        position: &FilePosition,
    ) -> Result<FileWriter, SinkError> {
        let bytes = position.bytes;
        let wrong = match file {
            None if bytes == 0 => {
                return Ok(FileWriter::new(self.path.clone(), None, 0, Vec::new()));
            }
            None => "it is gone".to_owned(),
            Some((_, length)) if length < bytes => format!("only {length} are there"),
            Some((file, length)) => {
                let tail = self.tail_at(&file, bytes)?;
                if flow_store::hash(&tail) != position.tail {
                    "they have changed since".to_owned()
                } else if bytes == 0
                    && length > 0
                    && position.path != self.path.display().to_string()
                {
                    "it is another file".to_owned()
                } else {
                    let path = self.path.clone();
                    return Ok(FileWriter::new(path, Some(file), bytes, tail));
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

/// Opens and locks the file, if there is one.
fn open_existing(path: &Path) -> Result<Option<(File, u64)>, SinkError> {
    let name = path.display();
    let failed = |what: &str, error| SinkError::caused_by(format!("{name} can't be {what}"), error);
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
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
    lock(&file, path)?;
    let length = file
        .metadata()
        .map_err(|error| failed("read", error))?
        .len();
    Ok(Some((file, length)))
}

fn lock(file: &File, path: &Path) -> Result<(), SinkError> {
    let name = path.display();
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(SinkError::new(format!(
            "{name} is being written by another run"
        ))),
        Err(TryLockError::Error(error)) => Err(SinkError::caused_by(
            format!("{name} can't be locked"),
            error,
        )),
    }
}

/// Writes one file.
#[derive(Debug)]
pub struct FileWriter {
    path: PathBuf,
    file: Option<Arc<File>>,
    /// The length of the file with what is in the buffer.
    length: u64,
    buffer: Vec<u8>,
    /// The last bytes that were handed to the operating system.
    tail: Vec<u8>,
}

impl FileWriter {
    fn new(path: PathBuf, file: Option<File>, length: u64, tail: Vec<u8>) -> Self {
        FileWriter {
            path,
            file: file.map(Arc::new),
            length,
            buffer: Vec::new(),
            tail,
        }
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        let name = self.path.display();
        let Some(file) = &self.file else {
            return Err(SinkError::new(format!("{name} is not open")));
        };
        let failed = |error| SinkError::caused_by(format!("{name} can't be written"), error);
        // Whoever else writes to it has got past the lock: it must not become worse.
        let (there, written) = (
            file.metadata().map_err(failed)?.len(),
            self.length - self.buffer.len() as u64,
        );
        if there != written {
            return Err(SinkError::new(format!(
                "{name} was changed by someone else: it has {there} bytes, and {written} had been written"
            )));
        }
        file.as_ref().write_all(&self.buffer).map_err(failed)?;
        let new = self.buffer.len().saturating_sub(TAIL);
        self.tail.extend_from_slice(&self.buffer[new..]);
        self.tail.drain(..self.tail.len().saturating_sub(TAIL));
        self.buffer.clear();
        Ok(())
    }

    fn prepare(&self) -> std::io::Result<Arc<File>> {
        let file = match &self.file {
            Some(file) => file.clone(),
            None => {
                let mut options = OpenOptions::new();
                let file = options.read(true).write(true).create_new(true);
                let file = Arc::new(file.open(&self.path)?);
                FailPoint::OutputMade.pass();
                // A new name is durable only with its directory.
                File::open(folder_of(&self.path))?.sync_all()?;
                file
            }
        };
        file.set_len(self.length)?;
        file.as_ref().seek(SeekFrom::Start(self.length))?;
        Ok(file)
    }
}

impl Drop for FileWriter {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            // Closing is not enough: a child process that another thread is starting holds a copy of the file until it
            // runs its program.
            let _ = file.unlock();
        }
    }
}

impl Writer for FileWriter {
    type Item = String;
    type Position = FilePosition;

    fn position(&self) -> FilePosition {
        FilePosition {
            bytes: self.length,
            tail: flow_store::hash(&self.tail),
            path: self.path.display().to_string(),
        }
    }

    fn start(&mut self) -> Result<(), SinkError> {
        let is_new = self.file.is_none();
        let file = self.prepare().map_err(|error| {
            let name = self.path.display();
            let what = if is_new { "created" } else { "cut back" };
            SinkError::caused_by(format!("{name} can't be {what}"), error)
        })?;
        self.file = Some(file);
        match &self.file {
            Some(file) if is_new => lock(file, &self.path),
            _ => Ok(()),
        }
    }

    fn write(&mut self, items: &mut Vec<String>) -> Result<(), SinkError> {
        for line in items.drain(..) {
            self.buffer.extend_from_slice(line.as_bytes());
            self.buffer.push(b'\n');
            self.length += line.len() as u64 + 1;
            if self.buffer.len() >= BUFFER {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn close_epoch(&mut self) -> Result<(FilePosition, Option<Sync>), SinkError> {
        self.flush()?;
        FailPoint::SinkFlushed.pass();
        let sync = self
            .file
            .clone()
            .map(|file| Sync::new(move || file.sync_data()));
        Ok((self.position(), sync))
    }
}
