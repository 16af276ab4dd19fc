//! Outputs that can't be created or locked: `check` reports what a run would.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

use crate::support::{Ended, Workdir, program};

static WORDS: LazyLock<PathBuf> = LazyLock::new(|| program("words"));

/// `check` and a run refuse with this status and the same message, and change nothing.
#[track_caller]
fn refused(work: &Workdir, status: i32, run: impl Fn(&str) -> Ended, says: &[&str]) {
    let before = work.snapshot("");
    for verb in ["check", "run"] {
        run(verb).one_error(status, says).silent();
        before.assert_same(&work.snapshot(""));
    }
}

/// A program without the rights of root.
struct Nobody {
    work: Workdir,
    program: PathBuf,
    is_root: bool,
}

impl Nobody {
    fn new() -> Self {
        let work = Workdir::new();
        let open = fs::Permissions::from_mode(0o777);
        fs::set_permissions(work.path(""), open).unwrap();
        work.write("in", "ant\nbee\n");
        let program = work.path("words");
        fs::copy(&*WORDS, &program).unwrap();
        let is_root = fs::metadata("/proc/self").map_or(true, |own| own.uid() == 0);
        Nobody {
            work,
            program,
            is_root,
        }
    }

    fn run(&self, args: &[&str]) -> Ended {
        let mut command = match self.is_root {
            true => Command::new("setpriv"),
            false => Command::new(&self.program),
        };
        if self.is_root {
            command
                .args(["--reuid", "65534", "--clear-groups"])
                .arg(&self.program);
        }
        command.args(args);
        self.work.spawn(command).wait()
    }

    /// Makes a directory that the program may only read.
    fn closed(&self, name: &str) {
        fs::create_dir(self.work.path(name)).unwrap();
        self.close(name, 0o555);
    }

    fn close(&self, name: &str, mode: u32) {
        let closed = fs::Permissions::from_mode(mode);
        fs::set_permissions(self.work.path(name), closed).unwrap();
    }
}

#[test]
fn check_sees_an_output_that_a_run_could_not_make() {
    let nobody = Nobody::new();
    nobody.closed("closed");
    nobody.work.write("read-only", "");
    nobody.close("read-only", 0o444);
    symlink("closed/out", nobody.work.path("link")).unwrap();
    for (output, says) in [
        ("closed/out", "the directory closed can't be written to"),
        ("link", "link, a link to"),
        ("read-only", "read-only can't be written"),
    ] {
        let run = |verb: &str| nobody.run(&[verb, "in", "--output", output, "--recover", "state"]);
        refused(
            &nobody.work,
            2,
            run,
            &["`written`", says, "Permission denied"],
        );
    }
}

#[test]
fn check_sees_a_store_that_a_run_could_not_make() {
    let nobody = Nobody::new();
    nobody.closed("closed");
    for store in ["closed", "closed/state", "closed/deep/state"] {
        let run = |verb: &str| nobody.run(&[verb, "in", "--recover", store]);
        refused(&nobody.work, 3, run, &["closed", "Permission denied"]);
    }
    // One that is there needs no more than its files.
    nobody.run(&["run", "in", "--recover", "state"]).expect(0);
    nobody.close("state", 0o555);
    for verb in ["check", "run"] {
        nobody.run(&[verb, "in", "--recover", "state"]).expect(0);
    }
}

/// As if a program wrote a log that all may read, and log rotation made files that only root may
/// read.
#[test]
fn a_rotated_file_that_the_flow_may_not_read_is_named() {
    for read in ["", "ant\nbee\n"] {
        let nobody = Nobody::new();
        let log = |name: &str, text: &str| nobody.work.write(name, text);
        log("app.log", read);
        let run = |verb: &str| nobody.run(&[verb, "app.log", "--recover", "state"]);
        run("run").expect(0);
        fs::rename(nobody.work.path("app.log"), nobody.work.path("app.log.1")).unwrap();
        nobody.work.append("app.log.1", "rest\n");
        nobody.close("app.log.1", 0o000);
        log("app.log", "new\n");
        refused(
            &nobody.work,
            3,
            run,
            &["app.log.1", "Permission denied", "--drop-partition app.log"],
        );
        // The rest of it becomes closed when it has been found.
        nobody.close("app.log.1", 0o644);
        run("run").expect(0).says(["2 records"]);
        nobody.work.append("app.log.1", "late\n");
        nobody.close("app.log.1", 0o000);
        refused(&nobody.work, 3, run, &["app.log.1", "Permission denied"]);
        let drop = ["run", "app.log", "--recover", "state"];
        let drop = [&drop[..], &["--drop-partition", "app.log.1"]].concat();
        nobody.run(&drop).expect(0).says(["0 records"]);
    }
}

