//! A copy of a store in a directory of its own.

use super::copy;
use crate::error::StoreError;
use crate::file::directory::Place;
use crate::file::lock::Lock;
use crate::look::Look;
use std::fs;
use std::path::Path;

impl Look {
    /// Makes a directory that has a copy of the store, and returns how many rows that has.
    ///
    /// The copy is the same store at the same epoch, with the same uuid, closed whether the
    /// original was or not; a flow can go on with either, and not with both. Put in the place of
    /// the original's part file its part file is accepted. Whoever is killed in between leaves a
    /// directory that is refused as one that lost its data. `progress` is told how many rows are
    /// done, of how many.
    ///
    /// # Errors
    ///
    /// [`TargetExists`](crate::MaintenanceError::TargetExists) when there is anything at `target`,
    /// and as for [`compact`](Look::compact). Then there is no copy, and the store is as it was in
    /// any case.
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
            // from here on a directory without its part file has lost it
            lock.write(store)?;
            let rows = copy::to(self, &place.unfinished, progress)?;
            place.publish()?;
            Ok(rows)
        };
        let copied = copy();
        if copied.is_err() {
            // what is left over is refused by whoever looks at it
            for file in [&place.unfinished, &place.part, &place.lock] {
                let _ = fs::remove_file(file);
            }
            let _ = fs::remove_dir(&place.directory);
        }
        copied
    }
}
