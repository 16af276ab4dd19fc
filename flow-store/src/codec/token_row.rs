//! The row of a source's partition: whether the partition was read to its end, how far its times
//! have come, and its token.

use std::collections::BTreeMap;

use super::error::CodecError;
use super::value::{decode, decode_front, encode};

// These are MessagePack's bools, so the value of a row is three consecutive MessagePack values.
const NOT_FINISHED: u8 = 0xc2;
const FINISHED: u8 = 0xc3;

/// The value of the row of a source's partition. The key is the name of the partition.
///
/// ```
/// use flow_store::TokenRow;
///
/// let mut value = Vec::new();
/// let times = [(3, 1_767_225_600_000_000)].into();
/// TokenRow::begin(true, &times, &mut value);
/// value.push(7); // the token, encoded
/// let row = TokenRow::read(&value)?;
/// assert_eq!(row, TokenRow { finished: true, times, token: &[7] });
/// assert_eq!(TokenRow::partition(&TokenRow::key("orders"))?, "orders");
/// # Ok::<(), flow_store::CodecError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRow<'a> {
    /// Whether the partition was read to its end.
    pub finished: bool,
    /// The latest event time read from the partition, in microseconds since 1970, for the number of
    /// each step that gives its records a time.
    pub times: BTreeMap<u16, i64>,
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
    /// [`CodecError::Decode`] if the value does not begin with a bool and a map of times.
    pub fn read(value: &'a [u8]) -> Result<Self, CodecError> {
        let (finished, mut rest) = match value {
            [NOT_FINISHED, rest @ ..] => (false, rest),
            [FINISHED, rest @ ..] => (true, rest),
            _ => {
                return Err(CodecError::Decode(
                    "it does not say whether the partition was read to its end".to_owned(),
                ));
            }
        };
        let times = decode_front(&mut rest)?;
        Ok(TokenRow {
            finished,
            times,
            token: rest,
        })
    }

    /// Writes the beginning of a value. The encoded token follows it.
    pub fn begin(finished: bool, times: &BTreeMap<u16, i64>, into: &mut Vec<u8>) {
        into.push(if finished { FINISHED } else { NOT_FINISHED });
        // A map of numbers can always be encoded.
        let _ = encode(times, into);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_three_values_that_the_codec_writes_too() {
        for (finished, times) in [(false, [].into()), (true, [(3, -1), (9, i64::MAX)].into())] {
            let (mut value, mut expected) = (Vec::new(), Vec::new());
            TokenRow::begin(finished, &times, &mut value);
            encode(&finished, &mut expected).unwrap();
            encode(&times, &mut expected).unwrap();
            assert_eq!(value, expected);
            encode(&("offset", 7), &mut value).unwrap();
            let row = TokenRow::read(&value).unwrap();
            assert_eq!((row.finished, &row.times), (finished, &times));
            assert_eq!(
                decode::<(String, u8)>(row.token).unwrap(),
                ("offset".to_owned(), 7)
            );
        }
        assert!(TokenRow::read(&[]).is_err());
        assert!(TokenRow::read(&[7]).is_err());
        assert!(TokenRow::read(&[0xc2, 7]).is_err());
        assert!(TokenRow::partition(&[7]).is_err());
    }
}