#[test]
fn an_output_is_made_where_a_link_leads() {
    let work = Workdir::new();
    work.write("in", "ant\n");
    fs::create_dir(work.path("data")).unwrap();
    symlink("data/out", work.path("link")).unwrap();
    symlink("nowhere/out", work.path("broken")).unwrap();
    symlink("loop", work.path("loop")).unwrap();
    let run = |verb: &str, output: &str| {
        work.run(
            &WORDS,
            &[verb, "in", "--recover", "state", "--output", output],
        )
    };
    let no_directory = ["broken, a link to", "there is no directory", "nowhere"];
    refused(&work, 2, |verb| run(verb, "broken"), &no_directory);
    refused(&work, 2, |verb| run(verb, "loop"), &["loop"]);
    for verb in ["check", "run", "check", "run"] {
        run(verb, "link").expect(0);
    }
    assert_eq!(work.text("data/out"), "ant 1\n");
    assert!(work.path("link").is_symlink());
}

#[test]
fn an_output_that_is_no_file_is_refused_at_once() {
    let work = Workdir::new();
    work.write("in", "ant\n");
    fs::create_dir(work.path("directory")).unwrap();
    let made = Command::new("mkfifo").arg(work.path("pipe")).status();
    assert!(made.unwrap().success());
    for (output, says) in [
        ("directory", "is a directory"),
        ("pipe", "is no regular file"),
        ("/dev/full", "is no regular file"),
        ("nowhere/out", "there is no directory nowhere"),
    ] {
        for verb in ["check", "run"] {
            let ended = work.run(
                &WORDS,
                &[verb, "in", "--output", output, "--recover", "state"],
            );
            ended.one_error(2, [output, says]);
            assert!(!work.path("state").exists());
        }
    }
}

/// Makes a program find a file system without these.
#[cfg(target_os = "linux")]
fn without(directory: &Path, missing: &'static str) -> impl Fn(&mut Command) + use<> {
    let library = directory.join("no_support.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/outputs/no_support.c");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o"]).arg(&library);
    let compiled = compiler.args([source, "-ldl"]).status();
    assert!(compiled.unwrap().success(), "a C compiler is needed");
    move |command| {
        command.env("LD_PRELOAD", &library).env(missing, "1");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn an_output_where_directories_can_t_be_synced_is_made_with_a_notice() {
    let (work, elsewhere) = (Workdir::new(), Workdir::new());
    let without = without(&elsewhere.path(""), "NODIRSYNC");
    work.write("in", "ant\n");
    for verb in ["check", "run"] {
        let mut command = Command::new(&*WORDS);
        command.args([verb, "in", "--output", "out"]);
        without(&mut command);
        let ended = work.spawn(command).wait().expect(0);
        ended.says(["sink `written`: out: the file system can't make a directory durable"]);
    }
    assert_eq!(work.text("out"), "ant 1\n");
}

#[cfg(target_os = "linux")]
#[test]
fn an_output_that_can_t_be_locked_is_written_with_a_notice() {
    let (work, elsewhere) = (Workdir::new(), Workdir::new());
    let without = without(&elsewhere.path(""), "NOLOCK");
    work.write("in", "ant\n");
    work.write("out", "");
    for verb in ["check", "run"] {
        let mut command = Command::new(&*WORDS);
        command.args([verb, "in", "--output", "out"]);
        without(&mut command);
        let ended = work.spawn(command).wait().expect(0);
        ended.says([
            "sink `written`: out: the file system has no locks",
            "No locks available",
        ]);
    }
    assert_eq!(work.text("out"), "ant 1\n");
}

#[cfg(target_os = "linux")]
#[test]
fn a_store_where_directories_can_t_be_synced_is_made_with_a_notice() {
    let (work, elsewhere) = (Workdir::new(), Workdir::new());
    let without = without(&elsewhere.path(""), "NODIRSYNC");
    work.write("in", "ant\n");
    let run = |verb: &str| {
        let mut command = Command::new(&*WORDS);
        command.args([verb, "in", "--recover", "state"]);
        without(&mut command);
        work.spawn(command).wait().expect(0)
    };
    let said = ["the file system of the store can't make a directory durable"];
    run("check").says(said);
    run("run").says(said);
    // The name is there, or it is not.
    assert!(!run("run").stderr.contains(said[0]));
}

#[cfg(target_os = "linux")]
#[test]
fn a_store_that_can_t_be_locked_can_be_read_and_not_started() {
    let (work, elsewhere) = (Workdir::new(), Workdir::new());
    let without = without(&elsewhere.path(""), "NOLOCK");
    work.write("in", "ant\n");
    let run = |verb: &str, store: &str| {
        let mut command = Command::new(&*WORDS);
        command.args([verb, "in", "--recover", store]);
        without(&mut command);
        work.spawn(command).wait()
    };
    let says = [
        "can't be locked: No locks available",
        "put the store on a local disk",
    ];
    // A new one leaves nothing behind.
    run("run", "deep/state").one_error(3, says);
    assert!(!work.path("deep").exists());
    std::fs::create_dir(work.path("there")).unwrap();
    run("run", "there").one_error(3, says);
    let left = std::fs::read_dir(work.path("there")).unwrap();
    assert_eq!(left.count(), 0);
    work.run(&WORDS, &["run", "in", "--recover", "state"])
        .expect(0);
    refused(&work, 3, |verb| run(verb, "state"), &says);
}
