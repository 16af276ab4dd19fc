//! A file whose changes stay in memory, page by page.
//!
//! redb changes a file as soon as it opens it, and repairs one that was not closed. With the
//! overlay both happen in memory, so a store can be read, or refused, and is left untouched.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

const PAGE: usize = 4096;

/// The file below, and the changed pages above it.
#[derive(Debug)]
pub(crate) struct Overlay {
    file: File,
    above: RwLock<Above>,
}

struct Above {
    /// The present length in bytes.
    len: u64,
    /// How many bytes of the file below are visible: its length, or less after it was truncated.
    seen: u64,
    /// The changed pages by number. Their bytes beyond `len` are zero.
    pages: BTreeMap<u64, Box<[u8; PAGE]>>,
}

impl std::fmt::Debug for Above {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Above")
            .field("len", &self.len)
            .field("pages", &self.pages.len())
            .finish()
    }
}

impl Overlay {
    /// An overlay over a file that is open for reading.
    pub(crate) fn new(file: File) -> io::Result<Overlay> {
        let len = file.metadata()?.len();
        Ok(Overlay {
            file,
            above: RwLock::new(Above {
                len,
                seen: len,
                pages: BTreeMap::new(),
            }),
        })
    }

    // After a panic of another thread, pages are half written at worst. redb's panic is reported
    // anyway.
    fn shared(&self) -> RwLockReadGuard<'_, Above> {
        self.above.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn exclusive(&self) -> RwLockWriteGuard<'_, Above> {
        self.above.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the file below, and zeros behind its visible part.
    fn read_below(&self, seen: u64, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let there = usize::try_from(seen.saturating_sub(offset)).unwrap_or(usize::MAX);
        let (there, beyond) = out.split_at_mut(there.min(out.len()));
        beyond.fill(0);
        if there.is_empty() {
            return Ok(());
        }
        read_exact_at(&self.file, there, offset)
    }
}

impl redb::StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.shared().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let above = self.shared();
        let end = end_of(offset, out.len())?;
        if end > above.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut changed = above.pages.range(offset / PAGE as u64..).peekable();
        let (mut at, mut out) = (offset, out);
        while !out.is_empty() {
            let (page, from) = place_of(at);
            let next = changed.peek().map(|(number, bytes)| (**number, *bytes));
            let len = match next {
                Some((number, _)) if number == page => PAGE - from,
                // Everything up to the next changed page is one read.
                Some((number, _)) => {
                    usize::try_from(number * PAGE as u64 - at).unwrap_or(usize::MAX)
                }
                None => out.len(),
            };
            let (now, later) = out.split_at_mut(len.min(out.len()));
            match next {
                Some((number, bytes)) if number == page => {
                    now.copy_from_slice(&bytes[from..from + now.len()]);
                    changed.next();
                }
                _ => self.read_below(above.seen, at, now)?,
            }
            at += now.len() as u64;
            out = later;
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut above = self.exclusive();
        if len < above.len {
            let (page, from) = place_of(len);
            above
                .pages
                .split_off(&if from == 0 { page } else { page + 1 });
            if let Some(last) = above.pages.get_mut(&page) {
                last[from..].fill(0);
            }
            above.seen = above.seen.min(len);
        }
        above.len = len;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut above = self.exclusive();
        let end = end_of(offset, data.len())?;
        let (mut at, mut data) = (offset, data);
        while !data.is_empty() {
            let (page, from) = place_of(at);
            let (now, later) = data.split_at((PAGE - from).min(data.len()));
            let seen = above.seen;
            let bytes = match above.pages.entry(page) {
                std::collections::btree_map::Entry::Occupied(bytes) => bytes.into_mut(),
                std::collections::btree_map::Entry::Vacant(vacant) => {
                    let mut bytes = Box::new([0; PAGE]);
                    if now.len() < PAGE {
                        self.read_below(seen, page * PAGE as u64, &mut bytes[..])?;
                    }
                    vacant.insert(bytes)
                }
            };
            bytes[from..from + now.len()].copy_from_slice(now);
            at += now.len() as u64;
            data = later;
        }
        above.len = above.len.max(end);
        Ok(())
    }
}

/// The number of the page, and the place within it.
fn place_of(offset: u64) -> (u64, usize) {
    (offset / PAGE as u64, (offset % PAGE as u64) as usize)
}

fn end_of(offset: u64, len: usize) -> io::Result<u64> {
    offset
        .checked_add(len as u64)
        .ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

#[cfg(unix)]
fn read_exact_at(file: &File, out: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, out, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut out: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !out.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, out, offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                out = out.get_mut(read..).unwrap_or_default();
                offset += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use redb::StorageBackend;
    use std::io::Write;

    fn file(bytes: &[u8]) -> (tempfile::NamedTempFile, Overlay) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let overlay = Overlay::new(File::open(file.path()).unwrap()).unwrap();
        (file, overlay)
    }

    fn all(overlay: &Overlay) -> Vec<u8> {
        let mut bytes = vec![1; overlay.len().unwrap() as usize];
        overlay.read(0, &mut bytes).unwrap();
        bytes
    }

    #[derive(Debug, Clone)]
    enum Step {
        Write(u64, Vec<u8>),
        SetLen(u64),
        Read(u64, usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let offset = 0..5 * PAGE as u64;
        let near = prop_oneof![Just(0usize), 1..20usize, Just(PAGE), 0..2 * PAGE + 9];
        prop_oneof![
            (offset.clone(), near.clone(), any::<u8>())
                .prop_map(|(at, len, byte)| Step::Write(at, vec![byte; len])),
            offset.clone().prop_map(Step::SetLen),
            (offset, near).prop_map(|(at, len)| Step::Read(at, len)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn it_is_a_file(
            below in 0..3 * PAGE + 100,
            steps in prop::collection::vec(step(), 0..30),
        ) {
            let before: Vec<u8> = (0..below).map(|n| (n % 251) as u8).collect();
            let (file, overlay) = file(&before);
            let mut model = before.clone();
            for step in steps {
                match step {
                    Step::Write(at, data) => {
                        overlay.write(at, &data).unwrap();
                        let end = at as usize + data.len();
                        if end > model.len() { model.resize(end, 0); }
                        model[at as usize..end].copy_from_slice(&data);
                    }
                    Step::SetLen(len) => {
                        overlay.set_len(len).unwrap();
                        model.resize(len as usize, 0);
                    }
                    Step::Read(at, len) => {
                        let mut out = vec![1; len];
                        let read = overlay.read(at, &mut out);
                        match model.get(at as usize..at as usize + len) {
                            Some(bytes) => prop_assert_eq!(&out[..], bytes),
                            None => prop_assert!(read.is_err()),
                        }
                    }
                }
            }
            prop_assert_eq!(all(&overlay), model);
            prop_assert_eq!(std::fs::read(file.path()).unwrap(), before);
        }
    }

    #[test]
    fn what_was_cut_off_does_not_come_back() {
        let (_file, overlay) = file(&[7; 3 * PAGE]);
        overlay.set_len(10).unwrap();
        overlay.set_len(2 * PAGE as u64).unwrap();
        let bytes = all(&overlay);
        assert!(bytes[..10].iter().all(|b| *b == 7) && bytes[10..].iter().all(|b| *b == 0));
    }

    #[test]
    fn offsets_beyond_all_files_are_errors() {
        let (_file, overlay) = file(b"abc");
        assert!(overlay.read(u64::MAX, &mut [0; 2]).is_err());
        assert!(overlay.write(u64::MAX, b"ab").is_err());
    }
}
