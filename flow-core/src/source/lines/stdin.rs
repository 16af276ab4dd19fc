//! Lines from standard input.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind, Read},
    marker::PhantomData,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    task::Waker,
};

use memchr::{memchr, memchr_iter};

use super::{
    format::{BOM, LineFormat},
    line::{excerpt_of, line_content},
    parser::{BadLine, LineOptions, LineParser, log_skipped},
    raw_line::{OrDead, RawLine},
    reader::{BATCH_BYTES, BATCH_LINES},
    skipped::Skipped,
};
use crate::{
    error::OnError,
    lock::{Condvar, Mutex, MutexGuard},
    source::{
        At, Excerpt, Next, NoResume, Reader, Source, SourceError, SourceOrDead, file::beginning,
    },
};

/// The only partition.
const NAME: &str = "stdin";

/// The lines of standard input; made by [`TextLines::stdin`](crate::TextLines::stdin),
/// [`JsonLines::stdin`](crate::JsonLines::stdin), [`ByteLines::stdin`](crate::ByteLines::stdin).
#[derive(Clone, Debug)]
pub struct StdinSource<F> {
    options: LineOptions,
    format: PhantomData<fn() -> F>,
}

impl<F> StdinSource<F> {
    pub(crate) fn new() -> Self {
        StdinSource {
            options: LineOptions::default(),
            format: PhantomData,
        }
    }

    /// Sets the longest line, in bytes without its end: 16 MiB by default.
    #[must_use]
    pub fn max_line(mut self, bytes: usize) -> Self {
        self.options.max_line = bytes;
        self
    }

    /// Sets what happens at a line that can't be read. By default the flow stops there.
    #[must_use]
    pub fn on_error(mut self, on_error: OnError) -> Self {
        self.options.on_error = on_error;
        self
    }
}

impl<F: LineFormat> Source for StdinSource<F> {
    type Item = F::Item;
    type Token = NoResume;
    type Reader = StdinReader<F::Item>;

    fn kind(&self) -> String {
        NAME.to_owned()
    }

    fn partitions(&self) -> Result<Vec<String>, SourceError> {
        Ok(vec![NAME.to_owned()])
    }

    /// The file that a shell has redirected to standard input, if there is one.
    fn files(&self) -> Vec<PathBuf> {
        if cfg!(unix) {
            vec![PathBuf::from("/dev/stdin")]
        } else {
            Vec::new()
        }
    }

    fn open(&self, _: &str, _: At<NoResume>) -> Result<StdinReader<F::Item>, SourceError> {
        let claim = Claim::take()?;
        PIPE.start()?;
        Ok(StdinReader {
            _claim: claim,
            parser: LineParser::new::<F>(self.options),
            max_line: self.options.max_line,
            step: NAME.to_owned(),
            buffer: Vec::new(),
            used: 0,
            offset: 0,
            line: 0,
            starts: Vec::new(),
            skipped: Skipped::default(),
            in_long_line: false,
            ended: false,
            stops: false,
        })
    }
}

impl<F: LineFormat> SourceOrDead for StdinSource<F> {
    type Raw = RawLine;
    type OrDead = StdinSource<OrDead<F>>;

    fn or_dead(self) -> Self::OrDead {
        StdinSource {
            options: self.options,
            format: PhantomData,
        }
    }
}

/// Reads the lines of standard input. A last line without a newline counts as a line, because
/// nothing can follow it.
#[derive(Debug)]
pub struct StdinReader<T> {
    _claim: Claim,
    parser: LineParser<T>,
    max_line: usize,
    step: String,
    /// The bytes from the beginning of the last batch on.
    buffer: Vec<u8>,
    /// How many of these bytes are in records.
    used: usize,
    /// The number of bytes before the buffer.
    offset: u64,
    /// The number of lines before the next one.
    line: u64,
    /// For each record of the last batch: its place in the buffer, and the number of lines before
    /// it.
    starts: Vec<(usize, u64)>,
    skipped: Skipped,
    /// Whether the next bytes belong to a line that was too long.
    in_long_line: bool,
    ended: bool,
    /// Whether the run stops. Then nothing more is taken.
    stops: bool,
}

