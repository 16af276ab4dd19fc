//! MessagePack without types: where a value ends.

use crate::codec::CodecError;

/// As deep as values are decoded.
const LEVELS: usize = 1024;

/// Checks that the bytes are one MessagePack value to the last of them.
///
/// It takes no stack, and memory only by the level: any bytes can be given.
pub(crate) fn check(bytes: &[u8]) -> Result<(), CodecError> {
    let mut rest = bytes;
    // how many values are still to come at each level
    let mut levels: Vec<u64> = vec![1];
    while let Some(left) = levels.last_mut() {
        let Some(next) = left.checked_sub(1) else {
            levels.pop();
            continue;
        };
        *left = next;
        let inside = value(&mut rest)?;
        if inside > 0 {
            if levels.len() > LEVELS {
                return Err(wrong("the value has more levels than are read"));
            }
            levels.push(inside);
        }
    }
    match rest.len() {
        0 => Ok(()),
        left => Err(CodecError::TrailingBytes {
            left,
            all: bytes.len(),
        }),
    }
}

/// Reads past one value, up to what is inside of it; returns how many values that are.
fn value(rest: &mut &[u8]) -> Result<u64, CodecError> {
    let marker = number(rest, 1)?;
    let (skip, inside) = match marker {
        // small numbers, nil, bools
        0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => (0, 0),
        0x80..=0x8f => (0, 2 * (marker & 0x0f)),
        0x90..=0x9f => (0, marker & 0x0f),
        0xa0..=0xbf => (marker & 0x1f, 0),
        // bytes, then extensions, whose type is a byte more
        0xc4..=0xc6 => (number(rest, 1 << (marker - 0xc4))?, 0),
        0xc7..=0xc9 => (number(rest, 1 << (marker - 0xc7))? + 1, 0),
        // floats and integers
        0xca => (4, 0),
        0xcb => (8, 0),
        0xcc..=0xcf => (1 << (marker - 0xcc), 0),
        0xd0..=0xd3 => (1 << (marker - 0xd0), 0),
        // extensions of a fixed length
        0xd4..=0xd8 => ((1 << (marker - 0xd4)) + 1, 0),
        // text
        0xd9..=0xdb => (number(rest, 1 << (marker - 0xd9))?, 0),
        // arrays and maps
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

    /// What begins a value, and lengths that are there.
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
            // lengths of 1 in 1 to 4 bytes, and what has it
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
        check(&nested(LEVELS)).unwrap();
        let error = check(&nested(1_000_000)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the bytes cannot be read as this type: the value has more levels than are read"
        );
        // nor a length that lies time or memory
        check(&[0xdd, 0xff, 0xff, 0xff, 0xff]).unwrap_err();
        check(&[0xdb, 0xff, 0xff, 0xff, 0xff]).unwrap_err();
    }
}
