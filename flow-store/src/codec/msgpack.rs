//! MessagePack without types: where a value ends, how deep it is, and whether two are the same.

use super::error::CodecError;
use super::form::LEVELS;

/// Checks that the bytes are exactly one MessagePack value.
///
/// It does not recurse, and needs memory only for each level, so it is safe for any bytes. A value
/// may be of any depth: depth is no damage.
pub(crate) fn check(bytes: &[u8]) -> Result<(), CodecError> {
    let mut rest = bytes;
    pass(&mut rest, usize::MAX)?;
    match rest.len() {
        0 => Ok(()),
        left => Err(CodecError::TrailingBytes {
            left,
            all: bytes.len(),
        }),
    }
}

/// Checks that the value at the front of the bytes has at most [`LEVELS`] levels.
pub(crate) fn check_depth(bytes: &[u8]) -> Result<(), CodecError> {
    match pass(&mut &*bytes, usize::from(LEVELS)) {
        Err(CodecError::TooDeep) => Err(CodecError::TooDeep),
        // Any other error is reported when the value is decoded.
        _ => Ok(()),
    }
}

/// Reads past one value with at most `most` levels.
fn pass(rest: &mut &[u8], most: usize) -> Result<(), CodecError> {
    // How many values are still to come at each level.
    let mut levels: Vec<u64> = vec![1];
    while let Some(left) = levels.last_mut() {
        let Some(next) = left.checked_sub(1) else {
            levels.pop();
            continue;
        };
        *left = next;
        let inside = value(rest)?;
        if inside > 0 {
            if levels.len() > most {
                return Err(CodecError::TooDeep);
            }
            levels.push(inside);
        }
    }
    Ok(())
}

/// Whether two values are the same, apart from the order of map entries and sequence elements.
///
/// A `HashSet` is written as a sequence, and its order changes when it is read.
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    match (sorted(&mut &*a), sorted(&mut &*b)) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}

/// The value at the front of the bytes, with all its parts sorted. It recurses, so the value must
/// not be deeper than [`LEVELS`].
fn sorted(rest: &mut &[u8]) -> Result<Vec<u8>, CodecError> {
    let begin = *rest;
    let inside = value(rest)?;
    let read = begin.len() - rest.len();
    let mut all = begin.get(..read).unwrap_or_default().to_vec();
    let is_map = matches!(all.first(), Some(0x80..=0x8f | 0xde | 0xdf));
    let mut parts = Vec::new();
    for _ in 0..if is_map { inside / 2 } else { inside } {
        let mut part = sorted(rest)?;
        if is_map {
            part.append(&mut sorted(rest)?);
        }
        parts.push(part);
    }
    parts.sort_unstable();
    parts.iter().for_each(|part| all.extend_from_slice(part));
    Ok(all)
}

/// Number of characters of a value that are shown.
const SHOWN: usize = 200;

