//! Files that log rotation renames, packs or forgets.

use std::{fs, path::PathBuf};

use flow::{ResumeError, RunError, Runner, TextLines};

use crate::{Place, lines, read};

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

/// A file system gives the inode number of a removed file to the next one at once.
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

/// An editor leaves the old content in a file beside it, and most of it in the file too.
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

/// Another program's file may have the number too, and an empty file has nothing to miss.
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

/// The name of a compressed file has the time of its content, and its modification time that of the
/// compression.
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

/// A run that reads other files does not mention this one.
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

/// The rest of a rotated file counts as one file with the input that it becomes.
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

/// As with `compress` and `delaycompress` of `logrotate`: the compressed file keeps the time of the
/// original.
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

/// A file that was read to its end and is no longer an input leaves its name to another one.
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

/// A flow may write to a file that rotation might write.
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
