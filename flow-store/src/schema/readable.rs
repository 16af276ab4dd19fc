//! Decides which changes of a type serde may read.
//!
//! serde reads more than it should:
//!
//! - a sequence as a struct, by position,
//! - a number as a variant of an enum, by index,
//! - an empty map as a struct of defaults,
//! - `1e300` as an infinite `f32`.
//!
//! A stored value would be misread, and then be stored as the wrong value. So only changes that
//! keep each value are tried.

use super::{Difference, Fields, Primitive, Schema};

impl Difference {
    /// Whether a value that was stored before this change may be read as the new type.
    ///
    /// If the value can be read, it is then the same, apart from fields that are new or gone.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        match self {
            Difference::Retyped { was, is, .. } => readable(was, is),
            _ => true,
        }
    }
}

fn readable(was: &Schema, is: &Schema) -> bool {
    match (was.bare(), is.bare()) {
        (Schema::Any, _) | (_, Schema::Any) | (Schema::Recursive(_), Schema::Recursive(_)) => true,
        (Schema::Primitive(was), Schema::Primitive(is)) => keeps(*was, *is),
        (Schema::Option(was), Schema::Option(is)) => readable(was, is),
        (Schema::Option(was), is) => readable(was, is),
        (was, Schema::Option(is)) => readable(was, is),
        (Schema::List(was), Schema::List(is)) | (Schema::Array(was, _), Schema::List(is)) => {
            readable(was, is)
        }
        (Schema::Array(was, m), Schema::Array(is, n)) => m == n && readable(was, is),
        (Schema::Tuple(was), Schema::Tuple(is)) => all(was, is),
        (Schema::Map(key, value), Schema::Map(new_key, new_value)) => {
            readable(key, new_key) && readable(value, new_value)
        }
        (Schema::List(bytes), Schema::Primitive(Primitive::Bytes))
        | (Schema::Primitive(Primitive::Bytes), Schema::List(bytes)) => {
            matches!(bytes.bare(), Schema::Primitive(Primitive::U8))
        }
        (Schema::Struct { fields: was, .. }, Schema::Struct { fields: is, .. }) => {
            match (was, is) {
                (Fields::Tuple(was), Fields::Tuple(is)) => all(was, is),
                (Fields::Named(_), Fields::Named(_)) => is_made_of_readable(was, is),
                _ => false,
            }
        }
        (Schema::Enum { .. }, Schema::Enum { .. }) => {
            let differences = is.differences(was);
            differences.iter().all(Difference::is_readable)
        }
        _ => false,
    }
}

fn is_made_of_readable(was: &Fields, is: &Fields) -> bool {
    let whole = |fields: &Fields| Schema::Struct {
        name: String::new(),
        fields: fields.clone(),
    };
    let differences = whole(is).differences(&whole(was));
    differences.iter().all(Difference::is_readable)
}

fn all(was: &[Schema], is: &[Schema]) -> bool {
    was.len() == is.len() && was.iter().zip(is).all(|(was, is)| readable(was, is))
}

/// Whether a `was` that can be read as an `is` is always the same value.
fn keeps(was: Primitive, is: Primitive) -> bool {
    use Primitive::{Char, F32, F64, I8, I16, I32, I64, I128, String, U8, U16, U32, U64, U128};
    let integer = |it| {
        matches!(
            it,
            I8 | I16 | I32 | I64 | I128 | U8 | U16 | U32 | U64 | U128
        )
    };
    match (was, is) {
        (was, is) if was == is => true,
        // serde checks that each integer fits.
        (was, is) if integer(was) && integer(is) => true,
        (I8 | I16 | U8 | U16, F32 | F64) | (I32 | U32, F64) => true,
        (F32, F64) | (Char, String) | (String, Char) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_read() {
        let cases = [
            ("u8", "i64", true),
            ("u64", "i8", true),
            ("u32", "f64", true),
            ("u32", "f32", false),
            ("u64", "f64", false),
            ("f32", "f64", true),
            ("f64", "f32", false),
            ("f64", "u8", false),
            ("char", "String", true),
            ("bool", "u8", false),
            ("u32", "Option<u64>", true),
            ("Option<u64>", "u32", true),
            ("u32", "Option<String>", false),
            ("[u8]", "bytes", true),
            ("bytes", "[u8]", true),
            ("[u16]", "bytes", false),
            ("String", "bytes", false),
            ("[u8; 3]", "[u16]", true),
            ("[u8]", "[u8; 3]", false),
            ("[u8; 3]", "[u8; 4]", false),
            ("(u8, bool)", "(u16, bool)", true),
            ("(u8, bool)", "(bool, u8)", false),
            ("[u32]", "struct A { x: u32 }", false),
            ("Map<String, u32>", "struct A { x: u32 }", false),
            ("struct A { x: u32 }", "Map<String, u32>", false),
            ("Map<u32, u32>", "Map<u64, Option<u32>>", true),
            ("Map<u32, u32>", "Map<String, u32>", false),
            ("struct A(u32, u32)", "struct A { x: u32, y: u32 }", false),
            ("struct A(u32, u32)", "(u32, u32)", false),
            ("u32", "enum E { A, B }", false),
            ("enum E { A, B }", "String", false),
            ("enum E { A(u8) }", "enum E { A(u16) }", true),
            (
                "enum E { A(u8, u8) }",
                "enum E { A { x: u8, y: u8 } }",
                false,
            ),
            ("enum E { A(u8) }", "enum E { A }", false),
            ("enum E { A }", "enum E { B }", true),
            ("struct A { x: u8 }", "struct A { y: u8 }", true),
            ("struct A { x: [u8] }", "struct A { x: [String] }", false),
            (
                "struct A { x: struct B { y: u64 } }",
                "struct A { x: struct B { y: f32 } }",
                false,
            ),
            ("struct A { x: u8 }", "struct A { x: ? }", true),
        ];
        for (was, is, expected) in cases {
            let (old, new): (Schema, Schema) = (was.parse().unwrap(), is.parse().unwrap());
            let differences = new.differences(&old);
            assert!(!differences.is_empty(), "{was} -> {is}");
            let all = differences.iter().all(Difference::is_readable);
            assert_eq!(all, expected, "{was} -> {is}: {differences:?}");
        }
    }
}
