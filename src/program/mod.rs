//! A flow as a program: its command line, its signals, its messages.

mod cli;
mod progress;
mod report;
mod signals;

use std::{
    io::{self, ErrorKind},
    process::ExitCode,
};

use flow_core::{
    BoxError, Built, Flow, RunError, Runner, Started,
    terminal::{say, write_all},
};
use flow_store::visible;

use cli::Command;

/// What [`main`] can run: `fn(&Flow)`, or `fn(&Flow, &Args)` where `Args: clap::Args`.
///
/// It returns nothing, or a `Result<(), E>`: see [`Built`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be run as a program",
    label = "expected a `fn(&Flow)`, or a `fn(&Flow, &Args)` where `Args: clap::Args`",
    note = "it returns nothing, or a `Result<(), E>` where `E` is an error",
    note = "a dataflow that takes or returns streams is a piece of another one: \
            call it from a function that takes `&Flow`",
    note = "a type of arguments has `#[derive(clap::Args)]`"
)]
pub trait Entry<M> {
    /// Runs it.
    #[doc(hidden)]
    fn run(self) -> ExitCode;
}

#[diagnostic::do_not_recommend]
impl<F, R, M> Entry<(fn(&Flow) -> R, M)> for F
where
    F: Fn(&Flow) -> R + Send + Sync + 'static,
    R: Built<M>,
{
    fn run(self) -> ExitCode {
        program(move |flow: &Flow, _: &NoArgs| self(flow).into_result())
    }
}

#[diagnostic::do_not_recommend]
impl<F, A, R, M> Entry<(fn(&Flow, &A) -> R, M)> for F
where
    F: Fn(&Flow, &A) -> R + Send + Sync + 'static,
    A: clap::Args + Send + Sync + 'static,
    R: Built<M>,
{
    fn run(self) -> ExitCode {
        program(move |flow: &Flow, args: &A| self(flow, args).into_result())
    }
}

#[derive(clap::Args)]
struct NoArgs {}

/// Runs a flow as a program, from its command line.
///
/// - `run` runs the flow, with its own arguments and those of [`Runner`]: `--recover DIR`,
///   `--epoch E`, `-w N`, `--drop-state STEP`, `--drop-partition P`, `--rename-partition OLD=NEW`,
///   `--take-unfinished-lines`, `--skip-rest-of-line P`, `--retain R`, `--from-epoch E`.
/// - `check` takes the same arguments. It reports whether a run would start, with the notices of
///   the start, and changes nothing.
/// - `graph` prints the flow's steps.
///
/// # Signals
/// A first SIGTERM, Ctrl-C or SIGHUP commits what has been read and ends the program. A second one
/// ends it at once. While the flow starts, the first one ends the program at once, and nothing has
/// been changed. A program that was started with one of them ignored, such as SIGHUP by `nohup`,
/// keeps ignoring it. `check` and `graph` end as if there were no handler.
///
/// # Exit status
///
/// | status | |
/// |---|---|
/// | 0 | The flow finished, or SIGTERM or SIGHUP stopped it, even while it started. |
/// | 1 | The run failed. |
/// | 2 | The command line or the flow is wrong. |
/// | 3 | The store refused. |
/// | 130 | Ctrl-C stopped the flow. |
/// | 128 + n | A second signal, number n, ended the program at once. |
///
/// Messages go to standard error. The run does not depend on whether they can be written.
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
#[must_use = "it is the exit status: write `fn main() -> ExitCode { flow::main(my_flow) }`"]
pub fn main<M>(flow: impl Entry<M>) -> ExitCode {
    flow.run()
}

/// The run failed.
const FAILED: u8 = 1;
/// The command line or the flow is wrong.
const WRONG: u8 = 2;
/// The store refused.
const REFUSED: u8 = 3;
/// Ctrl-C stopped the flow.
const INTERRUPTED: u8 = 130;

fn program<A>(build: impl Fn(&Flow, &A) -> Result<(), BoxError> + Send + Sync + 'static) -> ExitCode
where
    A: clap::Args + Send + Sync + 'static,
{
    let code = match signals::watch() {
        Ok(()) => command(build),
        Err(error) => {
            say(&format!(
                "error: no thread can wait for signals: {error}\n  \
                 help: threads are limited (`ulimit -u`, or the pids limit of the container): a \
                 flow needs one for signals, one that commits, and one for each worker\n"
            ));
            FAILED
        }
    };
    signals::over(code);
    ExitCode::from(code)
}

fn command<A>(build: impl Fn(&Flow, &A) -> Result<(), BoxError> + Send + Sync + 'static) -> u8
where
    A: clap::Args + Send + Sync + 'static,
{
    if let Some(clash) = cli::clash::<A>() {
        say(&format!("error: {clash}\n"));
        return WRONG;
    }
    let parsed = cli::command::<A>().try_get_matches().and_then(|matches| {
        let args = A::from_arg_matches(cli::inner(&matches))?;
        Ok((Command::of(&matches)?, args))
    });
    let (command, args) = match parsed {
        Ok(parsed) => parsed,
        Err(told) => return report::usage(&told),
    };
    let runner = Runner::new(move |flow| build(flow, &args));
    match command {
        Command::Run(options) => run(options.apply(runner)),
        Command::Check(options) => {
            signals::break_off();
            match options.apply(runner).dry_run() {
                Ok(would) => {
                    started(&would);
                    say("flow: a run would start; nothing has been changed\n");
                    0
                }
                Err(error) => failed(&error),
            }
        }
        Command::Graph => {
            signals::break_off();
            graph(&runner)
        }
    }
}

fn graph(runner: &Runner) -> u8 {
    match runner.graph() {
        Ok(graph) => match write_all(&mut io::stdout(), graph.to_string().as_bytes()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                say(&format!(
                    "error: standard output can't be written: {error}\n"
                ));
                FAILED
            }
            // The reader may have seen enough.
            _ => 0,
        },
        Err(error) => {
            report::error(&error.into());
            WRONG
        }
    }
}

fn run(runner: Runner) -> u8 {
    let handle = runner.handle();
    signals::stop(handle.clone());
    let progress = progress::show(handle);
    let result = runner.on_start(started).run();
    if let Err(error) = &result {
        signals::telling(status(error));
    }
    progress.end();
    match result {
        Ok(outcome) => {
            report::unfinished(&outcome.unfinished);
            say(&visible(&format!("flow: {outcome}\n")));
            if signals::interrupted() {
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
    status(error)
}

fn status(error: &RunError) -> u8 {
    match error {
        RunError::Build(_) => WRONG,
        RunError::Resume(_) => REFUSED,
        _ => FAILED,
    }
}

fn started(started: &Started) {
    let mut text = String::new();
    for notice in &started.notices {
        text += &format!("flow: {notice}\n");
    }
    match started.resumed_from {
        Some(epoch) if epoch.is_start() => {
            text += "flow: resuming from a store in which nothing is durable yet\n";
        }
        Some(epoch) => text += &format!("flow: resuming from epoch {epoch}\n"),
        None => {}
    }
    say(&visible(&text));
}
