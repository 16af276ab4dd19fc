//! The return types of functions that build a flow.

use std::{error::Error, fmt};

use super::SinkStep;
use crate::error::{BoxError, Failure};

/// The return type of a function that builds a flow: nothing, or a `Result<(), E>` so that the
/// function can use `?`.
///
/// `E` is a `Box<dyn Error>`, an `anyhow::Error`, a text, or any type that implements
/// `std::error::Error`. An error becomes a [`BuildError::Function`](crate::BuildError::Function),
/// before anything is opened. `M` tells the implementations apart.
#[diagnostic::on_unimplemented(
    message = "a dataflow can't return `{Self}`",
    label = "this function must return nothing, or a `Result<(), E>`",
    note = "end the last statement with `;`, or with `Ok(())` where `?` is used",
    note = "`E` implements `std::error::Error`, or is a `String` or a `Box<dyn Error>`"
)]
pub trait Built<M> {
    /// The error, if it is one.
    #[doc(hidden)]
    fn into_result(self) -> Result<(), BoxError>;
}

#[diagnostic::do_not_recommend]
impl Built<()> for () {
    fn into_result(self) -> Result<(), BoxError> {
        Ok(())
    }
}

/// A closure whose last call is `.sink(..)`.
#[diagnostic::do_not_recommend]
impl Built<SinkStep> for SinkStep {
    fn into_result(self) -> Result<(), BoxError> {
        Ok(())
    }
}

/// The return type of a function. It names `!`, which has no name of its own yet.
#[allow(unreachable_pub)] // a public trait is implemented for it
pub trait Returned {
    /// The type.
    type Type;
}

impl<R> Returned for fn() -> R {
    type Type = R;
}

/// A closure that is still to be written: `todo!()`.
#[diagnostic::do_not_recommend]
impl Built<fn() -> !> for <fn() -> ! as Returned>::Type {
    fn into_result(self) -> Result<(), BoxError> {
        self
    }
}

#[diagnostic::do_not_recommend]
impl<E: Failure> Built<BoxError> for Result<(), E> {
    fn into_result(self) -> Result<(), BoxError> {
        self.map_err(Failure::into_error)
    }
}

#[diagnostic::do_not_recommend]
impl Built<Box<dyn Error>> for Result<(), Box<dyn Error>> {
    fn into_result(self) -> Result<(), BoxError> {
        self.map_err(|error| Text::of(&*error).into())
    }
}

/// The texts of an error and its causes. The error itself can't leave its thread, because it is not
/// `Send`.
#[derive(Debug)]
struct Text {
    message: String,
    cause: Option<Box<Text>>,
}

impl Text {
    fn of(error: &(dyn Error + 'static)) -> Self {
        Text {
            message: error.to_string(),
            cause: error.source().map(|cause| Box::new(Text::of(cause))),
        }
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Text {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let cause = self.cause.as_deref()?;
        Some(cause)
    }
}
