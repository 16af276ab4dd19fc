//! The lock file: it says who has the store, and which store it is.
//!
//! The operating system's lock on it keeps other processes out, and ends with the process. Its text
//! is for people. It also holds the store's uuid, so that a directory that lost its data does not
//! look new. The file is never removed where there are locks: a lock on a removed file keeps nobody
//! out.
//!
//! Readers share the lock, and leave the text alone. A start that waits for readers announces
//! itself by a lock on the directory, which keeps new readers out. Otherwise overlapping readers
//! could keep it waiting forever. Both locks end with their process, and need no further file.
//! Where a directory can't be locked, as on Windows and on most network file systems, the start
//! just waits.
//!
//! Readers also share redb's own lock, which is on the part file. So they are safe from a writer
//! even if the lock file was removed, or was never there, as in a read-only copy.

use crate::clock::now;
use crate::error::{LockError, StoreError};
use crate::file::directory::Place;
use crate::file::holder::{Holder, Patience, host};
use crate::file::os;
use jiff::Timestamp;
use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use uuid::Uuid;

const FIRST_LINE: &str = "flow-store lock 1";
const LAST_LINE: &str = "end";
/// More bytes than any record has.
const MOST_BYTES: u64 = 4096;
/// How long an exclusive lock waits for readers.
const READERS: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(5);

/// The lock. It is released when this is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
    /// The locked part file, for a reader.
    part: Option<File>,
    path: PathBuf,
    /// The text of the previous holder.
    before: Text,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: while another thread starts a child process, the child has a copy
        // of the open file until it runs its program.
        let _ = self.file.unlock();
        let _ = self.part.as_ref().map(File::unlock);
    }
}

/// The text of a lock file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Text {
    /// Nothing. The file was just created, or its first record is incomplete.
    Nothing,
    /// A complete record.
    Record(Record),
    /// An incomplete record, or something else.
    Torn,
}

impl Text {
    /// The holder that wrote it.
    fn holder(&self) -> Option<Holder<'_>> {
        match self {
            Text::Record(record) => Some(Holder {
                host: &record.host,
                pid: record.pid,
            }),
            _ => None,
        }
    }
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// The store's uuid, once it has data.
    pub(crate) store: Option<Uuid>,
    host: String,
    pid: u32,
    since: Timestamp,
}

/// The announcement of a start that waits for readers. It turns new readers away.
struct Announced(File);

impl Announced {
    /// `None` if the directory can't be locked, or if another start has announced itself.
    fn new(place: &Place) -> Option<Announced> {
        let directory = File::open(&place.directory).ok()?;
        directory.try_lock().ok()?;
        Some(Announced(directory))
    }

    /// Whether a start has announced itself.
    fn is_there(place: &Place) -> bool {
        let Ok(directory) = File::open(&place.directory) else {
            return false;
        };
        match directory.try_lock_shared() {
            Ok(()) => {
                let _ = directory.unlock();
                false
            }
            Err(TryLockError::WouldBlock) => true,
            Err(TryLockError::Error(_)) => false,
        }
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

impl Lock {
    /// Takes the lock of a store, or returns an error that names its holder. Creates the file if it
    /// is missing.
    pub(crate) fn take(place: &Place) -> Result<Lock, StoreError> {
        let at = |attempt| {
            move |cause| StoreError::Io {
                attempt,
                path: place.lock.clone(),
                cause,
            }
        };
        no_pipe(&place.lock).map_err(at("open the lock file"))?;
        let (mut file, is_made) = open(&place.lock).map_err(at("open the lock file"))?;
        let deadline = Instant::now() + READERS;
        let patience = Patience::new();
        let mut announced = None;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => {
                    let error = not_locked(place, error);
                    if is_made && matches!(error, StoreError::Lock(LockError::NoLocks { .. })) {
                        // No flow can start here, so nobody can have locked the file. If the
                        // removal fails, an empty file is left.
                        let _ = std::fs::remove_file(&place.lock);
                    }
                    return Err(error);
                }
            }
            // A shared lock succeeds if only readers have it. They end soon, and the announcement
            // keeps new ones out.
            match file.try_lock_shared() {
                Ok(()) => file.unlock().map_err(at("unlock"))?,
                Err(TryLockError::WouldBlock) => wait_for(patience, place, &mut file)?,
                Err(TryLockError::Error(error)) => return Err(at("lock")(error)),
            }
            if Instant::now() > deadline {
                return Err(StoreError::Lock(LockError::BeingRead {
                    directory: place.directory.clone(),
                }));
            }
            announced = announced.or_else(|| Announced::new(place));
            std::thread::sleep(POLL);
        }
        drop(announced);
        let before = read(&mut file).map_err(at("read the lock file"))?;
        let mut lock = Lock {
            file,
            part: None,
            path: place.lock.clone(),
            before,
        };
        wait_for_part(place, &lock.before, deadline)?;
        // A torn record may have named a store, so it is kept: it shows that data may be lost.
        if lock.before != Text::Torn {
            lock.write(lock.store())?;
        }
        Ok(lock)
    }

