//! How values become bytes: MessagePack with field names, in the form that people write.

mod check;
mod encoder;
pub(crate) mod json_number;
mod key;

pub use check::{Checked, Checks};
pub use key::{encode_key, is_plain_key};

use crate::msgpack;
use encoder::{Encoder, Untracked};
use serde::{Serialize, de::DeserializeOwned};

/// How many values may be inside of each other: sequences, maps, structs, and variants of enums that have something.
///
/// A worker has 2 MiB of stack. In a debug build a level of a user's type takes some kilobytes of it to be read.
pub(crate) const LEVELS: u16 = 256;

/// Why a value could not be written as MessagePack or read from it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The type's `Serialize` failed, or asked for what MessagePack does not have.
    #[error("the value cannot be written as MessagePack: {0}")]
    Encode(String),
    /// The bytes are no MessagePack, or of another type.
    #[error("the bytes cannot be read as this type: {0}")]
    Decode(String),
    /// A value was read and bytes are left behind it.
    #[error(
        "{left} of {all} bytes are left over behind the value: they were written as another type"
    )]
    TrailingBytes {
        /// How many bytes were not used.
        left: usize,
        /// How many bytes there are.
        all: usize,
    },
    /// The value is nested deeper than values are kept.
    #[error("the value is nested deeper than {LEVELS} levels")]
    TooDeep,
    /// A `Some` was written as `None` is.
    #[error(
        "an `Option` in it is `Some` of a value that is written as nothing (`None`, `()`, the `null` of JSON), and would be read as `None`"
    )]
    SomeOfNothing,
    /// A map has a key that `serde_json` keeps for itself.
    #[error(
        "a map in it has a key that begins with `$serde_json::private::`, which `serde_json` reads as a value of its own"
    )]
    PrivateKey,
    /// The type cannot read what it has written.
    #[error("it is written, and cannot be read back: {0}")]
    Unreadable(String),
    /// A key has other bytes each time that it is written.
    #[error("it is written in another way each time")]
    Unsteady,
    /// A key is not equal to what its bytes are read as.
    #[error("it is not equal to what its bytes are read as")]
    NotEqual,
    /// A key is equal to another one, and has other bytes.
    #[error("it is equal to the key {other}, which is written otherwise")]
    EqualsAnother {
        /// The other key, as text.
        other: String,
    },
    /// What was written is read as another value.
    #[error("it is written as {written}, and read back as {read}")]
    Differs {
        /// What was written, as text; cut where it is long.
        written: String,
        /// What was read, as text; cut where it is long.
        read: String,
    },
}

impl CodecError {
    /// What can be done about it, in a sentence without an end.
    #[must_use]
    pub fn help(&self) -> Option<&'static str> {
        let missing = |cause: &str| cause.contains("missing field");
        match self {
            CodecError::TooDeep => Some(
                "keep nested values in a list, each with the index of the one around it, or keep fewer levels",
            ),
            CodecError::SomeOfNothing => Some(
                "make the inner value one that is never nothing: an enum with a variant for each case, or an `Option` less. Where `deserialize_with` tells `null` from a field that is not there, write the inner `Option` alone, as `#[serde(default, skip_serializing_if = \"Option::is_none\", with = \"serde_with::rust::double_option\")]` does",
            ),
            CodecError::PrivateKey => Some(
                "give the key another name, or keep the document as a text, with `serde_json::to_string`",
            ),
            CodecError::Unreadable(cause) if missing(cause) => {
                Some("a field that is sometimes not written needs `#[serde(default)]` to be read")
            }
            CodecError::Unreadable(cause) | CodecError::Differs { written: cause, .. }
                if cause.contains(json_number::NAME) =>
            {
                Some(
                    "a dependency has switched on the feature `arbitrary_precision` of `serde_json`, which writes numbers as maps: keep them in a type of your own",
                )
            }
            CodecError::Unreadable(_) => Some(
                "`Serialize` and `Deserialize` of the type do not fit each other. Look for `skip_serializing`, `rename(serialize = ..)`, `serialize_with`, and for `u128` or bytes in an untagged or tagged enum or behind `flatten`",
            ),
            CodecError::Differs { .. } => Some(
                "`Serialize` and `Deserialize` of the type do not fit each other. Look for untagged enums whose variants look alike, for names that come twice behind `flatten`, for map keys that are written alike, and for a `HashMap` or `HashSet` in a text (JSON in a field), which has another order each time that it is made: take a `BTreeMap` or `BTreeSet`",
            ),
            CodecError::Unsteady => Some(
                "a key is what its bytes are. Keep no `HashMap` or `HashSet` in it, whose order is another one each time: take `BTreeMap` or `BTreeSet`",
            ),
            CodecError::NotEqual => Some(
                "a key is what its bytes are. Write all that `Eq` compares, without `#[serde(skip)]` and as it is, or normalise the key before it becomes one",
            ),
            CodecError::EqualsAnother { .. } => Some(
                "a key is what its bytes are, and keys with other bytes are other keys. Normalise the key before it becomes one, as in `.key_on(|user| user.name.to_lowercase())`: one case, one time zone, one `NaN`. Or have `Eq` and `Hash` tell apart what is written differently",
            ),
            CodecError::Encode(_) | CodecError::Decode(_) | CodecError::TrailingBytes { .. } => {
                None
            }
        }
    }
}

/// Appends the MessagePack of `value` to `into`.
///
/// Fields are written with their names, so that fields may be reordered, added with a default and removed. A type that has
/// a form for people, such as an address, an identifier or a time, is written in that. Whether it can be read back is not
/// checked: see [`Checked`].
///
/// # Errors
///
/// [`CodecError::Encode`] if the type's `Serialize` fails, [`CodecError::TooDeep`] if the value is nested deeper than 256
/// levels, [`CodecError::SomeOfNothing`] for `Some(None)`, `Some(())` and their like. `into` is then as it was.
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
/// [`CodecError::Decode`] if the bytes are not of this type, [`CodecError::TooDeep`] if they are nested deeper than values
/// are written, [`CodecError::TrailingBytes`] if they are more than the value.
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

/// Reads a value from the front of `bytes`, and moves `bytes` on behind it.
///
/// # Errors
///
/// Those of [`decode`], but for bytes that are left.
pub fn decode_front<T: DeserializeOwned>(bytes: &mut &[u8]) -> Result<T, CodecError> {
    // So many levels need so many bytes. Not all that is nested counts as a level when it is decoded.
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
        // and a removed one is passed over
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
        // array32 of 4 billion elements, then nothing
        assert!(decode::<Vec<u64>>(&[0xdd, 0xff, 0xff, 0xff, 0xff]).is_err());
    }
}
