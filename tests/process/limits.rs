//! Limits of the system, and settings beyond reason.

use std::{fs, process::Command};

use flow::{BuildError, Ended, prelude::*, sink, source};

use crate::{
    SLOW, WORDS,
    support::{self, Workdir},
};

fn numbers() -> (Runner, sink::Collected<u64>) {
    let (out, seen) = sink::collect();
    let runner = Runner::new(move |flow| {
        let numbers = flow.source(source::from_iter(0..100u64));
        numbers.sink(out.clone());
    });
    (runner, seen)
}

/// No thread may have a stack that is larger than the memory.
#[test]
fn threads_that_cannot_be_started_are_an_error_and_change_nothing() {
    let work = Workdir::new();
    for workers in [1, 2, 8] {
        let (runner, seen) = numbers();
        let runner = runner.workers(workers).stack_of(1 << 60);
        let store = Recovery::at(work.path("state"));
        let error = runner.recover(store).run().unwrap_err();
        let RunError::Threads { needs, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!(*needs, workers + 1);
        assert!(error.to_string().contains("ulimit -u"), "{error}");
        assert!(seen.take().is_empty() && !work.path("state").exists());
    }
}

/// Allows one more thread each time, until the flow has enough. The limit counts all threads of a
/// user, so each try needs its own user, which only root can give it.
#[test]
fn whichever_thread_cannot_be_started_the_flow_ends_with_an_error() {
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| {
        use std::os::unix::fs::MetadataExt;
        own.uid() == 0
    });
    let has = |name| Command::new(name).arg("--version").output().is_ok();
    if !is_root || !has("setpriv") || !has("prlimit") {
        return;
    }
    // Standard input has a thread of its own.
    let programs = [(&*SLOW, "in"), (&*WORDS, "--stdin")];
    for (program, input) in programs {
        let work = Workdir::new();
        let all = |path: &std::path::Path| {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
        };
        all(&work.path(""));
        work.write("in", "a\nb\n");
        // Others may not look into the directory that the program was built into.
        let copy = work.path("program");
        fs::copy(program, &copy).unwrap();
        all(&copy);
        let user = 1_000_000 + std::process::id() % 1_000_000 * 16;
        let mut ran = false;
        for limit in 1..12u32 {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", &(user + limit).to_string(), "--clear-groups"]);
            command.args(["prlimit", &format!("--nproc={limit}")]);
            command.arg(&copy).args(["run", input, "--workers", "3"]);
            command.args(["--recover", &format!("state{limit}")]);
            let ended = work.spawn(command).wait();
            ran = ended.code == Some(0);
            if ran {
                ended.expect(0);
                break;
            }
            // That of a source is an error of the flow.
            let code = if ended.stderr.contains("standard input") {
                2
            } else {
                1
            };
            ended.one_error(code, ["threads are limited"]).silent();
            assert!(!work.path(&format!("state{limit}")).exists(), "{limit}");
        }
        assert!(ran, "it runs when it has enough");
    }
}

#[test]
fn more_workers_than_are_of_use_are_refused() {
    let work = Workdir::new();
    work.write("in", "a\n");
    for workers in ["1025", "100000", "18446744073709551615"] {
        let options = ["run", "in", "--recover", "state", "--workers", workers];
        let ended = work.run(&SLOW, &options).silent();
        ended.one_error(2, [&format!("{workers} workers are too many")[..], "1024"]);
        assert!(!work.path("state").exists());
    }
    let processors = std::thread::available_parallelism().unwrap().get();
    let most = 64.max(16 * processors);
    if most < 1024 {
        let (runner, _) = numbers();
        let error = runner.workers(most + 1).run().unwrap_err().to_string();
        assert!(error.contains(&format!("{most} is the most")), "{error}");
    }
    let (runner, seen) = numbers();
    runner.workers(64).run().unwrap();
    assert_eq!(seen.take().len(), 100);
}

fn chain(steps: usize) -> Result<usize, RunError> {
    let (out, seen) = sink::collect();
    Runner::new(move |flow| {
        let mut numbers = flow.source(source::from_iter(0..10u64));
        for _ in 0..steps {
            numbers = numbers.map(|n| n + 1);
        }
        numbers.sink(out.clone());
    })
    .workers(2)
    .run()?;
    let seen = seen.take();
    assert_eq!(seen.iter().sum::<u64>(), 45 + 10 * steps as u64);
    Ok(seen.len())
}

#[test]
fn a_chain_of_very_many_steps_runs_or_is_refused() {
    assert_eq!(chain(999).unwrap(), 10);
    for steps in [1000, 10_000, 200_000] {
        let error = chain(steps).unwrap_err();
        assert!(
            matches!(
                &error,
                RunError::Build(BuildError::ChainTooLong { most: 1000, .. })
            ),
            "{error}"
        );
        assert!(
            error.to_string().contains("tests/process/limits.rs:"),
            "{error}"
        );
    }
}

/// Each way in which steps follow each other, at the greatest possible depth.
#[test]
fn chains_of_all_kinds_fit_on_the_stack() {
    let (out, seen) = sink::collect();
    Runner::new(move |flow| {
        let mut lines = flow.source(source::from_iter((0..10u64).map(|n| n.to_string())));
        for _ in 0..98 {
            lines = lines
                .filter(|line| !line.is_empty())
                .flat_map(|line| [line])
                .try_map(|line| line.parse::<u64>())
                .map(|n| n.to_string())
                .inspect(|_| {});
            let (good, dead) = lines.try_map_or_dead(|line| match line.as_str() {
                "3" => Err(line),
                _ => Ok(line),
            });
            lines = good.merge(dead.map(|dead| dead.record).filter(|_| false));
        }
        lines
            .key_on(|line| line.clone())
            .stateful_map(|n: &mut u64, line: String| {
                *n += 1;
                line
            })
            .named("count")
            .map(|(_, line)| line)
            .sink(out.clone());
    })
    .run()
    .unwrap();
    assert_eq!(seen.take().len(), 9);
}

#[test]
fn a_run_says_how_far_it_got_also_when_it_is_over() {
    let (runner, _) = numbers();
    let work = Workdir::new();
    let runner = runner.recover(Recovery::at(work.path("state")));
    let handle = runner.handle();
    assert_eq!(handle.progress(), None);
    let outcome = runner.run().unwrap();
    let progress = handle.progress().unwrap();
    assert_eq!((progress.records, progress.durable), (100, outcome.epoch));
    support::look(&work.path("state"), |look| {
        assert_eq!(Some(look.epoch()), outcome.epoch);
    });
    assert_eq!(
        format!("{:?}", outcome.epoch.unwrap()),
        outcome.epoch.unwrap().to_string()
    );
}

#[test]
fn a_run_that_is_stopped_before_it_starts_changes_nothing() {
    for workers in [1, 2] {
        let work = Workdir::new();
        let (runner, seen) = numbers();
        let runner = runner
            .workers(workers)
            .recover(Recovery::at(work.path("state")));
        runner.handle().stop();
        let outcome = runner.run().unwrap();
        assert_eq!((outcome.ended, outcome.records), (Ended::Stopped, 0));
        assert!(seen.take().is_empty() && !work.path("state").exists());
    }
}
