//! Other content under the same name.

use std::fs;

use crate::{Place, lines, runner};

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

/// The file system gives the inode number of a deleted file to the next one.
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

/// The present content is neither read twice nor left out. The unread rest of the old file is out
/// of reach, and a notice says so.
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

/// After it was copied and truncated, it gets the content that was read once more.
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
