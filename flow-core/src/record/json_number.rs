//! Numbers of `serde_json` that only a program with its feature `arbitrary_precision` can read.

use std::sync::LazyLock;

use flow_store::CodecError;
use memchr::memmem;
use serde_json::Value;

/// How a number begins that is kept as text: a map with one entry, of this name.
const MARK: &[u8] = b"\x81\xbc$serde_json::private::Number";

/// Whether this program is built with the feature, which any dependency may enable.
static HAS_FEATURE: LazyLock<bool> = LazyLock::new(|| {
    let number = serde_json::from_str::<serde_json::Number>("1.50");
    number.is_ok_and(|number| number.to_string() == "1.50")
});

/// Whether this program keeps JSON numbers as text.
pub(crate) fn are_text() -> bool {
    *HAS_FEATURE
}

/// Refuses stored bytes with a number that this program would read as an object.
pub(super) fn check(bytes: &[u8]) -> Result<(), CodecError> {
    if bytes.len() < MARK.len() || *HAS_FEATURE || memmem::find(bytes, MARK).is_none() {
        return Ok(());
    }
    // A text may contain these bytes. Values that are no JSON can't be searched, so they are
    // refused.
    if flow_store::decode::<Value>(bytes).is_ok_and(|value| !has_number(&value)) {
        return Ok(());
    }
    Err(CodecError::Decode(
        "it has a JSON number that was written with the feature `arbitrary_precision` of \
         `serde_json`, and this program is built without it"
            .to_owned(),
    ))
}

/// Whether the value contains a number that is kept as text.
fn has_number(value: &Value) -> bool {
    match value {
        Value::Array(values) => values.iter().any(has_number),
        Value::Object(entries) => {
            let number = entries.get("$serde_json::private::Number");
            let is_number = entries.len() == 1 && number.is_some_and(Value::is_string);
            is_number || entries.values().any(has_number)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::record::{Key, State};

    #[test]
    fn a_number_that_would_be_an_object_is_refused() {
        /// A number as `serde_json` writes it with the feature.
        #[derive(serde::Serialize)]
        struct Number {
            #[serde(rename = "$serde_json::private::Number")]
            text: &'static str,
        }
        let (mut number, mut other) = (Vec::new(), Vec::new());
        flow_store::encode(&("state", Number { text: "1e400" }, 7), &mut number).unwrap();
        let map = BTreeMap::from([("$serde_json__private__Number", "1e400")]);
        flow_store::encode(&map, &mut other).unwrap();
        let read = <Value as State>::decode(&number);
        assert_eq!(read.is_ok(), *HAS_FEATURE, "{read:?}");
        let read = <(String, BTreeMap<String, String>, u8) as Key>::decode(&number);
        assert_eq!(read.is_ok(), *HAS_FEATURE, "{read:?}");
        <Value as State>::decode(&other).unwrap();
    }
    #[test]
    fn a_text_with_these_bytes_is_a_text() {
        // The last two bytes of the first letter are those that begin such a number.
        let text = "\u{307c}$serde_json::private::Number".to_owned();
        let mut bytes = Vec::new();
        flow_store::encode(&text, &mut bytes).unwrap();
        assert!(memmem::find(&bytes, MARK).is_some());
        assert_eq!(<String as State>::decode(&bytes).unwrap(), text);
        assert_eq!(<String as Key>::decode(&bytes).unwrap(), text);
    }
}
