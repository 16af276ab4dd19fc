//! What sources and sinks say when they fail.

use std::{fmt, io::ErrorKind};

use super::BoxError;

/// Why a source can't be opened or read.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct SourceError {
    message: String,
    #[source]
    cause: Option<BoxError>,
}

/// Why a sink can't be opened or written.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct SinkError {
    message: String,
    #[source]
    cause: Option<BoxError>,
}

impl SinkError {
    /// Whether a sink failed because whoever read its output is gone.
    pub(crate) fn has_no_reader(&self) -> bool {
        self.cause
            .as_ref()
            .is_some_and(|cause| cause.is::<NoReader>())
    }
}

/// The reader of an output is gone.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct NoReader(std::io::Error);

impl NoReader {
    /// Tells a reader that is gone from other errors of a pipe, a socket or a terminal.
    pub(crate) fn or_other(error: std::io::Error) -> BoxError {
        /// What a terminal says that has hung up.
        const EIO: i32 = 5;
        let gone = [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset];
        let hung_up = cfg!(unix) && error.raw_os_error() == Some(EIO);
        match hung_up || gone.contains(&error.kind()) {
            true => Box::new(NoReader(error)),
            false => error.into(),
        }
    }
}

macro_rules! io_error {
    ($name:ident) => {
        impl $name {
            /// An error with this message, which should name what it is about: the file, the line.
            pub fn new(message: impl Into<String>) -> Self {
                $name {
                    message: message.into(),
                    cause: None,
                }
            }

            /// An error that says what its cause says.
            pub(crate) fn because(cause: impl Into<BoxError>) -> Self {
                let cause = cause.into();
                $name {
                    message: cause.to_string(),
                    cause: Some(cause),
                }
            }

            /// An error with this message and what caused it.
            pub fn caused_by(message: impl fmt::Display, cause: impl Into<BoxError>) -> Self {
                let cause = cause.into();
                $name {
                    message: format!("{message}: {cause}"),
                    cause: Some(cause),
                }
            }
        }

        impl From<std::io::Error> for $name {
            fn from(error: std::io::Error) -> Self {
                $name {
                    message: error.to_string(),
                    cause: Some(error.into()),
                }
            }
        }
    };
}

io_error!(SourceError);
io_error!(SinkError);

impl SourceError {
    /// The same error about a line of a file, `before` which others come.
    pub(crate) fn at(mut self, name: &str, before: u64) -> Self {
        self.message = format!("{name}, line {before}: {}", self.message);
        self
    }

    /// The same error with advice, if there is any.
    pub(crate) fn and_help(mut self, help: &str) -> Self {
        if !help.is_empty() {
            self.message += &format!("\nhelp: {help}");
        }
        self
    }
}
