//! Backup: a copy of a store in a new directory.

use super::copy;
use crate::error::StoreError;
use crate::file::directory::Place;
use crate::file::lock::Lock;
use crate::look::Look;
use std::fs;
use std::path::Path;

impl Look {
    /// Makes a directory with a copy of the store, and returns the number of rows in it.
    ///
    /// The copy is the same store at the same epoch, with the same uuid, and is closed. A flow can
    /// resume with either, but not with both. The part file of the copy may replace that of the
    /// original. A backup that is killed leaves a directory that is refused as one that lost its
    /// data. `progress` gets the number of chunks and parts of deltas that are done, and the number
    /// of all.
    ///
    /// # Errors
    ///
    /// [`TargetExists`](crate::MaintenanceError::TargetExists) if `target` exists, and those of
    /// [`compact`](Look::compact). After an error there is no copy. The store is never changed.
    ///
    /// ```
    /// # use flow_store::{Agreed, Changes, End, Look, Start};
    /// # let directory = tempfile::tempdir()?;
    /// # let (path, target) = (directory.path().join("state"), directory.path().join("backup"));
    /// # let look = Look::at(&path)?;
    /// # let manifest = look.reconcile(&[], &Agreed::default())?;
    /// # let changes = Changes::new();
    /// # look.start(Start::new("f", &manifest, &changes))?.end(End::Finished)?;
    /// let look = Look::at(&path)?;
    /// look.backup(&target, &mut |_done, _all| ())?;
    /// assert_eq!(Look::at(&target)?.epoch(), look.epoch());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn backup(
        &self,
        target: impl AsRef<Path>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<u64, StoreError> {
        self.check_to_copy()?;
        let store = self.contents.as_ref().map(|contents| contents.meta.store);
        let place = Place::new(target.as_ref());
        place.create_new()?;
        let mut copy = || {
            let mut lock = Lock::take(&place)?;
            // From here on, a directory without its part file counts as one that lost its data.
            lock.write(store)?;
            let rows = copy::to(self, &place.unfinished, progress)?;
            place.publish()?;
            Ok(rows)
        };
        let copied = copy();
        if copied.is_err() {
            // If removing fails, a look refuses what is left.
            for file in [&place.unfinished, &place.part, &place.lock] {
                let _ = fs::remove_file(file);
            }
            let _ = fs::remove_dir(&place.directory);
        }
        copied
    }
}
