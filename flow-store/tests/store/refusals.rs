//! Each refusal with its message, on a closed store and on one after a kill. Every byte of the
//! store stays unchanged.

use crate::support::*;
use flow_store::{
    Agreed, Changes, End, ExecutionError, LockError, Look, Manifest, Start, StepKind, StepSpec,
    StoreError,
};
use redb::TableDefinition;
use std::fs;

const META: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("meta");
const DELTAS: TableDefinition<'static, (u64, u32), &[u8]> = TableDefinition::new("deltas");

/// A store that was closed, and one that was killed.
fn stores() -> [Home; 2] {
    let home = Home::new();
    let mut execution = home.start(&[step("joiner"), step("other")]);
    execution
        .commit(epoch(1, 1), [&changes(0, &[("anna", "1")])])
        .unwrap();
    let killed = home.killed();
    execution.end(End::Finished).unwrap();
    [home, killed]
}

fn set_meta(home: &Home, name: &str, value: Option<u64>) {
    let database = redb::Database::create(home.part()).unwrap();
    let transaction = database.begin_write().unwrap();
    let mut table = transaction.open_table(META).unwrap();
    match value {
        Some(value) => drop(table.insert(name, &value.to_be_bytes()[..]).unwrap()),
        None => drop(table.remove(name).unwrap()),
    }
    drop(table);
    transaction.commit().unwrap();
}

#[test]
fn a_path_that_is_no_directory() {
    let home = Home::new();
    fs::write(home.store(), "a file").unwrap();
    let (_, message) = home.refused();
    assert_eq!(
        message,
        "state is not a directory, and the store needs one of its own\nhelp: give another path"
    );
    let error = Look::at(home.store().join("below")).unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }), "{error}");
}

#[test]
fn what_the_operating_system_refuses_names_the_file() {
    for home in stores() {
        fs::remove_file(home.lock()).unwrap();
        fs::create_dir(home.lock()).unwrap();
        let (error, message) = home.refused();
        assert!(matches!(error, StoreError::Io { .. }), "{error}");
        assert!(
            message.starts_with("could not open the lock file state/lock: "),
            "{message}"
        );
    }
    // A directory that can't be created.
    let home = Home::new();
    fs::write(home.path("file"), "").unwrap();
    let look = home.look();
    let manifest = look.reconcile(&[], &Agreed::default()).unwrap();
    fs::write(home.store(), "in the way").unwrap();
    let error = start_with(look, &manifest, &Changes::new()).unwrap_err();
    let message = error
        .to_string()
        .replace(&home.path("").display().to_string(), "");
    assert!(
        message.starts_with("could not create the directory state: "),
        "{message}"
    );
    assert_eq!(fs::read(home.store()).unwrap(), b"in the way");
}

#[test]
fn other_files_in_place_of_the_part() {
    let [home, _] = stores();
    let part = fs::read(home.part()).unwrap();
    let garbage: Vec<u8> = (0..20_000u32).map(|n| (n % 251) as u8).collect();
    let not_redb = format!(
        "state/{PART} is not a store: it does not begin as a redb file does\
         \nhelp: give another directory"
    );
    let short = |length: usize, needed: usize| {
        format!(
            "the store file state/{PART} was cut short: it has {length} bytes and needs {needed}\
             \nhelp: put a backup in its place"
        )
    };
    let cases = [
        (
            &b""[..],
            format!(
                "the store file state/{PART} is empty, though it held data: nothing is created in \
                 its place\nhelp: put a backup there, or remove the directory to start from nothing"
            ),
        ),
        (&b"x"[..], not_redb.clone()),
        (&b"redb"[..], short(4, 320)),
        (&garbage[..], not_redb.clone()),
        (&part[..200], short(200, 320)),
        (&part[..4096], short(4096, part.len())),
        (&part[..part.len() - 1], short(part.len() - 1, part.len())),
        (&part[..part.len() / 2], short(part.len() / 2, part.len())),
    ];
    for (bytes, expected) in cases {
        fs::write(home.part(), bytes).unwrap();
        assert_eq!(home.refused().1, expected);
    }
    fs::remove_file(home.part()).unwrap();
    fs::create_dir(home.part()).unwrap();
    assert_eq!(home.refused().1, not_redb);
}

