//! The verbs that change nothing.

use crate::support::*;
use flow_store::{Agreed, Changes, End, FailureKind, FailureRecord, Start, StepKind, StepSpec};
use std::fs;

const READING: [&[&str]; 9] = [
    &["info", "STORE"],
    &["info", "STORE", "--json"],
    &["steps", "STORE"],
    &["get", "STORE", "counts", "anna"],
    &["export", "STORE"],
    &["export", "STORE", "counts"],
    &["verify", "STORE"],
    &["diff", "STORE", "other"],
    &["backup", "STORE", "target"],
];

fn at<'a>(store: &'a str, args: &[&'a str]) -> Vec<&'a str> {
    let name = |arg: &&'a str| if *arg == "STORE" { store } else { *arg };
    args.iter().map(name).collect()
}

#[test]
fn reading_changes_nothing_on_a_killed_store_neither() {
    for store in ["clean", "killed"] {
        let home = Home::stores();
        home.copy(store, "other");
        let before = home.bytes(store);
        for args in READING {
            home.run(&at(store, args)).ok();
            assert!(before == home.bytes(store), "{args:?} changed {store}");
            // The same if the command fails.
            home.run(&["get", store, "counts", "nobody"]).refused(1);
            home.run(&["export", store, "nothing"]).refused(3);
        }
        assert!(before == home.bytes(store));
    }
}

#[test]
fn while_a_flow_runs_they_say_who_holds_it() {
    let home = Home::stores();
    home.copy("clean", "other");
    let mut execution = home.start("clean");
    let before = home.bytes("clean");
    let text = fs::read_to_string(home.path("clean/lock")).unwrap();
    let line = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().to_owned()
    };
    let expected = format!(
        "the store clean is in use by process {} on {} since {}\nhelp: stop that process, or give \
         another directory",
        std::process::id(),
        line("host "),
        line("since ")
    );
    let writing: [&[&str]; 3] = [
        &["drop", "STORE", "counts"],
        &["rename", "STORE", "counts", "more"],
        &["compact", "STORE"],
    ];
    for args in READING.into_iter().chain(writing) {
        let message = home.run(&at("clean", args)).refused(3);
        assert_eq!(message, expected, "{args:?}");
    }
    let message = home.run(&["diff", "other", "clean"]).refused(3);
    assert_eq!(message, expected);
    assert!(before == home.bytes("clean") && !home.path("target").exists());
    // The flow is not affected.
    execution.commit(epoch(2, 1), [&later_words()]).unwrap();
    execution.end(End::Finished).unwrap();
}

#[test]
fn a_directory_without_a_store() {
    let home = Home::new();
    fs::create_dir(home.path("other")).unwrap();
    fs::write(home.path("file"), "").unwrap();
    for args in READING {
        let message = home.run(&at("nowhere", args)).refused(3);
        assert_eq!(
            message,
            "there is no store in nowhere\nhelp: give the directory that a flow was started with \
             `--recover`"
        );
    }
    assert!(!home.path("nowhere").exists() && !home.path("target").exists());
    let message = home.run(&["info", "other"]).refused(3);
    assert!(
        message.starts_with("there is no store in other\nhelp: "),
        "{message}"
    );
    assert_eq!(
        home.run(&["info", "file"]).refused(3),
        "file is not a directory, and the store needs one of its own\nhelp: give another path"
    );
}

#[test]
fn get_shows_one_row() {
    let home = Home::stores();
    let get = |args: &[&str]| {
        let args = [&["get", "killed"], args].concat();
        home.run(&args)
    };
    assert_eq!(
        get(&["counts", "anna"]).ok(),
        "{\"key\":\"anna\",\"state\":{\"last\":\"b.txt:5\",\"words\":4}}\n"
    );
    assert_eq!(
        get(&["counts", "\"anna\""]).ok(),
        get(&["counts", "anna"]).ok()
    );
    // The row of a source's partition.
    assert_eq!(
        get(&["lines", "a.txt"]).ok(),
        "{\"key\":\"a.txt\",\"done\":true,\"state\":{\"line\":9,\"offset\":120}}\n"
    );
    assert_eq!(
        get(&["lines", "b.txt"]).ok(),
        "{\"key\":\"b.txt\",\"done\":false,\"state\":{\"line\":5,\"offset\":75}}\n"
    );
    assert_eq!(get(&["out", "0"]).ok(), "{\"key\":0,\"state\":180}\n");
}

