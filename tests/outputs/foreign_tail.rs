//! Bytes after the position of an output: flow's own after a crash, another program's after a clean
//! end.

use std::{fs, path::PathBuf, process::Command, sync::LazyLock};

use flow::{OutputError, OutputProblem, Recovery, ResumeError, RunError, Runner, TextLines};

use crate::support::{Ended, Workdir, program};

static WORDS: LazyLock<PathBuf> = LazyLock::new(|| program("words"));

const ARGS: [&str; 5] = ["in", "--recover", "state", "--output", "out"];

fn words(work: &Workdir, verb: &str) -> Ended {
    work.run(&WORDS, &[&[verb], &ARGS[..]].concat())
}

#[test]
fn after_a_clean_end_nothing_is_cut_off_that_someone_else_wrote() {
    let work = Workdir::new();
    work.write("in", "ant\nbee\n");
    words(&work, "run").expect(0);
    work.append("out", "an audit\n");
    let before = work.snapshot("");
    for verb in ["check", "run", "run"] {
        let said = [
            "ended cleanly",
            "behind the 12 bytes",
            "there are 9",
            "truncate -s 12 out",
        ];
        words(&work, verb).one_error(3, said).silent();
        before.assert_same(&work.snapshot(""));
    }
    // The first way out that it names.
    work.write("out", "ant 1\nbee 1\n");
    work.append("in", "ant\n");
    let said = words(&work, "run").expect(0);
    assert!(!said.stderr.contains("cut off"), "{said}");
    assert_eq!(work.text("out"), "ant 1\nbee 1\nant 2\n");
}

/// An old store can't distinguish flow's later output from what others wrote, so nothing is cut off
/// without the user's consent.
#[test]
fn an_output_that_is_newer_than_its_store_is_cut_back_by_a_person() {
    let work = Workdir::new();
    work.write("in", "ant\n");
    words(&work, "run").expect(0);
    let copy = |from: &str, to: &str| {
        let mut copy = Command::new("cp");
        copy.arg("-r").args([work.path(from), work.path(to)]);
        assert!(copy.status().unwrap().success());
    };
    copy("state", "backup");
    work.append("in", "bee\n");
    words(&work, "run").expect(0);
    fs::remove_dir_all(work.path("state")).unwrap();
    copy("backup", "state");
    let before = work.snapshot("");
    for verb in ["check", "run"] {
        let said = [
            "behind the 6 bytes",
            "an old one, from a backup",
            "truncate -s 6 out",
        ];
        words(&work, verb).one_error(3, said).silent();
        before.assert_same(&work.snapshot(""));
    }
    work.write("out", "ant 1\n");
    words(&work, "run").expect(0);
    assert_eq!(work.text("out"), "ant 1\nbee 1\n");
}

#[test]
fn it_can_be_written_on_behind_what_someone_else_wrote() {
    let work = Workdir::new();
    work.write("in", "1\n");
    let run = |drop: bool| {
        let (input, output) = (work.path("in"), work.path("out"));
        let runner = Runner::new(move |flow| {
            let lines = flow.source(TextLines::open(&input)).named("lines");
            lines
                .sink(TextLines::write_to(&output).append())
                .named("out");
        });
        let recovery = Recovery::at(work.path("state"));
        let recovery = if drop {
            recovery.drop_state("out")
        } else {
            recovery
        };
        runner.recover(recovery).run()
    };
    run(false).unwrap();
    work.append("out", "audit\n");
    work.append("in", "2\n");
    match run(false) {
        Err(RunError::Resume(ResumeError::Sink { error, .. })) => {
            let cause = std::error::Error::source(&error);
            let cause = cause
                .and_then(|cause| cause.downcast_ref::<OutputError>())
                .unwrap();
            let foreign = OutputProblem::ForeignTail {
                bytes: 2,
                behind: 6,
            };
            assert_eq!((cause.problem(), cause.step()), (foreign, "out"));
        }
        other => panic!("{other:?}"),
    }
    run(true).unwrap();
    assert_eq!(work.text("out"), "1\naudit\n2\n");
}

#[test]
fn after_a_kill_it_is_said_how_much_is_cut_off() {
    let work = Workdir::new();
    work.write("in", "ant\nbee\n");
    let mut killed = Command::new(&*WORDS);
    killed
        .arg("run")
        .args(ARGS)
        .env("FLOW_FAIL_POINT", "sink-synced");
    assert_eq!(work.spawn(killed).wait().signal, Some(9));
    // As much as its first epoch had.
    let tail = work.text("out");
    assert!(!tail.is_empty() && "ant 1\nbee 1\n".starts_with(&tail));
    let said = [format!(
        "sink `written`: out: the {} bytes behind the last durable epoch are cut off",
        tail.len()
    )];
    let before = work.snapshot("");
    words(&work, "check").expect(0).says(&said);
    before.assert_same(&work.snapshot(""));
    words(&work, "run").expect(0).says(&said);
    assert_eq!(work.text("out"), "ant 1\nbee 1\n");
}

#[test]
fn going_back_cuts_off_what_came_later_and_says_so() {
    let work = Workdir::new();
    work.write("in", "ant\n");
    let run = |options: &[&str]| {
        let args = [&["run"], &ARGS[..], &["--retain", "9"], options].concat();
        work.run(&WORDS, &args).expect(0)
    };
    run(&[]);
    let epoch = flow_store::Look::read(work.path("state")).unwrap().epoch();
    work.append("in", "bee\n");
    run(&[]);
    let back = run(&["--from-epoch", &epoch.to_string()]);
    back.says(["out: the 6 bytes behind the last durable epoch are cut off"]);
    assert_eq!(work.text("out"), "ant 1\nbee 1\n");
}

#[test]
fn a_run_that_stopped_before_a_bad_record_has_ended_cleanly() {
    let work = Workdir::new();
    work.write("in", "ant\n\u{1}\n");
    fs::write(work.path("in"), b"ant\n\xff\n").unwrap();
    words(&work, "run").expect(1);
    assert_eq!(work.text("out"), "ant 1\n");
    work.append("out", "x\n");
    words(&work, "run").one_error(3, ["ended cleanly"]);
}
