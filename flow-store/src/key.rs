//! Which key belongs to which key group, and which key group to which worker.
//!
//! This is part of the file format, so it is the same on every machine and in every version.

use std::ops::Range;

/// The number of key groups of every store.
pub const KEY_GROUPS: u16 = 1024;

/// The key of the row that a stateful step has for itself, beside those of its keys.
///
/// It is empty, which the bytes of no other key are.
pub const OWN_KEY: &[u8] = &[];

/// The hash of a key's canonical bytes: xxh3, 64 bits.
#[must_use]
pub fn hash(key_bytes: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(key_bytes)
}

/// The key group of a key with this [`hash`], in `0..KEY_GROUPS`.
#[must_use]
pub const fn group(hash: u64) -> u16 {
    // Lossless: the remainder is less than `KEY_GROUPS`.
    (hash % KEY_GROUPS as u64) as u16
}

/// The worker, in `0..workers`, that a key group belongs to.
///
/// Each worker gets a consecutive range of key groups. The sizes of two ranges differ by at most
/// one. A `group` beyond the last one is treated as the last one.
///
/// ```
/// use flow_store::{group, groups_of, hash, worker_of};
///
/// let group = group(hash(b"anna"));
/// assert!(groups_of(worker_of(group, 3), 3).contains(&group));
/// ```
#[must_use]
pub const fn worker_of(group: u16, workers: usize) -> usize {
    let group = if group < KEY_GROUPS {
        group
    } else {
        KEY_GROUPS - 1
    };
    // In `u128` no number of workers overflows.
    (group as u128 * workers as u128 / KEY_GROUPS as u128) as usize
}

/// The key groups of a worker: exactly those whose [`worker_of`] is `worker`.
///
/// If there are more workers than key groups, some workers have an empty range.
#[must_use]
pub fn groups_of(worker: usize, workers: usize) -> Range<u16> {
    // The least group `g` with `g * workers / KEY_GROUPS >= worker`.
    let first = |worker: usize| {
        let groups = u128::from(KEY_GROUPS);
        let first = (worker as u128 * groups).div_ceil((workers as u128).max(1));
        first.min(groups) as u16
    };
    first(worker)..first(worker.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_every_group_once() {
        for workers in 1..=1100 {
            let mut next = 0;
            for worker in 0..workers {
                let groups = groups_of(worker, workers);
                assert_eq!(groups.start, next, "worker {worker} of {workers}");
                next = groups.end;
                for group in groups {
                    assert_eq!(
                        worker_of(group, workers),
                        worker,
                        "group {group} of {workers}"
                    );
                }
            }
            assert_eq!(next, KEY_GROUPS, "{workers} workers");
        }
    }

    #[test]
    fn ranges_are_as_equal_as_they_can_be() {
        for workers in 1..=1024 {
            let lengths = (0..workers).map(|worker| groups_of(worker, workers).len());
            let (least, most) = (lengths.clone().min().unwrap(), lengths.max().unwrap());
            assert!(most - least <= 1, "{least}..{most} with {workers} workers");
        }
    }

    #[test]
    fn odd_arguments_do_not_panic() {
        assert_eq!(groups_of(0, 0), 0..1024);
        assert!(groups_of(5, 2).is_empty());
        assert_eq!(groups_of(usize::MAX, usize::MAX), 1024..1024);
        assert_eq!(worker_of(u16::MAX, 4), 3);
        assert_eq!(
            worker_of(1023, usize::MAX),
            usize::MAX - usize::MAX / 1024 - 1
        );
    }

    /// Part of the format: stores written with other numbers could not be read.
    #[test]
    fn hashes_never_change() {
        assert_eq!(hash(b""), 0x2d06_8005_38d3_94c2);
        assert_eq!(hash(b"anna"), 6_806_125_601_362_424_889);
        assert_eq!(group(hash(&[0xa4, b'a', b'n', b'n', b'a'])), 247);
        assert_eq!(group(1024), 0);
        assert_eq!(group(u64::MAX), 1023);
    }
}
