//! Why a value could not be written or read.

use super::form::{JSON_NUMBER, LEVELS};

/// Why a value could not be written as MessagePack or read from it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The type's `Serialize` failed, or asked for what MessagePack does not have.
    #[error("the value cannot be written as MessagePack: {0}")]
    Encode(String),
    /// The bytes are no MessagePack, or of another type.
    #[error("the bytes cannot be read as this type: {0}")]
    Decode(String),
    /// A value was read and bytes are left behind it.
    #[error(
        "{left} of {all} bytes are left over behind the value: they were written as another type"
    )]
    TrailingBytes {
        /// How many bytes were not used.
        left: usize,
        /// How many bytes there are.
        all: usize,
    },
    /// The value is nested deeper than values are kept.
    #[error("the value is nested deeper than {LEVELS} levels")]
    TooDeep,
    /// A `Some` was written as `None` is.
    #[error(
        "an `Option` in it is `Some` of a value that is written as nothing (`None`, `()`, the \
         `null` of JSON), and would be read as `None`"
    )]
    SomeOfNothing,
    /// A map has a key that `serde_json` keeps for itself.
    #[error(
        "a map in it has a key that begins with `$serde_json::private::`, which `serde_json` \
         reads as a value of its own"
    )]
    PrivateKey,
    /// The type cannot read what it has written.
    #[error("it is written, and cannot be read back: {0}")]
    Unreadable(String),
    /// A key has other bytes each time that it is written.
    #[error("it is written in another way each time")]
    Unsteady,
    /// A key is not equal to what its bytes are read as.
    #[error("it is not equal to what its bytes are read as")]
    NotEqual,
    /// A key is equal to another one, and has other bytes.
    #[error("it is equal to the key {other}, which is written otherwise")]
    EqualsAnother {
        /// The other key, as text.
        other: String,
    },
    /// What was written is read as another value.
    #[error("it is written as {written}, and read back as {read}")]
    Differs {
        /// What was written, as text; cut where it is long.
        written: String,
        /// What was read, as text; cut where it is long.
        read: String,
    },
}

impl CodecError {
    /// What can be done about it, in a sentence without an end.
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
                 case, or an `Option` less. Where `deserialize_with` tells `null` from a field \
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
                "`Serialize` and `Deserialize` of the type do not fit each other. Look for \
                 `skip_serializing`, `rename(serialize = ..)`, `serialize_with`, and for `u128` \
                 or bytes in an untagged or tagged enum or behind `flatten`",
            ),
            CodecError::Differs { .. } => Some(
                "`Serialize` and `Deserialize` of the type do not fit each other. Look for \
                 untagged enums whose variants look alike, for names that come twice behind \
                 `flatten`, for map keys that are written alike, and for a `HashMap` or \
                 `HashSet` in a text (JSON in a field), which has another order each time that \
                 it is made: take a `BTreeMap` or `BTreeSet`",
            ),
            CodecError::Unsteady => Some(
                "a key is what its bytes are. Keep no `HashMap` or `HashSet` in it, whose order \
                 is another one each time: take `BTreeMap` or `BTreeSet`",
            ),
            CodecError::NotEqual => Some(
                "a key is what its bytes are. Write all that `Eq` compares, without \
                 `#[serde(skip)]` and as it is, or normalise the key before it becomes one",
            ),
            CodecError::EqualsAnother { .. } => Some(
                "a key is what its bytes are, and keys with other bytes are other keys. \
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