#[test]
fn a_key_or_step_that_is_not_there() {
    let home = Home::stores();
    for store in ["clean", "killed"] {
        for key in ["bert", "-8", "{\"a\":1}"] {
            let message = home.run(&["get", store, "counts", key]).refused(1);
            let begin = format!(
                "step `counts` has no row with the key {key}; its keys are written like \""
            );
            assert!(message.starts_with(&begin), "{message}");
        }
        // The keys are text, and 7 is also a number.
        let seven = home.run(&["get", store, "counts", "\"7\""]).ok();
        assert_eq!(home.run(&["get", store, "counts", "7"]).ok(), seven);
        for args in [
            &["get", store, "count", "anna"][..],
            &["export", store, "count"],
            &["drop", store, "count"],
            &["rename", store, "count", "counts"],
        ] {
            assert_eq!(
                home.run(args).refused(3),
                format!(
                    "there is no step `count` in the store in {store}: it has `lines` (source, \
                     text_lines), `counts` (state, stateful_map), `out` (sink, json_lines)"
                )
            );
        }
    }
}

#[test]
fn export_writes_lines_of_json() {
    let home = Home::stores();
    let sorted = |text: String| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    for store in ["clean", "killed"] {
        assert_eq!(
            sorted(home.run(&["export", store, "counts"]).ok()),
            [
                "{\"key\":\"7\",\"state\":{\"last\":\"a.txt:9\",\"words\":3}}",
                "{\"key\":\"anna\",\"state\":{\"last\":\"b.txt:5\",\"words\":4}}",
                "{\"key\":\"carla\",\"state\":{\"last\":\"b.txt:5\",\"words\":4}}",
            ]
        );
        let all = sorted(home.run(&["export", store]).ok());
        assert_eq!(all.len(), 6);
        assert!(all.contains(&"{\"step\":\"out\",\"key\":0,\"state\":180}".to_owned()));
        assert!(
            all.contains(
                &r#"{"step":"lines","key":"a.txt","done":true,"state":{"line":9,"offset":120}}"#
                    .to_owned()
            )
        );
        // The exported form is accepted as a key.
        for line in home.run(&["export", store, "counts"]).ok().lines() {
            let row: serde_json::Value = serde_json::from_str(line).unwrap();
            let key = row["key"].to_string();
            let shown = home.run(&["get", store, "counts", &key]).ok();
            assert_eq!(shown.trim_end(), line);
        }
    }
}

