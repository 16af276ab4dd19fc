//! The names of files as partitions.

use std::path::{Component, Path, PathBuf};

/// The name of a path as a partition. It is the same for `a`, `./a` and `.//a`.
///
/// Bytes that are not UTF-8 are written as `\xff`. So each path has its own name, from which
/// [`path_of`] restores it.
pub(in crate::source) fn name_of(path: &Path) -> String {
    let parts = path.components();
    let path: PathBuf = parts.filter(|part| *part != Component::CurDir).collect();
    let mut name = String::new();
    for chunk in path.as_os_str().as_encoded_bytes().utf8_chunks() {
        let mut rest = chunk.valid();
        while let Some(at) = rest.find('\\') {
            let (before, from) = rest.split_at(at);
            name.push_str(before);
            // Otherwise this would be read back as a byte.
            name.push_str(if byte(from).is_some() { "\\x5c" } else { "\\" });
            rest = &from[1..];
        }
        name.push_str(rest);
        for byte in chunk.invalid() {
            name.push_str(&format!("\\x{byte:02x}"));
        }
    }
    name
}

/// The path that has this name.
pub(in crate::source) fn path_of(name: &str) -> PathBuf {
    let mut bytes = Vec::new();
    let mut rest = name;
    while let Some(at) = rest.find('\\') {
        let (before, from) = rest.split_at(at);
        bytes.extend_from_slice(before.as_bytes());
        match byte(from) {
            Some(byte) => {
                bytes.push(byte);
                rest = &from[4..];
            }
            None => {
                bytes.push(b'\\');
                rest = &from[1..];
            }
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    of_bytes(bytes)
}

/// The byte that is written at the beginning of a text.
fn byte(text: &str) -> Option<u8> {
    let digits = text.strip_prefix("\\x")?.get(..2)?;
    let lower = |digit: u8| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit);
    let is_byte = digits.bytes().all(lower);
    is_byte.then(|| u8::from_str_radix(digits, 16).ok())?
}

#[cfg(unix)]
fn of_bytes(bytes: Vec<u8>) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    std::ffi::OsString::from_vec(bytes).into()
}

/// On other systems a path is text, so bytes that are not text are lost.
#[cfg(not(unix))]
fn of_bytes(bytes: Vec<u8>) -> PathBuf {
    String::from_utf8_lossy(&bytes).into_owned().into()
}

/// Whether rotation may have made the name `other` from `name`: `app.log.1`, `app.log-20261126`,
/// `app-2026-11-26.log`. Backup names of editors do not count, because most of the old content is
/// still in the file.
pub(super) fn is_rotation(name: &str, other: &str) -> bool {
    if name == other || is_backup(other) {
        return false;
    }
    let parts = |rest: &str| rest.starts_with(['.', '-', '_']);
    let behind = other.strip_prefix(name).is_some_and(parts);
    let between = || {
        let (stem, ending) = name.rsplit_once('.')?;
        let rest = other.strip_prefix(stem)?.strip_suffix(ending)?;
        Some(parts(rest.strip_suffix('.')?))
    };
    behind || between() == Some(true)
}

/// Whether a name is that of an editor's backup.
pub(super) fn is_backup(name: &str) -> bool {
    let mut endings = ["~", ".bak", ".orig", ".swp", ".tmp"].iter();
    endings.any(|ending| name.ends_with(ending))
}

/// The names from which rotation may have made this one with a number or a date, compressed or not.
/// For example `app.log` from `app.log.1`, `app.log-20261126.gz` and `app-2026-11-26.log`.
pub(super) fn rotated_from(name: &str) -> Vec<String> {
    let name = unpacked(name);
    let is_mark = |char: char| char.is_ascii_digit() || ".-_T:Z".contains(char);
    let cut = |rest: &str, ending: &str| -> Vec<String> {
        let marks = rest.len() - rest.trim_end_matches(is_mark).len();
        let begins = rest.char_indices().filter(|(at, char)| {
            *at > 0 && *at + marks >= rest.len() && ['.', '-', '_'].contains(char)
        });
        let has_digit = |at: usize| rest[at..].bytes().any(|byte| byte.is_ascii_digit());
        begins
            .filter(|(at, _)| has_digit(*at))
            .map(|(at, _)| format!("{}{ending}", &rest[..at]))
            .collect()
    };
    let mut names = cut(name, "");
    if let Some(dot) = name.rfind('.') {
        names.extend(cut(&name[..dot], &name[dot..]));
    }
    names
}

/// Whether rotation appended a number or a date to a name, as in `app.log.1`. Hardly anything else
/// does that.
pub(super) fn is_appended(own: &str, name: &str) -> bool {
    let rest = unpacked(name).strip_prefix(own);
    rest.is_some_and(|rest| rest.starts_with(['.', '-', '_']))
}

/// Whether `one` is a later rotation of `own` than `other`: it has a lower number, or a later date.
/// `None` if the names do not show it.
pub(super) fn is_later(own: &str, one: &str, other: &str) -> Option<bool> {
    let (one, other) = (mark(own, one)?, mark(own, other)?);
    let number = |mark: &str| mark.parse::<u64>().ok().filter(|_| mark.len() < 5);
    match (number(&one), number(&other)) {
        (Some(one), Some(other)) => Some(one < other),
        (None, None) if one.len() == other.len() => Some(one > other),
        _ => None,
    }
}

