//! Compares outputs with those of a run without kills.
//!
//! The key of a line is the text before its first space or comma. The lines of a key keep their
//! order in any case. Lines of different keys may change places.

use std::collections::BTreeMap;

/// The lines of each key, in order.
pub(crate) fn by_key(out: &[u8]) -> BTreeMap<&str, Vec<&str>> {
    let mut keys: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let out = std::str::from_utf8(out).unwrap();
    assert!(out.is_empty() || out.ends_with('\n'), "cut in a line");
    for line in out.lines() {
        let key = line.split([' ', ',']).next().unwrap_or_default();
        keys.entry(key).or_default().push(line);
    }
    keys
}

/// Each key has its first lines, and no others.
#[track_caller]
pub(crate) fn assert_beginning(out: &[u8], whole: &[u8], context: &str) {
    let whole = by_key(whole);
    for (key, lines) in by_key(out) {
        let expected = whole.get(key);
        let expected = expected.unwrap_or_else(|| panic!("{context}: there is no key {key}"));
        let wrong = lines.iter().zip(expected).find(|(a, b)| a != b);
        assert_eq!(
            wrong, None,
            "{context}: key {key} has the left line for the right one"
        );
        assert!(
            lines.len() <= expected.len(),
            "{context}: key {key} has too many lines"
        );
    }
}

/// The outputs are the same, up to the order of different keys.
#[track_caller]
pub(crate) fn assert_whole(out: &[u8], whole: &[u8], context: &str) {
    assert_beginning(out, whole, context);
    assert_eq!(lines(out), lines(whole), "{context}: lines");
}

pub(crate) fn lines(out: &[u8]) -> usize {
    out.iter().filter(|byte| **byte == b'\n').count()
}