/// Keys of all kinds are found by the form that `export` shows, whatever their bytes.
#[test]
fn keys_of_all_kinds() {
    #[derive(serde::Serialize)]
    struct Place {
        // The fields are not in alphabetical order, in which JSON is read.
        town: &'static str,
        road: u8,
    }
    let home = Home::new();
    let look = home.look("store");
    let flow = [StepSpec {
        id: "keys".to_owned(),
        kind: StepKind::State,
        operator: "stateful_map".to_owned(),
        key_type: "?".to_owned(),
        state_type: "u64".to_owned(),
        schemas: Default::default(),
        renamed_from: Vec::new(),
        place: String::new(),
    }];
    let manifest = look.reconcile(&flow, &Agreed::default()).unwrap();
    let mut changes = Changes::new();
    let mut count = 0u64;
    macro_rules! keys {
        ($($key:expr),* $(,)?) => { $(
            count += 1;
            put(&mut changes, 0, StepKind::State, &$key, &count);
        )* };
    }
    let place = Place {
        town: "Ulm",
        road: 3,
    };
    keys![
        (),
        true,
        u64::MAX,
        i64::MIN,
        0.1f32,
        1.0e-7f64,
        123_456_789.123_456_79_f64,
        f64::NAN,
        "",
        "$bytes",
        ("a", 1),
        (1, 0.1f32),
        place,
        std::collections::BTreeMap::from([(1, 2)]),
        std::collections::BTreeMap::from([("$bytes", "00")]),
        Some("some"),
        std::time::Duration::from_millis(1500),
        std::net::Ipv4Addr::LOCALHOST,
        "0a0b0c0d-0000-0000-0000-000000000001",
        "2026-01-31T12:00:00Z",
        7u128,
        u128::MAX,
        i128::MIN,
        "\u{9b}2J\u{7f}\u{202e}\n",
    ];
    look.start(Start::new("keys", &manifest, &changes))
        .unwrap()
        .end(End::Finished)
        .unwrap();
    let lines = home.run(&["export", "store", "keys"]).ok();
    assert_eq!(lines.lines().count() as u64, count);
    for line in lines.lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let shown = home.run(&["get", "store", "keys", &row["key"].to_string()]);
        assert_eq!(shown.ok().trim_end(), line);
    }
    for expected in [
        "{\"key\":{\"road\":3,\"town\":\"Ulm\"},\"state\":13}",
        "{\"key\":{\"$float\":\"NaN\"},\"state\":8}",
        "{\"key\":{\"$map\":[[1,2]]},\"state\":14}",
        "{\"key\":0.1,\"state\":5}",
        "{\"key\":18446744073709551615,\"state\":3}",
        // There is nothing that a terminal interprets.
        "{\"key\":\"\\u009b2J\\u007f\\u202e\\n\",\"state\":24}",
    ] {
        assert!(
            lines.lines().any(|line| line == expected),
            "{expected}\n{lines}"
        );
    }
    home.run(&["verify", "store"]).ok();
    // Keys in their usual form.
    for (key, state) in [
        ("127.0.0.1", 18),
        ("0A0B0C0D-0000-0000-0000-000000000001", 19),
        ("2026-01-31T12:00:00Z", 20),
        ("7", 21),
        ("340282366920938463463374607431768211455", 22),
        ("-170141183460469231731687303715884105728", 23),
        ("some", 16),
    ] {
        let shown = home.run(&["get", "store", "keys", key]).ok();
        assert!(
            shown.contains(&format!("\"state\":{state}}}")),
            "{key}: {shown}"
        );
    }
    // In any order, with spaces.
    let found = home.run(&["get", "store", "keys", "{ \"town\": \"Ulm\", \"road\": 3 }"]);
    assert_eq!(
        found.ok(),
        "{\"key\":{\"road\":3,\"town\":\"Ulm\"},\"state\":13}\n"
    );
    home.run(&["get", "store", "keys", "[1, 0.2]"]).refused(1);
}

#[test]
fn info_says_what_the_store_is() {
    let home = Home::stores();
    let uuid = home.look("clean").about().unwrap().store;
    let clean = home.run(&["info", "clean"]).ok();
    let length = home.bytes("clean").len();
    for line in [
        format!("store    {uuid} (format 6)"),
        "flow     words".to_owned(),
        "epoch    1.2".to_owned(),
        "state    clean: the last execution recorded how it ended".to_owned(),
        "held by  nobody".to_owned(),
        "steps".to_owned(),
        "executions".to_owned(),
    ] {
        assert!(clean.lines().any(|found| found == line), "{line}\n{clean}");
    }
    assert!(
        clean.contains("2 workers") && clean.contains(": was stopped\n"),
        "{clean}"
    );
    assert!(
        clean.contains(" KiB, closed\n") || clean.contains(" MiB, closed\n"),
        "{clean}"
    );
    let counts = clean.lines().find(|line| line.starts_with("  counts"));
    assert!(counts.unwrap().contains("state   3 rows  "), "{clean}");

    let killed = home.run(&["info", "killed"]).ok();
    assert!(
        killed.contains(
            "state    killed: the last execution recorded no end; the next resumes from here\n"
        ),
        "{killed}"
    );
    assert!(
        killed.contains(", not closed, which the next start repairs\n"),
        "{killed}"
    );
    assert!(killed.ends_with("2 workers  was killed\n"), "{killed}");

    let json = home.run(&["info", "clean", "--json"]).ok();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["store"], uuid);
    assert_eq!(
        (&json["format"], &json["next_execution"]),
        (&6.into(), &2.into())
    );
    assert_eq!(json["file"]["bytes"], length);
    assert_eq!(
        (&json["killed"], &json["held_by"]),
        (&false.into(), &().into())
    );
    assert_eq!(json["executions"][0]["ended"]["how"], "stopped");
    assert_eq!(json["steps"][1]["rows"], 3);
    let json = home.run(&["info", "killed", "--json"]).ok();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&json["killed"], &json["file"]["closed"]),
        (&true.into(), &false.into())
    );
    assert!(json["executions"][0]["ended"].is_null());
}

