//! A disk in memory that records its calls, and fails at a chosen call.

use redb::StorageBackend;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

/// The unit in bytes that a disk writes as a whole or not at all.
pub(super) const SECTOR: usize = 512;

/// A call that changes something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Write(usize, Vec<u8>),
    SetLen(usize),
    Sync,
    /// Writes before it may be lost, and no later sync brings them back.
    FailedSync,
}

/// What fails, and with which error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failing {
    /// `ENOSPC`, from calls that change something.
    Full,
    /// `EIO`, from any call.
    Broken,
}

impl Failing {
    pub(super) fn error(self) -> io::Error {
        match self {
            Failing::Full => io::ErrorKind::StorageFull.into(),
            Failing::Broken => io::Error::other("the disk is broken"),
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    pub(super) failing: Failing,
    /// The number of the first failing call, among those that can fail; counted from 1.
    pub(super) at: u64,
    /// Whether all later calls fail as well.
    pub(super) lasting: bool,
}

impl Fault {
    /// No call fails. Calls are counted as for a fault of this kind.
    pub(super) fn never(failing: Failing) -> Fault {
        Fault {
            failing,
            at: u64::MAX,
            lasting: false,
        }
    }
}

#[derive(Clone)]
pub(super) struct Disk(Arc<Mutex<State>>);

struct State {
    live: Vec<u8>,
    tape: Vec<Call>,
    /// The number of calls that could fail with the fault.
    calls: u64,
    fault: Fault,
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Disk")
    }
}

impl Disk {
    /// A disk on which all of `image` is durable.
    pub(super) fn new(image: &[u8]) -> Disk {
        Disk::failing(image, Fault::never(Failing::Broken))
    }

    pub(super) fn failing(image: &[u8], fault: Fault) -> Disk {
        Disk(Arc::new(Mutex::new(State {
            live: image.to_vec(),
            tape: Vec::new(),
            calls: 0,
            fault,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// The content that a process reads, whether durable or not.
    pub(super) fn live(&self) -> Vec<u8> {
        self.state().live.clone()
    }

    /// The calls that changed it, in order.
    pub(super) fn tape(&self) -> Vec<Call> {
        self.state().tape.clone()
    }

    /// The present length of the tape.
    pub(super) fn now(&self) -> usize {
        self.state().tape.len()
    }

    /// The number of calls that could fail with its fault.
    pub(super) fn calls(&self) -> u64 {
        self.state().calls
    }

    /// The failure, if it has struck.
    pub(super) fn struck(&self) -> Option<Failing> {
        let state = self.state();
        (state.calls >= state.fault.at).then_some(state.fault.failing)
    }
}

impl State {
    fn call(&mut self, changes: bool) -> io::Result<()> {
        let Fault {
            failing,
            at,
            lasting,
        } = self.fault;
        if !changes && failing == Failing::Full {
            return Ok(());
        }
        self.calls += 1;
        match self.calls == at || (lasting && self.calls > at) {
            true => Err(failing.error()),
            false => Ok(()),
        }
    }

    fn write(&mut self, from: usize, data: &[u8]) {
        apply(&mut self.live, from, data);
        self.tape.push(Call::Write(from, data.to_vec()));
    }
}

/// Writes as a file does: writing past the end makes the image longer.
pub(super) fn apply(image: &mut Vec<u8>, from: usize, data: &[u8]) {
    let end = from + data.len();
    if end > image.len() {
        image.resize(end, 0);
    }
    image[from..end].copy_from_slice(data);
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        let mut state = self.state();
        state.call(false)?;
        Ok(state.live.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut state = self.state();
        state.call(false)?;
        let from = offset as usize;
        let bytes = state.live.get(from..from + out.len());
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state();
        state.call(true)?;
        state.live.resize(len as usize, 0);
        state.tape.push(Call::SetLen(len as usize));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state();
        let synced = state.call(true);
        state.tape.push(match synced {
            Ok(()) => Call::Sync,
            Err(_) => Call::FailedSync,
        });
        synced
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        let from = offset as usize;
        let written = state.call(true);
        match &written {
            Ok(()) => state.write(from, data),
            // Every other failed write has written half of its data.
            Err(_) if state.calls.is_multiple_of(2) => {
                let half = data.len() / 2 / SECTOR * SECTOR;
                state.write(from, &data[..half]);
            }
            Err(_) => {}
        }
        written
    }
}
