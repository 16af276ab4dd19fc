//! What sources and sinks say when they fail.

use std::fmt;

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
    /// An error that says what its cause says.
    pub(crate) fn because(cause: impl Into<BoxError>) -> Self {
        let cause = cause.into();
        SourceError {
            message: cause.to_string(),
            cause: Some(cause),
        }
    }

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
