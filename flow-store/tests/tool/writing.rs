//! The verbs that change a store, or make one.

use crate::support::*;
use flow_store::{Changes, End, FileError, Look, StepKind, StoreError};
use std::fs;
use std::path::Path;

#[test]
fn drop_takes_a_step_and_its_rows() {
    for store in ["clean", "killed"] {
        let home = Home::stores();
        let mut expected = home.contents(store);
        expected.rows.retain(|(id, _)| id != "counts");
        assert_eq!(
            home.run(&["drop", store, "counts"]).ok(),
            "dropped step `counts` (state, stateful_map) and its 3 rows\n"
        );
        assert_eq!(home.contents(store), expected);
        assert_eq!(
            home.run(&["drop", store, "counts"]).refused(3),
            format!(
                "there is no step `counts` in the store in {store}: it has `lines` (source, \
                 text_lines), `out` (sink, json_lines)"
            )
        );
        // The record of the last execution's end is unchanged.
        let about = home.look(store).about().unwrap();
        assert_eq!((about.ended, about.closed), (store == "clean", true));
        assert_eq!(
            home.run(&["drop", store, "out"]).ok(),
            "dropped step `out` (sink, json_lines) and its 1 row\n"
        );
        home.run(&["drop", store, "lines"]).ok();
        assert_eq!(
            home.run(&["drop", store, "lines"]).refused(3),
            format!("there is no step `lines` in the store in {store}: it has no steps")
        );
        home.run(&["verify", store]).ok();
    }
}

#[test]
fn rename_gives_the_rows_another_id() {
    for store in ["clean", "killed"] {
        let home = Home::stores();
        let mut expected = home.contents(store);
        "totals".clone_into(&mut expected.rows[1].0);
        assert_eq!(
            home.run(&["rename", store, "counts", "totals"]).ok(),
            "renamed step `counts` to `totals` (state, stateful_map)\n"
        );
        assert_eq!(home.contents(store), expected);
        for (from, to) in [("totals", "out"), ("totals", "totals")] {
            assert_eq!(
                home.run(&["rename", store, from, to]).refused(3),
                format!(
                    "step `{from}` cannot be renamed to `{to}`, which the store in {store} has \
                     already: it has `lines` (source, text_lines), `totals` (state, \
                     stateful_map), `out` (sink, json_lines)"
                )
            );
        }
        assert_eq!(home.contents(store), expected);
        // It is renamed back, and a flow resumes with it.
        home.run(&["rename", store, "totals", "counts"]).ok();
        let execution = home.start(store);
        assert_eq!(
            (execution.number(), execution.resumed_from()),
            (2, epoch(1, 2))
        );
        execution.end(End::Finished).unwrap();
    }
}

#[test]
fn compact_keeps_every_row() {
    let home = Home::new();
    let mut execution = home.start("clean");
    // Many rows, most of which are removed.
    let (mut many, mut fewer) = (Changes::new(), Changes::new());
    for n in 0..4000u32 {
        put(&mut many, 1, StepKind::State, &n, &"x".repeat(200));
        let mut key = Vec::new();
        flow_store::encode(&n, &mut key).unwrap();
        if n % 10 != 0 {
            fewer.remove(1, StepKind::State.group(&key), &key);
        }
    }
    execution
        .commit(epoch(1, 1), [&many, &some_words()])
        .unwrap();
    execution.commit(epoch(1, 2), [&fewer]).unwrap();
    home.copy("clean", "killed");
    execution.end(End::Finished).unwrap();
    for store in ["clean", "killed"] {
        let before = home.contents(store);
        let length = home.bytes(store).len();
        // The remains of an earlier compaction are ignored.
        let unfinished = home.path(store).join(format!("{PART}.new"));
        fs::write(&unfinished, "half of one").unwrap();
        let said = home.run(&["compact", store]).ok();
        assert!(
            said.starts_with("compacted 406 rows: the file had "),
            "{said}"
        );
        assert_eq!(home.contents(store), before);
        let after = home.bytes(store).len();
        assert!(after * 4 < length, "{length} {after}");
        assert!(!unfinished.exists());
        let about = home.look(store).about().unwrap();
        assert_eq!((about.ended, about.closed), (store == "clean", true));
        home.run(&["verify", store]).ok();
        // Once more: no more space is freed, and nothing is lost.
        home.run(&["compact", store]).ok();
        assert_eq!(home.contents(store), before);
        let mut execution = home.start(store);
        assert_eq!(
            (execution.number(), execution.resumed_from()),
            (2, epoch(1, 2))
        );
        execution.commit(epoch(2, 1), [&later_words()]).unwrap();
        execution.end(End::Finished).unwrap();
    }
}

