//! Converts MessagePack to JSON, and keys of the command line to MessagePack.

use flow_store::CodecError;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::{Serialize, Serializer};
use serde_json::{Map, Number, Value, json};
use std::fmt;

/// The JSON of one MessagePack value.
///
/// A value that JSON can't express is an object with one name:
///
/// - `$bytes` with hexadecimal digits,
/// - `$float` with `NaN`, `inf` or `-inf`,
/// - `$map` with pairs, for a map whose keys are not text or not unique,
/// - `$ext` with the type and the digits,
/// - `$deep` with the digits of a value that is nested too deep.
///
/// A map of the flow whose only key begins with `$` is a `$map`, so that it can't be mistaken for
/// one of these.
pub(crate) fn of(bytes: &[u8]) -> Result<Value, CodecError> {
    match flow_store::decode::<Shown>(bytes) {
        Ok(shown) => Ok(shown.0),
        Err(CodecError::TooDeep) => Ok(json!({ "$deep": hex(bytes) })),
        Err(error) => Err(error),
    }
}

/// The possible meanings of a key on the command line, apart from JSON, as MessagePack.
pub(crate) fn keys(text: &str) -> Vec<Vec<u8>> {
    let mut keys = vec![encoded(text)];
    // Identifiers and addresses are stored in lowercase.
    let lower = text.to_lowercase();
    if lower != text {
        keys.push(encoded(&lower));
    }
    // JSON would turn a number of more than 64 bits into a float.
    if let Ok(number) = text.parse::<u128>() {
        keys.push(encoded(&number));
    } else if let Ok(number) = text.parse::<i128>() {
        keys.push(encoded(&number));
    }
    if let Some(bytes) = text.strip_prefix("0x").and_then(unhex) {
        keys.push(encoded(&Bytes(&bytes)));
    }
    keys
}

struct Bytes<'a>(&'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

/// The MessagePack of a value. If it can't be encoded, the result is empty, which is no user's key.
pub(crate) fn encoded<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Only a value that is too deep fails.
    let _ = flow_store::encode(value, &mut bytes);
    bytes
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let digits = digits.as_bytes();
    let pairs = digits.chunks(2).map(|pair| match pair {
        [_, _] => u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok(),
        _ => None,
    });
    pairs.collect()
}

struct Shown(Value);

impl<'de> Deserialize<'de> for Shown {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Shown, D::Error> {
        deserializer.deserialize_any(AsJson).map(Shown)
    }
}

