//! The rows that an epoch changed, encoded as a commit stores them.

use crate::error::{ExecutionError, StoreError};
use crate::key::KEY_GROUPS;
use std::fmt;
use std::path::Path;

/// The length of a head in bytes: `step u16`, `group u16`, `length of the key u32`, `length of the
/// value u32`.
const HEAD: usize = 2 + 2 + 4 + 4;
/// Stands in the place of a value's length if the row was removed.
const REMOVED: u32 = u32::MAX;

/// The greatest length of key and value together: redb refuses values that are much longer than 3
/// GiB.
const MOST_BYTES: usize = (3 << 30) - 1024;

/// Rows that were put and removed, in order, in one growing buffer.
///
/// A row is identified by step, key group and key. [`Execution::commit`](crate::Execution::commit)
/// takes any number of `Changes`. The last change of a row wins.
///
/// ```
/// use flow_store::{Changes, encode};
///
/// let mut changes = Changes::new();
/// changes.put(0, 17, b"anna", |bytes| encode(&3, bytes))?;
/// changes.remove(0, 900, b"bert");
/// assert_eq!(changes.len(), 2);
/// # Ok::<(), flow_store::CodecError>(())
/// ```
#[derive(Clone, Default)]
pub struct Changes {
    /// All rows, one after the other, each with its head.
    bytes: Vec<u8>,
    rows: usize,
    /// The buffer in which values are encoded.
    value: Vec<u8>,
    /// The step and the length in bytes of a row that is too long to be stored.
    too_long: Option<(u16, usize)>,
}

/// The change of one row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change<'a> {
    /// The number of its step, from [`Manifest::numbers`](crate::Manifest::numbers).
    pub step: u16,
    /// The key group, in `0..KEY_GROUPS`.
    pub group: u16,
    /// The canonical bytes of the key.
    pub key: &'a [u8],
    /// The bytes of the value; `None` if the row was removed.
    pub value: Option<&'a [u8]>,
}

impl Changes {
    /// No changes.
    #[must_use]
    pub fn new() -> Changes {
        Changes::default()
    }

