//! The fence below redb: a process stops writing a file once another one has written it.
//!
//! redb caches what it has read of a file. If a second process gets past all locks, as on a file
//! system without locks, redb in the first does not see the commits of the second, and pages of
//! both would end up in one file. Every commit changes the first bytes of the file. So they are
//! read again before each write, and must be those that this process left there.
//!
//! The fence does not help if two processes write in the same instant. It stops one that was
//! suspended for a while.

use redb::{BackendError, StorageBackend};
use std::io;
use std::ops::Bound;
use std::sync::{Mutex, PoisonError};

/// The length of redb's header in bytes, which every commit changes.
const HEADER: usize = 320;

/// A backend that refuses to write once another process has written.
#[derive(Debug)]
pub(crate) struct SoleWriter<B> {
    backend: B,
    /// The first bytes, as this process knows them; `None` once a write has failed.
    known: Mutex<Option<Vec<u8>>>,
}

impl<B: StorageBackend> SoleWriter<B> {
    pub(crate) fn new(backend: B) -> io::Result<Self> {
        let known = Mutex::new(Some(header(&backend)?));
        Ok(SoleWriter { backend, known })
    }

    /// Calls `act` if the first bytes are still the known ones. `change` then makes the same change
    /// to the known bytes.
    fn alone(
        &self,
        act: impl FnOnce(&B) -> io::Result<()>,
        change: impl FnOnce(&mut Vec<u8>),
    ) -> io::Result<()> {
        let mut slot = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = &mut *slot else {
            return Err(io::Error::other("an earlier write to it failed"));
        };
        if *known != header(&self.backend)? {
            return Err(io::Error::other(
                "another process has written to it, past its lock",
            ));
        }
        match act(&self.backend) {
            Ok(()) => change(known),
            Err(error) => {
                // A part of the write may have been done.
                *slot = None;
                return Err(error);
            }
        }
        Ok(())
    }
}

/// The first bytes, or as many as there are.
fn header(backend: &impl StorageBackend) -> io::Result<Vec<u8>> {
    let len = usize::try_from(backend.len()?).unwrap_or(HEADER);
    let mut bytes = vec![0; len.min(HEADER)];
    backend.read(0, &mut bytes)?;
    Ok(bytes)
}

impl<B: StorageBackend> StorageBackend for SoleWriter<B> {
    fn len(&self) -> io::Result<u64> {
        self.backend.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.backend.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let kept = usize::try_from(len).unwrap_or(HEADER).min(HEADER);
        self.alone(
            |backend| backend.set_len(len),
            |known| known.resize(kept, 0),
        )
    }

    fn sync_data(&self) -> io::Result<()> {
        self.backend.sync_data()?;
        // Another process may have written what was synced.
        self.alone(|_| Ok(()), |_| ())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.alone(
            |backend| backend.write(offset, data),
            |known| {
                let from = usize::try_from(offset).unwrap_or(usize::MAX);
                if from < HEADER {
                    let end = from.saturating_add(data.len()).min(HEADER);
                    known.resize(known.len().max(end), 0);
                    known[from..end].copy_from_slice(&data[..end - from]);
                }
            },
        )
    }

    fn close(&self) -> io::Result<()> {
        self.backend.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.backend.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.backend.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.backend.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.backend.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.backend.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.backend.query_lock_range(start, end)
    }
}

#[cfg(test)]
mod tests {
    use super::SoleWriter;
    use crate::{Agreed, Changes, End, Epoch, Execution, ExecutionError, Look, Start, StoreError};
    use redb::StorageBackend;
    use std::io;
    use std::path::Path;
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
    use std::sync::{Arc, Mutex};

    /// A file on a file system without locks: all clones share the same bytes.
    #[derive(Clone, Debug, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl StorageBackend for Shared {
        fn len(&self) -> io::Result<u64> {
            Ok(self.0.lock().unwrap().len() as u64)
        }

        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            let bytes = self.0.lock().unwrap();
            let from = usize::try_from(offset).unwrap();
            let there = bytes.get(from..from + out.len());
            out.copy_from_slice(there.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        }

        fn set_len(&self, len: u64) -> io::Result<()> {
            let len = usize::try_from(len).unwrap();
            self.0.lock().unwrap().resize(len, 0);
            Ok(())
        }

