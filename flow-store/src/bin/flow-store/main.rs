//! `flow-store`: shows the store of a flow, and maintains it while no flow runs.

mod diff;
mod info;
mod json;
mod maintain;
mod rows;
mod terminal;
mod verify;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, Subcommand};
use flow_store::{Epoch, Look, StoreError};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use terminal::Out;

/// Shows the store of a flow, and maintains it while no flow runs.
///
/// DIR is the directory that the flow was given with `--recover`. The verbs info, steps, epochs,
/// get, export, verify and diff never modify the store, not even after a crash; backup only makes
/// its copy. The others modify it as a whole or not at all.
///
/// Values are JSON. A value that JSON can't express is an object with one name that begins with
/// `$`: {"$bytes": "00ff"}, {"$float": "NaN"}, {"$map": [[key, value], ..]} for a map whose names
/// are not all text, {"$ext": [type, "00ff"]}, and {"$deep": "00ff"} for a value that is nested too
/// deep.
///
/// Exit status: 0; 1 if there is no such key, or the stores differ; 2 if the command line is wrong;
/// 3 if the store is in use, damaged or absent, or the verb failed.
#[derive(Parser)]
#[command(version, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Shows the epoch of the store, its steps, its last executions, and who holds it.
    Info {
        #[command(flatten)]
        store: Store,
        /// The number of executions to show.
        #[arg(long, value_name = "NUMBER", default_value_t = 5)]
        executions: usize,
        /// Write one JSON object instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Lists the steps of the flow that keep something in the store.
    Steps {
        #[command(flatten)]
        store: Store,
        /// Show what the keys and values of each step look like, field by field.
        #[arg(long, conflicts_with = "json")]
        schemas: bool,
        /// Write a line of JSON for each step instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Lists the epochs that a flow can go back to with `--from-epoch`, oldest first, and the last.
    Epochs {
        #[command(flatten)]
        store: Store,
        /// Write lines of JSON.
        #[arg(long)]
        json: bool,
    },
    /// Shows the row of one key.
    Get {
        #[command(flatten)]
        store: Then,
        /// The id of the step.
        step: String,
        /// The key as `export` shows it, or as people write it: text without quotes, an address, an
        /// identifier, a time, a number, bytes as 0x00ff; null for the row that a windowed step has
        /// for itself.
        #[arg(allow_hyphen_values = true)]
        key: String,
    },
    /// Writes the rows as lines of JSON.
    Export {
        #[command(flatten)]
        store: Then,
        /// The id of the step. Without it, the rows of all steps, each with its `step`.
        step: Option<String>,
    },
    /// Reads every page and row and says what is damaged.
    Verify {
        #[command(flatten)]
        store: Store,
    },
    /// Shows the rows that were added (+), removed (-) and changed (~) between two stores.
    Diff {
        #[command(flatten)]
        store: Store,
        /// The directory of the other store.
        #[arg(value_name = "DIR2")]
        other: PathBuf,
        /// Count the rows of each step instead of showing them.
        #[arg(long)]
        count: bool,
    },
    /// Drops a step with all its rows.
    Drop {
        #[command(flatten)]
        store: Store,
        /// The id of the step.
        step: String,
    },
    /// Gives a step another id.
    Rename {
        #[command(flatten)]
        store: Store,
        /// The id of the step.
        old: String,
        /// The new id of the step.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        new: String,
    },
    /// Replaces the file of the store with a copy without unused space.
    Compact {
        #[command(flatten)]
        store: Store,
    },
    /// Makes a directory with a copy of the store.
    Backup {
        #[command(flatten)]
        store: Store,
        /// The directory to make; it must not exist.
        target: PathBuf,
    },
}

#[derive(Args)]
struct Store {
    /// The directory of the store.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

impl Store {
    /// Opens it to read. An absent store is an error.
    fn look(&self) -> Result<Look, Failure> {
        look(&self.directory)
    }

    /// Opens it alone, to modify it.
    fn look_alone(&self) -> Result<Look, Failure> {
        let _shown = terminal::busy("reading", &self.directory);
        there(Look::at(&self.directory)?)
    }
}

fn there(look: Look) -> Result<Look, Failure> {
    match look.is_new() {
        true => Err(look.no_store().into()),
        false => Ok(look),
    }
}

/// A store as it was at an epoch.
#[derive(Args)]
struct Then {
    #[command(flatten)]
    store: Store,
    /// Show the store as it was at this epoch, one of those that `epochs` lists.
    #[arg(long, value_name = "EPOCH")]
    epoch: Option<Epoch>,
}

impl Then {
    fn look(&self) -> Result<Look, Failure> {
        let look = self.store.look()?;
        match self.epoch {
            Some(epoch) => Ok(look.see(epoch)?),
            None => Ok(look),
        }
    }
}

fn look(directory: &std::path::Path) -> Result<Look, Failure> {
    // Reads the whole file to verify it.
    let _shown = terminal::busy("reading", directory);
    there(Look::read(directory)?)
}

/// Why a verb failed.
enum Failure {
    Store(StoreError),
    /// The output could not be written.
    Output(io::Error),
    /// There is no such key.
    Missing(String),
    /// The command line makes no sense.
    Usage(String),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        Failure::Store(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Output(error)
    }
}

const NO: u8 = 1;
const USAGE: u8 = 2;
const REFUSED: u8 = 3;

/// Runs a verb. The result is false if the answer is "no".
fn run(verb: &Verb, out: &mut Out) -> Result<bool, Failure> {
    match verb {
        Verb::Info {
            store,
            executions,
            json,
        } => info::info(&store.look()?, *executions, *json, out),
        Verb::Steps {
            store,
            schemas,
            json,
        } => info::steps(&store.look()?, *schemas, *json, out),
        Verb::Epochs { store, json } => info::epochs(&store.look()?, *json, out),
        Verb::Get { store, step, key } => rows::get(&store.look()?, step, key, out),
        Verb::Export { store, step } => rows::export(&store.look()?, step.as_deref(), out),
        Verb::Verify { store } => verify::verify(&store.look()?, out),
        Verb::Diff {
            store,
            other,
            count,
        } => diff::diff(store, other, *count, out),
        Verb::Drop { store, step } => maintain::drop_step(store.look_alone()?, step, out),
        Verb::Rename { store, old, new } => maintain::rename(store.look_alone()?, old, new, out),
        Verb::Compact { store } => maintain::compact(store.look_alone()?, out),
        Verb::Backup { store, target } => maintain::backup(&store.look()?, target, out),
    }
}

/// Enough for values of 256 levels, the depth that a store keeps, on every system.
const STACK: usize = 16 << 20;

/// The place and the text of a panic. The store's library catches those of redb.
static PANIC: Mutex<String> = Mutex::new(String::new());

fn main() -> ExitCode {
    let cli = Cli::parse();
    std::panic::set_hook(Box::new(|panic| {
        *PANIC.lock().unwrap_or_else(PoisonError::into_inner) = panic.to_string();
    }));
    let work = move || {
        let mut out = Out::new();
        let answer = run(&cli.verb, &mut out)?;
        out.flush()?;
        Ok(answer)
    };
    let thread = std::thread::Builder::new()
        .stack_size(STACK)
        .spawn(work)
        .map(std::thread::JoinHandle::join);
    let done = match thread {
        Ok(done) => done,
        Err(error) => {
            complain(&format!("no thread can be started: {error}"));
            return ExitCode::from(REFUSED);
        }
    };
    let (code, message) = match done {
        Ok(Ok(true)) => return ExitCode::SUCCESS,
        Ok(Ok(false)) => return ExitCode::from(NO),
        // The reader has seen enough.
        Ok(Err(Failure::Output(error))) if error.kind() == io::ErrorKind::BrokenPipe => {
            return ExitCode::SUCCESS;
        }
        Ok(Err(Failure::Output(error))) => {
            (REFUSED, format!("the output can't be written: {error}"))
        }
        Ok(Err(Failure::Store(error))) => (REFUSED, error.to_string()),
        Ok(Err(Failure::Missing(message))) => (NO, message),
        Ok(Err(Failure::Usage(message))) => (USAGE, message),
        Err(_) => {
            let panic = PANIC.lock().unwrap_or_else(PoisonError::into_inner);
            (REFUSED, format!("this is a bug in flow-store: {panic}"))
        }
    };
    complain(&message);
    ExitCode::from(code)
}

/// Prints what went wrong. The exit status says it too, so it does not matter whether anybody can
/// read this.
fn complain(message: &str) {
    let _ = writeln!(io::stderr(), "error: {}", flow_store::visible(message));
}
