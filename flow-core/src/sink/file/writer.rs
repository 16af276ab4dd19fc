//! Writing an output file.

use std::{
    fs::{File, OpenOptions},
    io::{self, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use flow_store::{FailPoint, os};

use super::{
    FilePosition, TAIL,
    opening::{self, Opened},
    watch::Watch,
};
use crate::{
    error::{OutputError, OutputProblem, SinkError},
    files::{self, folder_of},
    sink::{SyncOutput, Writer},
};

/// The number of bytes that are gathered before they are handed to the operating system.
const BUFFER: usize = 1 << 16;

/// Writes one file.
#[derive(Debug)]
pub struct FileWriter {
    /// The id of the sink, for messages.
    step: String,
    path: PathBuf,
    file: Option<Arc<File>>,
    /// The length of the file when it was opened.
    found: u64,
    /// Set when the run starts.
    watch: Option<Watch>,
    /// The length of the file, the buffer included.
    length: u64,
    buffer: Vec<u8>,
    /// The last bytes that were handed to the operating system.
    tail: Vec<u8>,
    notices: Vec<String>,
}

impl FileWriter {
    /// A writer of a file that is created when the run starts.
    pub(super) fn new_file(step: &str, path: &Path, notices: Vec<String>) -> Self {
        FileWriter {
            step: step.to_owned(),
            path: path.to_path_buf(),
            file: None,
            found: 0,
            watch: None,
            length: 0,
            buffer: Vec::new(),
            tail: Vec::new(),
            notices,
        }
    }

    /// A writer that continues a file at `length`, behind these last bytes.
    pub(super) fn of(
        step: &str,
        path: &Path,
        opened: Opened,
        length: u64,
        tail: Vec<u8>,
        notices: Vec<String>,
    ) -> Self {
        let mut writer = FileWriter::new_file(step, path, notices);
        writer.file = Some(Arc::new(opened.file));
        writer.found = opened.length;
        writer.length = length;
        writer.tail = tail;
        writer
    }

    fn error(&self, problem: OutputProblem) -> SinkError {
        SinkError::because(OutputError::new(&self.step, &self.path, problem))
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        let name = self.path.display();
        let Some(file) = &self.file else {
            return Err(SinkError::new(format!("{name} is not open")));
        };
        let failed = |error| SinkError::caused_by(format!("{name} can't be written"), error);
        // If another writer has got past the lock, flow must not make it worse.
        let (there, written) = (
            file.metadata().map_err(failed)?.len(),
            self.length - self.buffer.len() as u64,
        );
        if there != written {
            return Err(self.error(OutputProblem::Changed { there, written }));
        }
        file.as_ref().write_all(&self.buffer).map_err(failed)?;
        let new = self.buffer.len().saturating_sub(TAIL);
        self.tail.extend_from_slice(&self.buffer[new..]);
        self.tail.drain(..self.tail.len().saturating_sub(TAIL));
        self.buffer.clear();
        Ok(())
    }

    /// Creates the file. If the path is a link, at its target.
    fn make(&self) -> io::Result<File> {
        let target = files::target(&self.path);
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create_new(true);
        let file = file.open(&target)?;
        FailPoint::OutputMade.pass();
        // A new name is durable only after its directory is synced. If that is impossible, a notice
        // of the opening says so.
        os::sync_directory(folder_of(&target))?;
        Ok(file)
    }
}

impl Drop for FileWriter {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            // Closing is not enough: a child process that another thread is starting holds a copy
            // of the file until it runs its program.
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

    fn notices(&self) -> Vec<String> {
        self.notices.clone()
    }

    fn start(&mut self) -> Result<(), SinkError> {
        let name = self.path.display();
        let failed =
            |what: &str, error| SinkError::caused_by(format!("{name} can't be {what}"), error);
        let file = match &self.file {
            Some(file) => file.clone(),
            None => {
                let file = self.make().map_err(|error| failed("created", error))?;
                opening::lock(&file, &self.path)?;
                Arc::new(file)
            }
        };
        // Cuts off only what was there when that was decided.
        let there = file
            .metadata()
            .map_err(|error| failed("read", error))?
            .len();
        if there != self.found {
            let written = self.found;
            return Err(self.error(OutputProblem::Changed { there, written }));
        }
        file.set_len(self.length)
            .and_then(|()| file.as_ref().seek(SeekFrom::Start(self.length)))
            .map_err(|error| failed("cut back", error))?;
        self.watch = Some(Watch::new(&self.step, &self.path, &file));
        self.file = Some(file);
        Ok(())
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

    fn close_epoch(&mut self) -> Result<(FilePosition, Option<SyncOutput>), SinkError> {
        self.flush()?;
        FailPoint::SinkFlushed.pass();
        let (file, watch) = (self.file.clone(), self.watch.clone());
        let (name, length) = (self.path.clone(), self.length);
        let sync = file.zip(watch).map(|(file, watch)| {
            SyncOutput::checked(move || {
                let failed = |error| {
                    SinkError::caused_by(format!("{} can't be synced", name.display()), error)
                };
                file.sync_data().map_err(failed)?;
                watch.check(&file, length)
            })
        });
        Ok((self.position(), sync))
    }
}
