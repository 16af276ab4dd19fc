//! What is measured runs in a process of its own, so that none inherits the memory of another: this
//! program, called with a [`Side`] as its argument, prints a [`Report`].

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use serde::{Deserialize, Serialize};

use crate::{
    Result, by_hand,
    cart::Tally,
    compile::Compile,
    events, in_flow,
    memory::Piling,
    plain,
    resume::{By, Resume},
    store::Store,
};

/// A program that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Side {
    Join(Join),
    Resume(Resume),
    Store(Store),
    Piling(Piling),
    Compile(Compile),
}

/// A cart join.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Join {
    pub(crate) program: Program,
    /// The events are read from a file with JSON lines; otherwise they are in memory.
    pub(crate) json: bool,
    pub(crate) users: u32,
    pub(crate) events: u32,
    pub(crate) workers: u32,
    /// Records to an epoch; without it epochs end as they do by default.
    pub(crate) epoch: Option<u64>,
    /// With recovery.
    pub(crate) store: bool,
    /// Nothing depends on the time: the clock stands still, and one epoch becomes durable after the
    /// other instead of as many as come together. Epochs of up to a thousand records are below the
    /// limit with which every run begins, which then does not follow the flow.
    pub(crate) repeatable: bool,
    /// Stateless steps before the join.
    pub(crate) more_steps: u32,
    /// With a step before the join that could fail.
    pub(crate) fallible: bool,
    /// The key is taken with `key_on`, which leaves the record whole.
    pub(crate) clones_key: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Program {
    Plain,
    ByHand,
    Flow,
}

/// What came out.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    /// The time of the work, without what was prepared for it.
    pub(crate) nanoseconds: f64,
    /// The most memory that the process ever had, in bytes.
    pub(crate) peak: f64,
    pub(crate) tally: Tally,
    /// What the program has measured itself.
    pub(crate) own: BTreeMap<String, Vec<f64>>,
}

impl Side {
    /// Does the work, here.
    fn work(&self, scratch: &Scratch) -> Result<Report> {
        match self {
            Side::Resume(resume) => resume.work(scratch),
            Side::Store(store) => store.work(scratch),
            Side::Piling(piling) => piling.work(scratch),
            Side::Compile(compile) => compile.work(scratch),
            Side::Join(join) => match join.program {
                Program::Plain => plain::run(join, scratch),
                Program::ByHand => by_hand::run(join, scratch),
                Program::Flow => in_flow::run(join, scratch),
            },
        }
    }

    /// The work that sides have in common must have the same checksum. `None` if there is no
    /// checksum.
    pub(crate) fn same_work(&self) -> Option<(u32, u32)> {
        match self {
            Side::Join(join) => Some((join.users, join.events)),
            Side::Resume(resume) => Some((resume.keys, resume.keys)),
            Side::Store(_) | Side::Piling(_) | Side::Compile(_) => None,
        }
    }

    /// Has a process of its own do the work.
    pub(crate) fn run(&self, scratch: &Scratch) -> Result<Report> {
        self.prepare(scratch)?;
        let output = self.command(scratch)?.stdout(Stdio::piped()).output()?;
        if !output.status.success() {
            return Err(format!("{self:?} ended with {}", output.status).into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Has the input written, if it has not been yet.
    pub(crate) fn prepare(&self, scratch: &Scratch) -> Result<()> {
        match self {
            Side::Join(join) if join.json => scratch.write_json(join)?,
            Side::Resume(resume) if resume.program != By::Writer && !resume.is_written(scratch) => {
                let program = By::Writer;
                Side::Resume(Resume { program, ..*resume }).run(scratch)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// The command that does the work.
    pub(crate) fn command(&self, scratch: &Scratch) -> Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--side").arg(serde_json::to_string(self)?);
        command.arg("--scratch").arg(&scratch.0);
        Ok(command)
    }

    /// The whole life of that process.
    pub(crate) fn main(text: &str, scratch: PathBuf) -> Result<()> {
        let side: Side = serde_json::from_str(text)?;
        let mut report = side.work(&Scratch(scratch))?;
        report.peak = memory("VmHWM:")?;
        println!("{}", serde_json::to_string(&report)?);
        Ok(())
    }
}

/// Times the work.
pub(crate) fn timed(work: impl FnOnce() -> Result<Tally>) -> Result<Report> {
    let start = Instant::now();
    let tally = work()?;
    Ok(Report {
        nanoseconds: start.elapsed().as_nanos() as f64,
        tally,
        ..Report::default()
    })
}

/// Memory of this process in bytes, by its name in `/proc/self/status`; nothing where there is no
/// such file.
pub(crate) fn memory(name: &str) -> Result<f64> {
    let Ok(status) = fs::read_to_string("/proc/self/status") else {
        return Ok(0.0);
    };
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    let kilobytes: f64 = kilobytes.ok_or("no such memory")?.parse()?;
    Ok(kilobytes * 1024.0)
}

/// The directory for files.
#[derive(Clone, Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        Scratch(path.into())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// A path at which there is nothing.
    pub(crate) fn fresh(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.0.join(name);
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(path),
        }
    }

    /// The events of a join as JSON lines.
    pub(crate) fn json(&self, join: &Join) -> PathBuf {
        self.0
            .join(format!("events-{}-{}.json", join.users, join.events))
    }

    fn write_json(&self, join: &Join) -> io::Result<()> {
        let path = self.json(join);
        if path.exists() {
            return Ok(());
        }
        events::write_json(&path, join.users, join.events)
    }
}
