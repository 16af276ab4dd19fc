//! Lines on standard output.

use crate::error::NoReader;

use super::{NoResume, Output, OutputId, Shards, Sink, SinkError, SyncOutput, Writer};

/// Writes lines to standard output as soon as they arrive, in the order of their epochs.
///
/// If standard output is non-blocking, the sink waits for the reader.
#[derive(Clone, Debug)]
pub struct StdoutLines {
    kind: &'static str,
}

impl StdoutLines {
    pub(crate) fn new(kind: &'static str) -> Self {
        StdoutLines { kind }
    }
}

impl Sink for StdoutLines {
    type Item = String;
    type Position = NoResume;
    type Writer = StdoutWriter;

    fn kind(&self) -> String {
        self.kind.to_owned()
    }

    fn output(&self) -> Option<Output> {
        Some(Output::Stdout)
    }

    fn shards(&self) -> Shards {
        Shards::One
    }

    fn open(&self, _: &OutputId, _: Option<NoResume>) -> Result<StdoutWriter, SinkError> {
        Ok(StdoutWriter { lines: Vec::new() })
    }
}

/// Writes to standard output.
#[derive(Debug)]
pub struct StdoutWriter {
    lines: Vec<u8>,
}

impl Writer for StdoutWriter {
    type Item = String;
    type Position = NoResume;

    fn position(&self) -> NoResume {
        NoResume
    }

    fn write(&mut self, items: &mut Vec<String>) -> Result<(), SinkError> {
        self.lines.clear();
        for line in items.drain(..) {
            self.lines.extend_from_slice(line.as_bytes());
            self.lines.push(b'\n');
        }
        let mut out = std::io::stdout().lock();
        crate::terminal::write_all(&mut out, &self.lines)
            .map_err(NoReader::or_other)
            .map_err(|cause| SinkError::caused_by("standard output can't be written", cause))
    }

    fn close_epoch(&mut self) -> Result<(NoResume, Option<SyncOutput>), SinkError> {
        Ok((NoResume, None))
    }
}
