//! A flow as a program: its command line, its signals, its messages.

mod cli;
mod progress;
mod report;
mod signals;

use std::{io::Write, process::ExitCode};

use flow_core::{Flow, RunError, Runner, Started};

use cli::Command;

/// What [`main`] can run: `fn(&Flow)`, or `fn(&Flow, &Args)` where `Args: clap::Args`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be run as a program",
    label = "expected a `fn(&Flow)`, or a `fn(&Flow, &Args)` where `Args: clap::Args`",
    note = "a dataflow that takes or returns streams is a piece of another one: call it from a function that takes `&Flow`",
    note = "a type of arguments has `#[derive(clap::Args)]`"
)]
pub trait Entry<M> {
    /// Runs it.
    #[doc(hidden)]
    fn run(self) -> ExitCode;
}

#[diagnostic::do_not_recommend]
impl<F: Fn(&Flow) + Send + Sync + 'static> Entry<fn(&Flow)> for F {
    fn run(self) -> ExitCode {
        program(move |flow: &Flow, _: &NoArgs| self(flow))
    }
}

#[diagnostic::do_not_recommend]
impl<F, A> Entry<fn(&Flow, &A)> for F
where
    F: Fn(&Flow, &A) + Send + Sync + 'static,
    A: clap::Args + Send + Sync + 'static,
{
    fn run(self) -> ExitCode {
        program(self)
    }
}

#[derive(clap::Args)]
struct NoArgs {}

/// Runs a flow as a program, from its command line.
///
/// `run` runs the flow, with the arguments of its own and those of [`Runner`]: `--recover DIR`, `--epoch E`, `-w N`,
/// `--drop-state STEP`, `--drop-partition P`, `--take-unfinished-lines`, `--skip-rest-of-line P`, `--retain R`, `--from-epoch E`. `check` takes the same, and says whether a run
/// would start and what it would say, without changing anything. `graph` prints the flow's steps. A first SIGTERM or Ctrl-C commits what
/// has been read and ends the program; a second one ends it at once.
///
/// Exit status: 0 when the flow finished or was stopped (130 after Ctrl-C), 1 when the run failed, 2 when the command line
/// or the flow is wrong, 3 when the store refused. What goes wrong is told on standard error.
///
/// ```no_run
/// use flow::prelude::*;
///
/// #[derive(clap::Args)]
/// struct Args { input: std::path::PathBuf }
///
/// #[dataflow]
/// fn copy(flow: &Flow, args: &Args) {
///     flow.source(TextLines::open(&args.input)).sink(TextLines::stdout());
/// }
///
/// fn main() -> ExitCode { flow::main(copy) }
/// ```
pub fn main<M>(flow: impl Entry<M>) -> ExitCode {
    flow.run()
}

/// The run failed.
const FAILED: u8 = 1;
/// The command line or the flow is wrong.
const WRONG: u8 = 2;
/// The store refused.
const REFUSED: u8 = 3;
/// Ended by Ctrl-C.
const INTERRUPTED: u8 = 130;

fn program<A>(build: impl Fn(&Flow, &A) + Send + Sync + 'static) -> ExitCode
where
    A: clap::Args + Send + Sync + 'static,
{
    if let Some(clash) = cli::clash::<A>() {
        eprintln!("error: {clash}");
        return ExitCode::from(WRONG);
    }
    let matches = cli::command::<A>().get_matches();
    let (command, args) = match (
        Command::of(&matches),
        A::from_arg_matches(cli::inner(&matches)),
    ) {
        (Ok(command), Ok(args)) => (command, args),
        (Err(error), _) | (_, Err(error)) => error.exit(),
    };
    let runner = Runner::new(move |flow| build(flow, &args));
    let code = match command {
        Command::Run(options) => run(options.apply(runner)),
        Command::Check(options) => match options.apply(runner).dry_run() {
            Ok(would) => {
                started(&would);
                eprintln!("flow: it would start, and nothing has been changed");
                0
            }
            Err(error) => failed(&error),
        },
        Command::Graph => match runner.graph() {
            Ok(graph) => {
                // Who reads it may have seen enough.
                let _ = write!(std::io::stdout(), "{graph}");
                0
            }
            Err(error) => {
                report::error(&error.into());
                WRONG
            }
        },
    };
    ExitCode::from(code)
}

fn run(runner: Runner) -> u8 {
    let handle = runner.handle();
    let signals = match signals::watch(handle.clone()) {
        Ok(signals) => signals,
        Err(error) => {
            eprintln!("error: signals can't be handled: {error}");
            return FAILED;
        }
    };
    let progress = progress::show(handle);
    let result = runner.on_start(started).run();
    progress.end();
    match result {
        Ok(outcome) => {
            report::unfinished(&outcome.unfinished);
            eprintln!("flow: {outcome}");
            if signals.interrupted() {
                INTERRUPTED
            } else {
                0
            }
        }
        Err(error) => failed(&error),
    }
}

fn failed(error: &RunError) -> u8 {
    report::error(error);
    match error {
        RunError::Build(_) => WRONG,
        RunError::Resume(_) => REFUSED,
        _ => FAILED,
    }
}

fn started(started: &Started) {
    for notice in &started.notices {
        eprintln!("flow: {notice}");
    }
    if let Some(epoch) = started.resumed_from {
        eprintln!("flow: going on from epoch {epoch}");
    }
}