    /// Takes the lock as one of several readers, and leaves the file as it is. Without a lock file
    /// the part file is locked instead. Returns `None` if there is neither.
    pub(crate) fn share(place: &Place) -> Result<Option<Lock>, StoreError> {
        let at = |attempt| {
            move |cause| StoreError::Io {
                attempt,
                path: place.lock.clone(),
                cause,
            }
        };
        no_pipe(&place.lock).map_err(at("open the lock file"))?;
        let mut file = match File::open(&place.lock) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(share_part(place, &Text::Nothing)?.map(|part| Lock {
                    file: part,
                    part: None,
                    path: place.lock.clone(),
                    before: Text::Nothing,
                }));
            }
            Err(error) => return Err(at("open the lock file")(error)),
        };
        let patience = Patience::new();
        loop {
            let announced = Announced::is_there(place);
            match file.try_lock_shared() {
                Ok(()) if announced => {
                    file.unlock().map_err(at("unlock"))?;
                    return Err(StoreError::Lock(LockError::AboutToStart {
                        directory: place.directory.clone(),
                    }));
                }
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => wait_for(patience, place, &mut file)?,
                // Without locks reading is still harmless, and it notices if the store is being
                // written.
                Err(TryLockError::Error(error)) if os::has_no_locks(&error) => break,
                Err(TryLockError::Error(error)) => return Err(at("lock")(error)),
            }
        }
        let before = read(&mut file).map_err(at("read the lock file"))?;
        let mut lock = Lock {
            file,
            part: None,
            path: place.lock.clone(),
            before,
        };
        lock.part = share_part(place, &lock.before)?;
        Ok(Some(lock))
    }

    /// Returns an error if the lock file exists and can't be locked here, so that a start would
    /// fail.
    pub(crate) fn check(place: &Place) -> Result<(), StoreError> {
        let Ok(file) = File::open(&place.lock) else {
            return Ok(());
        };
        match file.try_lock_shared() {
            Err(TryLockError::Error(error)) => Err(not_locked(place, error)),
            Ok(()) | Err(TryLockError::WouldBlock) => Ok(()),
        }
    }

    /// The text of the file before the lock was taken.
    pub(crate) fn before(&self) -> &Text {
        &self.before
    }

    /// The store that the file named before the lock was taken.
    pub(crate) fn store(&self) -> Option<Uuid> {
        match &self.before {
            Text::Record(record) => record.store,
            _ => None,
        }
    }

    /// Replaces the text of the file: who holds the lock, and which store it is.
    pub(crate) fn write(&mut self, store: Option<Uuid>) -> Result<(), StoreError> {
        let record = Record {
            store,
            host: host(),
            pid: std::process::id(),
            since: now(),
        };
        let text = record.to_text();
        // The rest of the old text is cut off only after the new text is written. Text after `end`
        // is not read.
        let write = |file: &mut File| {
            file.rewind()?;
            file.write_all(text.as_bytes())?;
            file.set_len(text.len() as u64)?;
            file.sync_data()
        };
        write(&mut self.file).map_err(|cause| StoreError::Io {
            attempt: "write the lock file",
            path: self.path.clone(),
            cause,
        })
    }
}

/// Opens the lock file, or creates it; returns whether it was created.
fn open(path: &Path) -> io::Result<(File, bool)> {
    let mut options = File::options();
    let options = options.read(true).write(true);
    match options.clone().create_new(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let file = options.create(true).truncate(false).open(path)?;
            Ok((file, false))
        }
        made => Ok((made?, true)),
    }
}