#[test]
fn a_redb_file_of_another_program() {
    let home = Home::new();
    fs::create_dir(home.store()).unwrap();
    let database = redb::Database::create(home.part()).unwrap();
    drop(database);
    let (_, message) = home.refused();
    assert_eq!(
        message,
        format!(
            "state/{PART} is a redb file, but not a store of flow: Table 'meta' does not exist\
             \nhelp: give another directory"
        )
    );
    for home in stores() {
        set_meta(&home, "format_version", None);
        assert_eq!(
            home.refused().1,
            format!(
                "state/{PART} is a redb file, but not a store of flow: it names no format\
                 \nhelp: give another directory"
            )
        );
    }
}

#[test]
fn versions_before_and_after() {
    for home in stores() {
        set_meta(&home, "format_version", Some(7));
        assert_eq!(
            home.refused().1,
            format!(
                "the store file state/{PART} has format 7, and this version of flow reads up to 6\
                 \nhelp: use the version that wrote it, or a later one"
            )
        );
        for older in [0, 1, 2, 5] {
            set_meta(&home, "format_version", Some(older));
            assert_eq!(
                home.refused().1,
                format!(
                    "the store file state/{PART} has flow format {older}, and this version of \
                     flow reads \
                     flow format 6\
                     \nhelp: run the flow with the version that wrote the store, or move state \
                     away and start with a new store"
                )
            );
        }
    }
}

#[test]
fn one_of_several_parts() {
    for home in stores() {
        set_meta(&home, "part_count", Some(3));
        set_meta(&home, "part_index", Some(2));
        assert_eq!(
            home.refused().1,
            format!(
                "the store file state/{PART} is part 2 of 3, and its name says part 0 of 1\
                 \nhelp: give it back its name"
            )
        );
    }
    for home in stores() {
        let other = home.store().join("part-00000-of-00002.redb");
        fs::copy(home.part(), &other).unwrap();
        assert_eq!(
            home.refused().1,
            format!(
                "the store in state should have the one file {PART}, and has {PART}, \
                 part-00000-of-00002.redb\nhelp: keep the right one, with that name"
            )
        );
        fs::remove_file(home.part()).unwrap();
        let (_, message) = home.refused();
        assert!(
            message.contains("and has part-00000-of-00002.redb\nhelp: keep"),
            "{message}"
        );
    }
}

#[test]
fn numbers_that_contradict_each_other() {
    for (name, value, expected) in [
        (
            "key_groups",
            Some(512),
            "it has 512 key groups, and every store has 1024",
        ),
        ("execution", Some(9), "it is at epoch 1.1 of execution 9"),
        (
            "base_epoch",
            Some(5),
            "part 0 of what epoch 1.0 changed is out of place",
        ),
        (
            "oldest",
            Some(epoch(1, 5).to_u64()),
            "it is at epoch 1.1, its chunks at 0.0, it can go back to 1.5, and it saw 1.0 durable",
        ),
        ("epoch", None, "`epoch` is missing in its table `meta`"),
        (
            "next_step",
            Some(1),
            "step `other` has the number 1, which is not its own",
        ),
    ] {
        for home in stores() {
            set_meta(&home, name, value);
            assert_eq!(
                home.refused().1,
                format!(
                    "the store file state/{PART} is damaged: {expected}. Nothing was changed\
                     \nhelp: put a backup in its place"
                )
            );
        }
    }
}

