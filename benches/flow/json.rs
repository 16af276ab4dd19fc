//! Reads JSON lines for the sides that are written by hand, as flow does it: whole blocks of lines
//! are checked for UTF-8, and each line is parsed from text.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use crate::{Result, cart::Event};

/// How much is read at a time.
const BLOCK: usize = 64 << 10;

/// The events of a file.
pub(crate) struct JsonEvents {
    file: File,
    /// Whole lines, of which some have been parsed.
    text: String,
    /// Where the next line starts.
    next: usize,
    /// The beginning of the line behind them.
    rest: Vec<u8>,
}

impl JsonEvents {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(JsonEvents {
            file: File::open(path)?,
            text: String::new(),
            next: 0,
            rest: Vec::new(),
        })
    }

    /// The next event; none at the end of the file.
    pub(crate) fn next(&mut self) -> Result<Option<Event>> {
        loop {
            let rest = self.text.get(self.next..).unwrap_or_default();
            if let Some(end) = memchr::memchr(b'\n', rest.as_bytes()) {
                let line = rest.get(..end).unwrap_or_default();
                self.next += end + 1;
                return Ok(Some(serde_json::from_str(line)?));
            }
            if !self.read()? {
                return Ok(None);
            }
        }
    }

    /// Reads the next lines. Returns whether there were any; a line without an end is none.
    fn read(&mut self) -> Result<bool> {
        self.text.clear();
        self.next = 0;
        loop {
            let block = Read::take(&mut self.file, BLOCK as u64);
            let read = { block }.read_to_end(&mut self.rest)?;
            if read == 0 {
                return Ok(false);
            }
            if let Some(end) = memchr::memrchr(b'\n', &self.rest) {
                let lines = self.rest.get(..=end).unwrap_or_default();
                self.text.push_str(simdutf8::basic::from_utf8(lines)?);
                self.rest.drain(..=end);
                return Ok(true);
            }
        }
    }
}
