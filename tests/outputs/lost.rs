//! An output that is removed, moved, replaced or truncated while a flow writes it: the next commit
//! notices it.

use std::{
    error::Error,
    fs,
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    task::Waker,
};

use flow::{
    Epochs, Outcome, OutputError, OutputProblem, Recovery, RunError, RunHandle, Runner, StoreError,
    TextLines, sink,
    source::{self, At, Next, Reader, Source, SourceError},
    store::ExecutionError,
};

use flow_store::Lost;

use crate::support::{self, Workdir};

const RECORDS: u64 = 20;

type Change = Arc<dyn Fn(&Path) + Send + Sync>;

/// Numbers. The second half comes once some of the output is durable and the output has been
/// changed.
#[derive(Clone)]
struct Numbers {
    output: PathBuf,
    change: Change,
    handle: Arc<OnceLock<RunHandle>>,
}

struct NumbersReader {
    numbers: Numbers,
    next: u64,
    /// The size of the last batch.
    batch: u64,
    is_changed: bool,
}

impl Source for Numbers {
    type Item = u64;
    type Token = u64;
    type Reader = NumbersReader;

    fn partitions(&self) -> Result<Vec<String>, SourceError> {
        Ok(vec!["numbers".to_owned()])
    }

    fn open(&self, _: &str, at: At<u64>) -> Result<NumbersReader, SourceError> {
        let next = at.token();
        Ok(NumbersReader {
            numbers: self.clone(),
            next: next.unwrap_or(0),
            batch: 0,
            is_changed: next.is_some(),
        })
    }
}

impl Reader for NumbersReader {
    type Item = u64;
    type Token = u64;

    fn read(&mut self, out: &mut Vec<u64>, waker: &Waker) -> Result<Next, SourceError> {
        self.batch = 0;
        if self.next == RECORDS / 2 && !self.is_changed {
            let progress = self.numbers.handle.get().and_then(RunHandle::progress);
            if progress.and_then(|progress| progress.durable).is_none() {
                waker.wake_by_ref();
                return Ok(Next::Idle);
            }
            (self.numbers.change)(&self.numbers.output);
            self.is_changed = true;
        }
        if self.next == RECORDS {
            return Ok(Next::End);
        }
        out.push(self.next);
        self.next += 1;
        self.batch = 1;
        Ok(Next::Ready)
    }

    fn token(&self, index: usize) -> u64 {
        self.next - self.batch + index as u64
    }
}

/// Runs a flow. The output of the first run is changed in the middle of the run.
fn run(
    work: &Workdir,
    output: &str,
    change: impl Fn(&Path) + Send + Sync + 'static,
) -> Result<Outcome, RunError> {
    run_in(work, output, change, false)
}

/// The same flow, or one that begins anew after the content of the output.
fn run_in(
    work: &Workdir,
    output: &str,
    change: impl Fn(&Path) + Send + Sync + 'static,
    behind_all: bool,
) -> Result<Outcome, RunError> {
    let output = work.path(output);
    let numbers = Numbers {
        output: output.clone(),
        change: Arc::new(change),
        handle: Arc::default(),
    };
    let handle = numbers.handle.clone();
    let runner = Runner::new(move |flow| {
        let numbers = flow.source(numbers.clone()).named("numbers");
        let sink = TextLines::write_to(&output);
        let sink = if behind_all { sink.append() } else { sink };
        numbers.sink(sink).named("out");
    });
    let runner = runner.epochs(Epochs::every_record());
    handle.set(runner.handle()).ok();
    let store = Recovery::at(work.path("state"));
    let store = if behind_all {
        store.drop_state("out")
    } else {
        store
    };
    runner.recover(store).run()
}

#[track_caller]
fn problem_of(error: &RunError) -> OutputProblem {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<OutputError>() {
            assert_eq!(error.step(), "out");
            assert!(error.help().is_some_and(|help| !help.is_empty()));
            return error.problem();
        }
        cause = error.source();
    }
    panic!("{error}")
}

fn whole() -> String {
    (0..RECORDS).map(|n| format!("{n}\n")).collect()
}

#[test]
fn an_output_that_is_removed_fails_the_run_at_its_next_commit() {
    let work = Workdir::new();
    let error = run(&work, "out", |out| fs::remove_file(out).unwrap()).unwrap_err();
    assert_eq!(problem_of(&error), OutputProblem::Removed, "{error}");
    assert!(matches!(error, RunError::SyncOutput { .. }), "{error}");
    let safe = error.safe().and_then(|safe| safe.epoch).unwrap();
    let text = error.to_string();
    assert!(
        text.contains(&format!("The store is at epoch {safe}")),
        "{text}"
    );
    // Nothing after that is durable.
    assert!(safe.number() <= RECORDS / 2, "{safe}");
    support::look(&work.path("state"), |look| assert_eq!(look.epoch(), safe));
}

