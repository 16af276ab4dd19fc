//! The row of a partition, with its token.

use std::collections::BTreeMap;

use flow_store::{Changes, Checked, CodecError, TokenRow};

use crate::{record::State, resume::NO_GROUP};

/// The value of a partition's row.
pub(super) fn token_row<T: State>(
    finished: bool,
    times: &BTreeMap<u16, i64>,
    token: &T,
    checked: &mut Checked,
) -> Result<Vec<u8>, CodecError> {
    let mut row = Vec::new();
    TokenRow::begin(finished, times, &mut row);
    token.encode(checked, &mut row)?;
    Ok(row)
}

/// The token of a row.
pub(super) fn decode_token<T: State>(row: &TokenRow<'_>) -> Result<T, String> {
    T::decode(row.token).map_err(|error| error.to_string())
}

/// Puts a partition's row.
pub(super) fn put(changes: &mut Changes, step: u16, key: &[u8], row: &[u8]) {
    let written = changes.put(step, NO_GROUP, key, |into| {
        into.extend_from_slice(row);
        Ok::<_, std::convert::Infallible>(())
    });
    written.unwrap_or_else(|never| match never {});
}
