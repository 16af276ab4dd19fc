//! Lists whose items are written and read one by one.

use super::error::CodecError;
use rmp::{decode, encode};

/// Begins a list of `len` items. They follow it, each encoded.
///
/// ```
/// let mut bytes = Vec::new();
/// flow_store::begin_list(2, &mut bytes);
/// flow_store::encode("anna", &mut bytes)?;
/// flow_store::encode(&3, &mut bytes)?;
/// assert_eq!(flow_store::decode::<(String, u32)>(&bytes)?, ("anna".to_owned(), 3));
///
/// let mut rest = &*bytes;
/// assert_eq!(flow_store::list_front(&mut rest)?, 2);
/// assert_eq!(flow_store::decode_front::<String>(&mut rest)?, "anna");
/// # Ok::<(), flow_store::CodecError>(())
/// ```
pub fn begin_list(len: u32, into: &mut Vec<u8>) {
    // Writing into a vector does not fail.
    let _ = encode::write_array_len(into, len);
}

/// Reads the beginning of a list from the front of `bytes`, and advances `bytes` past it. Returns
/// the number of items that follow.
///
/// # Errors
///
/// [`CodecError::Decode`] if no list begins there.
pub fn list_front(bytes: &mut &[u8]) -> Result<u32, CodecError> {
    let len = decode::read_array_len(bytes);
    len.map_err(|error| CodecError::Decode(error.to_string()))
}