#[test]
fn a_backup_is_the_store() {
    for store in ["clean", "killed"] {
        let home = Home::stores();
        let before = home.contents(store);
        assert_eq!(
            home.run(&["backup", store, "target"]).ok(),
            "backed up 6 rows at epoch 1.2 to target\n"
        );
        assert_eq!(home.contents("target"), before);
        assert_eq!(home.run(&["diff", store, "target"]).ok(), "");
        let about = |name: &str| home.look(name).about().unwrap();
        assert_eq!(about("target").store, about(store).store);
        assert!(about("target").closed);
        assert_eq!(about("target").ended, store == "clean");
        let mut names: Vec<_> = fs::read_dir(home.path("target"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["lock", PART]);

        // It replaces the lost file.
        fs::remove_file(home.part(store)).unwrap();
        let error = Look::at(home.path(store)).unwrap_err();
        assert!(
            matches!(error, StoreError::File(FileError::EmptyWhereDataWas { .. })),
            "{error}"
        );
        fs::copy(home.part("target"), home.part(store)).unwrap();
        assert_eq!(home.contents(store), before);
        // A flow resumes in it.
        let execution = home.start("target");
        assert_eq!(
            (execution.number(), execution.resumed_from()),
            (2, epoch(1, 2))
        );
    }
}

/// Copies that differ from the store: an older one, and one that differs in a single value.
#[test]
fn a_copy_that_is_not_the_store_is_not_given_its_name() {
    let home = Home::stores();
    let other_words = |words| {
        let mut changes = later_words();
        put(&mut changes, 1, StepKind::State, &"dora", &words);
        changes
    };
    for (store, words) in [("one", 1u64), ("other", 2)] {
        let mut execution = home.start(store);
        execution.commit(epoch(1, 1), [&some_words()]).unwrap();
        let changes = other_words(words);
        execution.commit(epoch(1, 2), [&changes]).unwrap();
        execution.end(End::Stopped).unwrap();
    }
    home.run(&["compact", "clean"]).ok();
    home.run(&["compact", "other"]).ok();
    let contents = home.contents("one");
    let bytes = home.bytes("one");
    for false_copy in ["clean", "other"] {
        // Behind the back of the one who writes it, the new file becomes another one.
        let replace = |unfinished: &Path| {
            fs::remove_file(unfinished).unwrap();
            fs::copy(home.part(false_copy), unfinished).unwrap();
        };
        let is_last = |done, all| done == all;
        let unfinished = home.path("target").join(format!("{PART}.new"));
        let error = home
            .look("one")
            .backup(home.path("target"), &mut |done, all| {
                if is_last(done, all) {
                    replace(&unfinished);
                }
            });
        let told = error.unwrap_err();
        assert!(
            matches!(told, StoreError::File(FileError::Damaged { .. })),
            "{told}"
        );
        assert!(!home.path("target").exists(), "{false_copy}");

        let unfinished = home.path("one").join(format!("{PART}.new"));
        let error = home.look("one").compact(&mut |done, all| {
            if is_last(done, all) {
                replace(&unfinished);
            }
        });
        let told = error.unwrap_err();
        assert!(
            matches!(told, StoreError::File(FileError::Damaged { .. })),
            "{told}"
        );
        assert!(
            !unfinished.exists() && bytes == home.bytes("one"),
            "{false_copy}"
        );
        assert_eq!(home.contents("one"), contents);
    }
}

#[test]
fn a_backup_has_a_directory_of_its_own() {
    let home = Home::stores();
    fs::create_dir(home.path("empty")).unwrap();
    fs::write(home.path("file"), "mine").unwrap();
    for target in ["empty", "file", "killed"] {
        assert_eq!(
            home.run(&["backup", "clean", target]).refused(3),
            format!(
                "{target} is there already, and a backup makes a directory of its own\
                 \nhelp: give another path"
            )
        );
    }
    assert_eq!(fs::read(home.path("file")).unwrap(), b"mine");
    assert_eq!(fs::read_dir(home.path("empty")).unwrap().count(), 0);
    let message = home.run(&["backup", "clean", "no/such"]).refused(3);
    assert!(
        message.starts_with("could not create the directory no/such: "),
        "{message}"
    );
}

#[cfg(unix)]
#[test]
fn a_compacted_file_is_where_a_link_led() {
    let home = Home::stores();
    let part = home.path("clean").join(PART);
    fs::create_dir(home.path("disk")).unwrap();
    let real = home.path("disk").join("large.redb");
    fs::rename(&part, &real).unwrap();
    std::os::unix::fs::symlink("../disk/large.redb", &part).unwrap();
    let expected = home.contents("clean");
    home.run(&["compact", "clean"]).ok();
    assert!(part.is_symlink() && real.is_file());
    assert_eq!(home.contents("clean"), expected);
    let left = fs::read_dir(home.path("disk")).unwrap().count();
    assert_eq!(left, 1, "nothing is left beside it");
}