/// A MessagePack value as text for messages, much like JSON; cut after 200 characters.
///
/// ```
/// let mut bytes = Vec::new();
/// flow_store::encode(&("anna", 3, None::<u8>), &mut bytes)?;
/// assert_eq!(flow_store::text_of(&bytes), "[\"anna\",3,null]");
/// # Ok::<(), flow_store::CodecError>(())
/// ```
#[must_use]
pub fn text(bytes: &[u8]) -> String {
    let mut text = String::new();
    let shown = show(&mut &*bytes, &mut text, LEVELS);
    if shown.is_none() && text.chars().count() <= SHOWN {
        text = format!("0x{}", hex(bytes));
    }
    if let Some((at, _)) = text.char_indices().nth(SHOWN) {
        text.truncate(at);
        text += " ..";
    }
    text
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Appends the text of the value at the front of the bytes. Returns `None` if it is not a value, is
/// too deep, or if there is enough text.
fn show(rest: &mut &[u8], into: &mut String, levels: u16) -> Option<()> {
    if into.len() > 4 * SHOWN {
        return None;
    }
    let begin = *rest;
    let inside = value(rest).ok()?;
    let (marker, data) = begin.get(..begin.len() - rest.len())?.split_first()?;
    let unsigned = |data: &[u8]| data.iter().fold(0, |n, byte| n << 8 | u64::from(*byte));
    let tail = |skip: usize| data.get(skip..).unwrap_or_default();
    match *marker {
        0xc0 => *into += "null",
        0xc2 => *into += "false",
        0xc3 => *into += "true",
        0x00..=0x7f => *into += &marker.to_string(),
        0xe0..=0xff => *into += &marker.cast_signed().to_string(),
        0xcc..=0xcf => *into += &unsigned(data).to_string(),
        0xd0..=0xd3 => {
            let unused = 64 - 8 * data.len();
            *into += &((unsigned(data) << unused).cast_signed() >> unused).to_string();
        }
        0xca => *into += &format!("{:?}", f32::from_be_bytes(data.try_into().ok()?)),
        0xcb => *into += &format!("{:?}", f64::from_be_bytes(data.try_into().ok()?)),
        0xa0..=0xbf => show_text(data, into),
        0xd9..=0xdb => show_text(tail(1 << (marker - 0xd9)), into),
        0xc4..=0xc6 => *into += &format!("0x{}", hex(tail(1 << (marker - 0xc4)))),
        0x80..=0x8f | 0xde | 0xdf => {
            let levels = levels.checked_sub(1)?;
            into.push('{');
            for part in 0..inside {
                *into += match part % 2 {
                    1 => ":",
                    _ if part > 0 => ",",
                    _ => "",
                };
                show(rest, into, levels)?;
            }
            into.push('}');
        }
        0x90..=0x9f | 0xdc | 0xdd => {
            let levels = levels.checked_sub(1)?;
            into.push('[');
            for part in 0..inside {
                if part > 0 {
                    into.push(',');
                }
                show(rest, into, levels)?;
            }
            into.push(']');
        }
        _ => *into += &format!("0x{}", hex(data)),
    }
    Some(())
}

fn show_text(bytes: &[u8], into: &mut String) {
    *into += &format!("{:?}", String::from_utf8_lossy(bytes));
}

/// Reads past the beginning of a value, and returns how many values are inside it.
fn value(rest: &mut &[u8]) -> Result<u64, CodecError> {
    let marker = number(rest, 1)?;
    let (skip, inside) = match marker {
        // Small numbers, nil and bools.
        0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => (0, 0),
        0x80..=0x8f => (0, 2 * (marker & 0x0f)),
        0x90..=0x9f => (0, marker & 0x0f),
        0xa0..=0xbf => (marker & 0x1f, 0),
        // Bytes, then extensions, which have one more byte for their type.
        0xc4..=0xc6 => (number(rest, 1 << (marker - 0xc4))?, 0),
        0xc7..=0xc9 => (number(rest, 1 << (marker - 0xc7))? + 1, 0),
        // Floats and integers.
        0xca => (4, 0),
        0xcb => (8, 0),
        0xcc..=0xcf => (1 << (marker - 0xcc), 0),
        0xd0..=0xd3 => (1 << (marker - 0xd0), 0),
        // Extensions of a fixed length.
        0xd4..=0xd8 => ((1 << (marker - 0xd4)) + 1, 0),
        // Text.
        0xd9..=0xdb => (number(rest, 1 << (marker - 0xd9))?, 0),
        // Arrays and maps.
        0xdc..=0xdd => (0, number(rest, 2 << (marker - 0xdc))?),
        0xde..=0xdf => (0, 2 * number(rest, 2 << (marker - 0xde))?),
        _ => return Err(wrong(&format!("no value begins with {marker:#04x}"))),
    };
    take(rest, skip)?;
    Ok(inside)
}

/// A number of up to 4 bytes.
fn number(rest: &mut &[u8], len: u64) -> Result<u64, CodecError> {
    let bytes = take(rest, len)?;
    Ok(bytes
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

fn take<'a>(rest: &mut &'a [u8], len: u64) -> Result<&'a [u8], CodecError> {
    let parts = usize::try_from(len)
        .ok()
        .and_then(|len| rest.split_at_checked(len));
    let (taken, left) = parts.ok_or_else(|| wrong("the value is cut short"))?;
    *rest = left;
    Ok(taken)
}

fn wrong(what: &str) -> CodecError {
    CodecError::Decode(what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::de::IgnoredAny;

    /// Bytes that often begin a value, and short lengths.
    fn byte() -> impl Strategy<Value = u8> {
        prop_oneof![2 => 0x80..=0xdfu8, 1 => 0..6u8, 1 => any::<u8>()]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]
        #[test]
        fn it_is_what_can_be_decoded(bytes in prop::collection::vec(byte(), 0..24)) {
            let decoded = crate::decode::<IgnoredAny>(&bytes);
            prop_assert_eq!(check(&bytes).is_ok(), decoded.is_ok(), "{:02x?}", bytes);
        }
    }

    #[test]
    fn every_marker_with_what_it_needs() {
        for marker in 0..=u8::MAX {
            // A length of 1 in 1 to 4 bytes, and enough bytes for it.
            for zeros in 0..4 {
                for len in 0..20 {
                    let mut bytes = vec![marker];
                    bytes.resize(1 + zeros, 0);
                    bytes.resize(1 + zeros + len, 1);
                    let decoded = crate::decode::<IgnoredAny>(&bytes).is_ok();
                    assert_eq!(check(&bytes).is_ok(), decoded, "{bytes:02x?}");
                }
            }
        }
    }

    #[test]
    fn levels_take_no_stack() {
        let nested = |levels: usize| [vec![0x91; levels], vec![1]].concat();
        check_depth(&nested(usize::from(LEVELS))).unwrap();
        for levels in [usize::from(LEVELS) + 1, 1_000_000] {
            assert_eq!(check_depth(&nested(levels)), Err(CodecError::TooDeep));
            check(&nested(levels)).unwrap();
        }
        // A false length takes neither time nor memory.
        check(&[0xdd, 0xff, 0xff, 0xff, 0xff]).unwrap_err();
        check(&[0xdb, 0xff, 0xff, 0xff, 0xff]).unwrap_err();
    }
}