impl<T> Drop for StdinReader<T> {
    /// Leaves the unread bytes to the next run in this process.
    fn drop(&mut self) {
        PIPE.take_back(self.buffer.split_off(self.used));
    }
}

impl<T> StdinReader<T> {
    /// Makes a record of the next `length` bytes. They are a line, or the beginning of a line that
    /// is too long.
    fn take_line(&mut self, length: usize, out: &mut Vec<T>) -> Result<(), SourceError> {
        let line = &self.buffer[self.used..self.used + length];
        let at = self.offset + self.used as u64;
        let line = match at {
            0 => line.strip_prefix(BOM).unwrap_or(line),
            _ => line,
        };
        let place = || (NAME.to_owned(), self.line, at);
        let line = self.parser.line(line);
        let record = match self.parser.record(line) {
            Ok(record) => record,
            Err(error) => match self.parser.bad(error, line, place) {
                BadLine::Fails(error) => return Err(SourceError::because(error)),
                BadLine::Dead(record) => Some(record),
                BadLine::Skipped(error) => {
                    log_skipped(&self.step, NAME, self.line, &error);
                    self.skipped.add(self.starts.len());
                    None
                }
            },
        };
        if let Some(record) = record {
            self.starts.push((self.used, self.line));
            out.push(record);
        }
        self.used += length;
        self.line += 1;
        Ok(())
    }

    /// Drops the bytes of the last batch.
    fn begin_batch(&mut self) {
        self.buffer.drain(..self.used);
        self.offset += self.used as u64;
        self.used = 0;
        self.starts.clear();
        self.skipped.clear();
    }

    /// Skips the bytes of a line that was too long, as far as they are there.
    fn pass_over(&mut self) {
        let rest = &self.buffer[self.used..];
        match memchr(b'\n', rest) {
            Some(end) => {
                self.used += end + 1;
                self.in_long_line = false;
            }
            None => self.used = self.buffer.len(),
        }
    }
}

impl<T: 'static> Reader for StdinReader<T> {
    type Item = T;
    type Token = NoResume;

    fn read(&mut self, out: &mut Vec<T>, waker: &Waker) -> Result<Next, SourceError> {
        self.begin_batch();
        while out.len() < BATCH_LINES && (self.used as u64) < BATCH_BYTES {
            if self.in_long_line {
                self.pass_over();
            }
            let rest = &self.buffer[self.used..];
            if let Some(end) = memchr(b'\n', rest).filter(|_| !self.in_long_line) {
                self.take_line(end + 1, out)?;
                continue;
            }
            if rest.len() >= self.max_line.saturating_add(2 + BOM.len()) {
                self.take_line(rest.len(), out)?;
                self.in_long_line = true;
                continue;
            }
            if self.ended {
                if !rest.is_empty() {
                    self.take_line(rest.len(), out)?;
                }
                return Ok(Next::End);
            }
            if self.in_long_line && out.is_empty() {
                // The line need not be kept.
                self.begin_batch_of_long_line();
            }
            match PIPE.next(waker, self.stops) {
                Chunk::Bytes(bytes) => {
                    let is_first = self.offset == 0 && self.buffer.is_empty();
                    self.buffer.extend_from_slice(&bytes);
                    if is_first {
                        beginning::check(&self.buffer, beginning::STDIN)?;
                    }
                }
                Chunk::None if out.is_empty() => return Ok(Next::Idle),
                Chunk::None => return Ok(Next::Ready),
                Chunk::End => self.ended = true,
                Chunk::Failed(error) => {
                    return Err(SourceError::caused_by(
                        "standard input can't be read",
                        error,
                    ));
                }
            }
        }
        Ok(Next::Ready)
    }

    fn token(&self, _: usize) -> NoResume {
        NoResume
    }

    fn has_taken(&mut self) -> bool {
        self.stops = true;
        let (has_more, has_ended) = PIPE.pause();
        let rest = &self.buffer[self.used..];
        // The beginning of a line whose newline has not come is not a record.
        let has_line = self.in_long_line || has_ended || memchr(b'\n', rest).is_some();
        has_more || (has_line && !rest.is_empty())
    }

    /// The number of its lines.
    fn taken(&mut self) -> u64 {
        PIPE.lines_behind(&self.buffer[self.used..])
    }

    fn skipped_before(&self, index: usize) -> u64 {
        self.skipped.before(index)
    }

    fn batch_bytes(&self) -> usize {
        self.used
    }

    fn excerpt_of(&mut self, index: usize) -> Option<Excerpt> {
        let (start, before) = self
            .starts
            .get(index)
            .copied()
            .unwrap_or((self.used, self.line));
        let rest = &self.buffer[start..];
        let line = memchr(b'\n', rest).map_or(rest, |end| &rest[..end]);
        let line = match self.offset + start as u64 {
            0 => line.strip_prefix(BOM).unwrap_or(line),
            _ => line,
        };
        Some(Excerpt {
            position: format!("line {}", before + 1),
            line: Some(before + 1),
            text: Some(excerpt_of(line_content(line))),
        })
    }
}

