//! Files that are renamed, exchanged or linked.

use std::{
    fs,
    path::{Path, PathBuf},
};

use flow::{ResumeError, RunError};

use crate::{Place, read, runner};

#[test]
fn a_moved_file_goes_on_under_its_new_name() {
    let place = Place::new();
    fs::create_dir(place.path("one")).unwrap();
    place.write("one/in", "a\n");
    place.reads(&["one/in"], "a");
    place.append("one/in", "b\n");
    // Another name of the directory, as a file system has that is mounted elsewhere.
    place.rename("one", "other");
    place.reads(&["other/in"], "b");
    place.append("other/in", "c\n");
    place.rename("other/in", "in");
    let moved = format!(
        "what source `lines` read as `{}` is `{}` now",
        place.name("other/in"),
        place.name("in")
    );
    let (runner, _) = runner(vec![place.path("in")], place.recovery(), |_| Ok(()));
    let started = runner.dry_run().unwrap();
    let notices: Vec<_> = started.notices.iter().map(ToString::to_string).collect();
    assert!(
        notices.iter().any(|notice| notice.starts_with(&moved)),
        "{notices:?}"
    );
    place.reads(&["in"], "c");
    // Through a link, and then by its own name again.
    place.append("in", "d\n");
    std::os::unix::fs::symlink(place.path("in"), place.path("link")).unwrap();
    place.reads(&["link"], "d");
    place.append("in", "e\n");
    place.reads(&["in"], "e");
    // By a path from another directory.
    place.append("in", "f\n");
    let up = "../".repeat(std::env::current_dir().unwrap().components().count());
    let relative = PathBuf::from(up).join(place.path("in").strip_prefix("/").unwrap());
    let (result, lines) = read(vec![relative], place.recovery(), |_| Ok(()));
    assert_eq!((result.unwrap().records, lines), (1, vec!["f".to_owned()]));
}

#[test]
fn many_files_that_moved_are_not_told_one_by_one() {
    let place = Place::new();
    fs::create_dir(place.path("one")).unwrap();
    let names = |folder: &str| -> Vec<PathBuf> {
        let names = (0..50).map(|n| place.path(&format!("{folder}/{n}")));
        names.collect()
    };
    for path in names("one") {
        fs::write(path, "a\n").unwrap();
    }
    let (result, lines) = read(names("one"), place.recovery(), |_| Ok(()));
    assert_eq!((result.unwrap().records, lines.len()), (50, 50));
    place.rename("one", "other");
    let (runner, _) = runner(names("other"), place.recovery(), |_| Ok(()));
    let notices = runner.dry_run().unwrap().notices;
    assert_eq!(notices.len(), 9);
    let last = notices.last().unwrap().to_string();
    assert_eq!(
        last,
        "and 42 more partitions of source `lines` resume under other names"
    );
}

#[test]
fn a_link_that_leads_elsewhere_now_is_another_file() {
    let place = Place::new();
    for version in ["v1", "v2"] {
        fs::create_dir(place.path(version)).unwrap();
        place.write(&format!("{version}/in"), &format!("{version}\n"));
    }
    let link = |version: &str| {
        fs::remove_file(place.path("current")).ok();
        std::os::unix::fs::symlink(version, place.path("current")).unwrap();
    };
    link("v1");
    place.reads(&["current/in"], "v1");
    link("v2");
    let rename = format!("`--rename-partition {}=NEW`", place.name("current/in"));
    place.refused(
        &["current/in"],
        place.recovery(),
        &["other content", &rename],
    );
    place.append("v1/in", "more\n");
    place.reads(&["current/in", "v1/in"], "more v2");
}

/// As for logs with a date in their names and a link to the last one.
#[test]
fn a_link_that_leads_to_the_next_file_is_followed_when_the_last_one_is_read() {
    for folder in ["", "logs/"] {
        let place = Place::new();
        fs::create_dir(place.path("logs")).unwrap();
        let link = |day: u32| {
            fs::remove_file(place.path("current.log")).ok();
            let target = format!("{folder}day-{day}.log");
            std::os::unix::fs::symlink(target, place.path("current.log")).unwrap();
        };
        let day = |day: u32| format!("{folder}day-{day}.log");
        place.write(&day(1), "a\n");
        link(1);
        place.reads(&["current.log"], "a");
        place.append(&day(1), "b\n");
        place.write(&day(2), "c\n");
        link(2);
        place.reads(&["current.log"], "b c");
        place.append(&day(1), "d\n");
        place.reads(&["current.log"], "d");
    }
}

