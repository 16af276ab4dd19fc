//! Signals while a flow starts, and after it has ended.

use std::path::Path;

use crate::{
    SLOW,
    support::{Running, Workdir},
};

fn start(work: &Workdir, options: &[&str]) -> Running {
    let mut args = vec!["run", "in", "--output", "out", "--recover", "state"];
    args.extend(options);
    work.start(&SLOW, &args)
}

#[test]
fn a_signal_while_a_flow_starts_ends_it_at_once_and_changes_nothing() {
    for (signal, status) in [("TERM", 0), ("INT", 130), ("HUP", 0)] {
        for hang in ["build", "list", "open"] {
            let work = Workdir::new();
            work.write("in", "a\n");
            start(&work, &[]).wait().expect(0);
            work.append("in", "b\n");
            let before = [work.snapshot("state"), work.snapshot("out")];
            let mut running = start(&work, &["--hang", hang, "--workers", "2"]);
            running.wait_until("it hangs", |running| running.stderr().contains("hangs in"));
            running.signal(signal);
            let ended = running.wait().expect(status);
            ended.says(["stopped while starting; nothing has been read or changed"]);
            before[0].assert_same(&work.snapshot("state"));
            before[1].assert_same(&work.snapshot("out"));
            start(&work, &[]).wait().expect(0);
            assert_eq!(work.text("out"), "a 1\nb 1\n");
        }
    }
}

#[test]
fn a_signal_while_a_start_waits_for_those_who_read_the_store_ends_it() {
    let work = Workdir::new();
    work.write("in", "a\n");
    start(&work, &[]).wait().expect(0);
    let reader = flow_store::Look::read(work.path("state")).unwrap();
    let lock = work.path("state/lock").canonicalize().unwrap();
    let mut running = start(&work, &[]);
    running.wait_until("it waits for the lock", |running| {
        has_open(running.pid(), &lock)
    });
    running.signal("TERM");
    running.wait().expect(0).says(["stopped while starting"]);
    drop(reader);
    start(&work, &[]).wait().expect(0);
}

/// Whether a process has a file open. If the system can't say, the signal comes a little too early.
fn has_open(pid: u32, path: &Path) -> bool {
    let Ok(open) = std::fs::read_dir(format!("/proc/{pid}/fd")) else {
        return true;
    };
    open.flatten()
        .any(|file| std::fs::read_link(file.path()).is_ok_and(|link| link == path))
}

#[test]
fn check_and_graph_are_ended_by_the_signal_itself() {
    let work = Workdir::new();
    work.write("in", "a\n");
    for command in ["check", "graph"] {
        let mut running = work.start(&SLOW, &[command, "in", "--hang", "build"]);
        running.wait_until("it hangs", |running| running.stderr().contains("hangs in"));
        running.signal("TERM");
        let ended = running.wait();
        assert_eq!((ended.code, ended.signal), (None, Some(15)), "{ended}");
    }
}

#[test]
fn a_hangup_commits_what_was_read() {
    let work = Workdir::new();
    let lines: String = (0..400).map(|n| format!("{n}\n")).collect();
    work.write("in", &lines);
    let mut running = start(&work, &["--pause", "5", "--epoch", "20ms"]);
    running.wait_until("it writes", |_| work.len("out") > 0);
    running.signal("HUP");
    running.wait().expect(0).says(["flow: stopped: "]);
}

/// As with `nohup` for SIGHUP, and with a shell without job control for SIGINT in background
/// processes.
#[test]
fn a_signal_that_was_ignored_before_stays_ignored() {
    for signal in ["HUP", "INT", "TERM"] {
        let work = Workdir::new();
        let lines: String = (0..200).map(|n| format!("{n}\n")).collect();
        work.write("in", &lines);
        let mut command = std::process::Command::new("sh");
        command.args(["-c", &format!("trap '' {signal}; exec \"$0\" \"$@\"")]);
        command.arg(&*SLOW).args(["run", "in", "--output", "out"]);
        command.args(["--recover", "state", "--pause", "2", "--epoch", "20ms"]);
        let mut running = work.spawn(command);
        running.wait_until("it writes", |_| work.len("out") > 0);
        running.signal(signal);
        running.wait().expect(0).says(["flow: finished: "]);
        assert_eq!(work.text("out").lines().count(), 200);
    }
}

/// A refused start keeps its exit status, whatever signal arrives while its error is printed.
#[test]
fn a_signal_while_a_refusal_is_told_does_not_change_its_status() {
    for signal in ["TERM", "INT"] {
        let work = Workdir::new();
        let mut running = start(&work, &["--hang", "tell"]);
        running.wait_until("it hangs", |running| running.stderr().contains("hangs in"));
        while running.is_running() {
            running.signal(signal);
        }
        running.wait().expect(2);
    }
}

/// The system first frees the memory of a killed process, and then releases its locks.
#[test]
fn a_start_right_behind_a_kill_waits_until_the_killed_one_is_gone() {
    let work = Workdir::new();
    let lines: String = (0..100_000).map(|n| format!("{n}\n")).collect();
    work.write("in", lines);
    let mut killed = Vec::new();
    for round in 0..5 {
        let before = work.len("out");
        let options = ["--pause", "1", "--epoch", "5ms", "--ballast", "300"];
        let mut running = start(&work, &options);
        running.wait_until("it writes", |_| work.len("out") > before);
        // It is not waited for.
        running.signal("KILL");
        killed.push(running);
        if round % 2 == 1 {
            let look = flow_store::Look::read(work.path("state"));
            look.unwrap_or_else(|error| panic!("{error}"));
        }
    }
    let mut running = start(&work, &["--pause", "1"]);
    let before = work.len("out");
    running.wait_until("it writes", |_| work.len("out") > before);
    running.signal("TERM");
    running.wait().expect(0);
}

/// As `timeout` does, which signals the program and then its group.
#[test]
fn a_signal_that_comes_twice_at_once_is_one() {
    let work = Workdir::new();
    let lines: String = (0..2000).map(|n| format!("{n}\n")).collect();
    work.write("in", lines);
    for (signal, status) in [("TERM", 0), ("INT", 130)] {
        let before = work.len("out");
        // An epoch that is open when the signals come.
        let mut running = start(&work, &["--pause", "5", "--epoch", "100ms"]);
        running.wait_until("it writes", |_| work.len("out") > before);
        let pid = running.pid().to_string();
        let mut kill = std::process::Command::new("kill");
        kill.args(["-s", signal, &pid, &pid, &pid]);
        assert!(kill.status().unwrap().success());
        running.wait().expect(status).says(["flow: stopped: "]);
    }
}
