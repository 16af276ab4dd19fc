//! Checks that the store has not changed since a look.

use crate::error::{LockError, StoreError};
use crate::file::directory::Place;
use crate::file::guard::Failure;
use crate::format::meta::Meta;
use crate::format::tables::META;
use redb::WriteTransaction;

/// The fence: reads `meta`, and returns an error if another process has started or committed since
/// the look.
pub(crate) fn as_seen(
    place: &Place,
    transaction: &WriteTransaction,
    seen: &Meta,
) -> Result<Meta, Failure> {
    let meta = Meta::read(&transaction.open_table(META)?)?;
    let changed = || Failure::Store(changed(place, "another process wrote to it"));
    let meta = meta.map_err(|_| changed())?;
    match meta == *seen {
        true => Ok(meta),
        false => Err(changed()),
    }
}

/// The error if the store has changed.
pub(crate) fn changed(place: &Place, what: &str) -> StoreError {
    StoreError::Lock(LockError::Changed {
        directory: place.directory.clone(),
        what: what.to_owned(),
    })
}
