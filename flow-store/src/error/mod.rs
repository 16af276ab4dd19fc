//! Every way in which the store refuses or fails, in words for the person who has to act.

use crate::epoch::Epoch;
use crate::retain::Retained;
use crate::schema::{self, Difference, Schema};
use crate::step::{StepKind, StoredStep};
use jiff::Timestamp;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why the store could not be looked at, started, written or ended.
///
/// The message says all of it, the cause included: what is wrong, which file, and what to do.
/// An error of [`Look`](crate::Look) means that the store is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The path leads to something that is not a directory.
    #[error("{path} is not a directory: the store needs one of its own; give another path")]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("could not {attempt} {path}: {cause}")]
    Io {
        /// What was attempted, as in `open`.
        attempt: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
    /// The file is empty.
    #[error(
        "the store file {path} is empty, though it held data: nothing is created in its place. Put a backup there, or remove the directory to start from nothing"
    )]
    EmptyFile {
        /// The file.
        path: PathBuf,
    },
    /// The directory held a store and its file is gone.
    #[error(
        "the store in {directory} has lost its data: its lock file names the store {store}, and there is no {part}. Put a backup there, or remove the directory to start from nothing"
    )]
    EmptyWhereDataWas {
        /// The directory.
        directory: PathBuf,
        /// The uuid in the lock file, or `unknown` when that cannot be read.
        store: String,
        /// The name of the missing file.
        part: String,
    },
    /// The file is not one of redb's.
    #[error("{path} is not a store: it does not begin as a redb file does. Give another directory")]
    NotARedbFile {
        /// The file.
        path: PathBuf,
    },
    /// The file is redb's, but what is in it is not a store of flow.
    #[error("{path} is a redb file, but not a store of flow: {missing}. Give another directory")]
    NotAFlowStore {
        /// The file.
        path: PathBuf,
        /// What it lacks.
        missing: String,
    },
    /// The file is shorter than it says.
    #[error(
        "the store file {path} was cut short: it has {length} bytes and needs {needed}. Put a backup in its place"
    )]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Its length.
        length: u64,
        /// The least length it should have.
        needed: u64,
    },
    /// The bytes of the file were changed, or cut short, by something other than the store.
    #[error(
        "the store file {path} is damaged: {what}. Nothing was changed; put a backup in its place"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The file was written by a later version.
    #[error(
        "the store file {path} has format {found}, and this version of flow reads up to {known}: use the version that wrote it, or a later one"
    )]
    FormatTooNew {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u64,
        /// The format this version writes.
        known: u64,
    },
    /// The file was written by a version that is too old.
    #[error(
        "the store file {path} has {what} format {found}, and this version of flow reads {what} format {known}: run the flow with the version that wrote the store, or move {} away and start anew",
        .path.parent().unwrap_or(.path).display()
    )]
    FormatTooOld {
        /// The file.
        path: PathBuf,
        /// Whose format it is: `flow` or `redb`.
        what: &'static str,
        /// Its format.
        found: u64,
        /// The format that this version reads.
        known: u64,
    },
    /// The file is one of several, or of another place among them.
    #[error(
        "the store file {path} is part {index} of {count}, and its name says part 0 of 1: give it back its name"
    )]
    WrongPart {
        /// The file.
        path: PathBuf,
        /// Which part it is.
        index: u64,
        /// Of how many.
        count: u64,
    },
    /// The directory has other part files than the one there should be.
    #[error(
        "the store in {directory} should have the one file {expected}, and has {}: keep the right one, with that name",
        list(.found)
    )]
    OtherParts {
        /// The directory.
        directory: PathBuf,
        /// The name of the file there should be.
        expected: String,
        /// The names of the files there are.
        found: Vec<String>,
    },
    /// The file belongs to another store than the one this directory held.
    #[error(
        "{path} is of the store {found}, and this directory held the store {expected}: put the right file in its place, or remove {lock} to agree to the other"
    )]
    ForeignPart {
        /// The file.
        path: PathBuf,
        /// The lock file, which remembers the store.
        lock: PathBuf,
        /// The uuid in the lock file.
        expected: String,
        /// The uuid in the part file.
        found: String,
    },
    /// Another process has the store.
    #[error(
        "the store {} is in use by {}: stop that process, or give another directory",
        .path.parent().unwrap_or(.path).display(),
        holder(.host, .pid, .since)
    )]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// The host of the process that holds it; none where the record cannot be read.
        host: Option<String>,
        /// The process that holds it.
        pid: Option<u32>,
        /// Since when it holds it.
        since: Option<Timestamp>,
    },
    /// Others read the store, for longer than is waited for.
    #[error(
        "the store {directory} is being read by another process, such as `flow-store export`: wait until that has ended"
    )]
    BeingRead {
        /// The directory.
        directory: PathBuf,
    },
    /// A start waits for those who read, and no more are to come.
    #[error(
        "the store {directory} is about to be used by another process, which waits for those who read it: try again"
    )]
    AboutToStart {
        /// The directory.
        directory: PathBuf,
    },
    /// The look was made to read only.
    #[error(
        "the store {directory} was looked at to be read, together with others: look at it alone to change it"
    )]
    ReadOnly {
        /// The directory.
        directory: PathBuf,
    },
    /// The store is not as it was when it was looked at.
    #[error("the store in {directory} changed while it was being looked at ({what}): start again")]
    Changed {
        /// The directory.
        directory: PathBuf,
        /// What is different.
        what: String,
    },
    /// Two steps of the flow have one id.
    #[error(
        "the flow has two steps `{id}`, at {} and at {}: give one another name with `.named(…)`",
        .places[0], .places[1]
    )]
    SameId {
        /// The directory of the store.
        directory: PathBuf,
        /// The id.
        id: String,
        /// Where the flow says it.
        places: [String; 2],
    },
    /// The store has steps that the flow has not.
    #[error(
        "the store in {} has {} that the flow has not: {}{}. If a step was renamed, say `.renamed_from(\"{}\")` where it is now; if what it held may go{}, start with `{}`",
        .directory.display(),
        if .steps.len() == 1 { "a step" } else { "steps" },
        steps_list(.steps),
        unused_list(.unused),
        first_id(.steps),
        if .steps.iter().any(|step| step.kind == StepKind::Source) {
            " (of a source that is where it stood: its input would be read again)"
        } else { "" },
        drop_flags(.steps)
    )]
    UnknownSteps {
        /// The directory.
        directory: PathBuf,
        /// The steps.
        steps: Vec<StoredStep>,
        /// Steps that are not in the store, each with an id that the flow says it had before and
        /// that is not there either.
        unused: Vec<(String, String)>,
    },
    /// A step is of another kind than it was.
    #[error(
        "{place}: step `{id}` is a {flow} step, and the store in {} has {} as a {stored} step. Give it another name with `.named(…)`, or start with `--drop-state {stored_id}`",
        .directory.display(),
        if .id == .stored_id { "it".to_owned() } else { format!("`{}`, its old name,", .stored_id) }
    )]
    KindChanged {
        /// The directory.
        directory: PathBuf,
        /// The id of the step in the flow.
        id: String,
        /// Its id in the store.
        stored_id: String,
        /// What it is in the store.
        stored: StepKind,
        /// What it is in the flow.
        flow: StepKind,
        /// Where the flow says it.
        place: String,
    },
    /// The keys of a step are of another type than they were.
    #[error(
        "the key of step `{}` ({}) is not what it was in the store in {}:{}\nhelp: other keys have other bytes, so what is stored would be out of reach. Convert each key with `.rekey_from::<Old>(..)`, give the rows up with `--drop-state {}`, or go back to the key that is stored: {}{}",
        .0.id, .0.place, .0.directory.display(), schema::list(&.0.differences), .0.stored_id, .0.stored,
        .0.note(".rekey_from")
    )]
    KeyChanged(Box<AnotherType>),
    /// What a step keeps is of another type than it was, and serde could at best take it for
    /// something else.
    #[error(
        "the {} of step `{}` ({}) are of another type than in the store in {}:{}\nhelp: {}give what is stored up with `--drop-state {}`, or go back to the type that is stored: {}{}",
        .0.kind.keeps(), .0.id, .0.place, .0.directory.display(), schema::list(&.0.differences),
        if .0.kind == StepKind::State { "convert them with `.migrate_from::<Old>(..)`, " } else { "" },
        .0.stored_id, .0.stored, .0.note(".migrate_from")
    )]
    StateChanged(Box<AnotherType>),
    /// A step that was to be dropped is not in the store.
    #[error(
        "there is no step `{id}` to drop in the store in {}: it has {}",
        .directory.display(),
        if .stored.is_empty() { "no steps".to_owned() } else { steps_list(.stored) }
    )]
    NoSuchStep {
        /// The directory.
        directory: PathBuf,
        /// The id that was given.
        id: String,
        /// The steps there are.
        stored: Vec<StoredStep>,
    },
    /// A renamed step would have the rows of two stored steps.
    #[error(
        "{place}: the store in {} has both `{}` and `{}`, and step `{id}` can go on with one only. Start with `--drop-state` for the one whose rows may go",
        .directory.display(), .stored[0], .stored[1]
    )]
    RenameOfTwo {
        /// The directory.
        directory: PathBuf,
        /// The step in the flow.
        id: String,
        /// The ids in the store.
        stored: [String; 2],
        /// Where the flow says it.
        place: String,
    },
    /// A step says that it was renamed from a step that the flow still has.
    #[error(
        "{place}: step `{id}` says that it was `{old}`, and the flow still has a step `{old}`, which the rows in {} could as well be for. Take `.renamed_from(\"{old}\")` away, or give the other step another name",
        .directory.display()
    )]
    RenameInUse {
        /// The directory.
        directory: PathBuf,
        /// The step that was renamed.
        id: String,
        /// The id that is still in use.
        old: String,
        /// Where the flow says it.
        place: String,
    },
    /// Two steps say that they were renamed from the same one.
    #[error(
        "steps `{}` ({}) and `{}` ({}) both say that they were `{old}`, and the rows in {} can go to one only. Take one `.renamed_from(\"{old}\")` away",
        .ids[0], .places[0], .ids[1], .places[1], .directory.display()
    )]
    RenamedTwice {
        /// The directory.
        directory: PathBuf,
        /// The id in the store.
        old: String,
        /// The steps in the flow.
        ids: Box<[String; 2]>,
        /// Where the flow says them.
        places: Box<[String; 2]>,
    },
    /// No number is left for a new step.
    #[error(
        "the store in {directory} has given all its 65,536 step numbers away, and none is used twice: start with a new directory"
    )]
    TooManySteps {
        /// The directory.
        directory: PathBuf,
    },
    /// No number is left for a new execution.
    #[error(
        "the store in {directory} has given all its 16,777,215 execution numbers away, and none is used twice: start with a new directory"
    )]
    TooManyExecutions {
        /// The directory.
        directory: PathBuf,
    },
    /// The store can't go back to an epoch.
    #[error(
        "the store in {} can't go back to epoch {epoch}: it is at {last}, and retains {}. Epochs are retained by runs with `--retain`",
        .directory.display(),
        retained_list(.retained)
    )]
    NotRetained {
        /// The directory.
        directory: PathBuf,
        /// The epoch that was asked for.
        epoch: Epoch,
        /// The epoch that it is at.
        last: Epoch,
        /// Those that it can go back to, oldest first.
        retained: Box<[Retained]>,
    },
    /// The store went back to an epoch already, and has come further since.
    #[error(
        "execution {execution} has gone back to epoch {epoch} already, and the store in {} is at {last} now. Leave `--from-epoch` away to go on from there; to go back once more, and give up what came after, say `--from-epoch {opened}`",
        .directory.display()
    )]
    WentBack {
        /// The directory.
        directory: PathBuf,
        /// The epoch that was asked for.
        epoch: Epoch,
        /// The execution that went back to it.
        execution: u64,
        /// The first epoch of that execution: the same state.
        opened: Epoch,
        /// The epoch that the store is at.
        last: Epoch,
    },
    /// Only a start can go on from a look that was brought back.
    #[error(
        "the look at the store in {directory} shows epoch {epoch}, which is not its last: only a start goes on from there. Look at it anew"
    )]
    GoneBack {
        /// The directory.
        directory: PathBuf,
        /// The epoch that the look shows.
        epoch: Epoch,
    },
    /// A later execution has the store: this one must stop.
    #[error(
        "execution {mine} of the flow was replaced: the store file {path} is at execution {current} now. Nothing was written; stop this process"
    )]
    Fenced {
        /// The file.
        path: PathBuf,
        /// The execution that was refused.
        mine: u64,
        /// The execution that has the store.
        current: u64,
    },
    /// The epoch to commit is not greater than the last, or of another execution.
    #[error(
        "epoch {epoch} cannot be committed to {path} by execution {execution}, whose last is {last}. Nothing was written; this is a mistake in the program, not in the store"
    )]
    WrongEpoch {
        /// The file.
        path: PathBuf,
        /// The epoch that was refused.
        epoch: Epoch,
        /// The execution that wanted to commit it.
        execution: u64,
        /// The last epoch that is durable.
        last: Epoch,
    },
    /// The file of the store was removed, moved or replaced while an execution had it.
    #[error(
        "the store file {path} {}. It is at epoch {last}, and nothing more was written. If it was moved, move it back and start again; if it was removed, put a backup in its place, or start with a new store and new outputs",
        match .how {
            Lost::Gone => "was removed or moved away while the flow ran",
            Lost::Replaced => "is another one than the flow began with: it was replaced while the flow ran",
        }
    )]
    Gone {
        /// The file.
        path: PathBuf,
        /// How it was lost.
        how: Lost,
        /// The last epoch that is in the file, wherever that is now.
        last: Epoch,
    },
    /// The file system has no locks.
    #[error(
        "{path} can't be locked: {cause}. A flow starts only where its store can be kept from a second run. Put the store on a local disk; on NFS start the lock daemon, or mount it with `nolock` if no other host runs the flow"
    )]
    NoLocks {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
    /// A change that no reader would ever find again, or that is too large.
    #[error(
        "a change of step number {step} cannot be stored in {path}: {why}. Nothing was written; this is a mistake in the program, not in the store"
    )]
    WrongChange {
        /// The file.
        path: PathBuf,
        /// The number of the step.
        step: u16,
        /// What is wrong with it.
        why: String,
    },
    /// A commit failed, and nobody knows whether it is durable.
    #[error(
        "the commit of epoch {epoch} to {path} failed: {cause}. {}; whether epoch {epoch} is, is not known. Start the flow again: it goes on from what is on the disk",
        safe(*.last)
    )]
    CommitFailed {
        /// The file.
        path: PathBuf,
        /// The epoch.
        epoch: Epoch,
        /// The last epoch known to be durable.
        last: Epoch,
        /// What happened.
        cause: Cause,
    },
    /// The commit that starts an execution failed; nothing of the execution ran.
    #[error(
        "the start of an execution could not be written to {path}: {cause}. Nothing ran, and what was durable is; start the flow again"
    )]
    StartFailed {
        /// The file.
        path: PathBuf,
        /// What happened.
        cause: Cause,
    },
    /// The commit that says how an execution ended failed; its data is safe.
    #[error(
        "the end of execution {execution} could not be written to {path}: {cause}. {}",
        safe(*.last)
    )]
    EndFailed {
        /// The file.
        path: PathBuf,
        /// The execution.
        execution: u64,
        /// The last epoch that is durable.
        last: Epoch,
        /// What happened.
        cause: Cause,
    },
    /// An earlier commit of this execution failed, so there can be no other.
    #[error(
        "an earlier commit to {path} failed, so nothing more can be written. Start the flow again: it goes on from what is on the disk"
    )]
    AfterFailedCommit {
        /// The file.
        path: PathBuf,
    },
    /// There is no store where there should be one.
    #[error(
        "there is no store in {directory}: give the directory that a flow was started with `--recover`"
    )]
    NoStore {
        /// The directory.
        directory: PathBuf,
    },
    /// A step that was asked for is not in the store.
    #[error(
        "there is no step `{id}` in the store in {}: it has {}",
        .directory.display(),
        if .stored.is_empty() { "no steps".to_owned() } else { steps_list(.stored) }
    )]
    UnknownStep {
        /// The directory.
        directory: PathBuf,
        /// The id that was given.
        id: String,
        /// The steps there are.
        stored: Vec<StoredStep>,
    },
    /// The new id of a step is that of another.
    #[error(
        "step `{from}` cannot be renamed to `{to}`, which the store in {} has already: it has {}",
        .directory.display(), steps_list(.stored)
    )]
    StepExists {
        /// The directory.
        directory: PathBuf,
        /// The step.
        from: String,
        /// The id that it was to get.
        to: String,
        /// The steps there are.
        stored: Vec<StoredStep>,
    },
    /// Where a backup was to be made there is something.
    #[error("{path} is there already: a backup makes a directory of its own; give another path")]
    TargetExists {
        /// The path.
        path: PathBuf,
    },
    /// A copy of the store could not be written.
    #[error("the copy {path} could not be written: {cause}. The store is as it was")]
    CopyFailed {
        /// The file of the copy.
        path: PathBuf,
        /// What happened.
        cause: Cause,
    },
    /// A commit that changes the steps failed, and nobody knows whether it is durable.
    #[error(
        "could not {attempt} in {path}: {cause}. It is done as a whole or not at all: look at the store to see which"
    )]
    MaintenanceFailed {
        /// What was attempted.
        attempt: String,
        /// The file.
        path: PathBuf,
        /// What happened.
        cause: Cause,
    },
    /// A record of the store itself could not be encoded.
    #[error("could not encode {what} for the store file {path}: {cause}")]
    Encode {
        /// The file.
        path: PathBuf,
        /// What could not be encoded.
        what: &'static str,
        /// Why.
        cause: crate::CodecError,
    },
}