#[test]
fn info_shows_the_last_executions_and_how_they_ended() {
    let home = Home::new();
    let mut failed = FailureRecord::new(FailureKind::Record, "two\nlines");
    failed.step = Some("parse".to_owned());
    failed.partition = Some("a.txt".to_owned());
    failed.position = Some("line 7".to_owned());
    for end in [
        Some(End::Finished),
        None,
        Some(End::Failed(failed.clone())),
        Some(End::Aborted {
            failure: FailureRecord::new(FailureKind::Sync, "the sink failed"),
            in_flight: 12,
            foreign: None,
        }),
    ] {
        let execution = home.start("store");
        match end {
            Some(end) => execution.end(end).unwrap(),
            None => drop(execution),
        }
    }
    let shown = |number: &str| {
        let text = home.run(&["info", "store", "--executions", number]).ok();
        let lines = text.split("executions\n").nth(1).unwrap().to_owned();
        lines.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(shown("0").is_empty());
    assert!(shown("1")[0].starts_with("  4  "));
    let lines = shown("9");
    for (line, end) in lines.iter().zip([
        ": read all its input",
        "  was killed",
        ": failed in step `parse` at a.txt, line 7: two lines",
        ": broke off with 12 records in flight: the sink failed",
    ]) {
        assert!(line.ends_with(end), "{line}");
    }
    assert_eq!(lines.len(), 4);
    let json = home
        .run(&["info", "store", "--executions", "9", "--json"])
        .ok();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        json["executions"][2]["ended"]["how"]["failed"],
        serde_json::json!({
            "kind": "record",
            "step": "parse",
            "partition": "a.txt",
            "position": "line 7",
            "error": "two\nlines",
        })
    );
}

#[test]
fn steps_are_listed() {
    let home = Home::stores();
    for store in ["clean", "killed"] {
        assert_eq!(
            home.run(&["steps", store]).ok(),
            "number  id      kind    operator      keys    state      rows\n\
             0       lines   source  text_lines    String  FileToken  2\n\
             1       counts  state   stateful_map  String  Count      3\n\
             2       out     sink    json_lines    u32     u64        1\n"
        );
        let json = home.run(&["steps", store, "--json"]).ok();
        assert_eq!(
            json.lines().last().unwrap(),
            "{\"number\":2,\"id\":\"out\",\"kind\":\"sink\",\"operator\":\"json_lines\",\
             \"key_type\":\"u32\",\"state_type\":\"u64\",\"rows\":1,\"bytes\":3}"
        );
    }
}