fn bytes(bytes: &[u8]) -> Value {
    json!({ "$bytes": hex(bytes) })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn float(value: f64) -> Value {
    match Number::from_f64(value) {
        Some(number) => Value::Number(number),
        None => json!({ "$float": value.to_string() }),
    }
}

struct AsJson;

impl<'de> Visitor<'de> for AsJson {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f32<E>(self, value: f32) -> Result<Value, E> {
        // It is shown as 0.1, not as 0.10000000149011612.
        Ok(float(value.to_string().parse().unwrap_or(value.into())))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_bytes<E>(self, value: &[u8]) -> Result<Value, E> {
        Ok(bytes(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Shown(value)) = seq.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some((Shown(key), Shown(value))) = map.next_entry()? {
            pairs.push((key, value));
        }
        let reserved = match pairs.as_slice() {
            [(Value::String(name), _)] => name.starts_with('$'),
            _ => false,
        };
        let mut object = Map::new();
        for (key, value) in &pairs {
            match key {
                Value::String(name) if !reserved => object.insert(name.clone(), value.clone()),
                _ => break,
            };
        }
        if object.len() == pairs.len() {
            return Ok(Value::Object(object));
        }
        let pairs = pairs.into_iter().map(|(key, value)| json!([key, value]));
        Ok(json!({ "$map": pairs.collect::<Vec<_>>() }))
    }

    /// Reads an extension: its type, then its bytes.
    fn visit_newtype_struct<D: Deserializer<'de>>(self, ext: D) -> Result<Value, D::Error> {
        let (Shown(kind), Shown(mut data)) = Deserialize::deserialize(ext)?;
        match data.get_mut("$bytes").map(Value::take) {
            Some(digits) => Ok(json!({ "$ext": [kind, digits] })),
            None => Err(D::Error::custom("an extension without bytes")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bytes: &[u8]) -> String {
        of(bytes).unwrap().to_string()
    }

    fn shown_of<T: serde::Serialize>(value: &T) -> String {
        let mut bytes = Vec::new();
        flow_store::encode(value, &mut bytes).unwrap();
        shown(&bytes)
    }

    #[test]
    fn what_json_has() {
        assert_eq!(shown_of(&()), "null");
        assert_eq!(shown_of(&(true, -3i8, "a\"b")), r#"[true,-3,"a\"b"]"#);
        assert_eq!(
            shown_of(&(u64::MAX, i64::MIN)),
            "[18446744073709551615,-9223372036854775808]"
        );
        assert_eq!(shown_of(&(0.1f32, 0.1f64, 2.0f64)), "[0.1,0.1,2.0]");
        let map = std::collections::BTreeMap::from([("b", 1), ("a", 2)]);
        assert_eq!(shown_of(&map), r#"{"a":2,"b":1}"#);
        assert_eq!(shown_of::<[u8; 0]>(&[]), "[]");
        assert_eq!(shown(&[0x80]), "{}");
    }

    #[test]
    fn what_json_has_no_form_for() {
        assert_eq!(shown(&[0xc4, 2, 0, 255]), r#"{"$bytes":"00ff"}"#);
        assert_eq!(shown_of(&f64::NAN), r#"{"$float":"NaN"}"#);
        assert_eq!(shown_of(&f32::NEG_INFINITY), r#"{"$float":"-inf"}"#);
        assert_eq!(shown_of(&f64::INFINITY), r#"{"$float":"inf"}"#);
        let map = std::collections::BTreeMap::from([(1, "one"), (2, "two")]);
        assert_eq!(shown_of(&map), r#"{"$map":[[1,"one"],[2,"two"]]}"#);
        // The same name twice.
        assert_eq!(
            shown(&[0x82, 0xa1, b'a', 1, 0xa1, b'a', 2]),
            r#"{"$map":[["a",1],["a",2]]}"#
        );
        // Names that are text, and others.
        assert_eq!(
            shown(&[0x82, 0xa1, b'a', 1, 7, 2]),
            r#"{"$map":[["a",1],[7,2]]}"#
        );
        assert_eq!(shown(&[0xd4, 5, 0xab]), r#"{"$ext":[5,"ab"]}"#);
        assert_eq!(
            shown(&[0xd6, 0xff, 0, 0, 0, 1]),
            r#"{"$ext":[-1,"00000001"]}"#
        );
        // A text that is not UTF-8.
        assert_eq!(shown(&[0xa1, 0xff]), r#"{"$bytes":"ff"}"#);
    }

    #[test]
    fn what_looks_like_a_form_of_ours_is_told_from_it() {
        let map = std::collections::BTreeMap::from([("$bytes", "00")]);
        assert_eq!(shown_of(&map), r#"{"$map":[["$bytes","00"]]}"#);
        let map = std::collections::BTreeMap::from([("$bytes", 1), ("a", 2)]);
        assert_eq!(shown_of(&map), r#"{"$bytes":1,"a":2}"#);
    }

    #[test]
    fn bytes_that_are_not_one_value() {
        for bytes in [
            &[][..],
            &[1, 2],
            &[0xc1],
            &[0x92, 1],
            &[0xdd, 0xff, 0xff, 0xff, 0xff],
            &[0xc6, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert!(of(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn a_value_that_is_too_deep_is_shown_as_its_bytes() {
        let deep = [vec![0x91; 300], vec![0x01]].concat();
        let digits = format!("{}01", "91".repeat(300));
        assert_eq!(of(&deep).unwrap(), json!({ "$deep": digits }));
    }

    #[test]
    fn keys_are_what_people_write() {
        let shown = |text: &str| -> Vec<String> {
            let keys = keys(text);
            keys.iter().map(|key| shown(key)).collect()
        };
        assert_eq!(shown("anna"), ["\"anna\""]);
        assert_eq!(shown("7"), ["\"7\"".to_owned(), bytes_of_7()]);
        assert_eq!(shown(""), ["\"\""]);
        assert_eq!(shown("Ä"), ["\"Ä\"", "\"ä\""]);
        assert_eq!(shown("0x0aff")[1], "{\"$bytes\":\"0aff\"}");
        assert_eq!(shown("0x0af").len(), 1);
        let number = u128::MAX.to_string();
        assert_eq!(
            shown(&number)[1],
            format!("{{\"$bytes\":\"{}\"}}", "f".repeat(32))
        );
        assert_eq!(
            shown("-1")[1],
            format!("{{\"$bytes\":\"{}\"}}", "f".repeat(32))
        );
    }

    fn bytes_of_7() -> String {
        format!("{{\"$bytes\":\"{:032x}\"}}", 7)
    }
}
