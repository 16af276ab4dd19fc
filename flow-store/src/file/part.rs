//! A part file: checks before redb opens it, and how redb opens it.

use crate::error::{FileError, StoreError};
use crate::file::guard::{Failure, guard};
use crate::file::overlay::Overlay;
use crate::file::sole_writer::SoleWriter;
use redb::{Builder, Database, StorageBackend};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The size of redb's cache in bytes. redb's default is 1 GiB.
const CACHE: usize = 64 << 20;

/// The header of redb's file format: the offsets of the fields that are checked here.
mod header {
    pub(super) const MAGIC: &[u8] = b"redb\x1A\x0A\xA9\x0D\x0A";
    pub(super) const FLAGS: usize = 9;
    pub(super) const RECOVERY_REQUIRED: u8 = 2;
    pub(super) const PAGE_SIZE: usize = 12;
    pub(super) const REGION_HEADER_PAGES: usize = 16;
    pub(super) const REGION_DATA_PAGES: usize = 20;
    pub(super) const FULL_REGIONS: usize = 24;
    pub(super) const LAST_REGION_PAGES: usize = 28;
    pub(super) const LEN: usize = 320;
}

/// The first bytes of a part file at the time of a look. Every commit changes them.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Header(Vec<u8>);

impl Header {
    /// Reads the header, or as much of it as the file has.
    pub(crate) fn read(file: &File) -> io::Result<Header> {
        let mut start = Vec::with_capacity(header::LEN);
        file.take(header::LEN as u64).read_to_end(&mut start)?;
        Ok(Header(start))
    }

    /// Whether the last process that opened the file closed it.
    pub(crate) fn closed(&self) -> bool {
        self.0
            .get(header::FLAGS)
            .is_some_and(|flags| flags & header::RECOVERY_REQUIRED == 0)
    }
}

/// An open database, or none. redb writes when it is dropped, and may panic then if the file was
/// forged. The panic does no harm, and is caught here.
pub(crate) struct Held(Option<Database>);

impl Held {
    pub(crate) fn none() -> Held {
        Held(None)
    }

    pub(crate) fn get(&self) -> Option<&Database> {
        self.0.as_ref()
    }

    pub(crate) fn close(mut self) -> Result<(), Failure> {
        guard(|| match self.0.take() {
            Some(database) => Ok(database.close()?),
            None => Ok(()),
        })
    }
}

impl From<Database> for Held {
    fn from(database: Database) -> Held {
        Held(Some(database))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(database) = self.0.take() {
            let _ = guard(|| {
                drop(database);
                Ok(())
            });
        }
    }
}

/// Opens a part file for a look: read-only, with changes kept in memory, and with every page
/// verified.
pub(crate) fn look(path: &Path) -> Result<(Database, Header), StoreError> {
    let at = |attempt| {
        move |cause| StoreError::Io {
            attempt,
            path: path.to_path_buf(),
            cause,
        }
    };
    // Opening something else than a file, such as a pipe, could block.
    let metadata = std::fs::metadata(path).map_err(at("open"))?;
    if !metadata.is_file() {
        return Err(StoreError::File(FileError::NotARedbFile {
            path: path.to_path_buf(),
        }));
    }
    let file = File::open(path).map_err(at("open"))?;
    let header = Header::read(&file).map_err(at("read"))?;
    check_header(path, &header, metadata.len())?;
    let overlay = Overlay::new(file).map_err(at("read"))?;
    let database = open_verified(overlay).map_err(|failure| failure.while_reading(path))?;
    Ok((database, header))
}

/// Opens a part file for writing. It is new, or has been looked at.
pub(crate) fn write(path: &Path, new: bool) -> Result<Database, Failure> {
    let file = File::options()
        .read(true)
        .write(true)
        .create(new)
        .truncate(new)
        .open(path)
        .map_err(redb::StorageError::from)?;
    guard(|| open(redb::backends::FileBackend::new(file)?))
}

/// Opens any backend for writing, without verification. Writes fail once another process has
/// written to it.
pub(crate) fn open(backend: impl StorageBackend) -> Result<Database, Failure> {
    guard(|| {
        let backend = SoleWriter::new(backend).map_err(redb::StorageError::from)?;
        Ok(Builder::new()
            .set_cache_size(CACHE)
            .create_with_backend(backend)?)
    })
}