/// What made a commit fail.
#[derive(Debug)]
#[non_exhaustive]
pub enum Cause {
    /// The operating system: a full disk, a broken one.
    Io(io::Error),
    /// Anything else that redb says, or that a panic in it said.
    Other(String),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Io(error) => error.fmt(f),
            Cause::Other(text) => f.write_str(text),
        }
    }
}

/// How a file was lost that a process had open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Lost {
    /// There is nothing under its name: it, or a directory above it, was removed or moved.
    Gone,
    /// There is another file under its name.
    Replaced,
}

fn holder(host: &Option<String>, pid: &Option<u32>, since: &Option<Timestamp>) -> String {
    match (host, pid, since) {
        (Some(host), Some(pid), Some(since)) => format!("process {pid} on {host} since {since}"),
        _ => "an unknown process".to_owned(),
    }
}

fn list(names: &[String]) -> String {
    names.join(", ")
}

fn either(schemas: &[Schema]) -> String {
    let texts: Vec<String> = schemas.iter().map(ToString::to_string).collect();
    texts.join(" or ")
}

/// A type that is not what it was in the store.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct AnotherType {
    /// The directory of the store.
    pub directory: PathBuf,
    /// The id of the step.
    pub id: String,
    /// Where the flow says it.
    pub place: String,
    /// What the step keeps.
    pub kind: StepKind,
    /// Its id in the store.
    pub stored_id: String,
    /// The type in the store.
    pub stored: Schema,
    /// What is not as it was.
    pub differences: Vec<Difference>,
    /// The types that the flow could convert.
    pub converted_from: Vec<Schema>,
}