/// The error if the lock file can't be locked: for the moment, or on this file system.
fn not_locked(place: &Place, cause: io::Error) -> StoreError {
    let path = place.lock.clone();
    match os::has_no_locks(&cause) {
        true => StoreError::Lock(LockError::NoLocks { path, cause }),
        false => StoreError::Io {
            attempt: "lock",
            path,
            cause,
        },
    }
}

/// Refuses anything that is not a regular file: opening a pipe waits for its other end.
fn no_pipe(path: &Path) -> io::Result<()> {
    match std::fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is no regular file",
        )),
        _ => Ok(()),
    }
}

/// The part file, if it exists and can be opened. If it can't, the look reports why.
fn open_part(place: &Place) -> Option<File> {
    // Not a file, as a pipe is not, could block when it is opened.
    let metadata = std::fs::metadata(&place.part).ok()?;
    metadata.is_file().then(|| File::open(&place.part).ok())?
}

/// Locks the part file as one of several readers; a writer locks it exclusively. `text` is the text
/// of the lock file.
fn share_part(place: &Place, text: &Text) -> Result<Option<File>, StoreError> {
    let Some(part) = open_part(place) else {
        return Ok(None);
    };
    let patience = Patience::new();
    loop {
        match part.try_lock_shared() {
            Err(TryLockError::WouldBlock) if patience.lasts(text.holder()) => {
                std::thread::sleep(POLL);
            }
            // The holder went past the lock file, so it is unknown.
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Lock(LockError::Locked {
                    path: place.lock.clone(),
                    host: None,
                    pid: None,
                    since: None,
                }));
            }
            // If a file can't be locked, redb has no lock on it either.
            Ok(()) | Err(TryLockError::Error(_)) => return Ok(Some(part)),
        }
    }
}