/// Opens any backend, and first verifies the checksums of all its pages.
///
/// Without verification redb trusts the pages. Pages that were changed from outside can make it
/// panic, or loop forever. Verification reads the whole file once, as a start does anyway.
pub(crate) fn open_verified(backend: impl StorageBackend) -> Result<Database, Failure> {
    guard(|| {
        Ok(Builder::new()
            .set_cache_size(CACHE)
            .set_check_integrity_on_open(true)
            .create_with_backend(backend)?)
    })
}

/// Checks the header and the length.
fn check_header(path: &Path, header: &Header, length: u64) -> Result<(), StoreError> {
    let start = header.0.as_slice();
    let path = || path.to_path_buf();
    if start.is_empty() {
        return Err(StoreError::File(FileError::EmptyFile { path: path() }));
    }
    // redb would initialize an empty file, and not recognize a file that is cut within the magic
    // bytes.
    let magic = &start[..header::MAGIC.len().min(start.len())];
    if !header::MAGIC.starts_with(magic) {
        return Err(StoreError::File(FileError::NotARedbFile { path: path() }));
    }
    let truncated = |needed| {
        Err(StoreError::File(FileError::Truncated {
            path: path(),
            length,
            needed,
        }))
    };
    let Some(needed) = needed(start) else {
        return truncated(header::LEN as u64);
    };
    // Until redb closes the file, the counts in the header may be out of date.
    if header.closed() && length < needed {
        return truncated(needed);
    }
    Ok(())
}

/// The length of the file according to the header; `None` if the header is incomplete.
fn needed(start: &[u8]) -> Option<u64> {
    start.get(..header::LEN)?;
    let field = |at: usize| {
        let bytes = start.get(at..at + 4)?.try_into().ok()?;
        Some(u128::from(u32::from_le_bytes(bytes)))
    };
    let page = field(header::PAGE_SIZE)?;
    let head = field(header::REGION_HEADER_PAGES)?;
    let full = field(header::FULL_REGIONS)? * (head + field(header::REGION_DATA_PAGES)?);
    let last = match field(header::LAST_REGION_PAGES)? {
        0 => 0,
        pages => head + pages,
    };
    // If the header is nonsense, redb reports it.
    Some(u64::try_from(page * (1 + full + last)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_in_the_header_is_redbs() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let database = write(file.path(), true).unwrap();
        let transaction = database.begin_write().unwrap();
        let mut table = transaction.open_table(crate::format::tables::META).unwrap();
        table.insert("name", &vec![0u8; 300_000][..]).unwrap();
        drop(table);
        transaction.commit().unwrap();
        database.close().unwrap();
        let bytes = std::fs::read(file.path()).unwrap();
        assert_eq!(needed(&bytes), Some(bytes.len() as u64));
        assert_eq!(bytes[header::FLAGS] & header::RECOVERY_REQUIRED, 0);
        // While the file is open, the header says so.
        let database = write(file.path(), false).unwrap();
        let flags = std::fs::read(file.path()).unwrap()[header::FLAGS];
        assert_eq!(flags & header::RECOVERY_REQUIRED, header::RECOVERY_REQUIRED);
        drop(database);
    }

    /// A backend that panics when it is closed, as redb may for a forged file.
    #[derive(Debug)]
    struct Forged(redb::backends::InMemoryBackend);

    impl StorageBackend for Forged {
        fn len(&self) -> io::Result<u64> {
            self.0.len()
        }

        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            self.0.read(offset, out)
        }

        fn set_len(&self, len: u64) -> io::Result<()> {
            self.0.set_len(len)
        }

        fn sync_data(&self) -> io::Result<()> {
            self.0.sync_data()
        }

        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            self.0.write(offset, data)
        }

        fn close(&self) -> io::Result<()> {
            std::panic::resume_unwind(Box::new("forged"))
        }
    }

    #[test]
    fn a_panic_of_redbs_as_it_is_dropped_is_caught() {
        let forged = || open(Forged(redb::backends::InMemoryBackend::new())).unwrap();
        assert!(std::panic::catch_unwind(|| drop(forged())).is_err());
        drop(Held::from(forged()));
        assert!(Held::from(forged()).close().is_err());
    }
}