    /// Whether there is no change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The number of changes. Two changes of the same row count as two.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows
    }

    /// The total length of all keys and values in bytes.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.bytes.len().saturating_sub(self.rows * HEAD)
    }

    /// Removes all changes, and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.rows = 0;
        self.too_long = None;
    }

    /// Adds a row that is new or has a new value. `value` writes the value into the empty buffer
    /// that it gets.
    ///
    /// # Errors
    ///
    /// The error of `value`. Then nothing is added.
    pub fn put<E>(
        &mut self,
        step: u16,
        group: u16,
        key: &[u8],
        value: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut bytes = std::mem::take(&mut self.value);
        bytes.clear();
        let written = value(&mut bytes);
        if written.is_ok() {
            self.push(step, group, key, Some(&bytes));
        }
        self.value = bytes;
        written
    }

    /// Adds the removal of a row. The row need not exist.
    pub fn remove(&mut self, step: u16, group: u16, key: &[u8]) {
        self.push(step, group, key, None);
    }

    fn push(&mut self, step: u16, group: u16, key: &[u8], value: Option<&[u8]>) {
        let bytes = key.len().saturating_add(value.map_or(0, <[u8]>::len));
        let lengths = (
            u32::try_from(key.len()),
            value.map_or(Ok(REMOVED), |value| u32::try_from(value.len())),
        );
        let (Ok(key_len), Ok(value_len), true) = (lengths.0, lengths.1, bytes <= MOST_BYTES) else {
            self.too_long.get_or_insert((step, bytes));
            return;
        };
        self.bytes.extend_from_slice(&step.to_be_bytes());
        self.bytes.extend_from_slice(&group.to_be_bytes());
        self.bytes.extend_from_slice(&key_len.to_be_bytes());
        self.bytes.extend_from_slice(&value_len.to_be_bytes());
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value.unwrap_or_default());
        self.rows += 1;
    }

    /// Appends all changes of `other`. Afterwards `other` is empty, and keeps its memory.
    pub fn append(&mut self, other: &mut Changes) {
        if self.is_empty() && self.too_long.is_none() {
            std::mem::swap(self, other);
            other.clear();
            return;
        }
        self.bytes.extend_from_slice(&other.bytes);
        self.rows += other.rows;
        self.too_long = self.too_long.or(other.too_long);
        other.clear();
    }

    /// All changes, in order.
    pub fn iter(&self) -> impl Iterator<Item = Change<'_>> {
        Records(&self.bytes).map_while(Result::ok)
    }

    /// The changes as they are stored.
    pub(crate) fn records(&self) -> Records<'_> {
        Records(&self.bytes)
    }

    /// The length of [`records`](Changes::records) in bytes.
    pub(crate) fn stored_len(&self) -> usize {
        self.bytes.len()
    }

    /// Refuses changes that no reader would find, or that redb can't store.
    ///
    /// `steps` are the numbers of the steps, sorted.
    pub(crate) fn check(&self, steps: &[u16], path: &Path) -> Result<(), StoreError> {
        let wrong = |step, why| {
            StoreError::Execution(ExecutionError::WrongChange {
                path: path.to_path_buf(),
                step,
                why,
            })
        };
        if let Some((step, bytes)) = self.too_long {
            let why = format!("it has {bytes} bytes, and {MOST_BYTES} are the most");
            return Err(wrong(step, why));
        }
        let mut known = None;
        for change in self.iter() {
            if known != Some(change.step) {
                if steps.binary_search(&change.step).is_err() {
                    let why = "the flow has no step of this number".to_owned();
                    return Err(wrong(change.step, why));
                }
                known = Some(change.step);
            }
            if change.group >= KEY_GROUPS {
                let group = change.group;
                let why = format!("its key group is {group}, and there are {KEY_GROUPS}");
                return Err(wrong(change.step, why));
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Stored changes, one after the other. After an error there are no more.
#[derive(Clone, Copy)]
pub(crate) struct Records<'a>(pub(crate) &'a [u8]);

impl<'a> Records<'a> {
    /// The bytes of the next change; `None` at the end or after an error.
    pub(crate) fn next_raw(&mut self) -> Option<&'a [u8]> {
        let before = self.0;
        match self.next() {
            Some(Ok(_)) => before.get(..before.len() - self.0.len()),
            _ => None,
        }
    }
}

/// The bytes are not a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoChange;

impl<'a> Iterator for Records<'a> {
    type Item = Result<Change<'a>, NoChange>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let next = split(self.0);
        self.0 = next.map_or(&[], |(_, rest)| rest);
        Some(next.map(|(change, _)| change).ok_or(NoChange))
    }
}

