//! MessagePack as JSON that people can read, and keys back.

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value, json};
use std::fmt;

/// The JSON of one MessagePack value.
///
/// What JSON has no form for is an object with one name: `$bytes` with hexadecimal digits, `$float`
/// with `NaN`, `inf` or `-inf`, `$map` with pairs for a map whose names are not text or come twice,
/// `$ext` with the type and the digits. An object of the flow that looks like one of these is a
/// `$map`, so that each can be told.
pub(crate) fn of(bytes: &[u8]) -> Result<Value, flow_store::CodecError> {
    flow_store::decode::<Shown>(bytes).map(|shown| shown.0)
}

/// The key that was meant on the command line: JSON, or else text.
pub(crate) fn key(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
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
        // 0.1 and not 0.10000000149011612
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

    /// An extension: its type, then its bytes.
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
        // the same name twice
        assert_eq!(
            shown(&[0x82, 0xa1, b'a', 1, 0xa1, b'a', 2]),
            r#"{"$map":[["a",1],["a",2]]}"#
        );
        // names that are text and others
        assert_eq!(
            shown(&[0x82, 0xa1, b'a', 1, 7, 2]),
            r#"{"$map":[["a",1],[7,2]]}"#
        );
        assert_eq!(shown(&[0xd4, 5, 0xab]), r#"{"$ext":[5,"ab"]}"#);
        assert_eq!(
            shown(&[0xd6, 0xff, 0, 0, 0, 1]),
            r#"{"$ext":[-1,"00000001"]}"#
        );
        // text that is none
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
    fn keys_are_json_or_text() {
        assert_eq!(key("anna"), Value::String("anna".to_owned()));
        assert_eq!(key("\"7\""), Value::String("7".to_owned()));
        assert_eq!(key("7"), json!(7));
        assert_eq!(key("[1, \"a\"]"), json!([1, "a"]));
        assert_eq!(key("{not json"), Value::String("{not json".to_owned()));
        assert_eq!(key(""), Value::String(String::new()));
    }
}
