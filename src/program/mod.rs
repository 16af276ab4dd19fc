//! A flow as a program: its command line, its signals, its messages.

use std::process::ExitCode;

use flow_core::Flow;

/// What [`main`] can run: `fn(&Flow)`, or `fn(&Flow, &Args)` where `Args: clap::Args`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be run as a program",
    label = "expected a `fn(&Flow)`, or a `fn(&Flow, &Args)` where `Args: clap::Args`",
    note = "a dataflow that takes or returns streams is a piece of another one: call it from a function that takes `&Flow`"
)]
pub trait Entry<M> {
    /// Runs it.
    #[doc(hidden)]
    fn run(self) -> ExitCode;
}

#[diagnostic::do_not_recommend]
impl<F: Fn(&Flow) + Send + Sync + 'static> Entry<fn(&Flow)> for F {
    fn run(self) -> ExitCode {
        ExitCode::SUCCESS
    }
}

#[diagnostic::do_not_recommend]
impl<F, A> Entry<fn(&Flow, &A)> for F
where
    F: Fn(&Flow, &A) + Send + Sync + 'static,
    A: clap::Args + Send + Sync + 'static,
{
    fn run(self) -> ExitCode {
        ExitCode::SUCCESS
    }
}

/// Runs a flow as a program.
pub fn main<M>(flow: impl Entry<M>) -> ExitCode {
    flow.run()
}
