//! Files that are copied: which of the two continues what was read.

use std::fs;

use crate::{Place, lines};

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

/// As after a restored backup: inputs and store, all with new inode numbers.
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

/// The user may still say that it is the same file, because only the inode number differs.
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
