//! Reads a store without changing a byte of it.

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

/// A store, read and checked, before anything is written.
///
/// A look holds the store's lock. A look of [`at`](Look::at) keeps every other process out, and
/// [`start`](Look::start) passes the lock on to the execution. Looks of [`read`](Look::read) share
/// the lock. Dropping a look leaves the store's data untouched, even after a crash.
///
/// Threads can share a look, and each can read [`rows`](Look::rows).
pub struct Look {
    pub(crate) place: Place,
    /// The database, over an overlay of the part file; none if the store is new.
    pub(crate) database: Held,
    /// `None` if the store is new.
    pub(crate) contents: Option<Contents>,
    /// The uuid of the store. A new store gets it at its first start.
    pub(crate) store: Uuid,
    /// The changes that are not folded, once rows have been read.
    pub(crate) unfolded: Mutex<Option<Arc<Unfolded>>>,
    /// The header of the part file; empty if the store is new.
    pub(crate) header: Header,
    /// The epoch that the look went back to. It may be the last one.
    pub(crate) back_to: Option<Epoch>,
    pub(crate) retain: Retain,
    /// Others may read the store too, so it must not be changed.
    pub(crate) read_only: bool,
    /// `None` while there is nothing to lock. It is the last field, so that it is released last.
    pub(crate) lock: Option<Lock>,
}

/// General facts about a store, from [`Look::about`].
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct About {
    /// The version of its format.
    pub format: u64,
    /// Its uuid, given when it was made.
    pub store: String,
    /// The name of the flow at the last start.
    pub flow_name: String,
    /// Whether the last execution recorded how it ended. Otherwise it was killed, as no process has
    /// the store.
    pub ended: bool,
    /// The part file.
    pub path: PathBuf,
    /// Whether the part file was closed. Otherwise the next start repairs it, which loses nothing.
    pub closed: bool,
}

impl Look {
    /// Looks at the store in a directory: takes its lock, reads it, and checks everything that does
    /// not depend on the flow.
    ///
    /// A directory that does not exist, or has neither a part file nor a lock file, is a new store.
    /// Then nothing is created, locked or written. In an existing store only the text of the lock
    /// file changes.
    ///
    /// The whole part file is read once, to verify it.
    ///
    /// # Errors
    ///
    /// - [`LockError`](crate::LockError): another process has the store, or it can't be locked.
    /// - [`FileError`](crate::FileError): the path is not a directory, or the part file is missing,
    ///   damaged, of another format or of another store.
    /// - [`Io`](StoreError::Io): the operating system returned an error.
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

    /// Looks at the store in a directory for reading only, together with other readers.
    ///
    /// It changes nothing, so it works in a read-only directory too. The look can neither be
    /// changed nor started from. A start waits a while for readers.
    ///
    /// # Errors
    ///
    /// Those of [`at`](Look::at), and [`AboutToStart`](crate::LockError::AboutToStart) while a
    /// start waits for readers.
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
        // The directory could change until the lock was held, so it is listed again.
        let found = place.list()?;
        check_parts(&place, &found)?;
        if found.parts.is_empty() {
            return match known {
                // A process was killed while it made the store.
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
    /// For a new store it is the uuid that [`start`](Look::start) gives it. Each look at a new
    /// store chooses another one.
    #[must_use]
    pub fn uuid(&self) -> String {
        self.store.to_string()
    }

    /// The directory of the store, as it was given.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.place.directory
    }

    /// The epoch that the next execution resumes from: the last durable one, or the one given to
    /// [`go_back`](Look::go_back); `Epoch::default()` for a new store.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        let last = || Some(self.contents.as_ref()?.meta.epoch);
        self.back_to.or_else(last).unwrap_or_default()
    }

    /// Whether it shows an earlier epoch than the last. An execution that starts from it gives up
    /// the later ones.
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

    /// Sets which earlier epochs the [started](Look::start) execution keeps restorable. The default
    /// is none.
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
    /// [`UnknownStep`](crate::MaintenanceError::UnknownStep), which lists the steps of the store.
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

    /// General facts about the store; `None` for a new store.
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

    /// The error for an operation that needs an existing store.
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

    /// The last execution; `None` for a new store.
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
    /// Several threads can read at once, each as many ranges as it likes. An unknown step and an
    /// empty range have no rows.
    ///
    /// # Errors
    ///
    /// [`Damaged`](crate::FileError::Damaged), which names the damaged chunk or delta, or
    /// [`Io`](StoreError::Io). The iterator returns them too.
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
    /// [`StepKind::group`](crate::StepKind::group) determines the key group.
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

    /// The changes that are not folded. They are read once.
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

    /// A look at a single part file, for reading.
    pub(crate) fn of_part(path: &Path) -> Result<Look, StoreError> {
        let (database, _) = part::look(path)?;
        let look = Look::of(database, path)?;
        Ok(Look {
            read_only: true,
            ..look
        })
    }

    /// A look at a database that changes only in memory, without directory and lock.
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

    /// A look at any backend, without directory and lock.
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

/// Any other part file is a mistake of the user.
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
