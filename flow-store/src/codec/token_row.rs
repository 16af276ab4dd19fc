//! The row of a source's partition: whether the partition was read to its end, and its token.

use super::error::CodecError;
use super::value::{decode, encode};

// These are MessagePack's bools, so the value of a row is two consecutive MessagePack values.
const NOT_FINISHED: u8 = 0xc2;
const FINISHED: u8 = 0xc3;

/// The value of the row of a source's partition. The key is the name of the partition.
///
/// ```
/// use flow_store::TokenRow;
///
/// let mut value = Vec::new();
/// TokenRow::begin(true, &mut value);
/// value.push(7); // the token, encoded
/// assert_eq!(TokenRow::read(&value)?, TokenRow { finished: true, token: &[7] });
/// assert_eq!(TokenRow::partition(&TokenRow::key("orders"))?, "orders");
/// # Ok::<(), flow_store::CodecError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenRow<'a> {
    /// Whether the partition was read to its end.
    pub finished: bool,
    /// The token, encoded.
    pub token: &'a [u8],
}

impl<'a> TokenRow<'a> {
    /// The key of a partition's row.
    #[must_use]
    pub fn key(partition: &str) -> Vec<u8> {
        let mut key = Vec::new();
        // A text can always be encoded.
        let _ = encode(partition, &mut key);
        key
    }

    /// The name of the partition whose row has this key.
    ///
    /// # Errors
    ///
    /// [`CodecError::Decode`] if the key is not a text.
    pub fn partition(key: &[u8]) -> Result<String, CodecError> {
        decode(key)
    }

    /// Splits the value of a row.
    ///
    /// # Errors
    ///
    /// [`CodecError::Decode`] if the value does not begin with a bool.
    pub fn read(value: &'a [u8]) -> Result<Self, CodecError> {
        let (finished, token) = match value {
            [NOT_FINISHED, token @ ..] => (false, token),
            [FINISHED, token @ ..] => (true, token),
            _ => {
                return Err(CodecError::Decode(
                    "it does not say whether the partition was read to its end".to_owned(),
                ));
            }
        };
        Ok(TokenRow { finished, token })
    }

    /// Writes the beginning of a value. The encoded token follows it.
    pub fn begin(finished: bool, into: &mut Vec<u8>) {
        into.push(if finished { FINISHED } else { NOT_FINISHED });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_two_values_that_the_codec_writes_too() {
        for finished in [false, true] {
            let (mut value, mut expected) = (Vec::new(), Vec::new());
            TokenRow::begin(finished, &mut value);
            encode(&finished, &mut expected).unwrap();
            assert_eq!(value, expected);
            encode(&("offset", 7), &mut value).unwrap();
            let row = TokenRow::read(&value).unwrap();
            assert_eq!(row.finished, finished);
            assert_eq!(
                decode::<(String, u8)>(row.token).unwrap(),
                ("offset".to_owned(), 7)
            );
        }
        assert!(TokenRow::read(&[]).is_err());
        assert!(TokenRow::read(&[7]).is_err());
        assert!(TokenRow::partition(&[7]).is_err());
    }
}