impl AnotherType {
    /// That there is a conversion, of another type.
    fn note(&self, method: &str) -> String {
        match self.converted_from.as_slice() {
            [] => String::new(),
            types => format!(
                "\nnote: `{method}` reads {}, which is not what is stored",
                either(types)
            ),
        }
    }
}

fn retained_list(retained: &[Retained]) -> String {
    match retained {
        [] => "no other".to_owned(),
        [one] => one.epoch.to_string(),
        [first, .., last] => format!(
            "{} others, from {} to {} (`flow-store epochs` lists them)",
            retained.len(),
            first.epoch,
            last.epoch
        ),
    }
}

fn steps_list(steps: &[StoredStep]) -> String {
    let one = |step: &StoredStep| format!("`{}` ({}, {})", step.id, step.kind, step.operator);
    steps.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Of those that are shown: more are no typing errors.
fn unused_list(unused: &[(String, String)]) -> String {
    let one = |(id, old): &(String, String)| {
        format!("; `{id}` was `{old}` before, the flow says, and the store has no `{old}`")
    };
    unused.iter().take(3).map(one).collect()
}

fn first_id(steps: &[StoredStep]) -> &str {
    steps.first().map_or("", |step| &step.id)
}

fn drop_flags(steps: &[StoredStep]) -> String {
    let one = |step: &StoredStep| format!("--drop-state {}", step.id);
    steps.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// Up to where all is durable, as the beginning of a sentence.
fn safe(last: Epoch) -> String {
    match last.is_start() {
        true => "Nothing is durable yet".to_owned(),
        false => format!("Everything up to epoch {last} is safe"),
    }
}
