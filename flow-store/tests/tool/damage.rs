//! `verify`, and what the other verbs do with what it finds.

use crate::support::*;
use flow_store::{Changes, StepKind};
use redb::{ReadableTable, TableDefinition};
use std::fs;

const CHUNKS: TableDefinition<'static, (u16, u16, u64, u32), &[u8]> =
    TableDefinition::new("chunks");
const DELTAS: TableDefinition<'static, (u64, u32), &[u8]> = TableDefinition::new("deltas");

/// Changes the last byte of a row of a table, in a file that is valid afterwards.
fn edit<K: redb::Key>(
    home: &Home,
    store: &str,
    table: TableDefinition<'static, K, &'static [u8]>,
    is_it: impl Fn(K::SelfType<'_>) -> bool,
) {
    let database = redb::Database::create(home.part(store)).unwrap();
    let transaction = database.begin_write().unwrap();
    let mut table = transaction.open_table(table).unwrap();
    let mut edited = 0;
    let mut copies = Vec::new();
    for row in table.iter().unwrap() {
        let (key, value) = row.unwrap();
        if is_it(key.value()) {
            copies.push((
                K::as_bytes(&key.value()).as_ref().to_vec(),
                value.value().to_vec(),
            ));
        }
    }
    for (key, mut value) in copies {
        *value.last_mut().unwrap() ^= 1;
        table.insert(K::from_bytes(&key), &value[..]).unwrap();
        edited += 1;
    }
    assert_eq!(edited, 1);
    drop(table);
    transaction.commit().unwrap();
}

#[test]
fn a_whole_store() {
    let home = Home::stores();
    for store in ["clean", "killed"] {
        let said = home.run(&["verify", store]).ok();
        assert!(said.starts_with("all pages and 6 rows ("), "{said}");
    }
}

#[test]
fn a_chunk_whose_crc_is_wrong() {
    let home = Home::stores();
    home.run(&["compact", "clean"]).ok();
    let key = [0xa4, b'a', b'n', b'n', b'a'];
    let group = StepKind::State.group(&key);
    edit(&home, "clean", CHUNKS, |(step, of, ..)| {
        (step, of) == (1, group)
    });
    let ran = home.run(&["verify", "clean"]);
    assert_eq!(ran.code, 3);
    let said = ran.stdout.trim_end().to_owned();
    let end = format!(" of step `counts`, key group {group}, does not match its CRC");
    assert!(said.starts_with("chunk ") && said.ends_with(&end), "{said}");
    assert_eq!(
        ran.message(),
        format!(
            "the store file clean/{PART} is damaged: 1 of its records, chunks, deltas and rows are \
             wrong. Nothing was changed\nhelp: put a backup in its place"
        )
    );
    is_refused(&home, &said, &["get", "clean", "counts", "anna"]);
    // The other rows are readable.
    home.run(&["get", "clean", "counts", "carla"]).ok();
    home.run(&["export", "clean", "lines"]).ok();
}

#[test]
fn a_delta_whose_crc_is_wrong() {
    let home = Home::stores();
    edit(&home, "clean", DELTAS, |(epoch_, _)| {
        epoch_ == epoch(1, 1).to_u64()
    });
    let said = "part 0 of what epoch 1.1 changed does not match its CRC";
    let ran = home.run(&["verify", "clean"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (3, &*format!("{said}\n")));
    is_refused(&home, said, &["get", "clean", "counts", "carla"]);
}

/// The messages of the verbs that find it.
fn is_refused(home: &Home, what: &str, get: &[&str]) {
    let expected = format!(
        "the store file clean/{PART} is damaged: {what}. Nothing was \
         changed\nhelp: put a backup in its place"
    );
    let before = home.bytes("clean");
    for args in [
        get,
        &["steps", "clean"],
        &["backup", "clean", "target"],
        &["compact", "clean"],
    ] {
        assert_eq!(home.run(args).refused(3), expected, "{args:?}");
    }
    // There is neither a partial backup nor a partial compaction.
    assert!(before == home.bytes("clean") && !home.path("target").exists());
    assert!(!home.path("clean").join(format!("{PART}.new")).exists());
    for args in [
        &["export", "clean", "counts"][..],
        &["diff", "killed", "clean"],
    ] {
        let ran = home.run(args);
        assert_eq!(ran.code, 3);
        assert_eq!(ran.message(), expected, "{args:?}");
    }
}

#[test]
fn rows_that_are_not_what_a_flow_writes() {
    let home = Home::new();
    let mut execution = home.start("store");
    let mut changes = Changes::new();
    let mut raw = |step, group, key: &[u8], value: &[u8]| {
        let put = changes.put(step, group, key, |into| {
            into.extend_from_slice(value);
            Ok::<(), ()>(())
        });
        put.unwrap();
    };
    let group = StepKind::State.group(&[7]);
    raw(1, group, &[7], &[1, 2]);
    raw(1, (group + 1) % 1024, &[7], &[1]);
    raw(0, 0, &[0xa1, b'p'], &[1]);
    raw(2, 0, &[0xc1], &[1]);
    execution.commit(epoch(1, 1), [&changes]).unwrap();
    drop(execution);
    let ran = home.run(&["verify", "store"]);
    assert_eq!(ran.code, 3);
    let mut lines: Vec<&str> = ran.stdout.lines().collect();
    lines.sort_unstable();
    let other = (group + 1) % 1024;
    let mut expected = [
        format!(
            "the row of step `counts`, key group {group}, key 7: its value: 1 of 2 bytes are left \
             over after the value: they were written as another type"
        ),
        format!(
            "the row of step `counts`, key group {other}, key 7 should be in key group {group} of \
             1024"
        ),
        "the row of step `lines`, key group 0, key \"p\": its value: the bytes cannot be read as \
         this type: it does not say whether the partition was read to its end"
            .to_owned(),
    ];
    expected.sort();
    assert_eq!(lines.len(), 4);
    for line in &expected {
        assert!(lines.contains(&&**line), "{line}\n{lines:#?}");
    }
    assert!(
        lines[3].starts_with("the row of step `out`, key group 0, key 0xc1: its key: the bytes"),
        "{lines:#?}"
    );
    let ran = home.run(&["export", "store", "out"]);
    assert_eq!(ran.code, 3);
    let message = ran.message();
    assert!(
        message.contains("key 0xc1: its key: the bytes cannot be read"),
        "{message}"
    );
}

#[test]
fn a_page_that_was_changed() {
    let home = Home::stores();
    let whole = home.bytes("clean");
    let mut found = 0;
    for at in (4096..whole.len()).step_by(1511) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        fs::write(home.part("clean"), &bytes).unwrap();
        let ran = home.run(&["verify", "clean"]);
        assert!(bytes == home.bytes("clean"));
        if ran.code != 0 {
            assert_eq!((ran.code, ran.stdout.as_str()), (3, ""), "byte {at}");
            let message = ran.message();
            assert!(message.contains("is damaged: "), "byte {at}: {message}");
            found += 1;
        }
    }
    assert!(found > 0);
    fs::write(home.part("clean"), &whole[..whole.len() / 2]).unwrap();
    let message = home.run(&["verify", "clean"]).refused(3);
    assert!(message.contains("was cut short"), "{message}");
}

/// A copy would lose data that this version does not know.
#[test]
fn a_table_of_another_version() {
    let home = Home::stores();
    let database = redb::Database::create(home.part("clean")).unwrap();
    let transaction = database.begin_write().unwrap();
    let outbox: TableDefinition<'static, u64, u64> = TableDefinition::new("outbox");
    drop(transaction.open_table(outbox).unwrap());
    transaction.commit().unwrap();
    drop(database);
    for args in [&["compact", "clean"][..], &["backup", "clean", "target"]] {
        let message = home.run(args).refused(3);
        assert!(
            message.contains("it has a table `outbox`, which this version does not know"),
            "{message}"
        );
    }
    let ran = home.run(&["verify", "clean"]);
    assert_eq!(ran.code, 3);
    assert_eq!(
        ran.stdout,
        "it has a table `outbox`, which this version does not know\n"
    );
    home.run(&["export", "clean"]).ok();
}

/// Values at the limit of depth, and deeper ones: depth is no damage.
#[test]
fn values_of_many_levels() {
    for levels in [256, 257, 100_000] {
        let home = Home::new();
        let mut execution = home.start("store");
        let mut changes = Changes::new();
        let put = changes.put(1, StepKind::State.group(&[7]), &[7], |into| {
            into.extend(std::iter::repeat_n(0x91, levels));
            into.push(1);
            Ok::<(), ()>(())
        });
        put.unwrap();
        execution.commit(epoch(1, 1), [&changes]).unwrap();
        drop(execution);
        home.run(&["verify", "store"]).ok();
        home.run(&["export", "store"]).ok();
        let state = match levels {
            256 => format!("{}1{}", "[".repeat(levels), "]".repeat(levels)),
            _ => format!("{{\"$deep\":\"{}01\"}}", "91".repeat(levels)),
        };
        assert_eq!(
            home.run(&["get", "store", "counts", "7"]).ok(),
            format!("{{\"key\":7,\"state\":{state}}}\n")
        );
    }
}
