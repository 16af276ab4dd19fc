//! One row of `base` as bytes. Whoever reads a row reads it here, and here its CRC is checked.

use crate::manifest::StoredStep;
use crate::undo::Entry;
use std::ops::{Bound, Range};

/// `flags u8`, then the CRC as `u32` BE.
const HEAD: usize = 1 + 4;
/// `step u16 BE`, `group u16 BE`.
const PREFIX: usize = 2 + 2;

/// redb takes values of 3 GiB and a little more of key and value together; what is replaced must fit into
/// an entry of `undo` too.
pub(crate) const MOST_BYTES: usize = (3 << 30) - 1024;

/// Appends the key of a row.
pub(crate) fn write_key(step: u16, group: u16, key: &[u8], into: &mut Vec<u8>) {
    into.extend_from_slice(&step.to_be_bytes());
    into.extend_from_slice(&group.to_be_bytes());
    into.extend_from_slice(key);
}

/// Appends the value of the row with this whole key, as [`write_key`] made it.
pub(crate) fn write_value(whole_key: &[u8], value: &[u8], into: &mut Vec<u8>) {
    let flags = 0;
    into.push(flags);
    into.extend_from_slice(&crc(flags, whole_key, value).to_be_bytes());
    into.extend_from_slice(value);
}

/// The bytes that a row takes of the file, without what redb adds.
pub(crate) fn len(key: &[u8], value: &[u8]) -> usize {
    (PREFIX + HEAD)
        .saturating_add(key.len())
        .saturating_add(value.len())
}

/// A row that was checked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Parts<'a> {
    pub(crate) step: u16,
    pub(crate) group: u16,
    pub(crate) key: &'a [u8],
    pub(crate) value: &'a [u8],
}

/// Takes a row apart and checks it; the error says what is wrong with it.
pub(crate) fn read<'a>(whole_key: &'a [u8], stored: &'a [u8]) -> Result<Parts<'a>, String> {
    let Some(([step0, step1, group0, group1], key)) = whole_key.split_first_chunk::<PREFIX>()
    else {
        return Err(format!(
            "a row has the key {}, which is too short",
            hex(whole_key)
        ));
    };
    let (step, group) = (
        u16::from_be_bytes([*step0, *step1]),
        u16::from_be_bytes([*group0, *group1]),
    );
    let Some(([flags, sum @ ..], value)) = stored.split_first_chunk::<HEAD>() else {
        return Err(format!("{} is too short", name(step, group, key)));
    };
    if u32::from_be_bytes(*sum) != crc(*flags, whole_key, value) {
        return Err(format!("{} does not match its CRC", name(step, group, key)));
    }
    if *flags != 0 {
        return Err(format!(
            "{} has the flags {flags:#04x}, which this version does not know",
            name(step, group, key)
        ));
    }
    Ok(Parts {
        step,
        group,
        key,
        value,
    })
}

/// Removes all rows of a step; they go into the entry.
pub(crate) fn remove_all_of(
    step: u16,
    base: &mut redb::Table<'_, &[u8], &[u8]>,
    entry: &mut Option<Entry>,
) -> Result<(), redb::StorageError> {
    let (first, next) = (step.to_be_bytes(), step.wrapping_add(1).to_be_bytes());
    let end = match next {
        [0, 0] => Bound::Unbounded,
        _ => Bound::Excluded(&next[..]),
    };
    base.retain_in::<&[u8], _>((Bound::Included(&first[..]), end), |key, value| {
        if let Some(entry) = entry {
            entry.base(key, Some(value));
        }
        false
    })
}

/// The bounds of the rows of a step in a range of key groups that is not empty.
pub(crate) fn some_of(step: u16, groups: &Range<u16>) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
    let prefix = |group: u16| {
        let mut prefix = Vec::with_capacity(PREFIX);
        write_key(step, group, b"", &mut prefix);
        prefix
    };
    (
        Bound::Included(prefix(groups.start)),
        Bound::Excluded(prefix(groups.end)),
    )
}

/// Replaces the number of a step at the beginning of a message of [`read`] by its id.
pub(crate) fn with_id(message: &str, steps: &[StoredStep]) -> String {
    steps
        .iter()
        .find_map(|step| {
            let rest = message.strip_prefix(&format!("the row of step {},", step.number))?;
            Some(format!("the row of step `{}`,{rest}", step.id))
        })
        .unwrap_or_else(|| message.to_owned())
}