#[test]
fn diff_shows_rows_a_step_at_a_time() {
    let home = Home::new();
    let mut execution = home.start("before");
    execution.commit(epoch(1, 1), [&some_words()]).unwrap();
    home.copy("before", "after");
    drop(execution);
    assert_eq!(home.run(&["diff", "before", "after"]).ok(), "");

    let mut execution = home.start("after");
    execution.commit(epoch(2, 1), [&later_words()]).unwrap();
    home.copy("after", "killed");
    drop(execution);
    for after in ["after", "killed"] {
        let ran = home.run(&["diff", "before", after]);
        assert_eq!((ran.code, ran.stderr.as_str()), (1, ""));
        let mut steps: Vec<Vec<&str>> = vec![vec![]];
        for line in ran.stdout.lines() {
            steps.last_mut().unwrap().push(line);
            if line.starts_with("step ") {
                steps.push(vec![]);
            }
        }
        // The rows of a step are in the order of the store.
        steps.iter_mut().for_each(|lines| lines.sort_unstable());
        assert_eq!(
            steps[0],
            [
                r#"+ {"step":"counts","key":"carla","state":{"last":"b.txt:5","words":4}}"#,
                r#"- {"step":"counts","key":"bert","state":{"last":"a.txt:9","words":2}}"#,
                "step `counts`: 1 added, 1 removed, 1 changed",
                "~ {\"step\":\"counts\",\"key\":\"anna\",\"from\":{\"state\":{\"last\":\"a.txt:9\",\
                 \"words\":1}},\"to\":{\"state\":{\"last\":\"b.txt:5\",\"words\":4}}}",
            ]
        );
        assert_eq!(
            steps[1],
            [
                "step `lines`: 0 added, 0 removed, 1 changed",
                "~ {\"step\":\"lines\",\"key\":\"b.txt\",\"from\":{\"done\":false,\"state\":\
                 {\"line\":4,\"offset\":60}},\"to\":{\"done\":false,\"state\":{\"line\":5,\
                 \"offset\":75}}}",
            ]
        );
        let counted = home.run(&["diff", "before", after, "--count"]);
        assert_eq!(counted.code, 1);
        assert_eq!(
            counted.stdout,
            "step `counts`: 1 added, 1 removed, 1 changed\n\
             step `lines`: 0 added, 0 removed, 1 changed\n\
             step `out`: 0 added, 0 removed, 1 changed\n"
        );
    }
    // A step that only one of the stores has.
    home.run(&["drop", "after", "out"]).ok();
    home.run(&["rename", "after", "lines", "words"]).ok();
    let ran = home.run(&["diff", "killed", "after", "--count"]);
    assert_eq!(
        ran.stdout,
        "step `lines` is only in the first: 2 rows\n\
         step `out` is only in the first: 1 row\n\
         step `words` is only in the second: 2 rows\n"
    );
    for other in ["after", "./after", "after/../after"] {
        assert_eq!(
            home.run(&["diff", "after", other]).refused(2),
            format!("after and {other} are one directory")
        );
    }
}

#[test]
fn the_command_line_is_wrong() {
    let home = Home::stores();
    for args in [
        &[][..],
        &["look", "clean"],
        &["get", "clean", "counts"],
        &["rename", "clean", "counts", ""],
        &["info", "clean", "--executions", "many"],
    ] {
        let ran = home.run(args);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{args:?}");
    }
    let help = home.run(&["--help"]).ok();
    for verb in [
        "info", "steps", "get", "export", "verify", "diff", "drop", "rename", "compact", "backup",
    ] {
        assert!(help.contains(&format!("\n  {verb} ")), "{help}");
        home.run(&[verb, "--help"]).ok();
    }
}

#[test]
fn who_has_seen_enough_of_the_output() {
    use std::io::Read;
    let home = Home::new();
    let mut execution = home.start("store");
    let mut changes = Changes::new();
    for n in 0..5000 {
        put(&mut changes, 1, StepKind::State, &n, &"x".repeat(100));
    }
    execution.commit(epoch(1, 1), [&changes]).unwrap();
    drop(execution);
    let mut command = home.command(&["export", "store"]);
    let pipe = std::process::Stdio::piped;
    let mut child = command.stdout(pipe()).stderr(pipe()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0; 10]).unwrap();
    drop(stdout);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

/// A message that can't be written changes neither the exit status nor the work.
#[cfg(target_os = "linux")]
#[test]
fn where_messages_can_t_be_written_the_exit_status_says_it() {
    use std::fs::File;
    use std::process::Stdio;

    let home = Home::stores();
    let full = || Stdio::from(File::options().write(true).open("/dev/full").unwrap());
    let gone = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        Stdio::from(writer)
    };
    let (missing, nowhere) = (["get", "clean", "counts", "bert"], ["info", "nowhere"]);
    for (args, status) in [(&missing[..], 1), (&nowhere[..], 3), (&["no-such-verb"], 2)] {
        for stderr in [full(), gone()] {
            let ran = home.command(args).stderr(stderr).status().unwrap();
            assert_eq!(ran.code(), Some(status), "{args:?}");
        }
    }
    // Who reads the output has seen enough; a disk that is full has not.
    for (stdout, stderr, status) in [
        (gone(), full(), 0),
        (gone(), gone(), 0),
        (full(), full(), 3),
        (full(), gone(), 3),
    ] {
        let mut command = home.command(&["export", "clean"]);
        let ran = command.stdout(stdout).stderr(stderr).status().unwrap();
        assert_eq!(ran.code(), Some(status));
    }
}
