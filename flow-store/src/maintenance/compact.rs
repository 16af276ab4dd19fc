//! Compaction: the same store in a smaller file.

use super::copy;
use crate::error::StoreError;
use crate::file::directory::Place;
use crate::file::guard::Failure;
use crate::file::part::Header;
use crate::look::{Look, changed};
use redb::StorageBackend;
use redb::backends::FileBackend;
use std::fs::{self, File};
use std::ops::Bound;

/// What [`Look::compact`] did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Compacted {
    /// The number of rows.
    pub rows: u64,
    /// The length of the file before, in bytes.
    pub before: u64,
    /// The length of the file now, in bytes.
    pub after: u64,
}

impl Look {
    /// Replaces the file of the store with a copy without unused space.
    ///
    /// The new file is complete, synced and read back before it is renamed. A compaction that is
    /// killed leaves the old file, and a file `part-00000-of-00001.redb.new` that is ignored. It
    /// needs as much free disk space as the rows take. `progress` gets the number of chunks and
    /// parts of deltas that are done, and the number of all.
    ///
    /// # Errors
    ///
    /// After an error the store is unchanged:
    ///
    /// - [`NoStore`](crate::MaintenanceError::NoStore): the store does not exist.
    /// - [`Damaged`](crate::FileError::Damaged): a row is damaged.
    /// - [`Changed`](crate::LockError::Changed): the store has changed since the look.
    /// - [`Locked`](crate::LockError::Locked): another process has the part file.
    /// - [`GoneBack`](crate::GoBackError::GoneBack): the look shows an earlier epoch.
    /// - [`ReadOnly`](crate::LockError::ReadOnly): the look is for reading only.
    /// - [`CopyFailed`](crate::MaintenanceError::CopyFailed): the copy could not be written.
    /// - [`Io`](StoreError::Io): the operating system returned an error.
    ///
    /// ```
    /// # use flow_store::{Agreed, Changes, End, Look, Start};
    /// # let directory = tempfile::tempdir()?;
    /// # let look = Look::at(directory.path())?;
    /// # let manifest = look.reconcile(&[], &Agreed::default())?;
    /// # let changes = Changes::new();
    /// # look.start(Start::new("f", &manifest, &changes))?.end(End::Finished)?;
    /// let compacted = Look::at(directory.path())?.compact(&mut |_done, _all| ())?;
    /// assert!(compacted.after <= compacted.before);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn compact(self, progress: &mut dyn FnMut(u64, u64)) -> Result<Compacted, StoreError> {
        self.check_alone()?;
        let place = self.place.clone().real();
        self.check_to_copy()?;
        // redb's own lock is taken too: a flow whose lock file was removed would continue in the
        // old file.
        let held = hold(&place, &self.header)?;
        place.remove_unfinished()?;
        let copied = copy::to(&self, &place.unfinished, progress)
            .and_then(|rows| {
                Ok((
                    rows,
                    place.len_of(&place.part)?,
                    place.len_of(&place.unfinished)?,
                ))
            })
            .and_then(|compacted| place.publish().map(|()| compacted));
        drop(held);
        match copied {
            Ok((rows, before, after)) => {
                tracing::debug!(rows, before, after, "compacted");
                Ok(Compacted {
                    rows,
                    before,
                    after,
                })
            }
            Err(error) => {
                // If this fails, only space is lost, until the next compaction.
                let _ = fs::remove_file(&place.unfinished);
                Err(error)
            }
        }
    }
}

/// Locks the part file exclusively, as redb does, without changing it.
fn hold(place: &Place, seen: &Header) -> Result<FileBackend, StoreError> {
    let at = |attempt| {
        move |cause| StoreError::Io {
            attempt,
            path: place.part.clone(),
            cause,
        }
    };
    let file = File::options()
        .read(true)
        .write(true)
        .open(&place.part)
        .map_err(at("open"))?;
    let same = file.try_clone().map_err(at("open"))?;
    let held = FileBackend::new(file)
        .map_err(Failure::from)
        .and_then(
            |backend| match backend.try_lock_range(Bound::Unbounded, Bound::Unbounded) {
                Ok(true) => Ok(backend),
                Ok(false) => Err(Failure::from(redb::DatabaseError::DatabaseAlreadyOpen)),
                Err(error) => Err(Failure::Redb(std::io::Error::from(error).into())),
            },
        )
        .map_err(|failure| failure.while_reading(&place.lock))?;
    if Header::read(&same).map_err(at("read"))? != *seen {
        return Err(changed(place, "another process wrote to it"));
    }
    Ok(held)
}
