//! Mistakes of users: each leads to one clear error, and nothing is lost or rewritten.
#![cfg(test)]

mod support;

use std::{
    fs::{self, File},
    os::unix::net::UnixListener,
    path::PathBuf,
    process::Command,
    sync::LazyLock,
};

use support::{Ended, Snapshot, Workdir, program};

static WORDS: LazyLock<PathBuf> = LazyLock::new(|| program("words"));
static PACED: LazyLock<PathBuf> = LazyLock::new(|| program("paced"));

/// `src/program/mod.rs` explains them.
const FINE: i32 = 0;
const FAILED: i32 = 1;
const WRONG: i32 = 2;
const REFUSED: i32 = 3;

const PART: &str = "state/part-00000-of-00001.redb";

/// Runs `words` with a store, exactly once into `out`.
struct Words {
    work: Workdir,
}

impl Words {
    /// With this in the file `in`.
    fn with(input: impl AsRef<[u8]>) -> Self {
        let work = Workdir::new();
        work.write("in", input);
        Words { work }
    }

    fn run(&self, options: &[&str]) -> Ended {
        let mut args = vec!["run", "--recover", "state", "--output", "out"];
        args.extend(options);
        self.work.run(&WORDS, &args)
    }

    fn out(&self) -> String {
        self.work.text("out")
    }

    /// All is fine, and this is the whole output.
    #[track_caller]
    fn fine(&self, options: &[&str], out: &str) -> Ended {
        let ended = self.run(options).expect(FINE);
        assert_eq!(self.out(), out);
        ended
    }

    /// It ends with one error which says this, and not a byte of anything is changed.
    #[track_caller]
    fn refused(&self, status: i32, options: &[&str], says: &[&str]) -> Ended {
        let before = self.snapshot();
        let ended = self.run(options).one_error(status, says).silent();
        before.assert_same(&self.snapshot());
        ended
    }

    fn snapshot(&self) -> Snapshot {
        self.work.snapshot("")
    }
}

#[test]
fn an_empty_file_has_no_records_and_may_grow() {
    let words = Words::with("");
    for _ in 0..2 {
        words.fine(&["in"], "").says(["finished: 0 records read"]);
    }
    words.work.append("in", "ant\n");
    words.fine(&["in"], "ant 1\n").says(["1 record read"]);
}

/// As with `tail -f` and log shippers: the writer of a line may not have finished it.
#[test]
fn an_unfinished_last_line_waits_for_its_newline() {
    for (rest, line) in [
        ("\n", "ape"),
        ("\r\n", "ape"),
        ("xes\n", "apexes"),
        ("\rx\n", "ape\rx"),
    ] {
        let words = Words::with("ant\nbee\nape");
        for _ in 0..2 {
            let ended = words.fine(&["in"], "ant 1\nbee 1\n");
            ended.says([
                "in, line 3",
                "no newline",
                ": ape",
                "--take-unfinished-lines",
            ]);
        }
        words.work.append("in", rest);
        let ended = words.fine(&["in"], &format!("ant 1\nbee 1\n{line} 2\n"));
        assert!(!ended.stderr.contains("no newline"), "{}", ended.stderr);
    }
    // A line that is all there is of a file.
    let words = Words::with("ant");
    words
        .fine(&["in"], "")
        .says(["in, line 1", "0 records read"]);
    // A file is not finished while it has such a line.
    fs::remove_file(words.work.path("in")).unwrap();
    words.work.write("other", "");
    words.refused(REFUSED, &["other"], &["had not finished `in`"]);
    words.fine(&["other", "--drop-partition", "in"], "");
}

