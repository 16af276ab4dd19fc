//! Why a value could not be written or read.

use super::form::{JSON_NUMBER, LEVELS};

/// Why a value could not be written as MessagePack or read from it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The type's `Serialize` failed, or wrote something that MessagePack can't express.
    #[error("the value cannot be written as MessagePack: {0}")]
    Encode(String),
    /// The bytes are not MessagePack, or of another type.
    #[error("the bytes cannot be read as this type: {0}")]
    Decode(String),
    /// Bytes are left over after a value was read.
    #[error(
        "{left} of {all} bytes are left over after the value: they were written as another type"
    )]
    TrailingBytes {
        /// How many bytes are left over.
        left: usize,
        /// How many bytes there are in total.
        all: usize,
    },
    /// The value is nested more than 256 levels deep.
    #[error("the value is nested deeper than {LEVELS} levels")]
    TooDeep,
    /// A `Some` was written as the bytes of `None`.
    #[error(
        "an `Option` in it is `Some` of a value that is written as nothing (`None`, `()`, the \
         `null` of JSON), and would be read as `None`"
    )]
    SomeOfNothing,
    /// A map has a key that `serde_json` reserves.
    #[error(
        "a map in it has a key that begins with `$serde_json::private::`, which `serde_json` \
         reads as a value of its own"
    )]
    PrivateKey,
    /// The type can't read what it wrote.
    #[error("it can be written, but not read back: {0}")]
    Unreadable(String),
    /// A key has different bytes each time that it is written.
    #[error("it is written differently each time")]
    Unsteady,
    /// A key is not equal to the key that is read from its bytes.
    #[error("it is not equal to what its bytes are read as")]
    NotEqual,
    /// A key is equal to another one, but has different bytes.
    #[error("it is equal to the key {other}, which is written differently")]
    EqualsAnother {
        /// The other key, as text.
        other: String,
    },
    /// A value was read back as another value.
    #[error("it is written as {written}, and read back as {read}")]
    Differs {
        /// The value that was written, as text; cut if it is long.
        written: String,
        /// The value that was read, as text; cut if it is long.
        read: String,
    },
}

impl CodecError {
    /// What to do about it, as a sentence without a period.
    #[must_use]
    pub fn help(&self) -> Option<&'static str> {
        let missing = |cause: &str| cause.contains("missing field");
        match self {
            CodecError::TooDeep => Some(
                "keep nested values in a list, each with the index of the one around it, or keep \
                 fewer levels",
            ),
            CodecError::SomeOfNothing => Some(
                "make the inner value one that is never nothing: an enum with a variant for each \
                 case, or one `Option` less. Where `deserialize_with` tells `null` from a field \
                 that is not there, write the inner `Option` alone, as `#[serde(default, \
                 skip_serializing_if = \"Option::is_none\", with = \
                 \"serde_with::rust::double_option\")]` does",
            ),
            CodecError::PrivateKey => Some(
                "give the key another name, or keep the document as a text, with \
                 `serde_json::to_string`",
            ),
            CodecError::Unreadable(cause) if missing(cause) => {
                Some("a field that is sometimes not written needs `#[serde(default)]` to be read")
            }
            CodecError::Unreadable(cause) | CodecError::Differs { written: cause, .. }
                if cause.contains(JSON_NUMBER) =>
            {
                Some(
                    "a dependency has switched on the feature `arbitrary_precision` of \
                     `serde_json`, which writes numbers as maps: keep them in a type of your own",
                )
            }
            CodecError::Unreadable(_) => Some(
                "`Serialize` and `Deserialize` of the type do not match. Look for \
                 `skip_serializing`, `rename(serialize = ..)`, `serialize_with`, and for `u128` \
                 or bytes in an untagged or tagged enum or behind `flatten`",
            ),
            CodecError::Differs { .. } => Some(
                "`Serialize` and `Deserialize` of the type do not match. Look for \
                 untagged enums whose variants look alike, for names that come twice behind \
                 `flatten`, for map keys that are written alike, and for a `HashMap` or \
                 `HashSet` in a text (JSON in a field), whose order changes each time: use a \
                 `BTreeMap` or `BTreeSet`",
            ),
            CodecError::Unsteady => Some(
                "a key is identified by its bytes. Use `BTreeMap` or `BTreeSet` in it: the \
                 order of a `HashMap` or `HashSet` changes each time",
            ),
            CodecError::NotEqual => Some(
                "a key is identified by its bytes. Write all that `Eq` compares, without \
                 `#[serde(skip)]` and as it is, or normalise the key before it becomes one",
            ),
            CodecError::EqualsAnother { .. } => Some(
                "a key is identified by its bytes, and keys with other bytes are other keys. \
                 Normalise the key before it becomes one, as in `.key_on(|user| \
                 user.name.to_lowercase())`: one case, one time zone, one `NaN`. Or have `Eq` \
                 and `Hash` tell apart what is written differently",
            ),
            CodecError::Encode(_) | CodecError::Decode(_) | CodecError::TrailingBytes { .. } => {
                None
            }
        }
    }
}
