//! Errors of sources and sinks.

use std::{fmt, io::ErrorKind};

use super::{
    BoxError,
    chain::{help_of, message_of},
    with_help,
};

/// Why a source can't be opened or read.
#[derive(Debug, thiserror::Error)]
pub struct SourceError {
    message: String,
    help: Option<Box<str>>,
    #[source]
    cause: Option<BoxError>,
}

/// Why a sink can't be opened or written.
#[derive(Debug, thiserror::Error)]
pub struct SinkError {
    message: String,
    help: Option<Box<str>>,
    #[source]
    cause: Option<BoxError>,
}

impl SinkError {
    /// Whether the sink failed because its output has no reader any more.
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
        /// The error of a terminal that has hung up.
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
            /// An error with this message. The message should name the file or the line that it is
            /// about.
            pub fn new(message: impl Into<String>) -> Self {
                $name {
                    message: message.into(),
                    help: None,
                    cause: None,
                }
            }

            /// Adds advice on what to do about it: a sentence without a period that names the
            /// command or the setting. An empty text adds nothing.
            #[must_use]
            pub fn and_help(mut self, help: &str) -> Self {
                if !help.is_empty() {
                    let before = self.help.map(|before| format!("{before}\n"));
                    let all = before.unwrap_or_default() + help;
                    self.help = Some(all.into_boxed_str());
                }
                self
            }

            /// Says what is wrong, without advice.
            #[must_use]
            pub fn message(&self) -> String {
                self.message.clone()
            }

            /// Advice on what to do about it, if there is any.
            #[must_use]
            pub fn help(&self) -> Option<String> {
                self.help.as_deref().map(str::to_owned)
            }

            /// An error with the message and the advice of its cause.
            pub(crate) fn because(cause: impl Into<BoxError>) -> Self {
                let cause = cause.into();
                $name {
                    message: message_of(&*cause),
                    help: help_of(&*cause).map(String::into_boxed_str),
                    cause: Some(cause),
                }
            }

            /// An error with this message, followed by that of its cause.
            pub fn caused_by(message: impl fmt::Display, cause: impl Into<BoxError>) -> Self {
                let cause = cause.into();
                $name {
                    message: format!("{message}: {}", message_of(&*cause)),
                    help: help_of(&*cause).map(String::into_boxed_str),
                    cause: Some(cause),
                }
            }
        }

        with_help!($name);

        impl From<std::io::Error> for $name {
            fn from(error: std::io::Error) -> Self {
                $name {
                    message: error.to_string(),
                    help: None,
                    cause: Some(error.into()),
                }
            }
        }
    };
}

io_error!(SourceError);
io_error!(SinkError);

impl SourceError {
    /// The same error, beginning with the name of the file and the number of a line.
    pub(crate) fn at(mut self, name: &str, before: u64) -> Self {
        self.message = format!("{name}, line {before}: {}", self.message);
        self
    }
}