#[test]
fn of_many_unfinished_lines_some_are_named() {
    let words = Words::with("");
    let names: Vec<String> = (0..8).map(|n| format!("in{n}")).collect();
    for name in &names {
        words.work.write(name, "ant\nb\x1b[31mee");
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let ended = words.run(&names).expect(FINE);
    let ended = ended.says(["in0, line 2", "in4, line 2", "3 more files"]);
    assert!(!ended.stderr.contains("in5") && !ended.stderr.contains('\x1b'));
    assert_eq!(ended.stderr.matches("help:").count(), 1);
}

const TAKE: &str = "--take-unfinished-lines";

#[test]
fn an_unfinished_last_line_that_is_taken_may_get_its_end_later() {
    for end in ["\n", "\r\n"] {
        let words = Words::with("ant\nbee\nape");
        words.fine(&["in", TAKE], "ant 1\nbee 1\nape 2\n");
        for options in [&["in", TAKE][..], &["in"]] {
            words.fine(options, "ant 1\nbee 1\nape 2\n");
        }
        for part in end.split_inclusive('\r') {
            words.work.append("in", part);
            let ended = words.fine(&["in"], "ant 1\nbee 1\nape 2\n");
            ended.says(["0 records read"]);
        }
        words.work.append("in", "bug\n");
        words.fine(&["in"], "ant 1\nbee 1\nape 2\nbug 2\n");
    }
    let words = Words::with("ant\nbee\nape");
    words.run(&["in", TAKE]).expect(FINE);
    words.work.append("in", "\nbug\nasp");
    words.fine(&["in", TAKE], "ant 1\nbee 1\nape 2\nbug 2\nasp 3\n");
}

#[test]
fn a_line_that_was_taken_and_has_grown_since_is_named_and_its_rest_can_be_skipped() {
    let words = Words::with("ant\nbee\nape");
    let nothing = ["in", "--skip-rest-of-line", "in"];
    words.run(&["in", TAKE]).expect(FINE);
    words.refused(REFUSED, &nothing, &["nothing to skip"]);
    for rest in ["x", "xes\n", " and\nbug\n", "\rbug\n", "\r\rbug\n"] {
        words.work.write("in", format!("ant\nbee\nape{rest}"));
        let says = [
            "`words`",
            "in, line 3",
            "has grown since",
            "--skip-rest-of-line in",
        ];
        words.refused(REFUSED, &["in"], &says);
        words.refused(REFUSED, &["in", TAKE], &says);
    }
    let wrong = ["in", "--skip-rest-of-line", "out"];
    words.refused(REFUSED, &wrong, &["`out`", "are `in`"]);
    // The way out: what was taken stays as it was.
    words.work.write("in", "ant\nbee\napes are\nbug\n");
    words.fine(
        &["in", "--skip-rest-of-line", "in"],
        "ant 1\nbee 1\nape 2\nbug 2\n",
    );
    words.refused(REFUSED, &nothing, &["nothing to skip"]);
    words.work.append("in", "asp\n");
    words.fine(&["in"], "ant 1\nbee 1\nape 2\nbug 2\nasp 3\n");
}

#[test]
fn the_byte_order_mark_of_utf_8_is_no_part_of_the_first_line() {
    for workers in ["1", "2"] {
        let words = Words::with("\u{feff}ant\nbee\n");
        let sorted = |expected: &str| {
            words.run(&["in", "-w", workers]).expect(FINE);
            let mut lines: Vec<_> = words.out().lines().map(str::to_owned).collect();
            lines.sort();
            assert_eq!(lines.join(" "), expected);
        };
        sorted("ant 1 bee 1");
        // In the middle it is a character like any other.
        words.work.append("in", "\u{feff}ape\n");
        sorted("ant 1 bee 1 \u{feff}ape 1");
    }
    let words = Words::with("\u{feff}");
    let ended = words.fine(&["in"], "").says(["0 records read"]);
    assert!(!ended.stderr.contains("newline"));
    words.work.append("in", "ant\n");
    words.fine(&["in"], "ant 1\n");
    let words = Words::with(b"\xef\xbb\xbf\xff\n");
    words
        .run(&["in"])
        .one_error(FAILED, ["in, line 1", "not UTF-8, from its byte 1"]);
}

#[test]
fn another_encoding_is_named() {
    let utf_16 = |order: fn(u16) -> [u8; 2]| -> Vec<u8> {
        "\u{feff}ant\n".encode_utf16().flat_map(order).collect()
    };
    let wide = b"\xff\xfe\0\0a\0\0\0\n\0\0\0".to_vec();
    for (bytes, name) in [
        (utf_16(u16::to_le_bytes), "UTF-16"),
        (utf_16(u16::to_be_bytes), "UTF-16"),
        (wide, "UTF-32"),
    ] {
        let words = Words::with(bytes);
        words.refused(WRONG, &["in"], &["in is", name, "iconv -f", "in >"]);
    }
}

/// Opening a pipe waits for its writer, and none of these inputs can be resumed from the middle.
#[test]
fn what_is_no_regular_file_is_refused_and_not_waited_for() {
    let words = Words::with("ant\n");
    let pipe = words.work.path("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let _socket = UnixListener::bind(words.work.path("socket")).unwrap();
    std::os::unix::fs::symlink(&pipe, words.work.path("link")).unwrap();
    for (name, kind) in [
        ("pipe", "a pipe"),
        ("link", "a pipe"),
        ("socket", "a socket"),
        ("/dev/null", "a character device"),
    ] {
        for names in [
            &["run", name, "--recover", "state"][..],
            &["run", "in", name],
            &["check", name],
        ] {
            let ended = words.work.run(&WORDS, names).silent();
            ended.one_error(WRONG, [name, kind, "regular file"]);
        }
    }
    assert!(!words.work.path("state").exists());
    // An input that becomes one.
    words.fine(&["in"], "ant 1\n");
    fs::remove_file(words.work.path("in")).unwrap();
    fs::rename(&pipe, words.work.path("in")).unwrap();
    let ended = words.run(&["in"]).silent();
    ended.one_error(REFUSED, ["in is a pipe"]);
}

/// It is refused in place of a file of the store, too.
#[test]
fn a_lock_file_that_is_a_pipe_is_refused_and_not_waited_for() {
    let words = Words::with("ant\n");
    let make_pipe = || {
        let lock = words.work.path("state/lock");
        drop(fs::remove_file(&lock));
        assert!(Command::new("mkfifo").arg(lock).status().unwrap().success());
    };
    fs::create_dir(words.work.path("state")).unwrap();
    for _ in 0..2 {
        make_pipe();
        for verb in ["run", "check"] {
            let args = [verb, "in", "--recover", "state"];
            let ended = words.work.run(&WORDS, &args).silent();
            ended.one_error(REFUSED, ["state/lock", "no regular file"]);
        }
        // The next time beside a store.
        fs::remove_file(words.work.path("state/lock")).unwrap();
        words.run(&["in"]).expect(FINE);
    }
}

#[test]
fn no_input_at_all_is_a_mistake() {
    let words = Words::with("ant\n");
    words.refused(WRONG, &[], &["`words`", "no files to read"]);
    words.refused(
        WRONG,
        &["logs/*.json"],
        &["logs/*.json", "No such file", "pattern"],
    );
    words.refused(WRONG, &["-"], &["-: can't be opened", "standard input"]);
}

#[test]
fn lines_may_end_as_on_windows() {
    let words = Words::with("ant\r\nbee\nape\r\n");
    words.fine(&["in"], "ant 1\nbee 1\nape 2\n");
    words.work.append("in", "bug\r\n");
    words.fine(&["in"], "ant 1\nbee 1\nape 2\nbug 2\n");
}

#[test]
fn a_compressed_file_is_refused_with_the_command_that_helps() {
    for (format, command, magic) in [
        ("gzip", "`gzip -dc in", &b"\x1f\x8b\x08\0rest\n"[..]),
        ("compress", "`gzip -dc in", b"\x1f\x9d\x90\n"),
        ("zstd", "`zstd -dc in", b"\x28\xb5\x2f\xfd\n"),
        ("bzip2", "`bzip2 -dc in", b"BZh91AY&SY\n"),
        ("xz", "`xz -dc in", b"\xfd7zXZ\0\n"),
        ("lz4", "`lz4 -dc in", b"\x04\x22\x4d\x18\n"),
        ("zip", "`unzip -p in", b"PK\x03\x04\n"),
    ] {
        let words = Words::with(magic);
        let says = ["in is compressed", format, "decompress it first", command];
        words.refused(WRONG, &["in"], &says);
        words.refused(WRONG, &["in", "--workers", "3"], &says);
        // What merely begins with the same letter is text.
        words.work.write("in", "(ant\n");
        words.fine(&["in"], "(ant 1\n");
    }
}

#[test]
fn a_line_that_is_no_text_is_named_and_everything_before_it_is_committed() {
    for (epochs, workers) in [("1h", "1"), ("every-record", "2"), ("3", "4")] {
        let words = Words::with(b"ant\nbee\nape\nb\xff\xfeg\nasp\n");
        let options = ["in", "--epoch", epochs, "--workers", workers];
        for _ in 0..2 {
            let ended = words.run(&options).silent();
            ended.one_error(FAILED, ["`words`", "in, line 4", "not UTF-8", "is safe"]);
            let mut lines: Vec<_> = words.out().lines().map(str::to_owned).collect();
            lines.sort();
            assert_eq!(lines, ["ant 1", "ape 2", "bee 1"]);
        }
        words.work.write("in", "ant\nbee\nape\nbug\nasp\n");
        words.run(&options).expect(FINE).says(["2 records read"]);
        assert_eq!(words.out().lines().count(), 5);
        assert!(words.out().contains("bug 2") && words.out().contains("asp 3"));
    }
}

#[test]
fn an_endless_line_is_named_and_not_kept_in_memory() {
    let words = Words::with("ant\nbee\n");
    let half_a_gigabyte = 500 << 20;
    let file = File::options()
        .write(true)
        .open(words.work.path("in"))
        .unwrap();
    file.set_len(half_a_gigabyte).unwrap();
    // Less than the line has.
    let limited = format!(
        "ulimit -v 450000 && exec {} run --recover state --output out in",
        WORDS.display()
    );
    let run = || words.work.run("/bin/sh".as_ref(), &["-c", &limited]);
    for _ in 0..2 {
        let says = [
            "in, line 3",
            "longer than 16777216 bytes",
            "is safe",
            "max_line",
        ];
        let ended = run().one_error(FAILED, says);
        assert!(
            ended.stderr.len() < 10_000,
            "the line is not shown as a whole"
        );
        assert_eq!(words.out(), "ant 1\nbee 1\n");
    }
    words.work.write("in", "ant\nbee\nape\n");
    run().expect(FINE);
    assert_eq!(words.out(), "ant 1\nbee 1\nape 2\n");
}

#[test]
fn a_long_line_within_the_limit_is_a_line() {
    let long = "a".repeat(10 << 20);
    let words = Words::with(format!("ant\n{long}\nape\n"));
    words.run(&["in"]).expect(FINE);
    assert!(words.out() == format!("ant 1\n{long} 2\nape 3\n"));
}

#[test]
fn a_directory_or_nothing_in_place_of_an_input_is_named() {
    let words = Words::with("ant\n");
    fs::create_dir(words.work.path("dir")).unwrap();
    words.refused(
        WRONG,
        &["dir"],
        &["`words`", "dir is a directory", "words.rs:"],
    );
    words.refused(WRONG, &["nothing"], &["`words`", "nothing", "No such file"]);
    words.refused(WRONG, &["in/in"], &["`words`", "in/in", "Not a directory"]);
    words.refused(WRONG, &["in", "nothing"], &["nothing", "No such file"]);
    words.refused(WRONG, &["in", "in"], &["in is named twice"]);

    words.fine(&["in"], "ant 1\n");
    let moved = words.work.path("moved");
    fs::rename(words.work.path("in"), &moved).unwrap();
    words.refused(
        REFUSED,
        &["in"],
        &["`words`", "in is gone", "No such file", "need not be named"],
    );
    fs::create_dir(words.work.path("in")).unwrap();
    words.refused(REFUSED, &["in"], &["`words`", "in is a directory"]);
    fs::remove_dir(words.work.path("in")).unwrap();
    fs::rename(&moved, words.work.path("in")).unwrap();
    words.work.append("in", "ape\n");
    words.fine(&["in"], "ant 1\nape 2\n");
}

#[test]
fn a_file_that_is_not_what_it_was_is_refused() {
    let read = "ant\nbee\nape\n";
    let words = Words::with(read);
    words.run(&["in"]).expect(FINE);
    let out = words.out();
    for shorter in ["", "ant\nbee\n", "ant\nbee\nape", "bug\n"] {
        words.work.write("in", shorter);
        let says = ["`words`", "in is shorter", "12 had been read", "line 3"];
        words.refused(REFUSED, &["in"], &says);
    }
    for other in [
        "ant\nbee\nasp\n",
        "bug\nbee\nape\n",
        "asp\nant\nbee\nape\nbug\n",
    ] {
        words.work.write("in", other);
        words.refused(REFUSED, &["in"], &["`words`", "in has other content"]);
    }
    words.work.write("in", [read, "bug\n"].concat());
    words.fine(&["in"], &(out + "bug 2\n"));
}

/// A partition that is gone, before or after it was read to its end.
#[test]
fn an_unfinished_file_that_is_gone_takes_an_agreement() {
    let words = Words::with("ant\nbee\n");
    words.work.write("more", b"asp\n\xff\n");
    words
        .run(&["in", "more"])
        .one_error(FAILED, ["more, line 2"]);
    let says = [
        "`words`",
        "had not finished `more`",
        "--drop-partition more",
    ];
    words.refused(REFUSED, &["in"], &says);
    words.refused(REFUSED, &["in", "other"], &["more"]);
    let there = ["in", "more", "--drop-partition", "more"];
    words.refused(REFUSED, &there, &["`more` is there", "nothing to drop"]);
    let wrong = ["in", "more", "--drop-partition", "mroe"];
    words.refused(REFUSED, &wrong, &["`mroe`", "`in`, `more`"]);

    words.run(&["in", "--drop-partition", "more"]).expect(FINE);
    let mut lines: Vec<_> = words.out().lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines.len(), 3, "{lines:?}");
    words.fine(&["in"], &words.out());
    // What was dropped is forgotten: it would be read from its start.
    words.work.write("more", "bug\n");
    let ended = words.run(&["in", "more"]).expect(FINE);
    assert!(ended.says(["1 record read"]).code == Some(FINE) && words.out().ends_with("bug 2\n"));
}

#[test]
fn a_partition_is_renamed_on_the_command_line() {
    let words = Words::with("ant\n");
    words.work.write(
        "day=1",
        "bee and some more, so that it is told from others\ncow\n",
    );
    words.run(&["in", "day=1"]).expect(FINE);
    // A copy, as from an archive.
    words.work.write(
        "day=2",
        "bee and some more, so that it is told from others\ncow\ndog\n",
    );
    fs::remove_file(words.work.path("day=1")).unwrap();
    let to_what = ["in", "day=2", "--rename-partition", "day=1=day=3"];
    words.refused(REFUSED, &to_what, &["no source has read", "`day=1`"]);
    let renamed = ["in", "day=2", "--rename-partition", "day=1=day=2"];
    words.run(&renamed).expect(FINE).says(["1 record read"]);
    // The same start again has nothing to do.
    words.run(&renamed).expect(FINE).says(["0 records read"]);
    assert!(words.out().ends_with("dog 1\n"));
    let ended = words.run(&["in", "--rename-partition", "in"]);
    ended.expect(WRONG).says(["the old name and the new one"]);
}

#[test]
fn a_finished_file_may_go() {
    let words = Words::with("ant\n");
    // So much that a copy of it is known again.
    let more = format!("asp{}\nauk\n", "s".repeat(70));
    words.work.write("more", &more);
    words.run(&["in", "more"]).expect(FINE);
    fs::remove_file(words.work.path("more")).unwrap();
    words.work.append("in", "bug\n");
    words.run(&["in"]).expect(FINE).says(["1 record read"]);
    assert!(words.out().ends_with("bug 1\n") && words.out().lines().count() == 4);
    // It comes back as it was left.
    words.work.write("more", &(more + "ape\n"));
    words
        .run(&["in", "more"])
        .expect(FINE)
        .says(["1 record read"]);
    assert!(words.out().ends_with("ape 4\n"));
}

#[test]
fn an_output_that_the_store_knows_nothing_of_is_left_alone() {
    let words = Words::with("ant\n");
    words.work.write("out", "precious\n");
    words.refused(
        WRONG,
        &["in"],
        &["`written`", "out exists and holds 9 bytes", "--recover"],
    );
    assert!(!words.work.path("state").exists());
    // `--recover` was forgotten.
    words.work.write("out", "");
    words.fine(&["in"], "ant 1\n");
    let before = words.snapshot();
    let ended = words.work.run(&WORDS, &["run", "in", "--output", "out"]);
    ended.one_error(
        WRONG,
        ["out exists and holds 6 bytes", "was `--recover` forgotten?"],
    );
    before.assert_same(&words.snapshot());
}

#[test]
fn an_output_that_cannot_be_made_is_named() {
    let words = Words::with("ant\n");
    let run = |output: &str, says: &[&str]| {
        let before = words.snapshot();
        let args = ["run", "in", "--recover", "state", "--output", output];
        words
            .work
            .run(&WORDS, &args)
            .one_error(WRONG, says)
            .silent();
        before.assert_same(&words.snapshot());
    };
    run(
        "no/such/out",
        &["`written`", "no/such/out", "no directory no/such"],
    );
    run("in/out", &["`written`", "in/out", "Not a directory"]);
    run(".", &["`written`", ". is a directory"]);
    run("/dev/null", &["`written`", "/dev/null is no regular file"]);
    // That it can't be made shows only when it is made, so the store knows of this run.
    let args = [
        "run",
        "in",
        "--recover",
        "state",
        "--output",
        "/proc/words-out",
    ];
    let ended = words.work.run(&WORDS, &args);
    ended
        .one_error(FAILED, ["`written`", "/proc/words-out"])
        .silent();
    words.fine(&["in"], "ant 1\n");
}

#[test]
fn an_output_that_has_lost_something_is_refused() {
    let words = Words::with("ant\nbee\nape\n");
    words.run(&["in"]).expect(FINE);
    let out = words.out();
    words.work.append("in", "bug\n");
    for cut in [0, 1, out.len() - 1] {
        words.work.write("out", &out[..cut]);
        let there = format!("only {cut} are there");
        let says = [
            "`written`",
            "out does not hold the output so far",
            "18 bytes",
            &there,
        ];
        words.refused(REFUSED, &["in"], &says);
    }
    for other in [
        "ant 1\nbee 1\napx 2\n",
        "something that somebody else has put there\n",
    ] {
        words.work.write("out", other);
        let says = [
            "`written`",
            "out does not hold the output so far",
            "changed",
        ];
        words.refused(REFUSED, &["in"], &says);
    }
    fs::remove_file(words.work.path("out")).unwrap();
    words.refused(
        REFUSED,
        &["in"],
        &[
            "`written`",
            "out does not hold the output so far",
            "it is gone",
        ],
    );
    // Pointed at a file of somebody else's, shorter or longer.
    for others in ["mine\n", "the precious work of somebody else\n"] {
        words.work.write("others", others);
        let before = words.snapshot();
        let args = ["run", "in", "--recover", "state", "--output", "others"];
        let ended = words.work.run(&WORDS, &args).silent();
        let says = [
            "`written`",
            "others does not hold the output so far",
            "(as out)",
        ];
        ended.one_error(REFUSED, says);
        before.assert_same(&words.snapshot());
    }
    // As the message says: begun anew.
    let ended = words.run(&["in", "--drop-state", "written"]).expect(FINE);
    ended.says(["rows of step `written` are dropped"]);
    assert_eq!(words.out(), "bug 2\n");

    let words = Words::with("ant\n");
    words.run(&["in"]).expect(FINE);
    words.work.append("out", "a line of somebody else's\n");
    let says = ["`written`", "ended cleanly", "knows nothing of"];
    words.refused(REFUSED, &["in"], &says);
}

#[test]
fn an_output_without_a_line_yet_is_no_leave_to_cut_another_file() {
    let words = Words::with("");
    words.fine(&["in"], "");
    words.work.write("in", "ant\n");
    words.work.write("others", "mine\n");
    let before = words.snapshot();
    let args = ["run", "in", "--recover", "state", "--output", "others"];
    let ended = words.work.run(&WORDS, &args).silent();
    ended.one_error(REFUSED, ["`written`", "others", "it is another file"]);
    before.assert_same(&words.snapshot());
    words.fine(&["in"], "ant 1\n");
}

#[test]
fn an_output_has_one_writer() {
    let work = Workdir::new();
    let args = |store| {
        let size = ["--partitions", "1", "--records", "40", "--interval", "0"];
        let args = [
            "run",
            "--recover",
            store,
            "--output",
            "out",
            "--epoch",
            "1ms",
        ];
        [&args[..], &size].concat()
    };
    let mut first = work.start(&PACED, &[&args("one")[..], &["--upto", "20"]].concat());
    first.wait_until("it has written", |_| {
        work.len("out") > 0 && work.text("out").lines().count() == 20
    });
    let before = work.snapshot("out");
    for _ in 0..2 {
        let second = work.run(&PACED, &args("two"));
        second.one_error(
            WRONG,
            ["`json_lines`", "out is being written by another run"],
        );
        let third = work.run(&PACED, &["run", "--output", "out"]);
        third.one_error(WRONG, ["out is being written by another run"]);
    }
    before.assert_same(&work.snapshot("out"));
    assert!(!work.path("two").exists());
    assert!(first.is_running());
    first.signal("TERM");
    first.wait().expect(FINE);
    work.run(&PACED, &args("one")).expect(FINE);
    assert_eq!(work.text("out").lines().count(), 40);
}

#[test]
fn a_store_has_one_run() {
    let work = Workdir::new();
    let args = [
        "run",
        "--recover",
        "state",
        "--interval",
        "0",
        "--records",
        "40",
    ];
    let first_args = [&args[..], &["--upto", "20", "--output", "out"]].concat();
    let mut first = work.start(&PACED, &first_args);
    first.wait_until("it has written", |_| work.len("out") > 0);
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let holder = format!("process {} on {}", first.pid(), host.trim());
    for _ in 0..2 {
        let second = work.run(&PACED, &[&args[..], &["--output", "other"]].concat());
        second.one_error(REFUSED, ["state is in use", holder.as_str(), "since"]);
    }
    assert!(!work.path("other").exists());
    assert!(first.is_running());
    first.signal("TERM");
    first.wait().expect(FINE);
    let again = [&args[..], &["--output", "out"]].concat();
    work.run(&PACED, &again).expect(FINE);
    assert_eq!(work.text("out").lines().count(), 240);
}

#[test]
fn a_store_that_cannot_be_made_is_named_and_nothing_else_is_made() {
    let words = Words::with("ant\n");
    for (store, says) in [
        ("in", "in is not a directory"),
        ("in/state", "in/state"),
        ("in/far/below", "in/far/below"),
        ("/proc/words-state", "/proc/words-state"),
        ("/dev/null", "/dev/null is not a directory"),
    ] {
        let before = words.snapshot();
        let args = ["run", "in", "--output", "out", "--recover", store];
        let ended = words.work.run(&WORDS, &args);
        ended.one_error(REFUSED, [says]).silent();
        before.assert_same(&words.snapshot());
    }
}

/// A store as `words` leaves it, and how it is broken.
fn broken(break_it: impl Fn(&Workdir), says: &[&str]) {
    let words = Words::with("ant\nbee\n");
    words.run(&["in"]).expect(FINE);
    words.work.append("in", "ape\n");
    let good = words.work.read(PART);
    break_it(&words.work);
    for _ in 0..2 {
        words.refused(REFUSED, &["in"], says);
    }
    // A backup is all it takes.
    words.work.write(PART, good);
    words.fine(&["in"], "ant 1\nbee 1\nape 2\n");
}

#[test]
fn a_store_file_of_something_else_is_refused() {
    broken(|work| work.write(PART, "no store"), &[PART]);
    broken(
        |work| work.write(PART, "no store\n".repeat(100_000)),
        &[PART],
    );
    broken(|work| work.write(PART, [0; 4096]), &[PART]);
    broken(|work| work.write(PART, ""), &[PART, "is empty"]);
}

#[test]
fn a_store_file_that_was_cut_is_refused() {
    let fixed = [1_u64, 9, 100, 511, 512, 4096, 8192].map(|left| Box::new(move |_| left) as CutTo);
    let relative: [CutTo; 3] = [
        Box::new(|length| length / 2),
        Box::new(|length| length - 4096),
        Box::new(|length| length - 1),
    ];
    for left in fixed.into_iter().chain(relative) {
        // Of its own length: a store that closed one epoch more has one page more.
        let cut = |work: &Workdir| {
            let file = File::options().write(true).open(work.path(PART)).unwrap();
            file.set_len(left(work.len(PART))).unwrap();
        };
        broken(cut, &[PART]);
    }
}

/// The length to which a file of this length is cut.
type CutTo = Box<dyn Fn(u64) -> u64>;

#[test]
fn a_store_file_with_other_bytes_is_refused_or_read_right() {
    let words = Words::with("ant\nbee\n");
    words.run(&["in"]).expect(FINE);
    words.work.append("in", "ape\n");
    let (good, out) = (words.work.read(PART), words.out());
    let (mut refused, mut read) = (0, 0);
    for at in (0..good.len()).step_by(good.len() / 60) {
        let mut bytes = good.clone();
        bytes[at..]
            .iter_mut()
            .take(64)
            .for_each(|byte| *byte ^= 0x5a);
        words.work.write(PART, &bytes);
        words.work.write("out", &out);
        let before = words.snapshot();
        let ended = words.run(&["in"]);
        if ended.code == Some(FINE) {
            read += 1;
            assert_eq!(words.out(), "ant 1\nbee 1\nape 2\n", "byte {at}");
        } else {
            refused += 1;
            ended.one_error(REFUSED, [PART]);
            before.assert_same(&words.snapshot());
        }
    }
    assert!(
        refused > 0 && read + refused >= 60,
        "{refused} refused, {read} read"
    );
}

#[test]
fn a_store_file_that_is_gone_is_no_fresh_start() {
    let removed = |work: &Workdir| fs::remove_file(work.path(PART)).unwrap();
    broken(
        removed,
        &["state has lost its data", "part-00000-of-00001.redb"],
    );
}

#[test]
fn a_store_file_of_another_store_is_refused() {
    let other = Words::with("bug\n");
    other.run(&["in"]).expect(FINE);
    let swap = |work: &Workdir| work.write(PART, other.work.read(PART));
    broken(
        swap,
        &[PART, "of the store", "this directory held the store"],
    );
}

#[test]
fn other_files_in_the_directory_of_a_store() {
    let words = Words::with("ant\n");
    fs::create_dir(words.work.path("state")).unwrap();
    words.work.write("state/notes.txt", "mine");
    words.fine(&["in"], "ant 1\n");
    words.work.append("in", "ape\n");
    let second = "state/part-00001-of-00002.redb";
    words.work.write(second, words.work.read(PART));
    let says = ["should have the one file", "part-00001-of-00002.redb"];
    words.refused(REFUSED, &["in"], &says);
    fs::remove_file(words.work.path(second)).unwrap();
    fs::remove_file(words.work.path("state/lock")).unwrap();
    words.fine(&["in"], "ant 1\nape 2\n");
    assert_eq!(words.work.text("state/notes.txt"), "mine");
}

#[test]
fn the_store_of_another_flow_is_refused_step_by_step() {
    let words = Words::with("ant\n");
    words.run(&["in"]).expect(FINE);
    let before = words.snapshot();
    let run = |options: &[&str]| {
        let args = [
            "run",
            "--recover",
            "state",
            "--output",
            "other",
            "--interval",
            "0",
        ];
        words.work.run(&PACED, &[&args[..], options].concat())
    };
    let says = ["`words`", "`count`", "`written`", "state"];
    let ended = run(&[]).one_error(REFUSED, says);
    before.assert_same(&words.snapshot());
    // The message says what to agree to, ready to be used.
    let (_, flags) = ended.stderr.split_once("start with `").unwrap();
    let (flags, _) = flags.split_once('`').unwrap();
    let flags: Vec<_> = flags.split(' ').collect();
    assert_eq!(flags.len(), 6, "{flags:?}");
    run(&flags[..4]).one_error(REFUSED, [flags[5]]);
    before.assert_same(&words.snapshot());
    let wrong = [&flags[..], &["--drop-state", "cuont"]].concat();
    run(&wrong).one_error(REFUSED, ["`cuont`", "`count`"]);
    before.assert_same(&words.snapshot());
    run(&flags).expect(FINE).says(["step `count` are dropped"]);
    words.refused(REFUSED, &["in"], &["`totals`"]);
}

#[test]
fn a_state_that_does_not_fit_its_type_is_refused_by_step_and_key() {
    for workers in ["1", "3"] {
        let words = Words::with("ant\n");
        words.run(&["in"]).expect(FINE);
        let retyped = ["in", "--shape", "retyped", "--workers", workers];
        let says = [
            "step `count`",
            "key \"a\"",
            "`Longest`",
            "--drop-state count",
        ];
        words.refused(REFUSED, &retyped, &says);
        words.refused(REFUSED, &retyped, &says);
        words.work.append("in", "ape\n");
        let agreed = [&retyped[..], &["--drop-state", "count"]].concat();
        words
            .fine(&agreed, "ant 1\nape 3\n")
            .says(["step `count` are dropped"]);
        words.refused(REFUSED, &["in"], &["step `count`", "key \"a\"", "`Count`"]);
    }
}

#[test]
fn a_renamed_step_keeps_its_state_only_if_it_says_so() {
    let words = Words::with("ant\n");
    words.run(&["in"]).expect(FINE);
    words.work.append("in", "ape\n");
    let renamed = ["in", "--shape", "renamed"];
    let says = ["`count`", ".renamed_from(\"count\")", "--drop-state count"];
    words.refused(REFUSED, &renamed, &says);
    let ended = words.fine(&["in", "--shape", "renamed-from"], "ant 1\nape 2\n");
    ended.says(["step `tally` resumes with the rows of `count`"]);
    words.work.append("in", "asp\n");
    // From then on it may say so or not.
    let ended = words.fine(&renamed, "ant 1\nape 2\nasp 3\n");
    assert!(!ended.stderr.contains("goes on with"), "{ended}");
    words.fine(&["in", "--shape", "renamed-from"], "ant 1\nape 2\nasp 3\n");
    words.refused(REFUSED, &["in"], &["`tally`"]);
    words.work.append("in", "axe\n");
    let ended = words.fine(
        &["in", "--drop-state", "tally"],
        "ant 1\nape 2\nasp 3\naxe 1\n",
    );
    ended.says(["`tally` are dropped", "`count` is not in the store yet"]);
}

#[test]
fn a_flow_may_grow_by_a_sink() {
    let words = Words::with("ant\n");
    words.run(&["in"]).expect(FINE).silent();
    words.work.append("in", "ape\n");
    let ended = words.fine(&["in", "--shape", "grown"], "ant 1\nape 2\n");
    assert_eq!(ended.stdout, "ape 2\n");
}

#[test]
fn a_full_device_is_an_error_and_not_a_loss() {
    // A size limit of the shell stands for the device: the signal it sends is left to the program
    // as an error.
    let words = Words::with("ant\n".repeat(100_000));
    let limited = format!(
        "trap '' XFSZ; ulimit -f 500 && exec {} run in --recover state --output out --epoch 1000",
        WORDS.display()
    );
    let ended = words
        .work
        .run("/bin/sh".as_ref(), &["-c", &limited])
        .expect(FAILED);
    ended.says(["large"]);
    words.run(&["in"]).expect(FINE);
    let expected: String = (1..=100_000).map(|n| format!("ant {n}\n")).collect();
    assert!(words.out() == expected, "everything is there once");
}

#[test]
fn standard_output_that_nobody_reads_is_an_error_and_not_a_loss() {
    let words = Words::with("ant\n".repeat(20_000));
    let command = format!("{} run in --recover state", WORDS.display());
    let piped = format!("{{ {command}; echo status $? >&2; }} | head -n 1");
    let ended = words.work.run("/bin/sh".as_ref(), &["-c", &piped]);
    let says = ["`written`", "standard output can't be written", "status 1"];
    let ended = ended.expect(0).says(says);
    assert_eq!(ended.stdout, "ant 1\n");
    // At least once: whatever is not durable comes again, and the count goes on without a gap.
    let ended = words.work.run("/bin/sh".as_ref(), &["-c", &command]);
    let ended = ended.expect(FINE);
    let lines: Vec<_> = ended.stdout.lines().collect();
    let first = 20_000 - lines.len() + 1;
    let expected: Vec<_> = (first..=20_000).map(|n| format!("ant {n}")).collect();
    assert!(lines == expected, "from {first} on");
    let read = format!("{} records read", lines.len());
    ended.says([read]);
}

/// `check` reports the refusals and notices of a start, and changes nothing.
#[test]
fn a_check_says_what_a_run_would_and_changes_nothing() {
    let words = Words::with("ant\nbee\n");
    let check = |shape: &str, options: &[&str]| {
        let flow = [
            "check",
            "in",
            "--output",
            "out",
            "--recover",
            "state",
            "--shape",
            shape,
        ];
        words
            .work
            .run(&program("words"), &[&flow, options].concat())
    };
    check("first", &[])
        .expect(FINE)
        .says(["a run would start; nothing has been changed"]);
    assert!(!words.work.path("state").exists() && !words.work.path("out").exists());
    words.run(&["in"]).expect(FINE);
    words.work.append("in", "asp\n");
    let before = (words.work.snapshot("state"), words.out());
    check("first", &["-w", "3"])
        .expect(FINE)
        .says(["resuming from epoch 1."])
        .silent();
    check("renamed", &[]).one_error(REFUSED, ["`count`", ".renamed_from"]);
    check("renamed-from", &[])
        .expect(FINE)
        .says(["step `tally` resumes with the rows of `count`"]);
    check("retyped", &[]).one_error(REFUSED, ["`count`"]);
    words.work.write("in", "bug\n");
    check("first", &[]).one_error(REFUSED, ["in is shorter"]);
    before.0.assert_same(&words.work.snapshot("state"));
    assert_eq!(before.1, words.out());
}

/// A check only reads: other processes neither wait for it nor are told of it.
#[test]
fn a_check_leaves_the_lock_file_alone_and_reads_beside_others() {
    let words = Words::with("ant\nbee\n");
    words.run(&["in"]).expect(FINE);
    let reading = flow_store::Look::read(words.work.path("state")).unwrap();
    let lock = || {
        let path = words.work.path("state").join("lock");
        (
            fs::read(&path).unwrap(),
            fs::metadata(&path).unwrap().modified().unwrap(),
        )
    };
    let before = lock();
    let flow = ["check", "in", "--output", "out", "--recover", "state"];
    words.work.run(&program("words"), &flow).expect(FINE);
    assert!(before == lock());
    drop(reading);
}

#[test]
fn where_nothing_is_durable_yet_no_epoch_is_named() {
    let words = Words::with("ant");
    let ended = words.fine(&["in"], "");
    let ended = ended.says(["finished: 0 records read, nothing is durable yet"]);
    assert!(!ended.stderr.contains("epoch"), "{ended}");
    let words = Words::with(b"\xff\n");
    let ended = words.run(&["in"]).expect(FAILED);
    let ended = ended.says(["Nothing is durable yet; the next run starts at it."]);
    assert!(!ended.stderr.contains("epoch"), "{ended}");
    words.work.write("in", "ant\n");
    let ended = words.fine(&["in"], "ant 1\n");
    ended.says(["resuming from a store in which nothing is durable yet"]);
}
