//! A full disk: the run ends with one error that says what is safe, and the flow resumes when there
//! is room again.
//!
//! Two kinds of full disks: a file system of a few hundred KiB, which only root can mount, and a
//! limit on the size of a file (`ulimit -f`), which everyone can set.
#![cfg(test)]

mod support;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

use flow_store::{Epoch, KEY_GROUPS, Look};
use serde::Deserialize;
use support::{Ended, Workdir, program};

static FLOWS: LazyLock<PathBuf> = LazyLock::new(|| program("flows"));

/// Counts the words of a file in which most words are new.
struct Words {
    work: Workdir,
    /// Where store and output are.
    store: &'static str,
    output: &'static str,
    /// What the store knew last: its epoch, and the length of the output.
    epoch: Epoch,
    committed: usize,
}

fn input() -> String {
    let line = |n| format!("a-long-word-of-its-own-{n} another-long-word-{}\n", n % 37);
    (0..6000).map(line).collect()
}

/// The expected results, by word.
static WHOLE: LazyLock<BTreeMap<String, Vec<String>>> = LazyLock::new(|| {
    let mut counts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for word in input().split_whitespace() {
        let lines = counts.entry(word.to_owned()).or_default();
        lines.push(format!("{word} {}", lines.len() + 1));
    }
    counts
});

/// Checks that the lines of each word are the first of the expected ones, and returns their number.
#[track_caller]
fn assert_beginning(out: &[u8]) -> usize {
    let out = std::str::from_utf8(out).unwrap();
    assert!(out.is_empty() || out.ends_with('\n'), "cut in a line");
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for line in out.lines() {
        let (word, _) = line.split_once(' ').unwrap();
        let n = seen.entry(word).or_default();
        assert_eq!(WHOLE[word].get(*n).map(String::as_str), Some(line));
        *n += 1;
    }
    out.lines().count()
}

impl Words {
    fn new(store: &'static str, output: &'static str) -> Self {
        let work = Workdir::new();
        work.write("in", input());
        for directory in ["disk", "large"] {
            std::fs::create_dir(work.path(directory)).unwrap();
        }
        Words {
            work,
            store,
            output,
            epoch: Epoch::default(),
            committed: 0,
        }
    }

    fn args(&self, workers: usize) -> Vec<String> {
        let args = format!(
            "run words in --output {} --recover {} --epoch 200 --workers {workers}",
            self.output, self.store
        );
        args.split(' ').map(str::to_owned).collect()
    }

    /// What the store knows: its epoch, and the length of the output.
    fn stored(&self) -> (Epoch, usize) {
        #[derive(Deserialize)]
        struct Position {
            bytes: usize,
        }
        support::look(&self.work.path(self.store), |look: &Look| {
            let bytes = look.step("results").map_or(0, |sink| {
                let mut rows = look.rows(sink.number, 0..KEY_GROUPS).unwrap();
                let row = rows.next().unwrap().unwrap();
                flow_store::decode::<Position>(&row.value).unwrap().bytes
            });
            (look.epoch(), bytes)
        })
    }

    /// A run has met a full disk: it says so once, and how far everything is safe; nothing of that
    /// is lost.
    #[track_caller]
    fn check_full(&mut self, ended: Ended, cause: &str) {
        let text = ended.stderr.clone();
        let status = ended.code.unwrap();
        // 3 where not even the start found room.
        assert!([1, 3].contains(&status), "{ended}");
        ended.one_error(status, [cause]).silent();
        let (epoch, committed) = self.stored();
        assert!(epoch >= self.epoch, "{text}");
        assert!(committed >= self.committed, "{text}");
        if status == 3 {
            assert_eq!(
                (epoch, committed),
                (self.epoch, self.committed),
                "nothing started: {text}"
            );
        } else {
            // Where nothing is durable but the start, it is what this run went on from.
            let durable = if epoch.number() > 0 {
                epoch
            } else {
                self.epoch
            };
            let said = said_to_be_safe(&text);
            if text.contains("could not be made durable") {
                // Of the epoch that failed nobody knows; it may be there.
                assert!(said <= Some(durable), "{text}");
            } else if durable.number() > 0 {
                assert_eq!(said, Some(durable), "{text}");
            } else {
                assert_eq!(said, None, "{text}");
            }
            assert!(said.is_none_or(|said| said >= self.epoch), "{text}");
        }
        (self.epoch, self.committed) = (epoch, committed);
        let out = std::fs::read(self.work.path(self.output)).unwrap_or_default();
        assert!(committed <= out.len(), "output is lost: {text}");
        assert_beginning(&out[..committed]);
    }

