//! The store as it is, seen without changing a byte of it.

mod contents;
mod fence;
mod manifest;
mod past;
pub(crate) mod rows;
pub(crate) mod unfolded;

pub(crate) use contents::Contents;
pub(crate) use fence::{as_seen, changed};
pub(crate) use past::go_back;

use self::rows::{Row, Rows};
use self::unfolded::Unfolded;
use crate::epoch::Epoch;
use crate::error::{FileError, LockError, MaintenanceError, StoreError};
use crate::file::directory::{Found, PART, Place};
use crate::file::lock::{Lock, Text};
use crate::file::part::{self, Header, Held};
use crate::format::delta::Delta;
use crate::format::executions;
use crate::format::record::ExecutionRecord;
use crate::format::tables::FORMAT;
use crate::manifest::Basis;
use crate::retain::{Retain, Retained};
use crate::step::StoredStep;
use redb::Database;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use uuid::Uuid;

/// A store as it is, whole and checked, before anything is written.
///
/// A look holds the store's lock: nobody else can look at it or start it meanwhile, and
/// [`start`](Look::start) hands the lock on. Dropped, it leaves the store's data as it was, whether
/// the store had been closed or killed.
///
/// It can be shared by threads, each of which can read [`rows`](Look::rows).
pub struct Look {
    pub(crate) place: Place,
    /// Over an overlay of the part file; none when the store is new.
    pub(crate) database: Held,
    /// None when the store is new.
    pub(crate) contents: Option<Contents>,
    /// The uuid of the store; of a new one, the uuid that its first start gives it.
    pub(crate) store: Uuid,
    /// What is not folded, once somebody has asked for rows.
    pub(crate) unfolded: Mutex<Option<Arc<Unfolded>>>,
    /// Of the part file; nothing when the store is new.
    pub(crate) header: Header,
    /// The epoch that it shows, if that is not the last: what the overlay was brought back to.
    pub(crate) back_to: Option<Epoch>,
    pub(crate) retain: Retain,
    /// Others may read it too, so it must stay as it is.
    pub(crate) read_only: bool,
    /// None when there is nothing yet to be locked. Last, so that it is released last.
    pub(crate) lock: Option<Lock>,
}

/// What a store says of itself, from [`Look::about`].
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct About {
    /// The version of its format.
    pub format: u64,
    /// Its uuid, given when it was made.
    pub store: String,
    /// The name of the flow at the last start.
    pub flow_name: String,
    /// Whether the last execution said how it ended. Else it was killed, as nobody has the store.
    pub ended: bool,
    /// The part file.
    pub path: PathBuf,
    /// Whether that was closed. Else whoever starts next repairs it, which loses nothing.
    pub closed: bool,
}

