//! Keys as MessagePack: the bytes of `encode`, made faster for common types.
//!
//! The key of each record is encoded, and formatting an address or identifier as text takes longer
//! than encoding the text. The type is known at compile time, so testing for it costs nothing.

use super::error::CodecError;
use super::value::encode;
use serde::Serialize;
use std::any::{Any, TypeId};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use uuid::Uuid;

/// Appends the MessagePack of a key: the same bytes as [`encode`](crate::encode).
///
/// # Errors
///
/// Those of [`encode`](crate::encode).
#[inline(always)]
pub fn encode_key<K: Serialize + 'static>(key: &K, into: &mut Vec<u8>) -> Result<(), CodecError> {
    let any = key as &dyn Any;
    if let Some(text) = any.downcast_ref::<String>()
        && text.len() < 0x100
    {
        write_short(text, into);
        return Ok(());
    }
    encode_other(key, into)
}

/// Whether keys of this type need no check: they are equal if and only if their bytes are, and each
/// is read back as itself.
///
/// It is known of common types only; for all others the answer is `false`.
#[must_use]
pub fn is_plain_key<K: 'static>() -> bool {
    macro_rules! any_of {
        ($($plain:ty),*) => { [$(TypeId::of::<$plain>()),*] };
    }
    let plain = any_of![
        String, u64, i64, u32, i32, u16, i16, u8, i8, u128, i128, bool, char, Uuid, IpAddr,
        Ipv4Addr, Ipv6Addr
    ];
    plain.contains(&TypeId::of::<K>())
}

/// It is not inlined, so that only the case of a short text is.
#[inline(never)]
fn encode_other<K: Serialize + 'static>(key: &K, into: &mut Vec<u8>) -> Result<(), CodecError> {
    let any = key as &dyn Any;
    if let Some(id) = any.downcast_ref::<Uuid>() {
        write_uuid(id.as_bytes(), into);
        return Ok(());
    }
    let address = match any.downcast_ref::<IpAddr>() {
        Some(IpAddr::V6(address)) => Some(address),
        _ => any.downcast_ref::<Ipv6Addr>(),
    };
    match address {
        Some(address) if write_address(address, into) => Ok(()),
        _ => encode(key, into),
    }
}

/// Writes a text of less than 256 bytes, which most keys are.
#[allow(clippy::cast_possible_truncation)] // It is short.
fn write_short(text: &str, into: &mut Vec<u8>) {
    match text.len() {
        len @ ..32 => into.push(0xa0 | len as u8),
        len => into.extend_from_slice(&[0xd9, len as u8]),
    }
    into.extend_from_slice(text.as_bytes());
}

/// Two digits for each byte.
const DIGITS: [[u8; 2]; 256] = {
    let mut digits = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        digits[byte] = [digit(byte >> 4), digit(byte & 15)];
        byte += 1;
    }
    digits
};

const fn digit(value: usize) -> u8 {
    b"0123456789abcdef"[value]
}

fn write_uuid(id: &[u8; 16], into: &mut Vec<u8>) {
    // The place of each byte's digits: behind the marker of 2 bytes, with a `-` before the bytes 4,
    // 6, 8 and 10, counted from 0.
    const PLACES: [usize; 16] = [2, 4, 6, 8, 11, 13, 16, 18, 21, 23, 26, 28, 30, 32, 34, 36];
    let mut text = [b'-'; 38];
    text[0] = 0xd9;
    text[1] = 36;
    for (byte, place) in id.iter().zip(PLACES) {
        let [high, low] = DIGITS[usize::from(*byte)];
        text[place] = high;
        text[place + 1] = low;
    }
    into.extend_from_slice(&text);
}

/// Writes an address as `Display` does. For a mapped IPv4 address it writes nothing and returns
/// `false`.
fn write_address(address: &Ipv6Addr, into: &mut Vec<u8>) -> bool {
    let parts = address.segments();
    if let [0, 0, 0, 0, 0, 0xffff, ..] = parts {
        return false;
    }
    // As in `Display`, the first of the longest runs of zeros is left out.
    let (mut longest, mut run) = (0..0, 0..0);
    for (at, part) in parts.iter().enumerate() {
        run = match *part {
            0 if run.end == at => run.start..at + 1,
            0 => at..at + 1,
            _ => 0..0,
        };
        if run.len() > longest.len() {
            longest = run.clone();
        }
    }
    let mut text = [0; 40];
    let mut len = 1;
    let mut put = |byte: u8| {
        text[len] = byte;
        len += 1;
    };
    let mut at = 0;
    while at < parts.len() {
        if longest.len() > 1 && at == longest.start {
            put(b':');
            put(b':');
            at = longest.end;
            continue;
        }
        if at > 0 && !(longest.len() > 1 && at == longest.end) {
            put(b':');
        }
        let part = usize::from(parts[at]);
        for shift in [12, 8, 4] {
            if part >> shift > 0 {
                put(digit(part >> shift & 15));
            }
        }
        put(digit(part & 15));
        at += 1;
    }
    // An address has at most 39 characters.
    let text_len = len - 1;
    if text_len < 32 {
        text[0] = 0xa0 | text_len as u8;
    } else {
        into.push(0xd9);
        text[0] = text_len as u8;
    }
    into.extend_from_slice(&text[..len]);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn as_text(text: &str) -> Vec<u8> {
        let mut bytes = vec![7];
        crate::encode(text, &mut bytes).unwrap();
        bytes
    }

    fn as_key<K: Serialize + 'static>(key: &K) -> Vec<u8> {
        let mut bytes = vec![7];
        encode_key(key, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_text_is_the_same_bytes_as_through_serde() {
        for len in [0, 1, 31, 32, 255, 256, 65_535, 65_536] {
            let text = "x".repeat(len);
            assert_eq!(as_key(&text), as_text(&text), "{len}");
        }
        assert_eq!(as_key(&7u64), [7, 7]);
        let v4 = IpAddr::from(Ipv4Addr::LOCALHOST);
        assert_eq!(as_key(&v4), as_text("127.0.0.1"));
    }

    /// Parts of addresses with more zeros than random ones.
    fn segment() -> impl Strategy<Value = u16> {
        prop_oneof![3 => Just(0), 1 => 0..0x20u16, 1 => any::<u16>(), 1 => Just(0xffff)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]
        #[test]
        fn an_address_is_the_text_that_it_is_shown_as(parts in prop::array::uniform8(segment())) {
            let address = Ipv6Addr::from(parts);
            prop_assert_eq!(as_key(&address), as_text(&address.to_string()));
            prop_assert_eq!(as_key(&IpAddr::from(address)), as_text(&address.to_string()));
        }

        #[test]
        fn an_identifier_is_the_text_that_it_is_shown_as(id in any::<[u8; 16]>()) {
            let mut bytes = vec![7];
            write_uuid(&id, &mut bytes);
            prop_assert_eq!(bytes, as_text(&Uuid::from_bytes(id).hyphenated().to_string()));
        }
    }
}
