//! Files that are moved, rotated, replaced, copied or removed between runs. Nothing is read twice
//! or missed.
#![cfg(test)]

mod content;
mod copies;
mod moves;
mod rotation;
mod while_read;

use std::{fs, io::Write, path::PathBuf};

use flow::{Outcome, Recovery, RunError, Runner, TextLines, sink};
use tempfile::TempDir;

/// A directory with inputs and a store.
struct Place(TempDir);

type Read = Result<Vec<String>, RunError>;

impl Place {
    fn new() -> Self {
        Place(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The name of a file's partition.
    fn name(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn append(&self, name: &str, text: &str) {
        let file = fs::File::options()
            .create(true)
            .append(true)
            .open(self.path(name));
        file.unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    fn recovery(&self) -> Recovery {
        Recovery::at(self.path("state"))
    }

    /// Says that a partition has another name now.
    fn renaming(&self, old: &str, new: &str) -> Recovery {
        self.recovery()
            .rename_partition(self.name(old), self.name(new))
    }

    /// Gives up a partition.
    fn dropping(&self, name: &str) -> Recovery {
        self.recovery().drop_partition(self.name(name))
    }

    /// The lines that a run reads.
    fn read(&self, inputs: &[&str]) -> Read {
        self.read_with(inputs, self.recovery())
    }

    fn read_with(&self, inputs: &[&str], recovery: Recovery) -> Read {
        let paths = inputs.iter().map(|name| self.path(name)).collect();
        let (result, lines) = read(paths, recovery, |_| Ok(()));
        result.map(|_| lines)
    }

    #[track_caller]
    fn reads(&self, inputs: &[&str], expected: &str) {
        let lines = self.read(inputs).unwrap();
        assert_eq!(lines.join(" "), expected);
    }

    /// A start is refused in these words, by a check as well, and changes nothing.
    #[track_caller]
    fn refused(&self, inputs: &[&str], recovery: Recovery, says: &[&str]) -> RunError {
        let before = fs::read(self.path("state/part-00000-of-00001.redb")).unwrap();
        let paths: Vec<_> = inputs.iter().map(|name| self.path(name)).collect();
        let checked = runner(paths, recovery.clone(), |_| Ok(()))
            .0
            .dry_run()
            .unwrap_err();
        let error = self.read_with(inputs, recovery).unwrap_err();
        let text = error.to_string();
        for says in says {
            assert!(text.contains(says), "`{says}` is not in: {text}");
        }
        assert!(matches!(error, RunError::Resume(_)), "{text}");
        assert_eq!(checked.to_string(), text);
        assert!(before == fs::read(self.path("state/part-00000-of-00001.redb")).unwrap());
        error
    }
}

fn runner(
    paths: Vec<PathBuf>,
    recovery: Recovery,
    line: impl Fn(&str) -> Result<(), String> + Clone + Send + Sync + 'static,
) -> (Runner, sink::Collected<String>) {
    let (out, seen) = sink::collect();
    let runner = Runner::new(move |flow| {
        let line = line.clone();
        let lines = flow.source(TextLines::open_all(paths.clone()));
        let lines = lines
            .named("lines")
            .try_map(move |text| line(&text).map(|()| text));
        lines.sink(out.clone());
    });
    (runner.recover(recovery), seen)
}

fn read(
    paths: Vec<PathBuf>,
    recovery: Recovery,
    line: impl Fn(&str) -> Result<(), String> + Clone + Send + Sync + 'static,
) -> (Result<Outcome, RunError>, Vec<String>) {
    let (runner, seen) = runner(paths, recovery, line);
    let result = runner.run();
    (result, seen.take())
}

/// The file is longer than a single read.
fn long(begin: &str, lines: usize) -> String {
    (0..lines)
        .map(|n| format!("{begin}-{n:06}-{}\n", "x".repeat(50)))
        .collect()
}

/// Lines that tell one file from another.
fn lines(begin: &str, count: usize) -> String {
    (0..count)
        .map(|n| format!("{begin} {n:03}, a line of text\n"))
        .collect()
}
