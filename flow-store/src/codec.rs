//! How values become bytes: named MessagePack.

use serde::{Serialize, de::DeserializeOwned};

/// Why a value could not be written as MessagePack or read from it.
#[derive(Debug, thiserror::Error)]
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
}

/// Appends the MessagePack of `value` to `into`.
///
/// Fields are written with their names, so that fields may be reordered, added with a default and
/// removed. What serde itself cannot tell apart in MessagePack does not come back as it was:
/// `Some(None)` and `Some(())` are read as `None`.
///
/// # Errors
///
/// [`CodecError::Encode`] if the type's `Serialize` fails; `into` is then as it was.
///
/// ```
/// let mut bytes = Vec::new();
/// flow_store::encode(&("anna", 3), &mut bytes)?;
/// assert_eq!(flow_store::decode::<(String, u32)>(&bytes)?, ("anna".to_owned(), 3));
/// # Ok::<(), flow_store::CodecError>(())
/// ```
pub fn encode<T: Serialize + ?Sized>(value: &T, into: &mut Vec<u8>) -> Result<(), CodecError> {
    let before = into.len();
    rmp_serde::encode::write_named(into, value).map_err(|error| {
        into.truncate(before);
        CodecError::Encode(error.to_string())
    })
}

/// Reads a value from its MessagePack.
///
/// # Errors
///
/// [`CodecError::Decode`] if the bytes are not of this type, [`CodecError::TrailingBytes`] if they
/// are more than the value.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let mut rest = bytes;
    let value = T::deserialize(&mut rmp_serde::Deserializer::new(&mut rest))
        .map_err(|error| CodecError::Decode(error.to_string()))?;
    match rest.len() {
        0 => Ok(value),
        left => Err(CodecError::TrailingBytes {
            left,
            all: bytes.len(),
        }),
    }
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

    /// Known limits of MessagePack: who lets types through to here has to refuse these.
    #[test]
    fn nested_options_collapse() {
        assert_eq!(
            decode::<Option<Option<u8>>>(&bytes_of(&Some(None::<u8>))).unwrap(),
            None
        );
        assert_eq!(decode::<Option<()>>(&bytes_of(&Some(()))).unwrap(), None);
        assert_eq!(
            decode::<Option<Option<u8>>>(&bytes_of(&Some(Some(1u8)))).unwrap(),
            Some(Some(1))
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
