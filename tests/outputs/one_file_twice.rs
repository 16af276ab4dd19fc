//! A file with two uses: read and written, written twice, or part of the store.

use std::{fs, path::Path};

use flow::{BuildError, Recovery, RunError, Runner, TextLines};

use crate::support::{Workdir, program};

const TEXT: &str = "1\n2\n3\n";

#[derive(Clone, Copy, Debug)]
enum Existing {
    Refuse,
    Append,
    Overwrite,
}

/// A copy of a file into another.
fn copy(input: &Path, output: &Path, existing: Existing) -> Runner {
    let (input, output) = (input.to_owned(), output.to_owned());
    Runner::new(move |flow| {
        let lines = flow.source(TextLines::open(&input)).named("lines");
        let sink = TextLines::write_to(&output);
        let sink = match existing {
            Existing::Refuse => sink,
            Existing::Append => sink.append(),
            Existing::Overwrite => sink.overwrite(),
        };
        lines.sink(sink).named("out");
    })
}

/// Runs and checks it with and without a store: both refuse alike, and change nothing.
#[track_caller]
fn refused(work: &Workdir, make: impl Fn() -> Runner) -> BuildError {
    let before = work.snapshot("");
    let mut refusal = None;
    for recover in [true, false] {
        let with = |runner: Runner| match recover {
            true => runner.recover(Recovery::at(work.path("state"))),
            false => runner,
        };
        let results = [
            with(make()).dry_run().map(drop),
            with(make()).run().map(drop),
        ];
        for result in results {
            match result {
                Err(RunError::Build(error)) => refusal = Some(error),
                Err(error) => panic!("{error}"),
                Ok(()) => panic!("it ran"),
            }
            before.assert_same(&work.snapshot(""));
        }
    }
    refusal.unwrap()
}

#[test]
fn an_output_that_is_an_input_is_refused_under_all_its_names() {
    let work = Workdir::new();
    work.write("in", TEXT);
    fs::create_dir(work.path("folder")).unwrap();
    fs::hard_link(work.path("in"), work.path("hard")).unwrap();
    std::os::unix::fs::symlink("in", work.path("soft")).unwrap();
    let names = ["in", "hard", "soft", "./in", "folder/../in"];
    for existing in [Existing::Refuse, Existing::Append, Existing::Overwrite] {
        for (input, output) in names.iter().flat_map(|name| [("in", name), (*name, &"in")]) {
            let make = || copy(&work.path(input), &work.path(output), existing);
            match refused(&work, make) {
                BuildError::OutputIsInput(error) => {
                    assert_eq!((error.step(), &*error.source_step), ("out", "lines"));
                    let text = error.to_string();
                    assert!(text.contains("one_file_twice.rs"), "{text}");
                    assert_eq!(
                        text.contains("they are one file"),
                        input != *output,
                        "{text}"
                    );
                }
                error => panic!("{error}"),
            }
        }
    }
}

#[test]
fn an_output_that_is_not_there_yet_is_the_input_that_a_link_leads_to() {
    let work = Workdir::new();
    std::os::unix::fs::symlink("out", work.path("in")).unwrap();
    let make = || copy(&work.path("in"), &work.path("out"), Existing::Refuse);
    // The input can't be read either, but this is what is wrong with the flow.
    let error = refused(&work, make);
    assert!(matches!(error, BuildError::OutputIsInput(_)), "{error}");
}

#[test]
fn two_sinks_may_not_write_one_file_through_a_hard_link() {
    let work = Workdir::new();
    work.write("in", TEXT);
    work.write("a", "");
    fs::hard_link(work.path("a"), work.path("b")).unwrap();
    let (input, a, b) = (work.path("in"), work.path("a"), work.path("b"));
    let make = || {
        let (input, a, b) = (input.clone(), a.clone(), b.clone());
        Runner::new(move |flow| {
            let lines = flow.source(TextLines::open(&input));
            lines.clone().sink(TextLines::write_to(&a)).named("first");
            lines.sink(TextLines::write_to(&b)).named("second");
        })
    };
    let error = refused(&work, make);
    assert!(matches!(error, BuildError::DoubleOutput { .. }), "{error}");
}