/// The digits that rotation put into a name.
fn mark(own: &str, name: &str) -> Option<String> {
    let name = unpacked(name);
    let between = || {
        let (stem, ending) = own.rsplit_once('.')?;
        let rest = name.strip_prefix(stem)?.strip_suffix(ending)?;
        rest.strip_suffix('.')
    };
    let rest = name.strip_prefix(own).or_else(between)?;
    let digits: String = rest.chars().filter(char::is_ascii_digit).collect();
    (!digits.is_empty()).then_some(digits)
}

/// A name with each of its numbers replaced by `0`, which is the same for all files of a series.
pub(super) fn series(name: &str) -> String {
    let mut series = String::new();
    for char in unpacked(name).chars() {
        match char {
            '0'..='9' if series.ends_with('0') => {}
            '0'..='9' => series.push('0'),
            char => series.push(char),
        }
    }
    series
}

/// A name without the ending of a compressed file.
fn unpacked(name: &str) -> &str {
    let packed = [".gz", ".zst", ".xz", ".bz2"].iter();
    let mut plain = packed.filter_map(|ending| name.strip_suffix(ending));
    plain.next().unwrap_or(name)
}

pub(super) fn is_packed(name: &str) -> bool {
    unpacked(name) != name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_dates_tell_which_rotation_is_later() {
        let is_later = |one, other| is_later("app.log", one, other);
        assert_eq!(is_later("app.log.1.gz", "app.log.2"), Some(true));
        assert_eq!(is_later("app.log.10.gz", "app.log.2"), Some(false));
        assert_eq!(
            is_later("app.log-20261127.gz", "app.log-20261126"),
            Some(true)
        );
        assert_eq!(
            is_later("app-2026-11-25.log.gz", "app-2026-11-26.log"),
            Some(false)
        );
        assert_eq!(is_later("app.log.1", "app.log-20261126"), None);
        assert_eq!(is_later("app.log.1", "elsewhere"), None);
    }

    #[test]
    fn a_path_has_one_name() {
        for path in ["a/b", "./a/b", "a//b", "a/./b"] {
            assert_eq!(name_of(Path::new(path)), "a/b");
        }
        assert_eq!(name_of(Path::new("/a/../b")), "/a/../b");
    }

    #[cfg(unix)]
    #[test]
    fn a_name_leads_back_to_its_path() {
        use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
        let mut names = std::collections::BTreeSet::new();
        let paths: [&[u8]; 8] = [
            b"a\xff.txt",
            b"a\xfe.txt",
            br"a\xff.txt",
            br"a\x5cxff.txt",
            br"a\b\\c\",
            b"\\x",
            "\u{fffd}a\u{e4}\\x4".as_bytes(),
            b"\\x\xff\xf0\x9f",
        ];
        for bytes in paths {
            let path = Path::new(OsStr::from_bytes(bytes));
            let name = name_of(path);
            assert_eq!(path_of(&name), path, "{name}");
            assert!(names.insert(name));
        }
        assert!(names.contains(r"a\xff.txt") && names.contains(r"a\b\\c\"));
    }

    #[test]
    fn what_rotation_makes_of_a_name() {
        let made = |name, others: &[&str]| -> Vec<bool> {
            others
                .iter()
                .map(|other| is_rotation(name, other))
                .collect()
        };
        let others = [
            "app.log.1",
            "app.log-20261126",
            "app-2026-11-26.log",
            "app.1.log",
            "app.log.old",
        ];
        assert_eq!(made("app.log", &others), [true; 5]);
        let others = [
            "app.log",
            "app.log~",
            "app.log.bak",
            "app.log.orig",
            "application.log",
            "other.log",
            "app.txt",
        ];
        assert_eq!(made("app.log", &others), [false; 7]);
        assert_eq!(
            made("in", &["in.1", "in-2", "input", "in.bak"]),
            [true, true, false, false]
        );
    }

    #[test]
    fn what_a_numbered_name_was_made_of() {
        let numbered = |name: &str, others: &[&str]| -> Vec<bool> {
            let made = |other: &&str| rotated_from(other).iter().any(|from| from == name);
            others.iter().map(made).collect()
        };
        let others = [
            "app.log.1",
            "app.log.2.gz",
            "app-2026-11-26.log",
            "app.log-20261126T10",
        ];
        assert_eq!(numbered("app.log", &others), [true; 4]);
        let others = [
            "app.log.old",
            "app.log.pos",
            "app.log",
            "app.log.gz",
            "app.log1",
            "other.log.1",
        ];
        assert_eq!(numbered("app.log", &others), [false; 6]);
        assert_eq!(
            numbered("in", &["in.1", "in-2", "in2", "in."]),
            [true, true, false, false]
        );
        assert!(rotated_from(".1").is_empty() && rotated_from("").is_empty());
    }

    #[test]
    fn names_of_one_series() {
        for name in ["day-10.log", "day-9.log.gz", "day-007.log"] {
            assert_eq!(series(name), series("day-1.log"));
        }
        for name in ["day-1.txt", "day-.log", "day-1-1.log", "days-1.log"] {
            assert_ne!(series(name), series("day-1.log"));
        }
        assert_ne!(series("2026-11.log"), series("2026-11-27.log"));
    }
}
