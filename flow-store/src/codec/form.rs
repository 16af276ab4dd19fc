//! What is fixed of the form in which values are written.

/// How many values may be inside of each other: sequences, maps, structs, and variants of enums
/// that have something.
///
/// A worker has 2 MiB of stack. In a debug build a level of a user's type takes some kilobytes of
/// it to be read.
pub(crate) const LEVELS: u16 = 256;

/// The name of the struct as which `serde_json` keeps a number as text, and of its field.
pub(super) const JSON_NUMBER: &str = "$serde_json::private::Number";
