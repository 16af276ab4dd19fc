//! Constants of the form in which values are written.

/// Number of levels that values may be nested: sequences, maps, structs, and variants with content.
///
/// A worker has 2 MiB of stack. In a debug build, reading one level of a user's type takes some
/// kilobytes of it.
pub(crate) const LEVELS: u16 = 256;

/// The name of the struct in which `serde_json` keeps a number as text, and of its field.
pub(super) const JSON_NUMBER: &str = "$serde_json::private::Number";
