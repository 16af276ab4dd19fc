//! Arbitrary bytes in place of the part file. The store is read and verified, and, if nothing is
//! wrong with it, started, committed, folded, ended, taken back to an earlier epoch, and compacted.
#![no_main]

use flow_store::Look;
use flow_store::fuzzing::{self, RawRow};
use flow_store_fuzz::{Chunk, Content, FIRST, Memory, Seeds};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use std::fs;
use std::sync::LazyLock;

static SEEDS: LazyLock<Seeds> = LazyLock::new(Seeds::new);

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    /// The text of the lock file; `None` if there is no such file.
    lock: Option<&'a [u8]>,
    part: Part<'a>,
}

#[derive(Arbitrary, Debug)]
enum Part<'a> {
    Bytes(&'a [u8]),
    /// A valid one with changes.
    Edited(u8, Vec<Edit<'a>>),
    /// A valid one with changes, and checksums that match the changed pages.
    Sealed(u8, Vec<Edit<'a>>),
    /// A valid one with other rows, whose pages are what redb expects.
    Rows(u8, Vec<Row<'a>>),
}

#[derive(Arbitrary, Debug)]
enum Edit<'a> {
    Header(u16, &'a [u8]),
    Bytes(u16, u16, &'a [u8]),
    Flip(u16, u16, u8),
    CopyPage(u16, u16),
    ClearPage(u16),
    Truncate(u16, u16),
    Append(&'a [u8]),
}

#[derive(Arbitrary, Debug)]
enum Row<'a> {
    Number(u8, u64),
    Epoch(u8, u8),
    Meta(&'a str, &'a [u8]),
    Manifest(u64, &'a [u8]),
    Chunk((u16, u16, u64, u32), &'a [u8]),
    WholeChunk(Chunk<'a>),
    WholeDelta(u8, u8, bool, Content<'a>),
    Execution(u64, &'a [u8]),
}

const PAGE: usize = 4096;

const NUMBERS: [&str; 12] = [
    "format_version",
    "part_index",
    "part_count",
    "key_groups",
    "execution",
    "epoch",
    "durable_seen",
    "base_epoch",
    "oldest",
    "runs",
    "next_step",
    "maintained",
];

const EPOCHS: [&str; 4] = ["epoch", "durable_seen", "base_epoch", "oldest"];

impl Edit<'_> {
    fn apply(&self, image: &mut Vec<u8>) {
        let pages = (image.len() / PAGE).max(1);
        let at = |page: u16, byte: u16| usize::from(page) % pages * PAGE + usize::from(byte) % PAGE;
        let put = |image: &mut Vec<u8>, from: usize, bytes: &[u8]| {
            let from = from.min(image.len());
            let len = bytes.len().min(image.len() - from);
            image[from..from + len].copy_from_slice(&bytes[..len]);
        };
        match *self {
            Edit::Header(byte, bytes) => put(image, usize::from(byte) % 320, bytes),
            Edit::Bytes(page, byte, bytes) => put(image, at(page, byte), bytes),
            Edit::Flip(page, byte, bit) => {
                if let Some(byte) = image.get_mut(at(page, byte)) {
                    *byte ^= 1 << (bit % 8);
                }
            }
            Edit::CopyPage(from, to) => {
                let page = image
                    .get(at(from, 0)..at(from, 0) + PAGE)
                    .unwrap_or_default()
                    .to_vec();
                put(image, at(to, 0), &page);
            }
            Edit::ClearPage(page) => put(image, at(page, 0), &[0; PAGE]),
            Edit::Truncate(page, byte) => image.truncate(at(page, byte)),
            Edit::Append(bytes) => image.extend_from_slice(bytes),
        }
    }
}

impl Row<'_> {
    fn raw(&self) -> RawRow {
        match *self {
            Row::Number(name, value) => {
                let name = NUMBERS[usize::from(name) % NUMBERS.len()];
                RawRow::Meta(name.to_owned(), value.to_be_bytes().to_vec())
            }
            Row::Epoch(name, epoch) => {
                let name = EPOCHS[usize::from(name) % EPOCHS.len()];
                let value = FIRST + u64::from(epoch % 8);
                RawRow::Meta(name.to_owned(), value.to_be_bytes().to_vec())
            }
            Row::Meta(name, value) => RawRow::Meta(name.to_owned(), value.to_vec()),
            Row::Manifest(epoch, value) => RawRow::Manifest(epoch, value.to_vec()),
            Row::Chunk(key, value) => RawRow::Chunk(key, value.to_vec()),
            Row::WholeChunk(ref chunk) => chunk.row(),
            Row::WholeDelta(epoch, index, last, ref content) => {
                let epoch = FIRST + u64::from(epoch % 8);
                let key = (epoch, u32::from(index % 4));
                fuzzing::whole_delta(key, last, epoch - 1, &content.of_delta())
            }
            Row::Execution(number, value) => RawRow::Execution(number, value.to_vec()),
        }
    }
}

/// Writes the file, and returns its length.
fn put(input: &Input<'_>) -> Vec<u8> {
    let (part, parts) = (SEEDS.part(), &SEEDS.parts);
    let seed = |n: u8| parts[usize::from(n) % parts.len()].clone();
    let image = match &input.part {
        Part::Bytes(bytes) => bytes.to_vec(),
        Part::Edited(n, edits) => {
            let mut image = seed(*n);
            edits.iter().for_each(|edit| edit.apply(&mut image));
            image
        }
        Part::Sealed(n, edits) => {
            let mut image = seed(*n);
            edits.iter().for_each(|edit| edit.apply(&mut image));
            SEEDS.seals[usize::from(*n) % parts.len()].seal(&mut image);
            image
        }
        Part::Rows(n, rows) => {
            fs::write(&part, seed(*n)).expect("a file");
            let rows: Vec<RawRow> = rows.iter().map(Row::raw).collect();
            fuzzing::edit(&part, &rows).expect("rows");
            fs::read(&part).expect("a file")
        }
    };
    fs::write(&part, &image).expect("a file");
    match input.lock {
        Some(text) => fs::write(SEEDS.lock(), text).expect("a file"),
        None => drop(fs::remove_file(SEEDS.lock())),
    }
    image
}

fuzz_target!(
    init: {
        flow_store_fuzz::init();
        LazyLock::force(&SEEDS);
    },
    |input: Input<'_>| {
        let image = put(&input);
        let memory = match input.part {
            // redb allocates as much memory as a page claims to need, up to 4 GiB, whatever the
            // length of the file.
            Part::Sealed(..) => Memory::AtOnce(32 << 20),
            _ => Memory::Most(2 * image.len() + (4 << 20)),
        };
        flow_store_fuzz::run(memory, || {
            let looked = Look::at(SEEDS.store());
            let read = looked.and_then(|look| {
                let all = flow_store_fuzz::read_all(&look)?;
                flow_store_fuzz::see_all(look);
                Ok(all)
            });
            // I14
            assert!(fs::read(SEEDS.part()).expect("a file") == image, "a look changed it");
            match (read, &input.part) {
                // Pages whose checksums are right are believed by redb, the order of their keys
                // too: a forger can have it lose rows, but nothing worse.
                (Ok(_), Part::Sealed(..)) => {
                    if let Err(error) = flow_store_fuzz::resume(&SEEDS.store()) {
                        drop(error.to_string());
                    }
                }
                // Damaged data may be read, but it is never returned as rows.
                (Ok(read), _) if read.damaged => match flow_store_fuzz::resume(&SEEDS.store()) {
                    Ok(same) => assert!(same, "other rows than before"),
                    Err(error) => drop(error.to_string()),
                },
                (Ok(_), _) => flow_store_fuzz::resume_whole(&SEEDS.store()),
                (Err(error), _) => drop(error.to_string()),
            }
        });
    }
);
