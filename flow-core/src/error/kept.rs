//! Values that a step can't keep in the store.

use flow_store::CodecError;

use super::with_help;

/// What kind of value it is that a step keeps in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kept {
    /// A key.
    Key,
    /// The state of a key.
    State,
    /// The token of a partition: where its source resumes.
    Token,
    /// The position of an output: where its sink resumes.
    Position,
}

/// A value that could not be written, or could not be read back unchanged.
///
/// Its epoch is not durable, because what a commit makes durable can be read back.
#[derive(Debug)]
pub struct NotKept {
    kind: Kept,
    of: Option<String>,
    type_name: String,
    cause: CodecError,
}

impl NotKept {
    /// A value of type `T`.
    pub(crate) fn new<T: ?Sized>(kind: Kept, of: Option<String>, cause: CodecError) -> Self {
        NotKept {
            kind,
            of,
            type_name: crate::names::short(std::any::type_name::<T>()),
            cause,
        }
    }

    /// What kind of value it is.
    #[must_use]
    pub fn kind(&self) -> Kept {
        self.kind
    }

    /// The key as text; for a token its partition, for a position the number of its output. `None`
    /// for a key that can't be written at all.
    #[must_use]
    pub fn of(&self) -> Option<&str> {
        self.of.as_deref()
    }

    /// The type of the value.
    #[must_use]
    pub fn type_name(&self) -> &str {
        &self.type_name
    }

    /// Why it can't be kept.
    #[must_use]
    pub fn cause(&self) -> &CodecError {
        &self.cause
    }

    /// Advice on what to do about it, if there is any.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        self.cause.help().map(str::to_owned)
    }

    /// Says what is wrong, without advice.
    #[must_use]
    pub fn message(&self) -> String {
        let NotKept {
            of,
            type_name,
            cause,
            ..
        } = self;
        let of = of.as_deref().unwrap_or_default();
        let what = match self.kind {
            Kept::Key if of.is_empty() => "a key".to_owned(),
            Kept::Key => format!("the key {of}"),
            Kept::State => format!("the state of key {of}"),
            Kept::Token => format!("the token of `{of}`"),
            Kept::Position => format!("the position of output {of}"),
        };
        format!("{what}, of type `{type_name}`, can't be kept: {cause}")
    }
}

with_help!(NotKept);

impl std::error::Error for NotKept {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}
