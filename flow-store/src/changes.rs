//! The rows that an epoch changed, on their way to a commit.

use std::fmt;

/// Rows that were put and removed, in the order in which that happened, in one growing buffer.
///
/// A row is found by step, key group and key. [`Execution::commit`](crate::Execution::commit)
/// takes any number of these; the last change of a row wins.
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
    /// All keys and values, one behind the other.
    bytes: Vec<u8>,
    rows: Vec<Place>,
}

#[derive(Clone, Copy)]
struct Place {
    step: u16,
    group: u16,
    start: usize,
    key_len: usize,
    /// None: the row was removed.
    value_len: Option<usize>,
}

/// One row that was changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change<'a> {
    /// The number of the step it belongs to, from [`Manifest::numbers`](crate::Manifest::numbers).
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
        self.rows.is_empty()
    }

    /// The number of changes; two of the same row are two.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// The bytes that all keys and values have together.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// Forgets all changes and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.rows.clear();
    }

    /// Adds a row that is new or has a new value, which `value` appends to the buffer it gets.
    ///
    /// What is before that in the buffer is not the closure's: it must only append.
    ///
    /// # Errors
    ///
    /// The error of `value`; then nothing is added.
    pub fn put<E>(
        &mut self,
        step: u16,
        group: u16,
        key: &[u8],
        value: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        // Gone again unless the row is completed, also when `value` panics.
        struct Undo<'a> {
            bytes: &'a mut Vec<u8>,
            keep: usize,
        }
        impl Drop for Undo<'_> {
            fn drop(&mut self) {
                self.bytes.truncate(self.keep);
            }
        }

        let start = self.bytes.len();
        let mut undo = Undo {
            bytes: &mut self.bytes,
            keep: start,
        };
        undo.bytes.extend_from_slice(key);
        value(undo.bytes)?;
        undo.keep = undo.bytes.len();
        let value_len = undo.keep.saturating_sub(start + key.len());
        drop(undo);
        self.rows.push(Place {
            step,
            group,
            start,
            key_len: key.len(),
            value_len: Some(value_len),
        });
        Ok(())
    }

    /// Adds that a row is gone; it need not have been there.
    pub fn remove(&mut self, step: u16, group: u16, key: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        self.rows.push(Place {
            step,
            group,
            start,
            key_len: key.len(),
            value_len: None,
        });
    }

    /// Moves all changes of `other` behind those of this one; `other` is empty afterwards and
    /// keeps its memory.
    pub fn append(&mut self, other: &mut Changes) {
        if self.is_empty() {
            std::mem::swap(self, other);
            other.clear();
            return;
        }
        let shift = self.bytes.len();
        self.bytes.append(&mut other.bytes);
        self.rows.extend(other.rows.drain(..).map(|row| Place {
            start: row.start + shift,
            ..row
        }));
    }

    /// All changes, in the order in which they were put.
    pub fn iter(&self) -> impl Iterator<Item = Change<'_>> {
        self.rows.iter().map(|row| {
            let bytes = self.bytes.get(row.start..).unwrap_or_default();
            let (key, rest) = bytes.split_at_checked(row.key_len).unwrap_or_default();
            Change {
                step: row.step,
                group: row.group,
                key,
                value: row.value_len.map(|len| rest.get(..len).unwrap_or_default()),
            }
        })
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
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
    fn a_value_that_takes_away_what_is_not_its_own_does_not_panic() {
        let mut changes = Changes::new();
        let Ok(()) = changes.put(0, 1, b"key", |bytes| {
            bytes.clear();
            Ok::<(), Infallible>(())
        });
        assert_eq!(all(&changes), [(0, &b""[..], Some(&b""[..]))]);
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
}
