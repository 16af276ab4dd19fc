//! The rows of one key group, assembled from all their versions.

/// Versions of rows in the order in which they were written. The last one of a key counts.
#[derive(Default)]
pub(crate) struct Versions {
    /// Keys and values, each value after its key.
    bytes: Vec<u8>,
    rows: Vec<Version>,
}

#[derive(Clone, Copy)]
struct Version {
    start: usize,
    key_len: usize,
    /// `None` if the row is gone.
    value_len: Option<usize>,
}

impl Versions {
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.rows.clear();
    }

    pub(crate) fn add(&mut self, key: &[u8], value: Option<&[u8]>) {
        self.rows.push(Version {
            start: self.bytes.len(),
            key_len: key.len(),
            value_len: value.map(<[u8]>::len),
        });
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value.unwrap_or_default());
    }

    /// Keeps only the last version of each key, sorted by key, without rows that are gone.
    pub(crate) fn settle(&mut self) {
        let (bytes, rows) = (&self.bytes, &mut self.rows);
        let key = |row: &Version| bytes.get(row.start..row.start + row.key_len);
        // The first run is sorted, and is often everything. So only the rest is sorted, and then
        // merged.
        let first = rows
            .windows(2)
            .position(|pair| key(&pair[0]) >= key(&pair[1]));
        if let Some(first) = first {
            let mut later = rows.split_off(first + 1);
            // The sort is stable, so the last version of a key stays last.
            later.sort_by(|a, b| key(a).cmp(&key(b)));
            let first = std::mem::take(rows);
            rows.reserve(first.len() + later.len());
            let mut first = first.into_iter().peekable();
            for version in later
                .chunk_by(|a, b| key(a) == key(b))
                .filter_map(<[_]>::last)
            {
                while let Some(row) = first.next_if(|row| key(row) <= key(version)) {
                    if key(&row) < key(version) {
                        rows.push(row);
                    }
                }
                rows.push(*version);
            }
            rows.extend(first);
        }
        rows.retain(|row| row.value_len.is_some());
    }

    /// The number of rows.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The bytes of all keys and values that were added.
    pub(crate) fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// The key and the value of a row, after [`settle`](Versions::settle).
    #[inline]
    pub(crate) fn get(&self, index: usize) -> Option<(&[u8], &[u8])> {
        let row = self.rows.get(index)?;
        let value_len = row.value_len?;
        let bytes = self.bytes.get(row.start..)?;
        let (key, rest) = bytes.split_at_checked(row.key_len)?;
        Some((key, rest.get(..value_len)?))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_version_of_each_key_is_left() {
        let mut versions = Versions::default();
        for _ in 0..2 {
            versions.clear();
            for (key, value) in [
                ("b", Some("1")),
                ("c", Some("2")),
                ("a", Some("3")),
                ("b", None),
                ("c", Some("4")),
                ("d", None),
                ("e", None),
                ("e", Some("")),
            ] {
                versions.add(key.as_bytes(), value.map(str::as_bytes));
            }
            versions.settle();
            let rows: Vec<_> = versions.iter().collect();
            let expected: [(&[u8], &[u8]); 3] = [(b"a", b"3"), (b"c", b"4"), (b"e", b"")];
            assert_eq!(rows, expected);
        }
    }

    #[test]
    fn of_a_sorted_run_what_is_gone_is_gone_too() {
        let mut versions = Versions::default();
        versions.add(b"a", None);
        versions.add(b"b", Some(b"1"));
        versions.settle();
        assert_eq!(
            (versions.len(), versions.get(0)),
            (1, Some((&b"b"[..], &b"1"[..])))
        );
    }
}