impl Look {
    /// Looks at the store in a directory: takes its lock, reads it, and checks all of it that can
    /// be checked without knowing the flow.
    ///
    /// A directory that is not there, or has neither a part file nor a lock file, is a new store;
    /// then nothing is created, locked or written. Of a store that is there only the text of the
    /// lock file changes.
    ///
    /// It reads the whole part file once, to verify it.
    ///
    /// # Errors
    ///
    /// [`Locked`](crate::LockError::Locked) by another process; the path is
    /// [no directory](crate::FileError::NotADirectory); the part file is missing
    /// ([`EmptyWhereDataWas`](crate::FileError::EmptyWhereDataWas)), [one of
    /// several](crate::FileError::OtherParts), [of another store](crate::FileError::ForeignPart),
    /// [empty](crate::FileError::EmptyFile), [cut short](crate::FileError::Truncated),
    /// [damaged](crate::FileError::Damaged), [not](crate::FileError::NotARedbFile) [a
    /// store](crate::FileError::NotAFlowStore), [too new](crate::FileError::FormatTooNew) or [too
    /// old](crate::FileError::FormatTooOld); or the operating system [refused](StoreError::Io).
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("state");
    /// let look = flow_store::Look::at(&path)?;
    /// assert!(look.is_new() && !path.exists());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn at(dir: impl AsRef<Path>) -> Result<Look, StoreError> {
        Look::with(dir.as_ref(), |place| Lock::take(place).map(Some), false)
    }

    /// Looks at the store in a directory to read it: together with others that read, and without a
    /// trace, also in a directory that must not be written to.
    ///
    /// It can't be changed or started from. Who wants to start a flow waits a while for those who
    /// read.
    ///
    /// # Errors
    ///
    /// Those of [`at`](Look::at), and [`AboutToStart`](crate::LockError::AboutToStart) while
    /// somebody waits like that.
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// let look = flow_store::Look::read(directory.path())?;
    /// assert!(look.is_new());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read(dir: impl AsRef<Path>) -> Result<Look, StoreError> {
        Look::with(dir.as_ref(), Lock::share, true)
    }

    fn with(
        directory: &Path,
        lock: impl FnOnce(&Place) -> Result<Option<Lock>, StoreError>,
        read_only: bool,
    ) -> Result<Look, StoreError> {
        let place = Place::new(directory);
        if place.list()?.is_new() {
            let new = Look::new(place, None);
            return Ok(Look { read_only, ..new });
        }
        let mut lock = lock(&place)?;
        let before = lock.as_ref().map_or(&Text::Nothing, Lock::before);
        let known = lock.as_ref().and_then(Lock::store);
        // only now it stays as it is
        let found = place.list()?;
        check_parts(&place, &found)?;
        if found.parts.is_empty() {
            return match known {
                // somebody was killed as they made the store
                None if *before != Text::Torn => {
                    let new = Look::new(place, lock);
                    Ok(Look { read_only, ..new })
                }
                store => Err(StoreError::File(FileError::EmptyWhereDataWas {
                    directory: place.directory,
                    store: store.map_or_else(|| "unknown".to_owned(), |store| store.to_string()),
                    part: PART.to_owned(),
                })),
            };
        }
        let (database, header) = part::look(&place.part)?;
        let contents = Contents::read(&database, &place.part)?;
        let store = contents.meta.store;
        match (known, &mut lock) {
            (Some(expected), _) if expected != store => {
                return Err(StoreError::File(FileError::ForeignPart {
                    path: place.part,
                    lock: place.lock,
                    expected: expected.to_string(),
                    found: store.to_string(),
                }));
            }
            (None, Some(lock)) if !read_only => lock.write(Some(store))?,
            _ => {}
        }
        Ok(Look {
            place,
            database: database.into(),
            contents: Some(contents),
            store,
            unfolded: Mutex::default(),
            header,
            back_to: None,
            retain: Retain::Nothing,
            read_only,
            lock,
        })
    }

    fn new(place: Place, lock: Option<Lock>) -> Look {
        Look {
            place,
            database: Held::none(),
            contents: None,
            store: Uuid::new_v4(),
            unfolded: Mutex::default(),
            header: Header::default(),
            back_to: None,
            retain: Retain::Nothing,
            read_only: false,
            lock,
        }
    }

    /// Whether there is no store yet.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.contents.is_none()
    }

    /// The uuid of the store. A store gets it when it is made, and backups and compactions keep it.
    ///
    /// Of a store that is still new it is the uuid that [`start`](Look::start) gives it. Another
    /// look before that start chooses another one.
    #[must_use]
    pub fn uuid(&self) -> String {
        self.store.to_string()
    }

    /// The directory of the store, as it was given.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.place.directory
    }

    /// The epoch that the next execution goes on from: the last durable one, or that which
    /// [`go_back`](Look::go_back) was told; `Epoch(0)` of a new store.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        let last = || Some(self.contents.as_ref()?.meta.epoch);
        self.back_to.or_else(last).unwrap_or_default()
    }

    /// Whether it shows an earlier epoch than the last: an execution that starts from it gives up
    /// what came after.
    #[must_use]
    pub fn goes_back(&self) -> bool {
        let last = self.contents.as_ref().map(|contents| contents.meta.epoch);
        self.back_to.is_some() && self.back_to != last
    }

    /// The epochs before this one that the store can go back to, oldest first; see [`Retain`].
    #[must_use]
    pub fn retained(&self) -> Vec<Retained> {
        let retained = self.contents.iter().flat_map(Contents::retained);
        let earlier = retained.filter(|delta| delta.epoch <= self.epoch());
        earlier.filter_map(Delta::retained).collect()
    }

    /// Has the execution that [starts](Look::start) keep older epochs restorable: nothing unless
    /// told.
    #[must_use]
    pub fn retaining(self, retain: Retain) -> Look {
        Look { retain, ..self }
    }

    /// The steps that the store has rows for, by number.
    #[must_use]
    pub fn steps(&self) -> &[StoredStep] {
        self.contents
            .as_ref()
            .map_or(&[], |contents| &contents.steps)
    }

    /// A step of the store by its id.
    ///
    /// # Errors
    ///
    /// [`UnknownStep`](crate::MaintenanceError::UnknownStep), which says what steps there are.
    pub fn step(&self, id: &str) -> Result<&StoredStep, StoreError> {
        let found = self.steps().iter().find(|step| step.id == id);
        found.ok_or_else(|| {
            StoreError::Maintenance(MaintenanceError::UnknownStep {
                directory: self.place.directory.clone(),
                id: id.to_owned(),
                stored: self.steps().to_vec(),
            })
        })
    }

    /// What the store says of itself; `None` of a new store.
    #[must_use]
    pub fn about(&self) -> Option<About> {
        let contents = self.contents.as_ref()?;
        let meta = &contents.meta;
        Some(About {
            format: FORMAT,
            store: meta.store.to_string(),
            flow_name: meta.flow_name.clone(),
            ended: meta.clean,
            path: self.place.part.clone(),
            closed: self.header.closed(),
        })
    }

    /// The error of whoever needs a store that is not new.
    #[must_use]
    pub fn no_store(&self) -> StoreError {
        StoreError::Maintenance(MaintenanceError::NoStore {
            directory: self.place.directory.clone(),
        })
    }

    /// The executions so far, oldest first; the last 1,000 are kept.
    ///
    /// # Errors
    ///
    /// [`Damaged`](crate::FileError::Damaged) if one cannot be read.
    pub fn executions(&self) -> Result<Vec<ExecutionRecord>, StoreError> {
        match self.database.get() {
            Some(database) => executions::all(database, &self.place.part),
            None => Ok(Vec::new()),
        }
    }

    /// The execution before the next; `None` of a new store.
    #[must_use]
    pub fn last_execution(&self) -> Option<&ExecutionRecord> {
        self.contents.as_ref()?.last_execution.as_ref()
    }

    /// The number that [`start`](Look::start) gives to the next execution; the first is 1.
    #[must_use]
    pub fn next_execution(&self) -> u64 {
        self.contents
            .as_ref()
            .map_or(1, |contents| contents.meta.execution + 1)
    }

    /// Reads the rows of a step in some key groups, by key group and key.
    ///
    /// Several threads can read at once, as many ranges as they like. A step that the store has
    /// not, and a range that is empty, have no rows.
    ///
    /// # Errors
    ///
    /// Here and from the iterator: [`Damaged`](crate::FileError::Damaged), which for a row whose
    /// CRC is wrong names step and key, or [`Io`](StoreError::Io).
    pub fn rows(&self, step: u16, groups: Range<u16>) -> Result<Rows<'_>, StoreError> {
        let path = &self.place.part;
        match self.database.get() {
            Some(database) => {
                let meta = self.contents.as_ref().map(|contents| &contents.meta);
                let runs = meta.map_or((0, 0), |meta| (meta.runs, meta.chunk_bytes));
                let unfolded = self.unfolded()?;
                Rows::of(database, unfolded, runs, path, self.steps(), step, groups)
            }
            None => Ok(Rows::none(path)),
        }
    }

    /// Reads the row of a key, if the step has it.
    ///
    /// The key group is that of such a step's rows; see
    /// [`StepKind::group`](crate::StepKind::group).
    ///
    /// # Errors
    ///
    /// Those of [`rows`](Look::rows).
    pub fn row(&self, step: &StoredStep, key: &[u8]) -> Result<Option<Row>, StoreError> {
        let group = step.kind.group(key);
        let mut rows = self.rows(step.number, group..group + 1)?;
        rows.find(|row| row.as_ref().map_or(true, |row| row.key == key))
            .transpose()
    }

    /// What is not folded; read once.
    fn unfolded(&self) -> Result<Arc<Unfolded>, StoreError> {
        let mut unfolded = self.unfolded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(unfolded) = &*unfolded {
            return Ok(unfolded.clone());
        }
        let read = match self.database.get() {
            Some(database) => Unfolded::read(database, &self.place.part)?,
            None => Unfolded::default(),
        };
        Ok(unfolded.insert(Arc::new(read)).clone())
    }

    pub(crate) fn check_alone(&self) -> Result<(), StoreError> {
        match self.read_only {
            false => Ok(()),
            true => Err(StoreError::Lock(LockError::ReadOnly {
                directory: self.place.directory.clone(),
            })),
        }
    }

    pub(crate) fn basis(&self) -> Basis {
        self.contents
            .as_ref()
            .map(Contents::basis)
            .unwrap_or_default()
    }

    /// At a part file alone, to read it.
    pub(crate) fn of_part(path: &Path) -> Result<Look, StoreError> {
        let (database, _) = part::look(path)?;
        let look = Look::of(database, path)?;
        Ok(Look {
            read_only: true,
            ..look
        })
    }

    /// At a database that is changed in memory only, without directory and lock.
    pub(crate) fn of(database: Database, path: &Path) -> Result<Look, StoreError> {
        let contents = Contents::read(&database, path)?;
        let place = Place::new(path.parent().unwrap_or(path));
        let nothing = Look::new(place, None);
        Ok(Look {
            store: contents.meta.store,
            database: database.into(),
            contents: Some(contents),
            ..nothing
        })
    }

    /// The same over any backend, without directory and lock.
    #[cfg(test)]
    pub(crate) fn over(
        directory: &Path,
        backend: impl redb::StorageBackend,
    ) -> Result<Look, StoreError> {
        let part = Place::new(directory).part;
        let database =
            part::open_verified(backend).map_err(|failure| failure.while_reading(&part))?;
        Look::of(database, &part)
    }

    /// A new store, for [`start_over`](Look::start_over).
    #[cfg(test)]
    pub(crate) fn over_nothing(directory: &Path) -> Look {
        Look::new(Place::new(directory), None)
    }
}

/// Anything else than our one part is somebody's mistake.
fn check_parts(place: &Place, found: &Found) -> Result<(), StoreError> {
    match found.parts.as_slice() {
        [] => Ok(()),
        [part] if part == PART => Ok(()),
        _ => Err(StoreError::File(FileError::OtherParts {
            directory: place.directory.clone(),
            expected: PART.to_owned(),
            found: found.parts.clone(),
        })),
    }
}

impl fmt::Debug for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Look")
            .field("directory", &self.place.directory)
            .field("epoch", &self.epoch())
            .finish_non_exhaustive()
    }
}