#[test]
fn an_output_that_is_moved_away_is_written_on_when_it_is_back() {
    for folder in [false, true] {
        let work = Workdir::new();
        fs::create_dir(work.path("folder")).unwrap();
        let (from, to) = match folder {
            false => (work.path("folder/out"), work.path("folder/out.1")),
            // The directory around it, which says the same of it.
            true => (work.path("folder"), work.path("folder.1")),
        };
        let (away, back) = ((from.clone(), to.clone()), (to, from));
        let error = run(&work, "folder/out", move |_| {
            fs::rename(&away.0, &away.1).unwrap();
        });
        let error = error.unwrap_err();
        assert_eq!(problem_of(&error), OutputProblem::Moved, "{error}");
        let refused = run(&work, "folder/out", |_| ());
        assert!(refused.is_err(), "it is not back yet");
        fs::rename(back.0, back.1).unwrap();
        run(&work, "folder/out", |_| ()).unwrap();
        assert_eq!(work.text("folder/out"), whole());
    }
}

#[test]
fn another_file_under_the_name_of_the_output_is_not_taken_for_it() {
    let work = Workdir::new();
    let error = run(&work, "out", |out| {
        // In one step, so that no commit finds nothing there.
        let other = out.with_extension("new");
        fs::hard_link(out, out.with_extension("1")).unwrap();
        fs::write(&other, "").unwrap();
        fs::rename(other, out).unwrap();
    });
    let error = error.unwrap_err();
    assert_eq!(problem_of(&error), OutputProblem::Replaced, "{error}");
    fs::rename(work.path("out.1"), work.path("out")).unwrap();
    run(&work, "out", |_| ()).unwrap();
    assert_eq!(work.text("out"), whole());
}

#[test]
fn a_link_that_leads_elsewhere_during_a_run_is_noticed() {
    let work = Workdir::new();
    std::os::unix::fs::symlink("today", work.path("out")).unwrap();
    let error = run(&work, "out", |out| {
        // In one step, so that no commit finds nothing there.
        let link = out.with_extension("new");
        fs::write(out.with_file_name("tomorrow"), "").unwrap();
        std::os::unix::fs::symlink("tomorrow", &link).unwrap();
        fs::rename(link, out).unwrap();
    });
    let error = error.unwrap_err();
    assert_eq!(problem_of(&error), OutputProblem::Replaced, "{error}");
    fs::remove_file(work.path("out")).unwrap();
    std::os::unix::fs::symlink("today", work.path("out")).unwrap();
    run(&work, "out", |_| ()).unwrap();
    assert_eq!(work.text("today"), whole());
}

#[test]
fn an_output_that_is_cut_short_is_noticed_as_logrotate_does_it_with_copytruncate() {
    let work = Workdir::new();
    let error = run(&work, "out", |out| {
        fs::copy(out, out.with_extension("1")).unwrap();
        fs::File::options()
            .write(true)
            .open(out)
            .unwrap()
            .set_len(0)
            .unwrap();
    });
    let error = error.unwrap_err();
    let problem = problem_of(&error);
    let noticed = matches!(
        problem,
        OutputProblem::Changed { there: 0, .. } | OutputProblem::CutShort { there: 0, .. }
    );
    assert!(noticed, "{error}");
    let refused = run(&work, "out", |_| ()).unwrap_err().to_string();
    assert!(refused.contains("bytes are committed"), "{refused}");
}

/// Only the user cuts off what others wrote, however often the flow is started.
#[test]
fn what_someone_else_writes_to_an_output_during_a_run_is_not_cut_off() {
    for appends in [false, true] {
        let work = Workdir::new();
        let error = run(&work, "out", |out| {
            let mut file = fs::File::options().append(true).open(out).unwrap();
            file.write_all(b"audit\n").unwrap();
        });
        let error = error.unwrap_err();
        let changed = matches!(
            problem_of(&error),
            OutputProblem::Changed { there, written } if there == written + 6
        );
        assert!(changed, "{error}");
        let before = work.snapshot("");
        let mut committed = 0;
        for _ in 0..2 {
            let error = run(&work, "out", |_| ()).unwrap_err();
            let OutputProblem::MixedTail { bytes, behind } = problem_of(&error) else {
                panic!("{error}");
            };
            assert_eq!(bytes + behind, work.len("out"));
            let text = error.to_string();
            let ways = [
                format!("truncate -s {bytes} "),
                "--drop-state out".to_owned(),
            ];
            assert!(ways.iter().all(|way| text.contains(way)), "{text}");
            before.assert_same(&work.snapshot(""));
            committed = bytes;
        }
        let there = work.text("out");
        if appends {
            run_in(&work, "out", |_| (), true).unwrap();
            let behind = work.text("out").strip_prefix(&there).unwrap().to_owned();
            assert!(!behind.is_empty() && whole().ends_with(&behind), "{behind}");
        } else {
            let (committed, _) = there.split_at(usize::try_from(committed).unwrap());
            work.write("out", committed);
            run(&work, "out", |_| ()).unwrap();
            assert_eq!(work.text("out"), whole());
        }
    }
}

