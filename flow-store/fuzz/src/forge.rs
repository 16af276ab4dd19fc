//! Rows in the store's format, with arbitrary content.

use flow_store::fuzzing::{self, RawRow};
use flow_store::{StepKind, encode};
use libfuzzer_sys::arbitrary::{self, Arbitrary};

/// The first epoch of the seeds.
pub const FIRST: u64 = 1 << 40;

/// A change of a row.
#[derive(Arbitrary, Debug)]
pub struct Edit<'a> {
    step: u8,
    key: Key<'a>,
    value: Option<&'a [u8]>,
}

#[derive(Arbitrary, Debug)]
enum Key<'a> {
    /// One of a few keys that a flow could have, in its group.
    Own(u8),
    Any(u16, &'a [u8]),
}

impl Edit<'_> {
    fn step(&self) -> u16 {
        u16::from(self.step % 8)
    }

    fn key(&self) -> (u16, Vec<u8>) {
        match self.key {
            Key::Own(n) => {
                let mut key = Vec::new();
                encode(&n, &mut key).expect("a key");
                let kind = match self.step() {
                    1 => StepKind::State,
                    _ => StepKind::Sink,
                };
                (kind.group(&key), key)
            }
            Key::Any(group, key) => (group, key.to_vec()),
        }
    }
}

/// The content after the head of a chunk or a delta.
#[derive(Arbitrary, Debug)]
pub enum Content<'a> {
    Bytes(&'a [u8]),
    Edits(Vec<Edit<'a>>),
}

impl Content<'_> {
    /// Encodes it as in a delta.
    #[must_use]
    pub fn of_delta(&self) -> Vec<u8> {
        let edits = match self {
            Content::Bytes(bytes) => return bytes.to_vec(),
            Content::Edits(edits) => edits,
        };
        let mut all = Vec::new();
        for edit in edits {
            let (group, key) = edit.key();
            all.extend_from_slice(&edit.step().to_be_bytes());
            all.extend_from_slice(&group.to_be_bytes());
            all.extend_from_slice(&(key.len() as u32).to_be_bytes());
            let value_len = edit.value.map_or(u32::MAX, |value| value.len() as u32);
            all.extend_from_slice(&value_len.to_be_bytes());
            all.extend_from_slice(&key);
            all.extend_from_slice(edit.value.unwrap_or_default());
        }
        all
    }

    /// Encodes it as in a chunk, and returns the chunk's step and group too.
    #[must_use]
    pub fn of_chunk(&self) -> (u16, u16, Vec<u8>) {
        let edits = match self {
            Content::Bytes(bytes) => return (1, 5, bytes.to_vec()),
            Content::Edits(edits) => edits,
        };
        let mut all = Vec::new();
        for edit in edits {
            let (_, key) = edit.key();
            number(&mut all, key.len());
            number(&mut all, edit.value.map_or(0, |value| value.len() + 1));
            all.extend_from_slice(&key);
            all.extend_from_slice(edit.value.unwrap_or_default());
        }
        let place = edits.first().map(|edit| (edit.step(), edit.key().0));
        let (step, group) = place.unwrap_or_default();
        (step, group, all)
    }
}

fn number(into: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        into.push(number as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
}

/// A chunk with a correct CRC.
#[derive(Arbitrary, Debug)]
pub struct Chunk<'a> {
    run: Run,
    index: u8,
    sizes: Option<(u64, u64)>,
    content: Content<'a>,
}

#[derive(Arbitrary, Debug)]
enum Run {
    Small(u8),
    Any(u64),
}

impl Chunk<'_> {
    #[must_use]
    pub fn row(&self) -> RawRow {
        let (step, group, rows) = self.content.of_chunk();
        let run = match self.run {
            Run::Small(run) => u64::from(run % 4),
            Run::Any(run) => run,
        };
        let (first, later) = self.sizes.unwrap_or((rows.len() as u64 + 20, 0));
        let index = u32::from(self.index % 4);
        fuzzing::whole_chunk((step, group, run, index), first, later, &rows)
    }
}

/// Deltas that lead from the epoch of the chunks to the last one, and the matching rows of `meta`.
#[derive(Arbitrary, Debug)]
pub struct Chain<'a> {
    deltas: Vec<Vec<Content<'a>>>,
    oldest: u8,
    /// How many parts of the first delta are folded.
    folded: u8,
}

impl Chain<'_> {
    #[must_use]
    pub fn rows(&self) -> Vec<RawRow> {
        let (mut rows, mut last) = (Vec::new(), FIRST);
        for (n, parts) in self.deltas.iter().enumerate() {
            for (index, content) in (0..).zip(parts) {
                if n > 0 || index >= u32::from(self.folded) {
                    let ends = index as usize + 1 == parts.len();
                    let content = content.of_delta();
                    rows.push(fuzzing::whole_delta(
                        (last + 1, index),
                        ends,
                        last,
                        &content,
                    ));
                }
            }
            if !parts.is_empty() {
                last += 1;
            }
        }
        let oldest = FIRST + u64::from(self.oldest) % (last - FIRST + 1);
        for (name, value) in [("epoch", last), ("base_epoch", FIRST), ("oldest", oldest)] {
            rows.push(RawRow::Meta(name.to_owned(), value.to_be_bytes().to_vec()));
        }
        rows
    }
}
