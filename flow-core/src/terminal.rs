//! Writes to descriptors that other programs read: a terminal, a pipe, a log collector.
//!
//! Another program may have made the descriptor non-blocking, may not read from it, or may have
//! exited. So a write waits until the descriptor accepts bytes: [`write_all`] as long as that
//! takes, [`say`] at most two seconds. No byte is written twice.

use std::{
    io::{self, ErrorKind, Write},
    time::{Duration, Instant},
};

/// How long a message waits for its reader. A reader that does not read must not hold up a flow.
const PATIENCE: Duration = Duration::from_secs(2);

/// Number of bytes in one write. A writable pipe accepts as many without blocking, because POSIX
/// has no smaller `PIPE_BUF`.
const SOME: usize = 512;

/// A descriptor that is written to.
#[cfg(unix)]
pub trait Descriptor: Write + std::os::fd::AsFd {}
#[cfg(unix)]
impl<T: Write + std::os::fd::AsFd> Descriptor for T {}
/// A descriptor that is written to.
#[cfg(not(unix))]
pub trait Descriptor: Write {}
#[cfg(not(unix))]
impl<T: Write> Descriptor for T {}

/// Writes a message to standard error, as far as that is possible.
///
/// The rest is dropped, because no message may change what a program does.
pub fn say(text: &str) {
    let _ = write_within(&mut io::stderr(), text.as_bytes(), PATIENCE);
}

/// Whether standard error would accept a message at once.
#[must_use]
pub fn can_say() -> bool {
    is_writable(&io::stderr(), Duration::ZERO).unwrap_or(true)
}

/// Writes all bytes, and waits for the reader as long as that takes.
///
/// # Errors
/// Any error of the descriptor, except that it would block or was interrupted.
pub fn write_all(out: &mut impl Descriptor, mut bytes: &[u8]) -> io::Result<()> {
    // A writer may buffer, as `Stdout` does, so its bytes reach the descriptor only with the flush.
    while !bytes.is_empty() {
        match out.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(taken) => bytes = bytes.get(taken..).unwrap_or_default(),
            Err(error) => wait_after(out, error)?,
        }
    }
    loop {
        match out.flush() {
            Ok(()) => return Ok(()),
            Err(error) => wait_after(out, error)?,
        }
    }
}

/// Waits if a write would have blocked; returns any other error.
fn wait_after(out: &impl Descriptor, error: io::Error) -> io::Result<()> {
    /// The longest wait of one poll. The reader may have moved to another descriptor meanwhile, so
    /// the loop tries again now and then.
    const LOOK: Duration = Duration::from_secs(1);
    match error.kind() {
        ErrorKind::Interrupted => Ok(()),
        ErrorKind::WouldBlock => {
            if is_writable(out, LOOK)? {
                // A descriptor may say that it is writable and accept nothing. The pause keeps the
                // loop from occupying a processor.
                std::thread::sleep(Duration::from_millis(1));
            }
            Ok(())
        }
        _ => Err(error),
    }
}

/// Writes all bytes to an unbuffered descriptor, or fails with `TimedOut` after this time.
fn write_within(out: &mut impl Descriptor, mut bytes: &[u8], within: Duration) -> io::Result<()> {
    let deadline = Instant::now() + within;
    while !bytes.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        if !is_writable(out, left)? {
            return Err(ErrorKind::TimedOut.into());
        }
        let (some, _) = bytes.split_at(bytes.len().min(SOME));
        match out.write(some) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(taken) => bytes = bytes.get(taken..).unwrap_or_default(),
            Err(error) => wait_after(out, error)?,
        }
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
    }
    Ok(())
}

/// Waits until the descriptor accepts bytes or has an error. Returns false if neither happens in
/// this time.
#[cfg(unix)]
fn is_writable(out: &impl std::os::fd::AsFd, within: Duration) -> io::Result<bool> {
    use rustix::{
        event::{PollFd, PollFlags, Timespec, poll},
        io::Errno,
    };
    let timeout = Timespec::try_from(within).map_err(|_| ErrorKind::InvalidInput)?;
    match poll(&mut [PollFd::new(out, PollFlags::OUT)], Some(&timeout)) {
        Ok(ready) => Ok(ready > 0),
        // A signal interrupted the wait. The caller tries, and asks again if there is time.
        Err(Errno::INTR) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(unix))]
fn is_writable<T>(_: &T, _: Duration) -> io::Result<bool> {
    Ok(true)
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::{io::Read, os::fd::AsFd, thread};

    use super::*;

    /// Makes a pipe whose writing end is non-blocking.
    fn non_blocking_pipe() -> (io::PipeReader, io::PipeWriter) {
        let (reader, writer) = io::pipe().unwrap();
        let flags = rustix::fs::fcntl_getfl(&writer).unwrap();
        rustix::fs::fcntl_setfl(&writer, flags | rustix::fs::OFlags::NONBLOCK).unwrap();
        (reader, writer)
    }

    #[test]
    fn a_slow_reader_of_a_non_blocking_pipe_gets_each_byte_once() {
        let (mut reader, mut writer) = non_blocking_pipe();
        let bytes: Vec<u8> = (0..1_000_000u32).flat_map(u32::to_le_bytes).collect();
        let expected = bytes.clone();
        let writing = thread::spawn(move || write_all(&mut writer, &bytes));
        let mut read = Vec::new();
        reader.read_to_end(&mut read).unwrap();
        assert!(read == expected);
        writing.join().unwrap().unwrap();
    }

    /// Behaves like std's standard output: it accepts a part, and holds some of it back.
    #[test]
    fn what_a_buffer_holds_back_is_flushed_once() {
        struct Buffered(io::BufWriter<io::PipeWriter>);
        impl Write for Buffered {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.write(bytes)
            }
            fn flush(&mut self) -> io::Result<()> {
                self.0.flush()
            }
        }
        impl AsFd for Buffered {
            fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                self.0.get_ref().as_fd()
            }
        }
        let (mut reader, writer) = non_blocking_pipe();
        let mut writer = Buffered(io::BufWriter::with_capacity(1 << 20, writer));
        let lines: Vec<u8> = (0..50_000)
            .flat_map(|n| format!("{n}\n").into_bytes())
            .collect();
        let expected = lines.clone();
        let writing = thread::spawn(move || {
            for some in lines.chunks(7777) {
                write_all(&mut writer, some).unwrap();
            }
        });
        let mut read = Vec::new();
        reader.read_to_end(&mut read).unwrap();
        assert!(read == expected);
        writing.join().unwrap();
    }

    #[test]
    fn a_reader_that_is_gone_is_an_error_and_none_that_reads_is_given_up() {
        let (reader, mut writer) = io::pipe().unwrap();
        let full = write_within(&mut writer, &[0; 1 << 20], Duration::from_millis(50));
        assert_eq!(full.unwrap_err().kind(), ErrorKind::TimedOut);
        drop(reader);
        let gone = write_all(&mut writer, b"x").unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::BrokenPipe);
        let gone = write_within(&mut writer, b"x", PATIENCE).unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::BrokenPipe);
    }
}