impl<T> StdinReader<T> {
    fn begin_batch_of_long_line(&mut self) {
        let skipped = std::mem::take(&mut self.skipped);
        self.begin_batch();
        self.skipped = skipped;
    }
}

/// The right to read standard input. Only one source at a time has it, because two would get some
/// lines each.
#[derive(Debug)]
struct Claim(());

static CLAIMED: AtomicBool = AtomicBool::new(false);

impl Claim {
    fn take() -> Result<Claim, SourceError> {
        match CLAIMED.swap(true, SeqCst) {
            false => Ok(Claim(())),
            true => Err(
                SourceError::new("another source reads standard input already")
                    .and_help("use one source, and a clone of its stream for each use"),
            ),
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        CLAIMED.store(false, SeqCst);
    }
}

/// Number of chunks read ahead, and the bytes of each. Both are small, because a stop processes all
/// of them.
const AHEAD: usize = 2;
const CHUNK: usize = 16 << 10;

/// Input that a separate thread has read, because a reader must not wait.
///
/// There is one pipe for the process. A thread that waits for input can't be called back, so a
/// second run gets its input from the same thread.
static PIPE: Pipe = Pipe {
    state: Mutex::new(PipeState {
        is_started: false,
        is_paused: true,
        chunks: VecDeque::new(),
        end: None,
        waker: None,
    }),
    room: Condvar::new(),
};

struct Pipe {
    state: Mutex<PipeState>,
    /// Signaled when another chunk may be read.
    room: Condvar,
}

struct PipeState {
    is_started: bool,
    /// Whether no run reads now, so that nothing may be taken.
    is_paused: bool,
    chunks: VecDeque<Vec<u8>>,
    end: Option<io::Result<()>>,
    waker: Option<Waker>,
}

enum Chunk {
    Bytes(Vec<u8>),
    /// Nothing yet; the waker will be woken.
    None,
    End,
    Failed(io::Error),
}

impl Pipe {
    fn lock(&self) -> MutexGuard<'_, PipeState> {
        self.state.lock()
    }

    /// Starts the thread. It reads while a run does.
    fn start(&'static self) -> Result<(), SourceError> {
        let mut state = self.lock();
        if !state.is_started {
            let thread = std::thread::Builder::new().name("flow stdin".to_owned());
            thread.spawn(|| self.read_all()).map_err(|error| {
                SourceError::caused_by("no thread can wait for standard input", error).and_help(
                    "threads are limited (`ulimit -u`, or the pids limit of the \
                        container): a flow that reads standard input needs one more",
                )
            })?;
            state.is_started = true;
        }
        Ok(())
    }