        fn sync_data(&self) -> io::Result<()> {
            Ok(())
        }

        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            let mut bytes = self.0.lock().unwrap();
            let from = usize::try_from(offset).unwrap();
            let end = bytes.len().max(from + data.len());
            bytes.resize(end, 0);
            bytes[from..from + data.len()].copy_from_slice(data);
            Ok(())
        }
    }

    /// A disk that writes half of the data once, and reports a failure.
    #[derive(Clone, Debug, Default)]
    struct Torn {
        bytes: Shared,
        fails: Arc<AtomicBool>,
    }

    impl StorageBackend for Torn {
        fn len(&self) -> io::Result<u64> {
            self.bytes.len()
        }

        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            self.bytes.read(offset, out)
        }

        fn set_len(&self, len: u64) -> io::Result<()> {
            self.bytes.set_len(len)
        }

        fn sync_data(&self) -> io::Result<()> {
            self.bytes.sync_data()
        }

        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            if self.fails.swap(false, SeqCst) {
                self.bytes.write(offset, &data[..data.len() / 2])?;
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.bytes.write(offset, data)
        }
    }

    /// The content of the file is unknown then: neither whose header it has, nor which page is
    /// complete.
    #[test]
    fn nothing_is_written_after_a_write_that_failed() {
        // In the header, and in a page after it.
        for offset in [0, 4096] {
            let torn = Torn::default();
            torn.set_len(8192).unwrap();
            let writer = SoleWriter::new(torn.clone()).unwrap();
            writer.write(offset, &[1; 64]).unwrap();
            torn.fails.store(true, SeqCst);
            let error = writer.write(offset, &[2; 64]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
            let before = torn.bytes.0.lock().unwrap().clone();
            for again in [
                writer.write(offset, &[2; 64]),
                writer.write(offset + 512, &[2; 64]),
                writer.set_len(4096),
                writer.sync_data(),
            ] {
                let text = again.unwrap_err().to_string();
                assert_eq!(text, "an earlier write to it failed");
            }
            assert!(before == *torn.bytes.0.lock().unwrap(), "it has written");
        }
    }

    fn look(bytes: &Shared) -> Look {
        let image = Shared(Arc::new(Mutex::new(bytes.0.lock().unwrap().clone())));
        Look::over(Path::new("shared"), image).unwrap()
    }

    fn start(look: Look, bytes: &Shared) -> Execution {
        let manifest = look.reconcile(&[], &Agreed::default()).unwrap();
        let nothing = Changes::new();
        let start = Start::new("shared", &manifest, &nothing);
        look.start_over(bytes.clone(), &start).unwrap()
    }

    fn says_so(error: &StoreError) {
        let text = error.to_string();
        assert!(
            text.contains("another process has written to it, past its lock"),
            "{text}"
        );
    }

    /// Invariant I7 without locks: two processes have the same file.
    #[test]
    fn an_execution_that_was_replaced_writes_nothing_more() {
        for committed in [false, true] {
            let bytes = Shared::default();
            let mut first = start(Look::over_nothing(Path::new("shared")), &bytes);
            first.commit(Epoch::first(1), []).unwrap();
            // The second execution resumes where the first one is.
            let mut second = start(look(&bytes), &bytes);
            assert_eq!(second.resumed_from(), Epoch::first(1));
            if committed {
                second.commit(Epoch::first(2), []).unwrap();
            }
            let before = bytes.0.lock().unwrap().clone();
            let error = first.commit(Epoch::first(1).next(), []).unwrap_err();
            assert!(
                matches!(
                    error,
                    StoreError::Execution(ExecutionError::CommitFailed { .. })
                ),
                "{error}"
            );
            says_so(&error);
            let error = first.commit(Epoch::first(1).next(), []).unwrap_err();
            assert!(matches!(
                error,
                StoreError::Execution(ExecutionError::AfterFailedCommit { .. })
            ));
            drop(first);
            assert!(before == *bytes.0.lock().unwrap(), "it has written");

            second.commit(Epoch::first(2).next(), []).unwrap();
            second.end(End::Finished).unwrap();
            let look = look(&bytes);
            assert_eq!(look.epoch(), Epoch::first(2).next());
            assert_eq!(look.next_execution(), 3);
        }
    }

    #[test]
    fn an_execution_that_was_replaced_does_not_end_in_the_file() {
        let bytes = Shared::default();
        let first = start(Look::over_nothing(Path::new("shared")), &bytes);
        let second = start(look(&bytes), &bytes);
        let before = bytes.0.lock().unwrap().clone();
        let error = first.end(End::Finished).unwrap_err();
        assert!(
            matches!(
                error,
                StoreError::Execution(ExecutionError::EndFailed { .. })
            ),
            "{error}"
        );
        says_so(&error);
        assert!(before == *bytes.0.lock().unwrap(), "it has written");
        second.end(End::Stopped).unwrap();
        assert_eq!(look(&bytes).epoch(), Epoch::opening(2));
    }
}
