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
    /// How many rows there are.
    pub rows: u64,
    /// The bytes of the file before.
    pub before: u64,
    /// The bytes of the file now.
    pub after: u64,
}

impl Look {
    /// Writes the store into a new file, without the space that old rows left, and puts that in
    /// the place of the old one.
    ///
    /// The new file is whole, synced and read back before it gets the name: whoever is killed in
    /// between leaves the old one, and a file `part-00000-of-00001.redb.new` that counts for
    /// nothing. It needs as much free disk as the rows take. `progress` is told how many rows are
    /// done, of how many.
    ///
    /// # Errors
    ///
    /// [`NoStore`](crate::MaintenanceError::NoStore), [`Damaged`](crate::FileError::Damaged) when a
    /// row is, [`Changed`](crate::LockError::Changed), [`Locked`](crate::LockError::Locked),
    /// [`CopyFailed`](crate::MaintenanceError::CopyFailed) or [`Io`](StoreError::Io); the store is
    /// as it was.
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
        // redb's own lock too: a flow whose lock file was removed would go on in the old file
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
                // only space is lost if this fails, until the next time
                let _ = fs::remove_file(&place.unfinished);
                Err(error)
            }
        }
    }
}

/// Keeps everybody out of the part file, as redb does, without changing it.
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