    /// The next bytes. If the run stops, only bytes that were taken before.
    fn next(&self, waker: &Waker, stops: bool) -> Chunk {
        let mut state = self.lock();
        state.is_paused = stops;
        self.room.notify_one();
        if let Some(bytes) = state.chunks.pop_front() {
            return Chunk::Bytes(bytes);
        }
        match state.end.take() {
            Some(Ok(())) => {
                state.end = Some(Ok(()));
                Chunk::End
            }
            Some(Err(error)) => {
                // The next call finds the end.
                state.end = Some(Ok(()));
                Chunk::Failed(error)
            }
            None => {
                state.waker = Some(waker.clone());
                Chunk::None
            }
        }
    }

    /// Stops taking bytes. Returns whether there are bytes that were taken before, and whether the
    /// input has ended behind them.
    fn pause(&self) -> (bool, bool) {
        let mut state = self.lock();
        state.is_paused = true;
        (!state.chunks.is_empty(), state.end.is_some())
    }

    /// The number of lines in `bytes` and in the chunks behind them. Bytes behind the last newline
    /// are a line only if the input has ended.
    fn lines_behind(&self, bytes: &[u8]) -> u64 {
        let state = self.lock();
        let all = || std::iter::once(bytes).chain(state.chunks.iter().map(Vec::as_slice));
        let lines: usize = all().map(|bytes| memchr_iter(b'\n', bytes).count()).sum();
        let last = all().filter_map(|bytes| bytes.last()).next_back();
        let has_rest = state.end.is_some() && last.is_some_and(|last| *last != b'\n');
        lines as u64 + u64::from(has_rest)
    }

    /// Puts back unread bytes before the next ones, and stops taking more.
    fn take_back(&self, bytes: Vec<u8>) {
        let mut state = self.lock();
        state.is_paused = true;
        if !bytes.is_empty() {
            state.chunks.push_front(bytes);
        }
    }

    fn read_all(&self) {
        loop {
            let mut state = self.lock();
            while state.is_paused || state.chunks.len() >= AHEAD {
                state = self.room.wait(state);
            }
            drop(state);
            let waited = wait_for_stdin();
            // Reading does not wait now, so it is done under the lock. If a stop comes before it,
            // nothing is taken. If a stop comes after it, the bytes are known.
            let held = cfg!(unix).then(|| self.lock());
            if held.as_ref().is_some_and(|state| state.is_paused) {
                continue;
            }
            let mut bytes = vec![0; CHUNK];
            let read = match waited.and_then(|()| io::stdin().read(&mut bytes)) {
                Ok(read) => Ok(read),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                // Another program with the same input may have been faster, and may have made it
                // non-blocking.
                Err(error) if cfg!(unix) && error.kind() == ErrorKind::WouldBlock => continue,
                Err(error) => Err(error),
            };
            let mut state = held.unwrap_or_else(|| self.lock());
            let is_end = !matches!(read, Ok(1..));
            match read {
                Ok(read @ 1..) => {
                    bytes.truncate(read);
                    state.chunks.push_back(bytes);
                }
                Ok(0) => state.end = Some(Ok(())),
                Err(error) => state.end = Some(Err(error)),
            }
            if let Some(waker) = state.waker.take() {
                waker.wake();
            }
            if is_end {
                return;
            }
        }
    }
}

/// Waits until there is something to read.
#[cfg(unix)]
fn wait_for_stdin() -> io::Result<()> {
    use rustix::event::{PollFd, PollFlags, poll};

    let stdin = io::stdin();
    match poll(&mut [PollFd::new(&stdin, PollFlags::IN)], None) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(unix))]
fn wait_for_stdin() -> io::Result<()> {
    // This can't be waited for here, so reading waits.
    Ok(())
}