    fn check_whole(&self, ended: Ended) {
        ended.expect(0).says(["flow: finished: "]);
        let out = self.work.read(self.output);
        let lines = WHOLE.values().map(Vec::len).sum::<usize>();
        assert_eq!(assert_beginning(&out), lines);
        let again = self.work.run(&FLOWS, &self.args(2)).expect(0);
        again.says(["finished: 0 records read"]);
        assert!(self.work.read(self.output) == out);
    }
}

/// The epoch up to which everything is safe, as printed; `None` if no epoch of the run is durable.
#[track_caller]
fn said_to_be_safe(text: &str) -> Option<Epoch> {
    let Some((before, _)) = text.split_once(" is safe; the next run resumes from there.") else {
        let nothing = "No epoch of this run was durable; the next run starts where this one did.";
        assert!(text.contains(nothing), "{text}");
        return None;
    };
    let (_, epoch) = before.rsplit_once("Everything up to epoch ").unwrap();
    let (execution, number) = epoch.split_once('.').unwrap();
    let opening = Epoch::opening(execution.parse().unwrap()).to_u64();
    Some(Epoch::from_u64(opening + number.parse::<u64>().unwrap()))
}

/// A small file system, mounted until this is dropped.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    /// None where it can't be mounted.
    fn mount(at: &'a Path, kib: u64) -> Option<Self> {
        let size = format!("size={kib}k");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(at)
            .output();
        match mount {
            Ok(mount) if mount.status.success() => Some(SmallDisk(at)),
            Ok(mount) => {
                let why = String::from_utf8_lossy(&mount.stderr).into_owned();
                println!("skipped, no file system can be mounted: {}", why.trim());
                None
            }
            Err(error) => {
                println!("skipped, no file system can be mounted: {error}");
                None
            }
        }
    }

    fn resize(&self, kib: u64) {
        let size = format!("remount,size={kib}k");
        let mut mount = Command::new("mount");
        let status = mount.args(["-o", &size]).arg(self.0).status();
        assert!(status.unwrap().success());
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.0).status());
    }
}

/// Runs on a small file system that grows a little after each run, until everything fits.
fn on_a_small_disk(store: &'static str, output: &'static str) {
    let mut words = Words::new(store, output);
    let at = words.work.path("disk");
    let mut kib = 64;
    let Some(disk) = SmallDisk::mount(&at, kib) else {
        return;
    };
    let mut full = 0;
    let ended = loop {
        let ended = words.work.run(&FLOWS, &words.args(1 + full % 4));
        if ended.code == Some(0) {
            break ended;
        }
        full += 1;
        words.check_full(ended, "No space left on device");
        kib += kib / 3;
        assert!(kib < 1 << 16, "all of that is too little");
        disk.resize(kib);
    };
    println!("store {store}, output {output}: full {full} times, up to {kib} KiB");
    assert!(full >= 3, "it was full only {full} times");
    words.check_whole(ended);
}

#[test]
fn a_full_disk_under_the_store() {
    on_a_small_disk("disk/state", "large/out");
}

#[test]
fn a_full_disk_under_the_output() {
    on_a_small_disk("large/state", "disk/out");
}

#[test]
fn a_full_disk_under_everything() {
    on_a_small_disk("disk/state", "disk/out");
}

#[test]
fn a_limit_on_the_size_of_a_file() {
    let mut words = Words::new("large/state", "large/out");
    let (mut blocks, mut full) = (16u64, 0);
    let ended = loop {
        let mut limited = Command::new("sh");
        // The signal ends the process, unless it is ignored: then the write fails.
        limited.args(["-c", r#"trap "" XFSZ; ulimit -f "$0" && exec "$@""#]);
        limited.arg(blocks.to_string()).arg(&*FLOWS);
        limited.args(words.args(1 + full % 4));
        let ended = words.work.spawn(limited).wait();
        if ended.code == Some(0) {
            break ended;
        }
        full += 1;
        words.check_full(ended, "File too large");
        blocks += blocks / 3;
        assert!(blocks < 1 << 20, "all of that is too little");
    };
    println!("full {full} times, up to {blocks} blocks");
    assert!(full >= 3, "it was full only {full} times");
    words.check_whole(ended);
}
