//! Arbitrary bytes in place of a store: a named error or the right rows, never a panic.

use crate::support::*;
use flow_store::{Changes, End, FileError, KEY_GROUPS, Look, StoreError};
use std::fs;

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

fn stores() -> [Home; 2] {
    let home = Home::new();
    let mut execution = home.start(&[step("a"), step("b")]);
    for n in 1..4 {
        let mut changes = Changes::new();
        for key in 0..300 {
            put(
                &mut changes,
                1,
                (key * 7) % 1024,
                &format!("key {key}"),
                &format!("{n}").repeat(90),
            );
        }
        execution.commit(epoch(1, n), [&changes]).unwrap();
    }
    let killed = home.killed();
    execution.end(End::Finished).unwrap();
    [home, killed]
}

/// Everything a look can show.
fn read_all(home: &Home) -> Result<Vec<(String, String)>, StoreError> {
    let look = Look::at(home.store())?;
    look.executions()?;
    let mut all = Vec::new();
    for step in look.steps() {
        for row in look.rows(step.number, 0..KEY_GROUPS)? {
            let row = row?;
            let text = |bytes| String::from_utf8(bytes).unwrap();
            all.push((text(row.key), text(row.value)));
        }
    }
    Ok(all)
}

/// The content of the store before its last commit. After a kill, an incomplete last commit counts
/// as one that a power failure cut short.
fn before_the_last(last: &[(String, String)]) -> Vec<(String, String)> {
    let before = last.iter();
    before
        .map(|(key, value)| (key.clone(), value.replace('3', "2")))
        .collect()
}

fn damaged(
    home: &Home,
    killed: bool,
    bytes: &[u8],
    expected: &[(String, String)],
    what: &str,
) -> bool {
    fs::write(home.part(), bytes).unwrap();
    // The lock file names the store, and the damage may have hit the uuid in the part file.
    let read = read_all(home);
    assert!(
        fs::read(home.part()).unwrap() == bytes,
        "{what}: a look changed the file"
    );
    match read {
        Ok(rows) => {
            let cut_short = killed && rows == before_the_last(expected);
            assert!(
                rows == expected || cut_short,
                "{what}: other rows and no error"
            );
            go_on(home, &rows, what);
            cut_short
        }
        Err(
            StoreError::File(FileError::Damaged { .. })
            | StoreError::File(FileError::NotARedbFile { .. })
            | StoreError::File(FileError::NotAFlowStore { .. })
            | StoreError::File(FileError::Truncated { .. })
            | StoreError::File(FileError::FormatTooOld { .. })
            | StoreError::File(FileError::FormatTooNew { .. })
            | StoreError::File(FileError::WrongPart { .. })
            | StoreError::File(FileError::ForeignPart { .. }),
        ) => true,
        Err(error) => panic!("{what}: {error}"),
    }
}

/// A flow can resume on a store in which a look finds no error.
fn go_on(home: &Home, expected: &[(String, String)], what: &str) {
    let mut execution = home.start(&[step("a"), step("b")]);
    let number = execution.number();
    let more = changes(0, &[("more", &"x".repeat(9000))]);
    for n in 1..3 {
        execution
            .commit(epoch(number, n), [&more])
            .unwrap_or_else(|error| panic!("{what}: {error}"));
    }
    drop(execution);
    let rows = read_all(home).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(
        rows.split_first().is_some_and(|(_, rest)| rest == expected),
        "{what}: gone on"
    );
}

/// After a kill redb has no valid length: the missing part may not have been in use.
#[test]
fn cut_short() {
    let [_, home] = stores();
    let good = fs::read(home.part()).unwrap();
    let expected = read_all(&home).unwrap();
    let lengths = (0..good.len() / 4096).map(|pages| pages * 4096);
    for length in lengths.chain([1, 321, good.len() - 1]) {
        if length > 0 {
            damaged(
                &home,
                true,
                &good[..length],
                &expected,
                &format!("{length} bytes"),
            );
        }
    }
}

#[test]
fn flipped_bits() {
    let mut random = Random(0x5eed);
    for (home, name) in stores().into_iter().zip(["closed", "killed"]) {
        let good = fs::read(home.part()).unwrap();
        let expected = read_all(&home).unwrap();
        let mut found = 0;
        for round in 0..250u64 {
            // The header is hit often, because each bit matters there.
            let at = match round % 3 {
                0 => random.below(320),
                _ => random.below(good.len() as u64),
            } as usize;
            let bit = random.below(8);
            let mut bytes = good.clone();
            bytes[at] ^= 1 << bit;
            let what = format!("{name}: bit {bit} of byte {at}");
            found += usize::from(damaged(&home, name == "killed", &bytes, &expected, &what));
        }
        // The other hits were in unused space.
        assert!(found > 50, "{name}: {found}");
        fs::write(home.part(), &good).unwrap();
        assert_eq!(read_all(&home).unwrap(), expected);
    }
}

#[test]
fn overwritten_pages() {
    let mut random = Random(0xdead);
    for (home, name) in stores().into_iter().zip(["closed", "killed"]) {
        let good = fs::read(home.part()).unwrap();
        let expected = read_all(&home).unwrap();
        let pages = good.len() as u64 / 4096;
        for round in 0..120 {
            let mut bytes = good.clone();
            let (to, from) = (
                random.below(pages) as usize * 4096,
                random.below(pages) as usize * 4096,
            );
            match round % 4 {
                0 => bytes[to..to + 4096].fill(0),
                1 => bytes.copy_within(from..from + 4096, to),
                2 => bytes[to..to + 4096].fill_with(|| random.below(256) as u8),
                _ => bytes.resize(to.max(1), 0),
            }
            damaged(
                &home,
                name == "killed",
                &bytes,
                &expected,
                &format!("{name}: round {round}, page at {to}"),
            );
        }
    }
}

/// Data other than rows has only the checksum of its page: here the build of an execution.
#[test]
fn a_letter_that_was_changed_is_found() {
    let [home, _] = stores();
    let bytes = fs::read(home.part()).unwrap();
    let build = b"test 1.0";
    let executions = |home: &Home| Look::at(home.store()).and_then(|look| look.executions());
    let expected = executions(&home).unwrap();
    assert_eq!(expected[0].build.as_bytes(), build);
    let mut refused = 0;
    for at in 0..bytes.len() - build.len() {
        if !bytes[at..].starts_with(build) {
            continue;
        }
        let mut changed = bytes.clone();
        changed[at] = b'T';
        fs::write(home.part(), changed).unwrap();
        match executions(&home) {
            // What older commits have left counts for nothing.
            Ok(found) => assert_eq!(found, expected),
            Err(error) => {
                assert!(
                    matches!(error, StoreError::File(FileError::Damaged { .. })),
                    "{error}"
                );
                refused += 1;
            }
        }
    }
    assert!(refused > 0);
}