#[test]
fn a_delta_that_was_changed_in_a_valid_file() {
    let key = (epoch(1, 1).to_u64(), 0);
    let change = |home: &Home, removed: bool| {
        let database = redb::Database::create(home.part()).unwrap();
        let transaction = database.begin_write().unwrap();
        let mut table = transaction.open_table(DELTAS).unwrap();
        let mut value = table.remove(key).unwrap().unwrap().value().to_vec();
        *value.last_mut().unwrap() ^= 1;
        if !removed {
            table.insert(key, &value[..]).unwrap();
        }
        drop(table);
        transaction.commit().unwrap();
    };
    let says = |error: StoreError, home: &Home, what: &str| {
        let message = error.to_string();
        let message = message.replace(&home.path("").display().to_string(), "");
        assert_eq!(
            message,
            format!(
                "the store file state/{PART} is damaged: {what}. Nothing was changed\
                 \nhelp: put a backup \
                 in its place"
            )
        );
    };
    for home in stores() {
        change(&home, false);
        let error = home.look().rows(0, 0..1024).unwrap_err();
        says(
            error,
            &home,
            "part 0 of what epoch 1.1 changed does not match its CRC",
        );
    }
    for home in stores() {
        change(&home, true);
        let error = Look::at(home.store()).unwrap_err();
        says(
            error,
            &home,
            "its deltas end with epoch 1.0, and it is at 1.1",
        );
    }
}

#[test]
fn what_the_manifest_refuses_changes_nothing() {
    let sink = StepSpec {
        kind: StepKind::Sink,
        ..step("joiner")
    };
    for home in stores() {
        let before = fs::read(home.part()).unwrap();
        for (flow, drop) in [
            (vec![step("joiner")], &[][..]),
            (vec![sink.clone(), step("other")], &[]),
            (vec![step("joiner"), step("other")], &["nobody"]),
            (
                vec![step("joiner"), renamed("new", "joiner"), step("other")],
                &[],
            ),
            (vec![renamed("joiner", "other")], &[]),
        ] {
            let look = home.look();
            look.reconcile(&flow, &agree(drop)).unwrap_err();
        }
        assert!(before == fs::read(home.part()).unwrap());
    }
}

/// A reader finds out what a start would report.
#[test]
fn what_a_start_would_refuse_is_found_without_starting() {
    let check = |home: &Home, manifest: Option<&Manifest>, changes: &Changes| {
        let look = Look::read(home.store()).unwrap();
        let own = look.reconcile(&[step("joiner"), step("other")], &Agreed::default());
        look.check_start(&Start::new(
            "cart_join",
            manifest.unwrap_or(&own.unwrap()),
            changes,
        ))
    };
    for home in stores() {
        let before = [
            fs::read(home.part()).unwrap(),
            fs::read(home.lock()).unwrap(),
        ];
        check(&home, None, &changes(0, &[("k", "v")])).unwrap();
        let error = check(&home, None, &changes(7, &[("k", "v")])).unwrap_err();
        assert!(
            matches!(
                error,
                StoreError::Execution(ExecutionError::WrongChange { .. })
            ),
            "{error}"
        );
        let other = Home::new()
            .look()
            .reconcile(&[], &Agreed::default())
            .unwrap();
        let error = check(&home, Some(&other), &Changes::new()).unwrap_err();
        assert!(
            matches!(error, StoreError::Lock(LockError::Changed { .. })),
            "{error}"
        );
        let after = [
            fs::read(home.part()).unwrap(),
            fs::read(home.lock()).unwrap(),
        ];
        assert!(before == after);

        // Read-only files, if the user of this test can't write them.
        let mut permissions = fs::metadata(home.part()).unwrap().permissions();
        permissions.set_readonly(true);
        fs::set_permissions(home.part(), permissions).unwrap();
        let opened = fs::File::options().write(true).open(home.part());
        let checked = check(&home, None, &Changes::new());
        assert_eq!(checked.is_ok(), opened.is_ok(), "{checked:?}");
    }
    let [home, _] = stores();
    let last = (1 << 24) - 1;
    for (name, value) in [
        ("execution", last),
        ("epoch", last << 40),
        ("base_epoch", last << 40),
        ("oldest", last << 40),
    ] {
        set_meta(&home, name, Some(value));
    }
    let database = redb::Database::create(home.part()).unwrap();
    let transaction = database.begin_write().unwrap();
    let mut deltas = transaction.open_table(DELTAS).unwrap();
    deltas.retain(|_, _| false).unwrap();
    drop(deltas);
    transaction.commit().unwrap();
    drop(database);
    let error = check(&home, None, &Changes::new()).unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::Execution(ExecutionError::TooManyExecutions { .. })
        ),
        "{error}"
    );
}