#[test]
fn two_files_that_change_names_keep_what_was_read_of_them() {
    let place = Place::new();
    place.write("a", "a1\n");
    place.write("b", "b1\n");
    place.reads(&["a", "b"], "a1 b1");
    place.rename("a", "c");
    place.rename("b", "a");
    place.rename("c", "b");
    place.append("a", "b2\n");
    place.append("b", "a2\n");
    let mut lines = place.read(&["a", "b"]).unwrap();
    lines.sort();
    assert_eq!(lines, ["a2", "b2"]);
    place.reads(&["a", "b"], "");
}

/// The cost of a start grows with the number of files, not with the number of pairs.
#[test]
fn many_files_go_and_many_come() {
    let place = Place::new();
    let names = |day: u32| -> Vec<String> { (0..2000).map(|n| format!("{day}-{n}")).collect() };
    let header =
        "all files begin with the same header, which is longer than what tells them apart\n";
    let mut before: Vec<String> = Vec::new();
    for day in 0..2 {
        let now = names(day);
        for name in &now {
            place.write(name, &format!("{header}{name}\n"));
        }
        for name in before {
            place.remove(&name);
        }
        let inputs: Vec<&str> = now.iter().map(String::as_str).collect();
        assert_eq!(place.read(&inputs).unwrap().len(), 4000);
        before = now;
    }
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_are_no_text_are_names() {
    use std::os::unix::ffi::OsStrExt;
    let place = Place::new();
    let path = |name: &[u8]| place.0.path().join(std::ffi::OsStr::from_bytes(name));
    let (one, other): (&[u8], &[u8]) = (b"a\xff", b"a\xfe");
    let read = |paths: &[&Path]| {
        let paths = paths.iter().map(|path| path.to_path_buf()).collect();
        let (result, lines) = read(paths, place.recovery(), |_| Ok(()));
        result
            .map(|_| lines.join(" "))
            .map_err(|error| error.to_string())
    };
    fs::write(path(one), "x\n").unwrap();
    fs::write(path(other), "y\n").unwrap();
    fs::write(path(br"a\xff"), "z\n").unwrap();
    assert_eq!(read(&[&path(one), &path(other)]).unwrap(), "y x");
    assert_eq!(
        read(&[&path(br"a\xff"), &path(one), &path(other)]).unwrap(),
        "z"
    );
    // What is written in messages can be given back.
    fs::write(path(one), "x\nbad").unwrap();
    fs::remove_file(path(one)).unwrap();
    let named = format!("{}/a\\xff", place.0.path().display());
    let given_up = place.recovery().drop_partition(named);
    let (result, _) = self::read(vec![path(other)], given_up, |_| Ok(()));
    assert_eq!(result.unwrap().records, 0);
}

#[test]
fn a_link_that_skips_a_file_is_told() {
    for folder in ["", "logs/"] {
        let place = Place::new();
        fs::create_dir(place.path("logs")).unwrap();
        let day = |day: u32| format!("{folder}day-{day}.log");
        let link = |to: u32| {
            fs::remove_file(place.path("current.log")).ok();
            std::os::unix::fs::symlink(day(to), place.path("current.log")).unwrap();
        };
        place.write(&day(7), "older\n");
        place.write(&day(8), "a\n");
        link(8);
        place.reads(&["current.log"], "a");
        place.write(&day(9), "b\n");
        place.write(&day(10), "c\n");
        place.write(&format!("{folder}other-9.log"), "of another program\n");
        link(10);
        // By the path to which the link leads.
        let missed = fs::canonicalize(place.path(&day(9))).unwrap();
        let missed = missed.display().to_string();
        let flag = format!("`--drop-partition {missed}`");
        let error = place.refused(&["current.log"], place.recovery(), &["never", &flag]);
        let RunError::Resume(ResumeError::PartitionsMissed { missed: names, .. }) = error else {
            panic!("{error}");
        };
        assert_eq!(names, std::slice::from_ref(&missed));
        let dropping = place.recovery().drop_partition(missed);
        let lines = place.read_with(&["current.log"], dropping.clone());
        assert_eq!(lines.unwrap(), ["c"]);
        let again = place.read_with(&["current.log"], dropping);
        assert_eq!(again.unwrap(), [""; 0]);
        place.append(&day(8), "late\n");
        place.reads(&["current.log"], "late");
        place.write(&day(11), "d\n");
        link(11);
        place.reads(&["current.log"], "d");
    }
}
