//! What sources and sinks say when they fail.

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
                    help: None,
                    cause: None,
                }
            }

            /// The same error with what to do about it: a sentence without an end that names the
            /// command or the setting. An empty one adds nothing.
            #[must_use]
            pub fn and_help(mut self, help: &str) -> Self {
                if !help.is_empty() {
                    let before = self.help.map(|before| format!("{before}\n"));
                    let all = before.unwrap_or_default() + help;
                    self.help = Some(all.into_boxed_str());
                }
                self
            }

            /// What is wrong, without what to do about it.
            #[must_use]
            pub fn message(&self) -> String {
                self.message.clone()
            }

            /// What to do about it, where that is known.
            #[must_use]
            pub fn help(&self) -> Option<String> {
                self.help.as_deref().map(str::to_owned)
            }

            /// An error that says what its cause says.
            pub(crate) fn because(cause: impl Into<BoxError>) -> Self {
                let cause = cause.into();
                $name {
                    message: message_of(&*cause),
                    help: help_of(&*cause).map(String::into_boxed_str),
                    cause: Some(cause),
                }
            }

            /// An error with this message and what caused it.
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
    /// The same error about a line of a file, `before` which others come.
    pub(crate) fn at(mut self, name: &str, before: u64) -> Self {
        self.message = format!("{name}, line {before}: {}", self.message);
        self
    }
}