#[test]
fn a_start_that_is_refused_changes_nothing() {
    let [closed, killed] = stores();
    let foreign = {
        let look = Home::new().look();
        look.reconcile(&[step("joiner"), step("other")], &Agreed::default())
            .unwrap()
    };
    let flow = [step("joiner"), step("other")];
    for home in [closed, killed] {
        let before = fs::read(home.part()).unwrap();
        let error = start_with(home.look(), &foreign, &Changes::new()).unwrap_err();
        assert!(
            matches!(error, StoreError::Lock(LockError::Changed { .. })),
            "{error}"
        );
        let mut bad_group = Changes::new();
        put(&mut bad_group, 0, 1024, "k", "v");
        for (changes, why) in [
            (
                changes(7, &[("k", "v")]),
                "the flow has no step of this number",
            ),
            (bad_group, "its key group is 1024, and there are 1024"),
        ] {
            let look = home.look();
            let manifest = look.reconcile(&flow, &Agreed::default()).unwrap();
            let error = start_with(look, &manifest, &changes).unwrap_err();
            assert!(
                matches!(
                    error,
                    StoreError::Execution(ExecutionError::WrongChange { .. })
                ),
                "{error}"
            );
            assert!(error.to_string().contains(why), "{error}");
        }
        assert!(before == fs::read(home.part()).unwrap());
        // Nothing of a new store is created.
        let home = Home::new();
        let look = home.look();
        let manifest = look.reconcile(&flow, &Agreed::default()).unwrap();
        start_with(look, &manifest, &changes(7, &[("k", "v")])).unwrap_err();
        assert!(!home.store().exists());
    }
}

#[test]
fn epochs_must_grow_and_be_of_the_execution() {
    let home = Home::new();
    drop(home.start(&[step("a")]));
    let mut execution = home.start(&[step("a")]);
    execution
        .commit(epoch(2, 3), [&changes(0, &[("k", "1")])])
        .unwrap();
    for wrong in [
        epoch(2, 3),
        epoch(2, 2),
        epoch(2, 0),
        epoch(1, 9),
        epoch(3, 1),
    ] {
        let error = execution
            .commit(wrong, [&changes(0, &[("k", "2")])])
            .unwrap_err();
        let message = error
            .to_string()
            .replace(&home.path("").display().to_string(), "");
        assert_eq!(
            message,
            format!(
                "epoch {wrong} cannot be committed to state/{PART} by execution 2, whose last is \
                 2.3. Nothing was written; this is a mistake in the program, not in the store"
            )
        );
    }
    let error = execution
        .commit(epoch(2, 4), [&changes(9, &[("k", "2")])])
        .unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::Execution(ExecutionError::WrongChange { step: 9, .. })
        ),
        "{error}"
    );
    // None of these errors ends the execution.
    execution
        .commit(epoch(2, 4), [&changes(0, &[("l", "3")])])
        .unwrap();
    execution.end(End::Finished).unwrap();
    assert_eq!(rows(&home.look(), 0), pairs(&[("k", "1"), ("l", "3")]));
}

#[test]
fn a_lock_file_whose_first_writing_broke_off_has_lost_nothing() {
    for text in [
        "flow",
        "flow-store lock 1\nst",
        "flow-store lock 1\nstore none\nhost x\npi",
    ] {
        let home = Home::new();
        fs::create_dir(home.store()).unwrap();
        fs::write(home.lock(), text).unwrap();
        assert!(Look::read(home.store()).unwrap().is_new(), "{text}");
        home.start(&[step("joiner")]).end(End::Finished).unwrap();
        assert!(!home.look().is_new());
    }
}