/// The run fails at one of its outputs, so the others were not checked.
#[test]
fn what_someone_else_writes_to_several_outputs_during_a_run_is_not_cut_off() {
    let work = Workdir::new();
    let outputs = ["one", "other"];
    let run = |appends: bool| {
        let paths = outputs.map(|name| work.path(name));
        let runner = Runner::new(move |flow| {
            let all = paths.clone();
            let numbers = flow.source(source::from_iter(0..100u64)).inspect(move |n| {
                for path in all.iter().filter(|_| appends && *n == 50) {
                    let mut file = fs::File::options().append(true).open(path).unwrap();
                    file.write_all(b"audit\n").unwrap();
                }
            });
            for (path, name) in paths.iter().zip(outputs) {
                let lines = numbers.clone().map(|n| n.to_string());
                lines
                    .named(format!("{name}_lines"))
                    .sink(TextLines::write_to(path))
                    .named(name);
            }
        });
        let runner = runner.epochs(Epochs::records(10));
        runner.recover(Recovery::at(work.path("state"))).run()
    };
    run(true).unwrap_err();
    let mut found = Vec::new();
    for _ in outputs {
        let error = run(false).unwrap_err();
        let cause: &OutputError = error.caused_by().unwrap();
        let OutputProblem::MixedTail { bytes, .. } = cause.problem() else {
            panic!("{error}");
        };
        let name = cause.step().to_owned();
        let mut committed = work.text(&name);
        let behind = committed.split_off(usize::try_from(bytes).unwrap());
        assert!(behind.contains("audit\n"), "{behind}");
        work.write(&name, committed);
        found.push(name);
    }
    found.sort_unstable();
    assert_eq!(found, outputs);
    run(false).unwrap();
    let whole: String = (0..100).map(|n| format!("{n}\n")).collect();
    assert_eq!(outputs.map(|name| work.text(name)), [whole.clone(), whole]);
}

#[test]
fn a_hard_link_to_the_output_may_come_and_go() {
    let work = Workdir::new();
    let link: PathBuf = work.path("link");
    run(&work, "out", move |out| {
        fs::hard_link(out, &link).unwrap();
        fs::remove_file(&link).unwrap();
    })
    .unwrap();
    assert_eq!(work.text("out"), whole());
}

/// The error of a run whose store was changed in the middle.
fn without_store(work: &Workdir, change: impl Fn(&Path) + Send + Sync + 'static) -> StoreError {
    let store = work.path("state");
    let error = run(work, "out", move |_| change(&store)).unwrap_err();
    let text = error.to_string();
    assert!(!text.contains("is safe"), "{text}");
    match error {
        RunError::Commit { error, .. } => *error,
        error => panic!("{error}"),
    }
}

#[test]
fn a_store_that_is_removed_fails_the_run_at_its_next_commit() {
    let work = Workdir::new();
    let error = without_store(&work, |store| fs::remove_dir_all(store).unwrap());
    let gone = matches!(
        error,
        StoreError::Execution(ExecutionError::Gone {
            how: Lost::Gone,
            ..
        })
    );
    assert!(gone, "{error}");
    // The output is not that of a new store.
    assert!(run(&work, "out", |_| ()).is_err());
}

#[test]
fn a_store_that_is_moved_away_is_gone_on_from_when_it_is_back() {
    let work = Workdir::new();
    let (from, to) = (work.path("state"), work.path("moved"));
    let error = without_store(&work, move |store| fs::rename(store, &to).unwrap());
    let last = support::look(&work.path("moved"), flow_store::Look::epoch);
    match error {
        StoreError::Execution(ExecutionError::Gone {
            how: Lost::Gone,
            last: said,
            ..
        }) => assert_eq!(said, last),
        error => panic!("{error}"),
    }
    fs::rename(work.path("moved"), from).unwrap();
    run(&work, "out", |_| ()).unwrap();
    assert_eq!(work.text("out"), whole());
}

#[test]
fn a_store_that_is_put_in_the_place_of_another_is_not_written() {
    let work = Workdir::new();
    let error = without_store(&work, |store| {
        let part = store.join("part-00000-of-00001.redb");
        fs::copy(&part, store.join("copy")).unwrap();
        fs::rename(store.join("copy"), part).unwrap();
    });
    let replaced = matches!(
        error,
        StoreError::Execution(ExecutionError::Gone {
            how: Lost::Replaced,
            ..
        })
    );
    assert!(replaced, "{error}");
}

#[test]
fn a_store_that_is_lost_in_a_run_that_commits_nothing_fails_it() {
    let work = Workdir::new();
    let (input, store) = (work.path("in"), work.path("state"));
    fs::write(&input, "").unwrap();
    let run = |on_start: fn(&Path)| {
        let input = input.clone();
        let runner = Runner::new(move |flow| {
            let lines = flow.source(TextLines::open(&input));
            lines.sink(sink::from_fn(|_: String| ()));
        });
        let removed = store.clone();
        let runner = runner.on_start(move |_| on_start(&removed));
        runner.recover(Recovery::at(&store)).run()
    };
    run(|_| ()).unwrap();
    let error = run(|store| fs::remove_dir_all(store).unwrap()).unwrap_err();
    match error {
        RunError::Close { error, .. } => {
            assert!(
                matches!(*error, StoreError::Execution(ExecutionError::Gone { .. })),
                "{error}"
            );
        }
        error => panic!("{error}"),
    }
}