#[inline]
fn split(bytes: &[u8]) -> Option<(Change<'_>, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<HEAD>()?;
    let [s0, s1, g0, g1, k0, k1, k2, k3, v @ ..] = *head;
    let key_len = usize::try_from(u32::from_be_bytes([k0, k1, k2, k3])).ok()?;
    let value_len = u32::from_be_bytes(v);
    let (key, rest) = rest.split_at_checked(key_len)?;
    let (value, rest) = match value_len {
        REMOVED => (None, rest),
        len => {
            let (value, rest) = rest.split_at_checked(usize::try_from(len).ok()?)?;
            (Some(value), rest)
        }
    };
    let change = Change {
        step: u16::from_be_bytes([s0, s1]),
        group: u16::from_be_bytes([g0, g1]),
        key,
        value,
    };
    Some((change, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    fn put(changes: &mut Changes, step: u16, key: &[u8], value: &[u8]) {
        let Ok(()) = changes.put(step, 1, key, |bytes| {
            bytes.extend_from_slice(value);
            Ok::<(), Infallible>(())
        });
    }

    type Seen<'a> = (u16, &'a [u8], Option<&'a [u8]>);

    fn all(changes: &Changes) -> Vec<Seen<'_>> {
        changes.iter().map(|c| (c.step, c.key, c.value)).collect()
    }

    #[test]
    fn order_is_kept() {
        let mut changes = Changes::new();
        put(&mut changes, 2, b"b", b"1");
        changes.remove(1, 1, b"a");
        put(&mut changes, 2, b"b", b"");
        put(&mut changes, 0, b"", b"x");
        assert_eq!(
            all(&changes),
            [
                (2, &b"b"[..], Some(&b"1"[..])),
                (1, b"a", None),
                (2, b"b", Some(b"")),
                (0, b"", Some(b"x")),
            ]
        );
        assert_eq!((changes.len(), changes.byte_len()), (4, 5));
    }

    /// Part of the format.
    #[test]
    fn a_change_to_the_byte() {
        let mut changes = Changes::new();
        put(&mut changes, 0x0102, b"key", b"value");
        changes.remove(3, 0x0405, b"k");
        let expected = [
            &[1, 2, 0, 1, 0, 0, 0, 3, 0, 0, 0, 5][..],
            b"keyvalue",
            &[0, 3, 4, 5, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff],
            b"k",
        ]
        .concat();
        assert_eq!(changes.bytes, expected);
        for cut in 1..expected.len() {
            let read: Vec<_> = Records(&expected[..cut]).collect();
            let whole = usize::from(cut >= 20);
            let torn = usize::from(cut != 20);
            assert_eq!(read.len(), whole + torn, "{cut}");
            assert_eq!(read.contains(&Err(NoChange)), torn == 1, "{cut}");
        }
        let mut records = changes.records();
        assert_eq!(records.next_raw(), Some(&expected[..20]));
        assert_eq!(records.next_raw(), Some(&expected[20..]));
        assert_eq!(records.next_raw(), None);
    }

    #[test]
    fn a_failed_put_adds_nothing() {
        let mut changes = Changes::new();
        put(&mut changes, 0, b"a", b"1");
        let failed = changes.put(0, 1, b"key", |bytes| {
            bytes.extend_from_slice(b"half");
            Err("no")
        });
        assert_eq!(failed, Err("no"));
        assert_eq!((changes.len(), changes.byte_len()), (1, 2));
        put(&mut changes, 0, b"b", b"2");
        assert_eq!(
            all(&changes),
            [(0, &b"a"[..], Some(&b"1"[..])), (0, b"b", Some(b"2"))]
        );
    }

    #[test]
    fn a_put_that_panics_adds_nothing() {
        let mut changes = Changes::new();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            changes.put(0, 1, b"key", |_| -> Result<(), Infallible> {
                panic!("in a test")
            })
        }));
        assert!(panicked.is_err());
        assert_eq!((changes.len(), changes.byte_len()), (0, 0));
    }

    #[test]
    fn appended_changes_come_behind() {
        for first in [0, 2] {
            let (mut one, mut other) = (Changes::new(), Changes::new());
            for n in 0..first {
                put(&mut one, n, b"one", b"1");
            }
            put(&mut other, 8, b"other", b"2");
            other.remove(9, 1, b"gone");
            one.append(&mut other);
            assert!(other.is_empty() && other.byte_len() == 0);
            let all = all(&one);
            assert_eq!(all.len(), usize::from(first) + 2);
            assert_eq!(
                all[usize::from(first)..],
                [(8, &b"other"[..], Some(&b"2"[..])), (9, b"gone", None)]
            );
            put(&mut other, 1, b"again", b"3");
            assert_eq!(other.len(), 1);
        }
    }

    #[test]
    fn cleared_is_empty() {
        let mut changes = Changes::new();
        put(&mut changes, 0, b"a", b"1");
        changes.clear();
        assert!(changes.is_empty() && changes.byte_len() == 0 && changes.iter().next().is_none());
    }

    #[test]
    fn what_no_reader_would_find_is_refused() {
        let refused = |changes: &Changes| {
            let error = changes.check(&[1, 3], Path::new("part")).unwrap_err();
            match error {
                StoreError::Execution(ExecutionError::WrongChange { step, why, .. }) => (step, why),
                other => panic!("{other}"),
            }
        };
        let mut changes = Changes::new();
        put(&mut changes, 1, b"a", b"1");
        put(&mut changes, 3, b"a", b"1");
        assert!(changes.check(&[1, 3], Path::new("part")).is_ok());
        changes.remove(2, 0, b"a");
        assert_eq!(
            refused(&changes),
            (2, "the flow has no step of this number".to_owned())
        );
        changes.clear();
        changes.remove(3, KEY_GROUPS, b"a");
        assert_eq!(
            refused(&changes),
            (3, "its key group is 1024, and there are 1024".to_owned())
        );
        changes.clear();
        changes.too_long = Some((1, 7_000_000_000));
        let mut all = Changes::new();
        all.append(&mut changes);
        assert!(refused(&all).1.starts_with("it has 7000000000 bytes, and "));
    }
}
