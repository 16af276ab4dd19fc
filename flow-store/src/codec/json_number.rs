//! Numbers that `serde_json` keeps as text.
//!
//! With the feature `arbitrary_precision`, `serde_json::Number` is written as a struct with one
//! text. Any dependency may switch the feature on for the whole program. A program without it would
//! read the struct as an object. So if the text is exactly a number, the number is written, with or
//! without the feature.

use super::error::CodecError;
use super::form::JSON_NUMBER;
use super::write::{write_float, write_negative, write_unsigned};

/// The prefix of the names that `serde_json` gives to its own structs. It reads a map with such a
/// key as one of them.
const PRIVATE: &[u8] = b"$serde_json::private::";

/// Refuses a map key with such a name. The structs of `serde_json` have them as names of fields,
/// not as keys.
#[inline]
pub(super) fn check_key(key: &[u8]) -> Result<(), CodecError> {
    match key.split_first() {
        Some((_, text)) if text.starts_with(PRIVATE) => Err(CodecError::PrivateKey),
        _ => Ok(()),
    }
}

enum Number {
    Unsigned(u64),
    Negative(i64),
    Float(f64),
}

/// Replaces the map at the end of `out` by the number that it stands for, if there is one. The map
/// has one field, which begins at `field`, behind the one byte of the map's marker.
pub(super) fn simplify(out: &mut Vec<u8>, field: usize) {
    let text = out.get(field + 1 + JSON_NUMBER.len()..);
    let text = text.and_then(|text| rmp_serde::from_slice::<&str>(text).ok());
    let (Some(number), Some(map)) = (text.and_then(number), field.checked_sub(1)) else {
        return;
    };
    out.truncate(map);
    match number {
        Number::Unsigned(number) => write_unsigned(out, number),
        Number::Negative(number) => write_negative(out, number),
        Number::Float(number) => write_float(out, number),
    }
}

/// The number that `serde_json` writes as this text.
fn number(text: &str) -> Option<Number> {
    if let Ok(number) = text.parse::<u64>() {
        return (number.to_string() == text).then_some(Number::Unsigned(number));
    }
    if let Ok(number) = text.parse::<i64>() {
        return (number.to_string() == text).then_some(Number::Negative(number));
    }
    let number: f64 = text.parse().ok()?;
    // Smaller and larger numbers have an exponent, which programs write in different ways.
    let plain = number == 0.0 || (1e-4..1e16).contains(&number.abs());
    (plain && format!("{number:?}") == text).then_some(Number::Float(number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode;
    use serde::Serialize;

    /// A number as `serde_json` writes it with the feature.
    #[derive(Serialize)]
    #[serde(rename = "$serde_json::private::Number")]
    struct Kept {
        #[serde(rename = "$serde_json::private::Number")]
        text: String,
    }

    fn bytes_of(value: &impl Serialize) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(value, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_number_that_is_kept_as_text_is_the_same_bytes() {
        for text in [
            "0",
            "1",
            "-1",
            "18446744073709551615",
            "-9223372036854775808",
            "1.5",
            "-0.25",
            "0.0",
            "-0.0",
            "123456.789",
            "100.0",
        ] {
            let number: serde_json::Value = serde_json::from_str(text).unwrap();
            let text = text.to_owned();
            let both = (
                bytes_of(&vec![Kept { text: text.clone() }]),
                bytes_of(&vec![number]),
            );
            assert_eq!(both.0, both.1, "{text}");
        }
    }

    /// Such a key of a map is data, and would be read as a number or refused when it is read.
    #[test]
    fn a_map_with_such_a_key_is_refused() {
        for name in [JSON_NUMBER, "$serde_json::private::RawValue"] {
            let object = serde_json::json!([{ name: "1.50" }]);
            let map = std::collections::BTreeMap::from([(name, 1), ("other", 2)]);
            let mut bytes = Vec::new();
            let errors = [encode(&object, &mut bytes), encode(&map, &mut bytes)];
            assert_eq!(
                errors,
                [Err(CodecError::PrivateKey), Err(CodecError::PrivateKey)]
            );
            assert!(bytes.is_empty());
            encode(
                &serde_json::json!({ "name": name, "$serde_json": 1 }),
                &mut bytes,
            )
            .unwrap();
        }
    }

    #[test]
    fn one_that_no_number_holds_stays_text() {
        for text in [
            "1.50",
            "1e25",
            "1e+25",
            "18446744073709551616",
            "0.1000000000000000055",
            "1E2",
            "01",
        ] {
            let text = text.to_owned();
            let bytes = bytes_of(&Kept { text: text.clone() });
            let map: std::collections::BTreeMap<String, String> = crate::decode(&bytes).unwrap();
            assert_eq!(map[JSON_NUMBER], text);
        }
    }
}