/// Waits for readers without a lock file, and for a dying holder that has already released the lock
/// file. A writer that went past the lock file is noticed when the part file is opened.
fn wait_for_part(place: &Place, text: &Text, deadline: Instant) -> Result<(), StoreError> {
    let Some(part) = open_part(place) else {
        return Ok(());
    };
    let free = |tried: Result<(), TryLockError>| tried.is_ok() && part.unlock().is_ok();
    let patience = Patience::new();
    while !free(part.try_lock()) {
        let is_read = free(part.try_lock_shared());
        if !is_read && !patience.lasts(text.holder()) {
            break;
        }
        if is_read && Instant::now() > deadline {
            return Err(StoreError::Lock(LockError::BeingRead {
                directory: place.directory.clone(),
            }));
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}

/// Waits a little for a lock that another process has, or returns the error that names it.
fn wait_for(patience: Patience, place: &Place, file: &mut File) -> Result<(), StoreError> {
    let text = read(file).unwrap_or(Text::Torn);
    if patience.lasts(text.holder()) {
        std::thread::sleep(POLL);
        return Ok(());
    }
    Err(held(place, file))
}

/// The error if another process has the lock. The text of the file names the process.
fn held(place: &Place, file: &mut File) -> StoreError {
    let holder = match read(file) {
        Ok(Text::Record(record)) => Some(record),
        _ => None,
    };
    StoreError::Lock(LockError::Locked {
        path: place.lock.clone(),
        pid: holder.as_ref().map(|record| record.pid),
        since: holder.as_ref().map(|record| record.since),
        host: holder.map(|record| record.host),
    })
}

fn read(file: &mut File) -> io::Result<Text> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.take(MOST_BYTES).read_to_end(&mut bytes)?;
    if bytes.is_empty() {
        return Ok(Text::Nothing);
    }
    let text = String::from_utf8_lossy(&bytes);
    Ok(match Record::from_text(&text) {
        Some(record) => Text::Record(record),
        None if is_first(&text) => Text::Nothing,
        None => Text::Torn,
    })
}

/// Whether a torn record is the first one in the file. Then the file never named a store, and
/// nothing is lost.
///
/// Each later record overwrites a complete one, byte by byte. So a file that ends before the uuid,
/// or says that there is no store, never named one.
fn is_first(text: &str) -> bool {
    let first = format!("{FIRST_LINE}\nstore none\n");
    first.starts_with(text) || text.starts_with(&first)
}

impl Record {
    fn to_text(&self) -> String {
        let store = self
            .store
            .map_or_else(|| "none".to_owned(), |store| store.to_string());
        format!(
            "{FIRST_LINE}\nstore {store}\nhost {}\npid {}\nsince {}\n{LAST_LINE}\n",
            self.host, self.pid, self.since
        )
    }

    fn from_text(text: &str) -> Option<Record> {
        let mut lines = text.lines();
        let mut field = |name: &str| lines.next()?.strip_prefix(name).map(str::to_owned);
        field(FIRST_LINE)?.is_empty().then_some(())?;
        let store = match field("store ")?.as_str() {
            "none" => None,
            uuid => Some(uuid.parse().ok()?),
        };
        let record = Record {
            store,
            host: field("host ")?,
            pid: field("pid ")?.parse().ok()?,
            since: field("since ")?.parse().ok()?,
        };
        field(LAST_LINE)?.is_empty().then_some(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> (tempfile::TempDir, Place) {
        let directory = tempfile::tempdir().unwrap();
        let place = Place::new(directory.path());
        (directory, place)
    }

    #[test]
    fn a_record_comes_back_and_a_torn_one_does_not() {
        let record = Record {
            store: Some(Uuid::from_u128(7)),
            host: "a host".to_owned(),
            pid: 12,
            since: Timestamp::from_millisecond(1_234_567).unwrap(),
        };
        let text = record.to_text();
        assert_eq!(
            text,
            "flow-store lock 1\nstore 00000000-0000-0000-0000-000000000007\nhost a host\npid 12\n\
             since 1970-01-01T00:20:34.567Z\nend\n"
        );
        assert_eq!(Record::from_text(&text), Some(record.clone()));
        assert_eq!(Record::from_text(&format!("{text}left over")), Some(record));
        // A record without its last newline is complete.
        for cut in 0..text.len() - 1 {
            assert_eq!(Record::from_text(&text[..cut]), None, "{cut}");
        }
    }

    #[test]
    fn the_uuid_is_handed_on() {
        let (_directory, place) = place();
        let mut lock = Lock::take(&place).unwrap();
        assert_eq!(lock.before(), &Text::Nothing);
        lock.write(Some(Uuid::from_u128(7))).unwrap();
        drop(lock);
        for _ in 0..3 {
            assert_eq!(
                Lock::take(&place).unwrap().store(),
                Some(Uuid::from_u128(7))
            );
        }
    }

    #[test]
    fn the_second_is_told_who_has_it() {
        let (_directory, place) = place();
        let lock = Lock::take(&place).unwrap();
        let error = Lock::take(&place).unwrap_err();
        let StoreError::Lock(LockError::Locked {
            host: Some(name),
            pid: Some(pid),
            since: Some(since),
            ..
        }) = error
        else {
            panic!("{error}");
        };
        assert_eq!((name, pid), (host(), std::process::id()));
        assert!(since <= Timestamp::now());
        drop(lock);
        Lock::take(&place).unwrap();
    }

    #[test]
    fn a_torn_record_is_nobody_and_is_kept() {
        let (_directory, place) = place();
        std::fs::write(&place.lock, "flow-store lock 1\nstore 3f").unwrap();
        let lock = Lock::take(&place).unwrap();
        assert_eq!((lock.before(), lock.store()), (&Text::Torn, None));
        let error = Lock::take(&place).unwrap_err();
        assert!(matches!(
            error,
            StoreError::Lock(LockError::Locked {
                host: None,
                pid: None,
                since: None,
                ..
            })
        ));
        drop(lock);
        assert_eq!(
            std::fs::read(&place.lock).unwrap(),
            b"flow-store lock 1\nstore 3f"
        );
    }

    #[test]
    fn the_first_record_torn_anywhere_names_no_store() {
        let record = |store| Record {
            store,
            host: "host".to_owned(),
            pid: 12,
            since: Timestamp::UNIX_EPOCH,
        };
        let (_directory, place) = place();
        let none = record(None).to_text();
        for cut in 0..none.len() - 1 {
            std::fs::write(&place.lock, &none[..cut]).unwrap();
            assert_eq!(
                Lock::take(&place).unwrap().before(),
                &Text::Nothing,
                "{cut}"
            );
        }
        // A record that names a store, torn at any place, over the first record.
        let some = record(Some(Uuid::from_u128(7))).to_text();
        for cut in 0..some.len() - 1 {
            let torn = format!("{}{}", &some[..cut], none.get(cut..).unwrap_or_default());
            std::fs::write(&place.lock, &torn).unwrap();
            let named = torn.contains("store 0");
            let before = Lock::take(&place).unwrap().before().clone();
            assert_eq!(before == Text::Torn, named, "{torn}");
        }
    }
}
