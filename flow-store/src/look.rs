//! The store as it is, seen without changing a byte of it.

use crate::changes::Changes;
use crate::contents::{self, Contents};
use crate::delta::{Delta, Retained};
use crate::directory::{Found, PART, Place};
use crate::epoch::Epoch;
use crate::error::StoreError;
use crate::execution::Execution;
use crate::guard::guard;
use crate::lock::{Lock, Text};
use crate::manifest::{self, Agreed, Basis, Manifest, Notice, StepSpec, Stored, StoredStep};
use crate::part::{self, Header, Held};
use crate::record::ExecutionRecord;
use crate::retain::Retain;
use crate::rows::{Row, Rows};
use crate::start;
use crate::steps;
use crate::tables::FORMAT;
use crate::unfolded::Unfolded;
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

/// What [`Look::start`] writes as it starts an execution.
#[derive(Clone, Copy, Debug)]
pub struct Start<'a> {
    /// The steps, from [`Look::reconcile`] of the same look.
    pub manifest: &'a Manifest,
    /// The name of the flow; shown to people, not compared.
    pub flow_name: &'a str,
    /// The number of workers; shown to people.
    pub workers: usize,
    /// The program's own name for its build; shown to people.
    pub build: &'a str,
    /// Rows to change in the same commit: starting positions of sinks, partitions that go.
    pub changes: &'a Changes,
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
    /// [`Locked`](StoreError::Locked) by another process; the path is
    /// [no directory](StoreError::NotADirectory); the part file is missing
    /// ([`EmptyWhereDataWas`](StoreError::EmptyWhereDataWas)), [one of
    /// several](StoreError::OtherParts), [of another store](StoreError::ForeignPart),
    /// [empty](StoreError::EmptyFile), [cut short](StoreError::Truncated),
    /// [damaged](StoreError::Damaged), [not](StoreError::NotARedbFile) [a
    /// store](StoreError::NotAFlowStore), [too new](StoreError::FormatTooNew) or [too
    /// old](StoreError::FormatTooOld); or the operating system [refused](StoreError::Io).
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

    /// Looks at the store in a directory to read it: together with others that read, and without a trace, also in
    /// a directory that must not be written to.
    ///
    /// It can't be changed or started from. Who wants to start a flow waits a while for those who read.
    ///
    /// # Errors
    ///
    /// Those of [`at`](Look::at), and [`AboutToStart`](StoreError::AboutToStart) while somebody waits like that.
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
                store => Err(StoreError::EmptyWhereDataWas {
                    directory: place.directory,
                    store: store.map_or_else(|| "unknown".to_owned(), |store| store.to_string()),
                    part: PART.to_owned(),
                }),
            };
        }
        let (database, header) = part::look(&place.part)?;
        let contents = Contents::read(&database, &place.part)?;
        let store = contents.meta.store;
        match (known, &mut lock) {
            (Some(expected), _) if expected != store => {
                return Err(StoreError::ForeignPart {
                    path: place.part,
                    lock: place.lock,
                    expected: expected.to_string(),
                    found: store.to_string(),
                });
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
    /// Of a store that is still new it is the uuid that [`start`](Look::start) gives it. Another look before that start
    /// chooses another one.
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

    /// Whether it shows an earlier epoch than the last: an execution that starts from it gives up what came after.
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

    /// Has the execution that [starts](Look::start) keep older epochs restorable: nothing unless told.
    #[must_use]
    pub fn retaining(self, retain: Retain) -> Look {
        Look { retain, ..self }
    }

    /// The same store as it was at an earlier epoch: its steps, its rows, and where the next execution
    /// goes on.
    ///
    /// That is done in memory. When an execution starts from it, the store itself goes back in the
    /// commit that opens the execution, which remembers it
    /// ([`went_back_from`](ExecutionRecord::went_back_from)); the epochs in between are given up, and
    /// their numbers are never used again.
    ///
    /// # Errors
    ///
    /// [`NotRetained`](StoreError::NotRetained), or [`WentBack`](StoreError::WentBack) when the store
    /// has gone back to this epoch before and come further since: a program that is started again and
    /// again with the same arguments is not to lose its progress each time.
    /// [`Damaged`](StoreError::Damaged) if what is needed for it is.
    ///
    /// ```
    /// # use flow_store::{Agreed, Changes, End, Epoch, Look, Retain, Start};
    /// # let directory = tempfile::tempdir()?;
    /// # let changes = Changes::new();
    /// let look = Look::at(directory.path())?.retaining(Retain::Epochs(10));
    /// # let manifest = look.reconcile(&[], &Agreed::default())?;
    /// # let mut execution = look.start(Start {
    /// #     manifest: &manifest, flow_name: "f", workers: 1, build: "", changes: &changes,
    /// # })?;
    /// // start an execution, and ..
    /// execution.commit(Epoch::first(1), [&changes])?;
    /// execution.commit(Epoch::first(1).next(), [&changes])?;
    /// # execution.end(End::Finished)?;
    ///
    /// let look = Look::at(directory.path())?;
    /// assert_eq!(look.retained()[1].epoch, Epoch::first(1));
    /// assert_eq!(look.go_back(Epoch::first(1))?.epoch(), Epoch::first(1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn go_back(mut self, epoch: Epoch) -> Result<Look, StoreError> {
        if let (Some(database), Some(contents)) = (self.database.get(), &self.contents)
            && let Some(head) = contents.retained().find(|delta| delta.before == epoch)
            && let executions = contents::executions(database, &self.place.part)?
            && let Some(before) = executions
                .iter()
                .find(|record| Epoch::opening(record.number) == head.epoch)
            && before.went_back_from.is_some()
        {
            return Err(StoreError::WentBack {
                directory: self.place.directory.clone(),
                epoch,
                execution: before.number,
                opened: head.epoch,
                last: self.epoch(),
            });
        }
        // Also to the last one: asked for again, when it is the last no more, it would be a way back.
        if !self.is_new() && epoch == self.epoch() {
            self.back_to = Some(epoch);
            return Ok(self);
        }
        self.see(epoch)
    }

    /// The same without the question whether the store has gone back there before: to look at what it
    /// had.
    ///
    /// # Errors
    ///
    /// [`NotRetained`](StoreError::NotRetained) or [`Damaged`](StoreError::Damaged).
    pub fn see(mut self, epoch: Epoch) -> Result<Look, StoreError> {
        let last = self.epoch();
        if epoch == last {
            return Ok(self);
        }
        let not_retained = StoreError::NotRetained {
            directory: self.place.directory.clone(),
            epoch,
            last,
            retained: self.retained().into(),
        };
        let (Some(database), Some(contents)) = (self.database.get(), &mut self.contents) else {
            return Err(not_retained);
        };
        if !(contents.retained()).any(|delta| delta.before == epoch && delta.epoch <= last) {
            return Err(not_retained);
        }
        let path = &self.place.part;
        let go = || {
            let transaction = database.begin_write()?;
            start::go_back(&transaction, epoch)?;
            Ok(transaction.commit()?)
        };
        guard(go).map_err(|failure| failure.while_reading(path))?;
        contents.steps = steps::last(database, epoch, contents.meta.next_step, path)?;
        self.unfolded = Mutex::default();
        self.back_to = Some(epoch);
        Ok(self)
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
    /// [`UnknownStep`](StoreError::UnknownStep), which says what steps there are.
    pub fn step(&self, id: &str) -> Result<&StoredStep, StoreError> {
        let found = self.steps().iter().find(|step| step.id == id);
        found.ok_or_else(|| StoreError::UnknownStep {
            directory: self.place.directory.clone(),
            id: id.to_owned(),
            stored: self.steps().to_vec(),
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
        StoreError::NoStore {
            directory: self.place.directory.clone(),
        }
    }

    /// The executions so far, oldest first; the last 1,000 are kept.
    ///
    /// # Errors
    ///
    /// [`Damaged`](StoreError::Damaged) if one cannot be read.
    pub fn executions(&self) -> Result<Vec<ExecutionRecord>, StoreError> {
        match self.database.get() {
            Some(database) => contents::executions(database, &self.place.part),
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
    /// Here and from the iterator: [`Damaged`](StoreError::Damaged), which for a row whose CRC is
    /// wrong names step and key, or [`Io`](StoreError::Io).
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
    /// The key group is that of such a step's rows; see [`StepKind::group`](crate::StepKind::group).
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

    /// Finds what a start would do to the steps of the store; writes nothing.
    ///
    /// A step of the flow is found by its id, or by one it was renamed from; one that is not found
    /// gets a number that no step had before. A stored step whose id is in `agreed` is dropped with
    /// all its rows, and starts empty if the flow still has it.
    ///
    /// # Errors
    ///
    /// [`UnknownSteps`](StoreError::UnknownSteps) that the flow lacks and nobody agreed to drop, a
    /// [changed kind](StoreError::KindChanged), a step to drop that [is not
    /// there](StoreError::NoSuchStep), one id for [two steps](StoreError::SameId), a renaming that
    /// can be read in two ways ([`RenameOfTwo`](StoreError::RenameOfTwo),
    /// [`RenamedTwice`](StoreError::RenamedTwice), [`RenameInUse`](StoreError::RenameInUse)), or
    /// [no number left](StoreError::TooManySteps).
    pub fn reconcile(&self, flow: &[StepSpec], agreed: &Agreed) -> Result<Manifest, StoreError> {
        let stored = Stored {
            directory: &self.place.directory,
            steps: self.steps(),
            next_step: self
                .contents
                .as_ref()
                .map_or(0, |contents| contents.meta.next_step),
            basis: self.basis(),
        };
        let mut manifest = manifest::reconcile(&stored, flow, agreed)?;
        if let (Some(to), Some(contents)) = (self.back_to, &self.contents) {
            let from = contents.meta.epoch;
            if from != to {
                manifest.notices.push(Notice::GoesBack { from, to });
            }
        }
        if self.is_new() && !self.place.has_durable_names() {
            manifest.notices.push(Notice::NoDirectorySync);
        }
        let epochs = self.retained().len();
        if self.retain == Retain::Nothing && epochs > 0 {
            manifest.notices.push(Notice::Forgets { epochs });
        }
        Ok(manifest)
    }

    /// Starts an execution.
    ///
    /// In one durable commit: the execution's number and record, its opening epoch, the steps as
    /// the manifest has them, without the rows of those that are dropped, and `changes`. A new
    /// store is made under another name, and gets its own with that commit in it.
    ///
    /// # Errors
    ///
    /// Before a byte of the store's data is changed: [`Changed`](StoreError::Changed) if it is not
    /// as it was seen or the manifest is of another look, [`WrongChange`](StoreError::WrongChange),
    /// [`Locked`](StoreError::Locked) if a new store is being made by someone else,
    /// [`TooManyExecutions`](StoreError::TooManyExecutions), or [`Io`](StoreError::Io). After that:
    /// [`StartFailed`](StoreError::StartFailed); the store is then as before, or as if the
    /// execution had started and been killed at once.
    pub fn start(self, start: Start<'_>) -> Result<Execution, StoreError> {
        self.check_alone()?;
        start::check(&self.place, self.basis(), &start)?;
        let origin = self.origin();
        let Look {
            place,
            database,
            lock,
            ..
        } = self;
        drop(database);
        match (&origin.seen, lock) {
            (Some(_), Some(lock)) => start::resume(&place, &origin, lock, &start),
            (_, lock) => start::create(&place, &origin, lock, &start),
        }
    }

    /// Refuses what [`start`](Look::start) would refuse before it changes anything, also of a look that only reads.
    ///
    /// # Errors
    ///
    /// Those of [`start`](Look::start) that it has before a byte of the store's data is changed; files that must not be
    /// written to are [`Io`](StoreError::Io).
    pub fn check_start(&self, start: &Start<'_>) -> Result<(), StoreError> {
        start::check(&self.place, self.basis(), start)?;
        self.place.check_writable()?;
        Lock::check(&self.place)
    }

    pub(crate) fn check_alone(&self) -> Result<(), StoreError> {
        match self.read_only {
            false => Ok(()),
            true => Err(StoreError::ReadOnly {
                directory: self.place.directory.clone(),
            }),
        }
    }

    fn origin(&self) -> start::Origin {
        let contents = self.contents.as_ref();
        start::Origin {
            store: self.store,
            seen: contents.map(|contents| contents.meta.clone()),
            deltas: contents.map_or_else(Default::default, |contents| contents.deltas.clone()),
            back_to: self.back_to,
            retain: self.retain,
        }
    }

    fn basis(&self) -> Basis {
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

    /// [`start`](Look::start) on any backend.
    #[cfg(test)]
    pub(crate) fn start_over(
        self,
        backend: impl redb::StorageBackend,
        start: &Start<'_>,
    ) -> Result<Execution, StoreError> {
        start::check(&self.place, self.basis(), start)?;
        let origin = self.origin();
        drop(self.database);
        start::over(&self.place, backend, &origin, start)
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
        _ => Err(StoreError::OtherParts {
            directory: place.directory.clone(),
            expected: PART.to_owned(),
            found: found.parts.clone(),
        }),
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
