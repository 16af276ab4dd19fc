//! Everything that can go wrong: one type for each stage of a run.

mod build;
mod chain;
mod change;
mod failed_record;
mod io;
mod kept;
mod line;
mod output;
mod place;
mod resume;
mod run;

use std::fmt;

pub use build::{BadName, BuildError};
pub(crate) use chain::{Advised, Chain, help_of};
pub use change::TypeChange;
pub use failed_record::{Dead, OnError, RecordPosition};
pub(crate) use io::NoReader;
pub use io::{SinkError, SourceError};
pub use kept::{Kept, NotKept};
pub use line::{LineError, Looks};
pub use output::{InputIsStore, OutputError, OutputInStore, OutputIsInput, OutputProblem};
pub use place::Place;
pub use resume::ResumeError;
pub use run::{Origin, RecordError, RunError, Safe};

/// Displays an error as its `message` and its `help`, each piece of advice on its own line.
macro_rules! with_help {
    ($error:ty) => {
        impl std::fmt::Display for $error {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.message())?;
                $crate::error::write_help(f, self.help().as_deref())
            }
        }
    };
}
use with_help;

/// Writes each line of `help` on a line of its own.
fn write_help(f: &mut fmt::Formatter<'_>, help: Option<&str>) -> fmt::Result {
    for advice in help.into_iter().flat_map(str::lines) {
        write!(f, "\nhelp: {advice}")?;
    }
    Ok(())
}

/// An error of any type, as user code returns it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// The error of a fallible step: any type that is an error, or a text.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be the error of a step",
    label = "this step fails with a `{Self}`",
    note = "a type of your own implements `std::error::Error` (thiserror does it with a derive) \
        and owns its data; a `String` will do too",
    note = "a `Box<dyn Error>` has to be `Send + Sync` as well: return a `Result<_, \
        flow::BoxError>`"
)]
pub trait Failure {
    /// The error as the run reports it.
    #[doc(hidden)]
    fn into_error(self) -> BoxError;
}

#[diagnostic::do_not_recommend]
impl<E: Into<BoxError>> Failure for E {
    fn into_error(self) -> BoxError {
        self.into()
    }
}