#[test]
fn two_hard_links_as_inputs_are_not_read_twice() {
    let work = Workdir::new();
    work.write("a", TEXT);
    fs::hard_link(work.path("a"), work.path("b")).unwrap();
    let (a, b) = (work.path("a"), work.path("b"));
    let make = || {
        let paths = [a.clone(), b.clone()];
        Runner::new(move |flow| {
            let lines = flow.source(TextLines::open_all(&paths)).named("lines");
            lines.sink(TextLines::stdout());
        })
    };
    let error = refused(&work, make).to_string();
    assert!(error.contains("are one file"), "{error}");
}

#[test]
fn the_store_is_neither_an_input_nor_where_outputs_are() {
    let work = Workdir::new();
    work.write("in", TEXT);
    let store = || Recovery::at(work.path("state"));
    let run = |input: &str, output: &str| {
        let runner = copy(&work.path(input), &work.path(output), Existing::Append);
        runner.recover(store()).run()
    };
    // Also before there is a store.
    for output in ["state/out", "state/lock", "state/part-00000-of-00001.redb"] {
        match run("in", output) {
            Err(RunError::Build(BuildError::OutputInStore(error))) => {
                assert_eq!(error.step(), "out");
            }
            other => panic!("{output}: {other:?}"),
        }
        assert!(!work.path("state").exists());
    }
    run("in", "out").unwrap();
    fs::hard_link(work.path("state/lock"), work.path("other")).unwrap();
    std::os::unix::fs::symlink("state", work.path("link")).unwrap();
    let before = work.snapshot("");
    for output in ["state/out", "link/sub/out", "other", "link/lock"] {
        let error = run("in", output).unwrap_err();
        let refused = matches!(error, RunError::Build(BuildError::OutputInStore(_)));
        assert!(refused, "{output}: {error}");
    }
    for input in ["state/lock", "link/part-00000-of-00001.redb", "other"] {
        let error = run(input, "out").unwrap_err();
        let refused = matches!(error, RunError::Build(BuildError::InputIsStore(_)));
        assert!(refused, "{input}: {error}");
    }
    before.assert_same(&work.snapshot(""));
}

#[test]
fn standard_output_that_goes_to_an_input_or_an_output_is_refused() {
    use std::process::{Command, Stdio};

    let words = program("words");
    let work = Workdir::new();
    work.write("in", TEXT);
    // As a shell does for `>> in`: it leaves what is there.
    let run = |stdout: &str, args: &[&str]| {
        let mut options = fs::OpenOptions::new();
        let file = options.append(true).create(true).open(work.path(stdout));
        let mut command = Command::new(&words);
        command
            .args(args)
            .current_dir(work.path(""))
            .stdout(file.unwrap());
        let output = command.stderr(Stdio::piped()).output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    for verb in ["run", "check"] {
        let (status, said) = run("in", &[verb, "in"]);
        assert_eq!(status, Some(2), "{said}");
        assert!(said.contains("standard output, which source"), "{said}");
        let both = [verb, "in", "--output", "both", "--shape", "grown"];
        let (status, said) = run("both", &both);
        assert_eq!(status, Some(2), "{said}");
        assert!(said.contains("is written by two sinks"), "{said}");
    }
    assert_eq!(work.text("in"), TEXT);
    assert_eq!(work.text("both"), "");
    // Anywhere else it is as good as ever.
    let (status, said) = run("results", &["run", "in"]);
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(work.text("results"), "1 1\n2 1\n3 1\n");
}

#[test]
fn an_output_that_is_behind_standard_input_is_refused() {
    use std::process::{Command, Stdio};

    let words = program("words");
    let work = Workdir::new();
    work.write("in", TEXT);
    let run = |verb: &str, output: &str| {
        let mut command = Command::new(&words);
        command.args([verb, "--stdin", "--output", output]);
        command.current_dir(work.path("")).stderr(Stdio::piped());
        command.stdin(fs::File::open(work.path("in")).unwrap());
        let output = command.output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    for verb in ["check", "run"] {
        let (status, said) = run(verb, "in");
        assert_eq!(status, Some(2), "{said}");
        assert!(said.contains("they are one file"), "{said}");
        assert_eq!(work.text("in"), TEXT);
    }
    let (status, said) = run("run", "out");
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(work.text("out"), "1 1\n2 1\n3 1\n");
}
