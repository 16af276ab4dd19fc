//! Writing and reading whole values.

use super::encoder::Encoder;
use super::error::CodecError;
use super::form::LEVELS;
use super::msgpack;
use super::track::Untracked;
use serde::{Serialize, de::DeserializeOwned};

/// Appends the MessagePack of `value` to `into`.
///
/// Fields are written with their names, so fields may be reordered, added with a default, and
/// removed. A type with a human-readable form, such as an address, an identifier or a time, is
/// written in that form. Whether the value can be read back is not checked: see
/// [`Checked`](crate::Checked).
///
/// # Errors
///
/// - [`CodecError::Encode`] if the type's `Serialize` fails.
/// - [`CodecError::TooDeep`] if the value is nested more than 256 levels deep.
/// - [`CodecError::SomeOfNothing`] for `Some(None)`, `Some(())` and the like.
/// - [`CodecError::PrivateKey`] for a map with a key that `serde_json` reserves.
///
/// After an error `into` is unchanged.
///
/// ```
/// let mut bytes = Vec::new();
/// flow_store::encode(&("anna", 3), &mut bytes)?;
/// assert_eq!(flow_store::decode::<(String, u32)>(&bytes)?, ("anna".to_owned(), 3));
/// # Ok::<(), flow_store::CodecError>(())
/// ```
pub fn encode<T: Serialize + ?Sized>(value: &T, into: &mut Vec<u8>) -> Result<(), CodecError> {
    let before = into.len();
    let written = value.serialize(&mut Encoder::new(into, Untracked));
    written.map_err(|error| {
        into.truncate(before);
        error.into_inner()
    })
}

/// Reads a value from its MessagePack.
///
/// # Errors
///
/// - [`CodecError::Decode`] if the bytes are not of this type.
/// - [`CodecError::TooDeep`] if they are nested more than 256 levels deep.
/// - [`CodecError::TrailingBytes`] if bytes are left over after the value.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let mut rest = bytes;
    let value = decode_front(&mut rest)?;
    match rest.len() {
        0 => Ok(value),
        left => Err(CodecError::TrailingBytes {
            left,
            all: bytes.len(),
        }),
    }
}

/// Reads a value from the front of `bytes`, and advances `bytes` past it.
///
/// # Errors
///
/// Those of [`decode`], except [`CodecError::TrailingBytes`].
pub fn decode_front<T: DeserializeOwned>(bytes: &mut &[u8]) -> Result<T, CodecError> {
    // Each level takes at least one byte, so fewer bytes can't be too deep. The deserializer does
    // not count every level itself.
    if bytes.len() > usize::from(LEVELS) {
        msgpack::check_depth(bytes)?;
    }
    let mut deserializer = rmp_serde::Deserializer::new(&mut *bytes).with_human_readable();
    T::deserialize(&mut deserializer).map_err(|error| CodecError::Decode(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::{Deserialize, Serializer, ser::Error as _};

    fn bytes_of<T: Serialize>(value: &T) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(value, &mut bytes).unwrap();
        bytes
    }

    #[derive(Serialize, Deserialize, Debug, PartialEq)]
    struct Cart {
        paid: u32,
        unpaid: u32,
    }

    #[derive(Serialize, Deserialize, Debug, PartialEq)]
    struct Reordered {
        unpaid: u32,
        #[serde(default)]
        added: Option<String>,
        paid: u32,
    }

    #[test]
    fn fields_are_found_by_name() {
        let read: Reordered = decode(&bytes_of(&Cart { paid: 1, unpaid: 2 })).unwrap();
        let expected = Reordered {
            unpaid: 2,
            added: None,
            paid: 1,
        };
        assert_eq!(read, expected);
        // A removed field is skipped.
        let read: Cart = decode(&bytes_of(&expected)).unwrap();
        assert_eq!(read, Cart { paid: 1, unpaid: 2 });
    }

    #[test]
    fn a_missing_field_is_an_error() {
        let error = decode::<Cart>(&bytes_of(&std::collections::BTreeMap::from([("paid", 1)])))
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "the bytes cannot be read as this type: missing field `unpaid`"
        );
    }

    #[test]
    fn all_bytes_must_be_used() {
        let mut bytes = bytes_of(&7u8);
        bytes.push(0);
        let error = decode::<u8>(&bytes).unwrap_err();
        assert!(matches!(
            error,
            CodecError::TrailingBytes { left: 1, all: 2 }
        ));
        assert!(decode::<u8>(&[]).is_err());
    }

    #[test]
    fn a_failed_encoding_adds_nothing() {
        struct Fails;
        impl Serialize for Fails {
            fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                Err(S::Error::custom("no"))
            }
        }
        let mut bytes = vec![1, 2];
        assert!(encode(&("written first", Fails), &mut bytes).is_err());
        assert_eq!(bytes, [1, 2]);
    }

    #[test]
    fn a_length_that_lies_costs_no_memory() {
        // The header of an array of 4 billion elements, and nothing behind it.
        assert!(decode::<Vec<u64>>(&[0xdd, 0xff, 0xff, 0xff, 0xff]).is_err());
    }
}
