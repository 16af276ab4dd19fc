//! What a file was and what it is now: moved, rotated, replaced, copied, gone. What was read is
//! neither read again nor missed.
#![cfg(test)]

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use flow::{Epochs, Outcome, Recovery, ResumeError, RunError, Runner, TextLines, sink};
use tempfile::TempDir;

/// A directory with inputs and a store.
struct Place(TempDir);

type Read = Result<Vec<String>, RunError>;

impl Place {
    fn new() -> Self {
        Place(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The name of a file's partition.
    fn name(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn append(&self, name: &str, text: &str) {
        let file = fs::File::options()
            .create(true)
            .append(true)
            .open(self.path(name));
        file.unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    fn recovery(&self) -> Recovery {
        Recovery::at(self.path("state"))
    }

    /// Says that a partition has another name now.
    fn renaming(&self, old: &str, new: &str) -> Recovery {
        self.recovery()
            .rename_partition(self.name(old), self.name(new))
    }

    /// Gives up a partition.
    fn dropping(&self, name: &str) -> Recovery {
        self.recovery().drop_partition(self.name(name))
    }

    /// The lines that a run reads.
    fn read(&self, inputs: &[&str]) -> Read {
        self.read_with(inputs, self.recovery())
    }

    fn read_with(&self, inputs: &[&str], recovery: Recovery) -> Read {
        let paths = inputs.iter().map(|name| self.path(name)).collect();
        let (result, lines) = read(paths, recovery, |_| Ok(()));
        result.map(|_| lines)
    }

    #[track_caller]
    fn reads(&self, inputs: &[&str], expected: &str) {
        let lines = self.read(inputs).unwrap();
        assert_eq!(lines.join(" "), expected);
    }

    /// A start is refused in these words, by a check as well, and changes nothing.
    #[track_caller]
    fn refused(&self, inputs: &[&str], recovery: Recovery, says: &[&str]) -> RunError {
        let before = fs::read(self.path("state/part-00000-of-00001.redb")).unwrap();
        let paths: Vec<_> = inputs.iter().map(|name| self.path(name)).collect();
        let checked = runner(paths, recovery.clone(), |_| Ok(()))
            .0
            .dry_run()
            .unwrap_err();
        let error = self.read_with(inputs, recovery).unwrap_err();
        let text = error.to_string();
        for says in says {
            assert!(text.contains(says), "`{says}` is not in: {text}");
        }
        assert!(matches!(error, RunError::Resume(_)), "{text}");
        assert_eq!(checked.to_string(), text);
        assert!(before == fs::read(self.path("state/part-00000-of-00001.redb")).unwrap());
        error
    }
}

fn runner(
    paths: Vec<PathBuf>,
    recovery: Recovery,
    line: impl Fn(&str) -> Result<(), String> + Clone + Send + Sync + 'static,
) -> (Runner, sink::Collected<String>) {
    let (out, seen) = sink::collect();
    let runner = Runner::new(move |flow| {
        let line = line.clone();
        let lines = flow.source(TextLines::open_all(paths.clone()));
        let lines = lines
            .named("lines")
            .try_map(move |text| line(&text).map(|()| text));
        lines.sink(out.clone());
    });
    (runner.recover(recovery), seen)
}

fn read(
    paths: Vec<PathBuf>,
    recovery: Recovery,
    line: impl Fn(&str) -> Result<(), String> + Clone + Send + Sync + 'static,
) -> (Result<Outcome, RunError>, Vec<String>) {
    let (runner, seen) = runner(paths, recovery, line);
    let result = runner.run();
    (result, seen.take())
}

#[test]
fn a_rotated_file_is_read_to_its_end_and_then_the_new_one() {
    // With the rotated file among the inputs, and without.
    for inputs in [
        &["app.log"][..],
        &["app.log", "app.log.1"],
        &["app.log.1", "app.log"],
    ] {
        let place = Place::new();
        place.write("app.log", "a\nb\n");
        place.reads(&["app.log"], "a b");
        place.append("app.log", "c\nd\n");
        place.rename("app.log", "app.log.1");
        place.write("app.log", "e\nf\n");
        place.reads(inputs, "c d e f");
        place.reads(inputs, "");
        place.append("app.log", "g\n");
        place.reads(inputs, "g");
    }
}

#[test]
fn a_rotated_file_is_known_though_all_files_begin_alike() {
    let header = format!("{}\n", "the header of every file".repeat(60));
    for read in ["", &header] {
        let place = Place::new();
        place.write("app.log", read);
        place.read(&["app.log"]).unwrap();
        place.write("app.log.1", "");
        place.rename("app.log", "app.log.2");
        place.write("app.log.2", &format!("{header}a\n"));
        place.remove("app.log.1");
        place.rename("app.log.2", "app.log.1");
        place.write("app.log", &format!("{header}b\n"));
        let lines = place.read(&["app.log"]).unwrap();
        let short: Vec<_> = lines.iter().filter(|line| line.len() == 1).collect();
        assert_eq!(short, ["a", "b"], "{} bytes read", read.len());
    }
}

#[test]
fn rotation_goes_on_from_run_to_run() {
    let place = Place::new();
    place.write("app.log", "0\n");
    place.reads(&["app.log"], "0");
    for round in 1..5 {
        // What was written to the last file after it had been rotated and read is not missed
        // either.
        if round > 1 {
            place.append("app.log.1", &format!("late-{round}\n"));
        }
        for number in (1..round).rev() {
            place.rename(
                &format!("app.log.{number}"),
                &format!("app.log.{}", number + 1),
            );
        }
        place.append("app.log", &format!("rest-{round}\n"));
        place.rename("app.log", "app.log.1");
        place.write("app.log", &format!("{round}\n"));
        let mut lines = place.read(&["app.log"]).unwrap();
        lines.sort();
        let mut expected = vec![round.to_string(), format!("rest-{round}")];
        expected.extend((round > 1).then(|| format!("late-{round}")));
        expected.sort();
        assert_eq!(lines, expected);
    }
    // The oldest ones are deleted: nothing of them was left.
    place.remove("app.log.4");
    place.remove("app.log.3");
    place.append("app.log", "5\n");
    place.reads(&["app.log"], "5");
}

#[test]
fn a_run_that_ends_within_the_rest_goes_on_there() {
    let place = Place::new();
    place.write("app.log", "a\n");
    place.reads(&["app.log"], "a");
    place.append("app.log", "b\nbad\nc\n");
    place.rename("app.log", "app.log.1");
    place.write("app.log", "d\n");
    for times in 0..2 {
        let fails = |line: &str| match line {
            "bad" => Err("it is bad".to_owned()),
            _ => Ok(()),
        };
        let (result, lines) = read(vec![place.path("app.log")], place.recovery(), fails);
        let error = result.unwrap_err().to_string();
        assert!(
            error.contains("app.log.1") && error.contains("line 3"),
            "{error}"
        );
        let expected: &[&str] = if times == 0 { &["b"] } else { &[] };
        assert_eq!(
            lines, expected,
            "the new file waits for the rest of the old one"
        );
    }
    place.rename("app.log.1", "app.log.2");
    place.rename("app.log", "app.log.1");
    place.write("app.log", "e\n");
    place.reads(&["app.log", "app.log.1"], "bad c d e");
}

#[test]
fn a_file_that_was_copied_and_cut_is_read_on_in_the_copy() {
    let place = Place::new();
    let banner: String = (0..20)
        .map(|n| format!("# {n} {}\n", "banner ".repeat(12)))
        .collect();
    let day = |day: u32, lines: u32| -> String {
        let lines = (0..lines).map(|n| format!("day-{day}-{n:04}\n"));
        banner.clone() + &lines.collect::<String>()
    };
    place.write("app.log", &day(1, 50));
    assert_eq!(place.read(&["app.log"]).unwrap().len(), 70);
    place.append("app.log", "rest\n");
    fs::copy(place.path("app.log"), place.path("app.log.1")).unwrap();
    // In place: the same file with other content, which begins the same and is longer.
    place.write("app.log", &day(2, 80));
    let lines = place.read(&["app.log"]).unwrap();
    assert_eq!((lines.len(), &*lines[0]), (1 + 20 + 80, "rest"));
    place.reads(&["app.log"], "");
}

#[test]
fn a_rotation_in_between_that_nobody_read_is_named() {
    let place = Place::new();
    place.write("app.log", "a\n");
    place.reads(&["app.log"], "a");
    place.rename("app.log", "app.log.2");
    place.write("app.log.1", "b\n");
    place.write("app.log", "c\n");
    place.write("app.log.pos", "of another program\n");
    let missed = place.name("app.log.1");
    let flag = format!("`--drop-partition {missed}`");
    let error = place.refused(&["app.log"], place.recovery(), &["never", &flag]);
    let RunError::Resume(ResumeError::PartitionsMissed { missed: names, .. }) = error else {
        panic!("{error}");
    };
    assert_eq!(names, [missed]);
    let lines = place.read_with(&["app.log"], place.dropping("app.log.1"));
    assert_eq!(lines.unwrap(), ["c"]);

    let place = Place::new();
    place.write("app.log.1", "older than what is read\n");
    place.write("app.log", "a\n");
    place.reads(&["app.log"], "a");
    place.rename("app.log.1", "app.log.3");
    place.rename("app.log", "app.log.2");
    place.write("app.log.1", "b\n");
    place.write("app.log", "c\n");
    place.reads(&["app.log", "app.log.1"], "b c");
}

/// A file system gives the number of a file that was removed to the next one at once.
#[test]
fn a_missed_file_with_the_number_of_one_that_was_read_is_named() {
    let place = Place::new();
    place.write("app.log", "a\n");
    place.reads(&["app.log"], "a");
    place.rename("app.log", "app.log.1");
    place.write("app.log", "b\n");
    place.reads(&["app.log"], "b");
    place.rename("app.log", "t");
    fs::remove_file(place.path("app.log.1")).unwrap();
    place.rename("t", "app.log.2");
    place.write("app.log.1", "c\n");
    place.write("app.log", "d\n");
    let flag = format!("`--drop-partition {}`", place.name("app.log.1"));
    place.refused(&["app.log"], place.recovery(), &["never", &flag]);
}

/// An editor leaves what was read beside the file, and most of it in the file too.
#[test]
fn an_edited_file_is_no_rotated_one() {
    for backup in ["in~", "in.bak", "in.orig"] {
        let place = Place::new();
        place.write("in", "a\nb\n");
        place.reads(&["in"], "a b");
        place.rename("in", backup);
        place.write("in", "A\nb\nc\n");
        place.refused(&["in"], place.recovery(), &["other content"]);
        let lines = place.read_with(&["in"], place.dropping("in"));
        assert_eq!(lines.unwrap(), ["A", "b", "c"]);
    }
}

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
        "and 42 more partitions of source `lines` are read on under other names"
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

/// As of logs with a date in their names and a link to the last one.
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
fn a_copy_that_is_an_input_by_another_path_is_one_input() {
    let place = Place::new();
    let text = "a line of text, to tell one file from another by, and more\nand a second one\n";
    place.write("app.log", text);
    place.read(&["app.log"]).unwrap();
    place.append("app.log", "rest\n");
    fs::copy(place.path("app.log"), place.path("app.log.1")).unwrap();
    place.write("app.log", "new\n");
    fs::create_dir(place.path("here")).unwrap();
    std::os::unix::fs::symlink("..", place.path("here/up")).unwrap();
    place.reads(&["app.log", "here/up/app.log.1"], "rest new");
    place.reads(&["app.log", "here/up/app.log.1"], "");
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

#[test]
fn a_copy_is_read_on_where_a_person_says_so() {
    let place = Place::new();
    let text: String = (0..40)
        .map(|n| format!("a line of text, number {n}\n"))
        .collect();
    place.write("in", &text);
    assert_eq!(place.read(&["in"]).unwrap().len(), 40);
    place.write("copy", &text);
    place.remove("in");
    let says = format!(
        "`--rename-partition {}={}`",
        place.name("in"),
        place.name("copy")
    );
    place.refused(&["copy"], place.recovery(), &[&says]);
    place.append("copy", "more\n");
    let lines = place.read_with(&["copy"], place.renaming("in", "copy"));
    assert_eq!(lines.unwrap(), ["more"]);
    place.reads(&["copy"], "");
}

#[test]
fn a_renaming_that_is_not_so_is_refused() {
    let place = Place::new();
    place.write(
        "in",
        "a line of text\nand one more, to tell one file from another\n",
    );
    place.read(&["in"]).unwrap();
    place.write("other", "something else\n");
    let both = ["in", "other"];
    place.refused(
        &both,
        place.renaming("in", "other"),
        &["is there", "nothing to drop or rename"],
    );
    place.refused(
        &both,
        place.renaming("out", "other"),
        &["no source has read a partition", "/in`"],
    );
    place.refused(
        &["in"],
        place.renaming("other", "out"),
        &["no source has read"],
    );
    place.rename("in", "elsewhere");
    place.refused(
        &["other"],
        place.renaming("in", "other"),
        &["other", "is shorter"],
    );
    place.write(
        "other",
        "another line that is as long as what was read of the other file, and longer\n",
    );
    place.refused(
        &["other"],
        place.renaming("in", "other"),
        &["other content"],
    );
    place.refused(
        &["other"],
        place.renaming("in", "elsewhere"),
        &["no partition", "name it as an input too"],
    );
    place.write(
        "copy",
        "a line of text\nand one more, to tell one file from another\nb\n",
    );
    let twice = place
        .renaming("in", "copy")
        .rename_partition(place.name("nothing"), place.name("other"));
    place.refused(
        &["copy", "other"],
        twice,
        &["no source has read a partition"],
    );
    let lines = place.read_with(&["copy"], place.renaming("in", "copy"));
    assert_eq!(lines.unwrap(), ["b"]);
}

#[test]
fn two_files_do_not_go_on_as_one() {
    let place = Place::new();
    place.write("a", "a\n");
    place.write("b", "b\n");
    place.reads(&["a", "b"], "a b");
    place.rename("a", "a~");
    place.remove("b");
    place.write("c", "c\n");
    let recovery = place
        .renaming("a", "c")
        .rename_partition(place.name("b"), place.name("c"));
    place.refused(
        &["c"],
        recovery,
        &["would resume as", "another partition under that name"],
    );
    place.rename("a~", "a");
    place.refused(&["a", "c"], place.renaming("b", "a"), &["would resume as"]);
}

#[test]
fn content_that_differs_only_before_the_position_is_other_content() {
    let banner = "the same beginning of every file, ".repeat(40);
    let place = Place::new();
    place.write("in", &format!("{banner}\nday-1-a\nday-1-b\n"));
    place.read(&["in"]).unwrap();
    // Shorter, as long, longer, with a line's end at the same place.
    for rest in ["day-2-a\nday-2-b\n", "day-2-a\nday-2-b\nday-2-c\n"] {
        place.write("in", &format!("{banner}\n{rest}"));
        place.refused(
            &["in"],
            place.recovery(),
            &["other content", "256 bytes before the end of line 3"],
        );
    }
    let lines = place.read_with(&["in"], place.dropping("in"));
    assert_eq!(lines.unwrap().len(), 4);
}

/// The file system gives the number of a deleted file to the next one.
#[test]
fn a_file_with_a_header_only_is_not_the_next_days_file() {
    for lines in [1, 2] {
        let place = Place::new();
        let header: String = (0..lines)
            .map(|n| format!("{n}: {}\n", "name,".repeat(20)))
            .collect();
        place.write("day-1", &header);
        assert_eq!(place.read(&["day-1"]).unwrap().len(), lines);
        place.remove("day-1");
        place.write("day-2", &format!("{header}a\nb\n"));
        assert_eq!(place.read(&["day-2"]).unwrap().len(), lines + 2);
    }
}

/// The cost of a start grows with the number of files, not with that of pairs.
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

/// More than is read at a time.
fn long(begin: &str, lines: usize) -> String {
    (0..lines)
        .map(|n| format!("{begin}-{n:06}-{}\n", "x".repeat(50)))
        .collect()
}

#[test]
fn a_file_that_changes_while_it_is_read_is_an_error() {
    let overwritten = ["overwritten while it was read", "not there any more"];
    let truncated = ["truncated while it was read", "had been read"];
    // What is there before, and what is there when so many lines have been read.
    let cases = [
        (long("old", 3000), 2000, long("old", 1000), truncated),
        (long("old", 3000), 2000, String::new(), truncated),
        (long("old", 3000), 100, long("new", 6000), overwritten),
        (
            long("old", 3000),
            100,
            "n".to_owned() + &long("old", 6000),
            overwritten,
        ),
        // The file has been read ahead to its end.
        (long("old", 10), 10, long("old", 9), truncated),
        (long("old", 10), 3, long("new", 10), overwritten),
        (long("old", 10), 10, long("new", 20), overwritten),
    ];
    for (before, at, after, says) in &cases {
        for (workers, stored) in [(1, true), (3, true), (1, false)] {
            let place = Place::new();
            place.write("in", before);
            let (path, (out, seen)) = (place.path("in"), sink::collect());
            let read = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
            let (at, content) = (*at, after.clone());
            let runner = Runner::new(move |flow| {
                let (path, content, read) = (path.clone(), content.clone(), read.clone());
                let lines = flow.source(TextLines::open(&path)).named("lines");
                let seen = lines.inspect(move |_| {
                    if read.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1 == at {
                        fs::write(&path, &content).unwrap();
                    }
                });
                seen.sink(out.clone());
            });
            let runner = runner
                .workers(workers)
                .blocks_of(10)
                .epochs(Epochs::records(64));
            let result = match stored {
                true => runner.recover(place.recovery()).run(),
                false => runner.run(),
            };
            match result {
                Err(error) => {
                    let error = error.to_string();
                    for says in says {
                        assert!(
                            error.contains(says),
                            "{workers}: `{says}` is not in: {error}"
                        );
                    }
                }
                // All of it had been read before it changed.
                Ok(outcome) => assert_eq!((outcome.records, before.lines().count()), (10, 10)),
            }
            // No record is put together of two contents, and none of the new one follows the old
            // ones.
            let mut seen = seen.take();
            seen.sort();
            let old: Vec<&str> = before.lines().collect();
            assert!(seen.iter().eq(&old[..seen.len()]), "{:?}", seen.last());
        }
    }
}

/// Log rotation that copies a file and empties it, while the flow reads.
#[test]
fn what_is_durable_of_a_file_that_was_cut_is_right() {
    let place = Place::new();
    place.write("app.log", &long("old", 5000));
    let mut all = Vec::new();
    for run in 0..2 {
        let (log, copy) = (place.path("app.log"), place.path("app.log.1"));
        let (out, output) = (place.path("out"), place.path("out"));
        let runner = Runner::new(move |flow| {
            let (log, copy) = (log.clone(), copy.clone());
            let lines = flow.source(TextLines::open(&log)).named("lines");
            let lines = lines.inspect(move |line| {
                if run == 0 && line.starts_with("old-003000") {
                    fs::copy(&log, &copy).unwrap();
                    fs::write(&log, long("new", 10)).unwrap();
                }
            });
            lines.sink(TextLines::write_to(&out)).named("out");
        });
        let runner = runner
            .epochs(Epochs::records(100))
            .recover(place.recovery());
        match (run, runner.run()) {
            (0, Err(error)) => assert!(error.to_string().contains("truncated"), "{error}"),
            (1, Ok(_)) => {
                all = fs::read_to_string(output)
                    .unwrap()
                    .lines()
                    .map(str::to_owned)
                    .collect()
            }
            (_, result) => panic!("{result:?}"),
        }
    }
    let expected = long("old", 5000) + &long("new", 10);
    assert!(
        all.iter().eq(&expected.lines().collect::<Vec<_>>()),
        "{}",
        all.len()
    );
}

/// The run has it open: what becomes of its name does not matter.
#[test]
fn a_file_that_is_renamed_or_deleted_is_read_to_its_end() {
    for moves in [true, false] {
        let place = Place::new();
        place.write("app.log", &long("old", 3000));
        let (from, to) = (place.path("app.log"), place.path("app.log.1"));
        let (result, lines) = read(vec![place.path("app.log")], place.recovery(), move |line| {
            if line.starts_with("old-000100") {
                match moves {
                    true => fs::rename(&from, &to).unwrap(),
                    false => fs::remove_file(&from).unwrap(),
                }
                fs::write(&from, "new\n").unwrap();
            }
            Ok(())
        });
        assert_eq!(result.unwrap().records, 3000);
        assert!(
            lines
                .iter()
                .eq(&long("old", 3000).lines().collect::<Vec<_>>())
        );
        match moves {
            true => place.reads(&["app.log"], "new"),
            false => {
                place.refused(&["app.log"], place.recovery(), &["is shorter"]);
            }
        }
    }
}

/// Lines that tell one file from another.
fn lines(begin: &str, count: usize) -> String {
    (0..count)
        .map(|n| format!("{begin} {n:03}, a line of text\n"))
        .collect()
}

/// Nothing of what is there is read twice or left out; what was not read of the one before is out
/// of sight, and that is said.
#[test]
fn another_file_that_begins_with_the_little_that_was_read_goes_on_as_that_and_is_told() {
    let header = format!("{}\n", "name,".repeat(30));
    for (read, rest) in [("", 11), (&*header, 10)] {
        let place = Place::new();
        place.write("app.log", read);
        place.read(&["app.log"]).unwrap();
        place.append("app.log", &lines("old", 10));
        place.write("new", &format!("{header}{}", lines("new", 10)));
        place.remove("app.log");
        place.rename("new", "app.log");
        let path = place.path("app.log");
        let (runner, _) = runner(vec![path.clone()], place.recovery(), |_| Ok(()));
        let notices = runner.dry_run().unwrap().notices;
        let said = format!(
            "`{}` of source `lines` is another file",
            place.name("app.log")
        );
        let text: Vec<_> = notices.iter().map(ToString::to_string).collect();
        assert!(text.len() == 1 && text[0].starts_with(&said), "{text:?}");
        let lines = place.read(&["app.log"]).unwrap();
        assert_eq!(lines.len(), rest);
        assert!(lines[rest - 1].starts_with("new 009"));
        // From then on it is the file.
        let (runner, _) = self::runner(vec![path], place.recovery(), |_| Ok(()));
        assert!(runner.dry_run().unwrap().notices.is_empty());
    }
}

/// As an editor does it, or who restores a backup: the inputs with the store, all of them files of
/// other numbers.
#[test]
fn a_directory_that_was_copied_is_gone_on_from() {
    let place = Place::new();
    for (name, text) in [("empty", ""), ("one", "a\n"), ("many", &lines("many", 20))] {
        place.write(name, text);
    }
    let names = ["empty", "many", "one"];
    assert_eq!(place.read(&names).unwrap().len(), 21);
    for name in names {
        fs::copy(place.path(name), place.path("t")).unwrap();
        place.rename("t", name);
        place.append(name, "b\n");
    }
    place.reads(&names, "b b b");
}

/// A person may say so all the same, because only the number tells that it is another one.
#[test]
fn a_copy_of_which_only_a_header_was_read_is_read_on_where_a_person_says_so() {
    let place = Place::new();
    place.write("in", "header\n");
    place.reads(&["in"], "header");
    place.write("copy", "header\na\n");
    place.remove("in");
    let lines = place.read_with(&["copy"], place.renaming("in", "copy"));
    assert_eq!(lines.unwrap(), ["a"]);
    // The same start again, as a program that is restarted with the same arguments does it.
    place.append("copy", "b\n");
    let lines = place.read_with(&["copy"], place.renaming("in", "copy"));
    assert_eq!(lines.unwrap(), ["b"]);
    // And where there is a new file of the old name.
    place.write("in", "new\n");
    let both = ["copy", "in"];
    for expected in [&["new"][..], &[]] {
        let lines = place.read_with(&both, place.renaming("in", "copy"));
        assert_eq!(lines.unwrap(), expected);
    }
}

/// Another program's file has a number too, and what has nothing in it has nothing to miss.
#[test]
fn what_lies_beside_a_rotated_file_is_not_always_of_its_rotation() {
    let place = Place::new();
    place.write("app.log", "");
    place.reads(&["app.log"], "");
    place.write("app-1.log", "of another instance\n");
    // Copied and emptied while there was nothing in it.
    place.write("app.log.1", "");
    place.append("app.log", "a\n");
    place.reads(&["app.log"], "a");
    for round in ["b", "c"] {
        place.rename(
            "app.log",
            &format!("app.log.{}", if round == "b" { 2 } else { 3 }),
        );
        place.write("app.log", &format!("{round}\n"));
        place.append("app-1.log", "more of it\n");
        place.write("app.log.1", "");
        fs::create_dir_all(place.path("app.log.2026")).unwrap();
        place.reads(&["app.log"], round);
    }
}

/// The name of a compressed file says when its content was written, and its time says when it was
/// compressed.
#[test]
fn a_file_that_was_packed_by_hand_is_told_by_its_name() {
    let place = Place::new();
    place.write("app.log", "a\n");
    place.reads(&["app.log"], "a");
    place.rename("app.log", "app.log.1");
    place.write("app.log", "b\n");
    place.reads(&["app.log"], "b");
    place.remove("app.log.1");
    place.rename("app.log", "app.log.1");
    place.write("app.log.2.gz", "a, packed now");
    place.write("app.log", "c\n");
    place.reads(&["app.log"], "c");
}

/// A run that reads other files says nothing of this one.
#[test]
fn the_rest_of_a_rotated_file_is_kept_while_its_input_is_left_out() {
    let place = Place::new();
    place.write("app.log", &lines("a", 10));
    place.write("other", "o\n");
    assert_eq!(place.read(&["app.log", "other"]).unwrap().len(), 11);
    place.rename("app.log", "app.log.1");
    place.write("app.log", "b\n");
    place.reads(&["app.log", "other"], "b");
    place.reads(&["other"], "");
    place.append("app.log.1", "late\n");
    place.reads(&["app.log", "other"], "late");
}

/// What is left of a rotated file is one file with the input that it becomes.
#[test]
fn the_rest_of_a_rotated_file_that_becomes_an_input_is_not_read_again() {
    let rotated = || {
        let place = Place::new();
        place.write("app.log", &lines("a", 10));
        assert_eq!(place.read(&["app.log"]).unwrap().len(), 10);
        place.rename("app.log", "app.log.1");
        place.write("app.log", &lines("b", 10));
        assert_eq!(place.read(&["app.log"]).unwrap().len(), 10);
        place
    };
    type Name = fn(&Place) -> PathBuf;
    let names: [(&str, Name); 4] = [
        ("a link", |place| {
            std::os::unix::fs::symlink("app.log.1", place.path("link")).unwrap();
            place.path("link")
        }),
        ("a hard link", |place| {
            fs::hard_link(place.path("app.log.1"), place.path("hard")).unwrap();
            place.path("hard")
        }),
        ("another path", |place| {
            fs::create_dir(place.path("here")).unwrap();
            place.path("here/../app.log.1")
        }),
        ("its name", |place| place.path("app.log.1")),
    ];
    for (how, name) in names {
        for grown in [false, true] {
            let place = rotated();
            let name = name(&place);
            if grown {
                place.append("app.log.1", "late\n");
            }
            let inputs = vec![place.path("app.log"), name.clone()];
            let (result, lines) = read(inputs.clone(), place.recovery(), |_| Ok(()));
            result.unwrap();
            let expected: &[&str] = if grown { &["late"] } else { &[] };
            assert_eq!(lines, expected, "{how}");
            place.append("app.log.1", "later\n");
            let (_, lines) = read(inputs, place.recovery(), |_| Ok(()));
            assert_eq!(lines, ["later"], "{how}");
        }
    }
}

#[test]
fn the_rest_of_a_rotated_file_is_known_when_its_input_is_named_otherwise() {
    for before in [true, false] {
        let place = Place::new();
        fs::create_dir(place.path("here")).unwrap();
        place.write("app.log", &lines("a", 10));
        assert_eq!(place.read(&["app.log"]).unwrap().len(), 10);
        if before {
            place.rename("app.log", "app.log.1");
            place.write("app.log", &lines("b", 10));
            assert_eq!(place.read(&["app.log"]).unwrap().len(), 10);
            place.append("app.log.1", "late\n");
            // By another path, which stays.
            place.reads(&["here/../app.log"], "late");
        } else {
            // Both at once.
            place.append("app.log", "late\n");
            place.rename("app.log", "app.log.1");
            place.write("app.log", "new\n");
            place.reads(&["here/../app.log"], "late new");
        }
        place.append("app.log.1", "later\n");
        place.reads(&["here/../app.log"], "later");
        place.rename("app.log.1", "app.log.2");
        place.append("app.log", "last\n");
        place.rename("app.log", "app.log.1");
        place.append("app.log.2", "latest\n");
        place.write("app.log", "next\n");
        let mut read = place.read(&["app.log"]).unwrap();
        read.sort();
        assert_eq!(read, ["last", "latest", "next"]);
    }
    // Through a link that is called otherwise.
    let place = Place::new();
    place.write("app.log", "a\n");
    place.reads(&["app.log"], "a");
    place.rename("app.log", "app.log.1");
    place.write("app.log", "b\n");
    place.reads(&["app.log"], "b");
    std::os::unix::fs::symlink("app.log", place.path("link")).unwrap();
    place.append("app.log.1", "late\n");
    place.reads(&["link"], "late");
    place.rename("app.log.1", "app.log.2");
    place.append("app.log.2", "later\n");
    place.append("app.log", "rest\n");
    place.rename("app.log", "app.log.1");
    place.write("app.log", "c\n");
    let mut read = place.read(&["link"]).unwrap();
    read.sort();
    assert_eq!(read, ["c", "later", "rest"]);
    // The directory has another name.
    let place = Place::new();
    fs::create_dir(place.path("one")).unwrap();
    place.write("one/app.log", "a\n");
    place.reads(&["one/app.log"], "a");
    place.rename("one/app.log", "one/app.log.1");
    place.write("one/app.log", "b\n");
    place.reads(&["one/app.log"], "b");
    place.append("one/app.log.1", "late\n");
    place.append("one/app.log", "rest\n");
    place.rename("one/app.log", "one/app.log.0");
    place.write("one/app.log", "c\n");
    place.rename("one", "other");
    let mut read = place.read(&["other/app.log"]).unwrap();
    read.sort();
    assert_eq!(read, ["c", "late", "rest"]);
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

/// As `logrotate` does it with `compress` and `delaycompress`: what is packed has the time of what
/// it was.
#[test]
fn a_rotated_file_that_was_packed_meanwhile_is_not_missed() {
    let place = Place::new();
    place.write("app.log", "0\n");
    place.reads(&["app.log"], "0");
    for round in 1..4 {
        if round > 1 {
            let written = fs::metadata(place.path("app.log.1")).unwrap().modified();
            let packed = fs::File::create(place.path("app.log.2.gz")).unwrap();
            packed.set_modified(written.unwrap()).unwrap();
            place.remove("app.log.1");
        }
        place.rename("app.log", "app.log.1");
        place.write("app.log", &format!("{round}\n"));
        place.reads(&["app.log"], &round.to_string());
    }
    // One that was written later is.
    place.rename("app.log", "app.log.3");
    place.write("app.log.2.gz", "packed\n");
    place.write("app.log", "last\n");
    let flag = format!("`--drop-partition {}`", place.name("app.log.2.gz"));
    place.refused(&["app.log"], place.recovery(), &["never", &flag]);
}

#[test]
fn several_copies_are_kept_of_a_file_that_is_copied_and_cut() {
    let place = Place::new();
    place.write("app.log", &lines("day-0", 20));
    assert_eq!(place.read(&["app.log"]).unwrap().len(), 20);
    for round in 1..5 {
        for number in (1..round).rev() {
            let to = format!("app.log.{}", number + 1);
            place.rename(&format!("app.log.{number}"), &to);
        }
        place.append("app.log", "rest\n");
        fs::copy(place.path("app.log"), place.path("app.log.1")).unwrap();
        place.write("app.log", &lines(&format!("day-{round}"), 10 + round));
        let read = place.read(&["app.log"]).unwrap();
        assert_eq!((&*read[0], read.len()), ("rest", 11 + round));
    }
    // Two rotations at once.
    place.append("app.log", "rest\n");
    fs::copy(place.path("app.log"), place.path("app.log.8")).unwrap();
    let copied = fs::File::options()
        .append(true)
        .open(place.path("app.log.8"));
    let before = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
    copied.unwrap().set_modified(before).unwrap();
    place.write("app.log", &lines("between", 30));
    fs::copy(place.path("app.log"), place.path("app.log.7")).unwrap();
    place.write("app.log", "last\n");
    let flag = format!("`--drop-partition {}`", place.name("app.log.7"));
    place.refused(&["app.log"], place.recovery(), &["never", &flag]);
}

#[test]
fn a_missed_file_is_given_up_once() {
    let place = Place::new();
    place.write("app.log", "a\n");
    place.reads(&["app.log"], "a");
    place.append("app.log", "rest");
    place.rename("app.log", "app.log.2");
    place.write("app.log.1", "missed\n");
    place.write("app.log", "b\n");
    let lines = place.read_with(&["app.log"], place.dropping("app.log.1"));
    assert_eq!(lines.unwrap(), ["b"]);
    // What is left of the rotated one is not finished.
    place.reads(&["app.log"], "");
    // The same start again, as a program that is restarted with the same arguments does it; not a
    // slip of the pen.
    let again = place.read_with(&["app.log"], place.dropping("app.log.1"));
    assert_eq!(again.unwrap(), [""; 0]);
    for name in ["app.lgo.1", "other/app.log.1", "app.log.old"] {
        let says = ["no source has read a partition"];
        place.refused(&["app.log"], place.dropping(name), &says);
    }
    place.append("app.log.2", " of a line\n");
    place.reads(&["app.log"], "rest of a line");
    place.rename("app.log.2", "app.log.3");
    place.rename("app.log.1", "app.log.2");
    place.rename("app.log", "app.log.1");
    place.write("app.log", "c\n");
    place.reads(&["app.log"], "c");
}

#[test]
fn rotated_files_that_are_inputs_rotate_on() {
    let place = Place::new();
    place.write("app.log", "a\n");
    place.write("app.log.1", "z\n");
    let both = ["app.log", "app.log.1"];
    let mut read = place.read(&both).unwrap();
    read.sort();
    assert_eq!(read, ["a", "z"]);
    for (round, name) in ["b", "c", "d"].into_iter().enumerate() {
        for number in (1..round + 2).rev() {
            let to = format!("app.log.{}", number + 1);
            place.rename(&format!("app.log.{number}"), &to);
        }
        place.append("app.log.2", &format!("late-{name}\n"));
        place.append("app.log", &format!("rest-{name}\n"));
        place.rename("app.log", "app.log.1");
        place.write("app.log", &format!("{name}\n"));
        let read = place.read(&both).unwrap();
        let (late, rest) = (format!("late-{name}"), format!("rest-{name}"));
        assert_eq!(read, [&*late, &*rest, name]);
    }
}

/// What was read to its end and is named no more leaves its name to another one.
#[test]
fn a_rotated_file_takes_the_name_of_one_that_is_finished_and_gone() {
    let place = Place::new();
    place.write("app.log", "a\n");
    place.write("app.log.1", "z\n");
    place.read(&["app.log", "app.log.1"]).unwrap();
    place.remove("app.log.1");
    place.reads(&["app.log"], "");
    place.append("app.log", "rest\n");
    place.rename("app.log", "app.log.1");
    place.write("app.log", "b\n");
    place.reads(&["app.log"], "rest b");
    place.append("app.log.1", "late\n");
    place.reads(&["app.log"], "late");
    // All of them are inputs, and the oldest one is deleted.
    let place = Place::new();
    let all = ["app.log", "app.log.1", "app.log.2"];
    for name in all {
        place.write(name, &format!("{name}\n"));
    }
    assert_eq!(place.read(&all).unwrap().len(), 3);
    place.remove("app.log.2");
    place.rename("app.log.1", "app.log.2");
    place.append("app.log", "rest\n");
    place.rename("app.log", "app.log.1");
    place.write("app.log", "new\n");
    place.reads(&all, "rest new");
    // One that was not finished doesn't.
    let place = Place::new();
    place.write("app.log", "a\n");
    place.write("app.log.1", "z\nopen");
    place.read(&["app.log", "app.log.1"]).unwrap();
    place.remove("app.log.1");
    place.rename("app.log", "app.log.1");
    place.write("app.log", "b\n");
    let flag = format!("--drop-partition {}", place.name("app.log.1"));
    place.refused(&["app.log"], place.recovery(), &[&flag]);
    let lines = place.read_with(&["app.log"], place.dropping("app.log.1"));
    assert_eq!(lines.unwrap(), ["b"]);
}

#[test]
fn a_copy_lies_where_a_link_leads() {
    let place = Place::new();
    fs::create_dir(place.path("logs")).unwrap();
    std::os::unix::fs::symlink("logs/app.log", place.path("link")).unwrap();
    place.write("logs/app.log", &lines("old", 20));
    assert_eq!(place.read(&["link"]).unwrap().len(), 20);
    place.append("logs/app.log", "rest\n");
    let [log, copy] = ["logs/app.log", "logs/app.log.1"].map(|name| place.path(name));
    fs::copy(log, copy).unwrap();
    place.write("logs/app.log", "new\n");
    place.reads(&["link"], "rest new");
}

/// After it was copied and cut, it has what was read of it again.
#[test]
fn new_content_that_repeats_what_was_read_is_not_taken_for_it() {
    let tick = "tick tick tick tick\n";
    let header = format!("{}\n", "name,".repeat(30));
    // What was read, what came before it was copied, and what came after it was cut.
    let cases = [
        (tick.repeat(100), String::new(), tick.repeat(150)),
        (String::new(), lines("old", 9), lines("new", 9)),
        (
            header.clone(),
            lines("old", 9),
            header.clone() + &lines("new", 9),
        ),
    ];
    for (read, rest, new) in &cases {
        let place = Place::new();
        place.write("app.log", read);
        place.read(&["app.log"]).unwrap();
        place.append("app.log", rest);
        fs::copy(place.path("app.log"), place.path("app.log.1")).unwrap();
        place.write("app.log", new);
        let drop = format!("`--drop-partition {}`", place.name("app.log"));
        let says = ["app.log.1", "copied and emptied", "as an input too", &drop];
        place.refused(&["app.log"], place.recovery(), &says);
        let both = ["app.log", "app.log.1"];
        let mut all: Vec<String> = read.lines().map(str::to_owned).collect();
        if read.lines().count() > 1 {
            let rename = format!(
                "`--rename-partition {}={}`",
                place.name("app.log"),
                place.name("app.log.1")
            );
            place.refused(&both, place.recovery(), &[&rename]);
            let renaming = place.renaming("app.log", "app.log.1");
            all.extend(place.read_with(&both, renaming).unwrap());
        } else {
            all.extend(place.read(&both).unwrap());
        }
        let expected = read.clone() + rest + new;
        let mut expected: Vec<&str> = expected.lines().collect();
        all.sort();
        expected.sort_unstable();
        assert_eq!(all, expected);
        // A copy that is known is not asked about again.
        place.append("app.log", "more\n");
        place.reads(&["app.log"], "more");
    }
    // A copy that nothing was cut after, when it is out of the way; and one that is older than the
    // file.
    let place = Place::new();
    place.write("app.log.1", &tick.repeat(100));
    place.write("app.log", &tick.repeat(100));
    assert_eq!(place.read(&["app.log"]).unwrap().len(), 100);
    place.append("app.log", tick);
    assert_eq!(place.read(&["app.log"]).unwrap().len(), 1);
    fs::copy(place.path("app.log"), place.path("app.log.2")).unwrap();
    place.reads(&["app.log"], "");
    place.append("app.log", tick);
    place.refused(&["app.log"], place.recovery(), &["app.log.2"]);
    place.rename("app.log.2", "backup");
    assert_eq!(place.read(&["app.log"]).unwrap().len(), 1);
}

/// A flow may write where rotation would.
#[test]
fn an_output_is_no_rotated_file() {
    let place = Place::new();
    let run = || {
        let [input, output] = ["app.log", "app.log.1"].map(|name| place.path(name));
        let runner = Runner::new(move |flow| {
            let lines = flow.source(TextLines::open(&input)).named("lines");
            lines.sink(TextLines::write_to(&output)).named("out");
        });
        runner.recover(place.recovery()).run()
    };
    let tick = "tick tick tick tick\n";
    place.write("app.log", &tick.repeat(100));
    assert_eq!(run().unwrap().records, 100);
    place.append("app.log", tick);
    assert_eq!(run().unwrap().records, 1);
    place.rename("app.log", "app.log.2");
    place.write("app.log", "new\n");
    assert_eq!(run().unwrap().records, 1);
    // Cut, and nobody has copied it.
    place.append("app.log", &lines("more", 9));
    assert_eq!(run().unwrap().records, 9);
    place.write("app.log", "new\n");
    let error = run().unwrap_err().to_string();
    assert!(error.contains("is shorter"), "{error}");
}