fn crc(flags: u8, whole_key: &[u8], value: &[u8]) -> u32 {
    let crc = crc32c::crc32c(&[flags]);
    crc32c::crc32c_append(crc32c::crc32c_append(crc, whole_key), value)
}

/// A row as messages name it.
pub(crate) fn name(step: u16, group: u16, key: &[u8]) -> String {
    format!(
        "the row of step {step}, key group {group}, key {}",
        show(key)
    )
}

/// A key as a person knows it, if it is text or a whole number; its bytes otherwise.
fn show(key: &[u8]) -> String {
    if let Ok(text) = crate::decode::<String>(key)
        && text.len() <= 200
    {
        return format!("{text:?}");
    }
    if let Ok(number) = crate::decode::<i64>(key) {
        return number.to_string();
    }
    hex(key)
}

fn hex(bytes: &[u8]) -> String {
    const SHOWN: usize = 64;
    let digits: String = bytes
        .iter()
        .take(SHOWN)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let more = if bytes.len() > SHOWN { "…" } else { "" };
    format!("0x{digits}{more}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(step: u16, group: u16, key: &[u8], value: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let (mut whole_key, mut bytes) = (Vec::new(), Vec::new());
        write_key(step, group, key, &mut whole_key);
        write_value(&whole_key, value, &mut bytes);
        assert_eq!(whole_key.len() + bytes.len(), len(key, value));
        (whole_key, bytes)
    }

    /// Part of the format.
    #[test]
    fn a_row_to_the_byte() {
        let (key, value) = stored(0x0102, 0x0304, b"k", b"value");
        assert_eq!(key, [1, 2, 3, 4, b'k']);
        let crc = crc32c::crc32c(b"\0\x01\x02\x03\x04kvalue").to_be_bytes();
        assert_eq!(value, [&[0][..], &crc, b"value"].concat());
        let parts = Parts {
            step: 0x0102,
            group: 0x0304,
            key: b"k",
            value: b"value",
        };
        assert_eq!(read(&key, &value), Ok(parts));
    }

    #[test]
    fn every_bit_is_checked() {
        let (key, value) = stored(1, 2, b"key", b"value");
        for bit in 0..8 * (key.len() + value.len()) {
            let (mut key, mut value) = (key.clone(), value.clone());
            let at = bit / 8;
            match at.checked_sub(key.len()) {
                None => key[at] ^= 1 << (bit % 8),
                Some(at) => value[at] ^= 1 << (bit % 8),
            }
            assert!(read(&key, &value).is_err(), "bit {bit}");
        }
        for cut in 0..value.len() {
            assert!(read(&key, &value[..cut]).is_err(), "{cut} bytes");
        }
    }

    #[test]
    fn messages_name_step_and_key() {
        let mut key = Vec::new();
        crate::encode("anna", &mut key).unwrap();
        let (whole_key, mut value) = stored(7, 2, &key, b"value");
        value[5] = b'w';
        let message = read(&whole_key, &value).unwrap_err();
        assert_eq!(
            message,
            "the row of step 7, key group 2, key \"anna\" does not match its CRC"
        );
        let step = StoredStep {
            number: 7,
            id: "joiner".to_owned(),
            kind: crate::StepKind::State,
            operator: String::new(),
            key_type: String::new(),
            state_type: String::new(),
            key_schema: None,
            state_schema: None,
        };
        assert_eq!(
            with_id(&message, &[step]),
            "the row of step `joiner`, key group 2, key \"anna\" does not match its CRC"
        );
        assert_eq!(show(&[0xff, 0x01]), "0xff01");
        assert_eq!(show(&[7]), "7");
        assert_eq!(
            read(b"abc", b"").unwrap_err(),
            "a row has the key 0x616263, which is too short"
        );
    }

    #[test]
    fn flags_of_later_versions_are_refused() {
        let (key, mut value) = stored(1, 2, b"key", b"value");
        value[0] = 1;
        let sum = crc(1, &key, b"value").to_be_bytes();
        value[1..5].copy_from_slice(&sum);
        assert!(read(&key, &value).unwrap_err().contains("flags 0x01"));
    }
}
