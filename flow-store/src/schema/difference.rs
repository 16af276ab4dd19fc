//! The differences between two schemas, field by field.

use super::{Field, Fields, Schema};
use std::fmt;

/// One difference between the stored type and the present one.
///
/// Paths begin with the name of the type: `Cart.items[].price`, `Status::Closed.0`.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Difference {
    /// A new field.
    Added {
        /// The field.
        path: String,
        /// Its type.
        schema: Schema,
    },
    /// A field that is gone.
    Removed {
        /// The field.
        path: String,
        /// The type that it had.
        schema: Schema,
    },
    /// A field with a new name. It is read under its old name too.
    Renamed {
        /// The old path.
        from: String,
        /// The new path.
        to: String,
    },
    /// A field, or the whole value, is of another type.
    Retyped {
        /// The field.
        path: String,
        /// The type that it had.
        was: Schema,
        /// The type that it has.
        is: Schema,
    },
    /// The fields of a struct, or the variants of an enum, are in another order.
    Reordered {
        /// The struct or enum.
        path: String,
    },
    /// A new variant.
    VariantAdded {
        /// The variant.
        path: String,
    },
    /// A variant that is gone.
    VariantRemoved {
        /// The variant.
        path: String,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::Added { path, schema } => write!(f, "`{path}` is new: {}", Short(schema)),
            Difference::Removed { path, schema } => {
                write!(f, "`{path}` is gone: it was {}", Short(schema))
            }
            Difference::Renamed { from, to } => write!(f, "`{from}` is now `{to}`"),
            Difference::Retyped { path, was, is } => {
                let subject = if path.is_empty() { "it" } else { path };
                let quote = if path.is_empty() { "" } else { "`" };
                let (short_was, short_is) = (Short(was).to_string(), Short(is).to_string());
                if short_was == short_is {
                    write!(f, "{quote}{subject}{quote} was {was} and is {is}")
                } else {
                    write!(
                        f,
                        "{quote}{subject}{quote} was {short_was} and is {short_is}"
                    )
                }
            }
            Difference::Reordered { path } => write!(f, "`{path}` has another order"),
            Difference::VariantAdded { path } => write!(f, "`{path}` is a new variant"),
            Difference::VariantRemoved { path } => write!(f, "variant `{path}` is gone"),
        }
    }
}

/// Differences as a list, one on each line.
pub(crate) fn list(differences: &[Difference]) -> String {
    let mut text = String::new();
    for difference in differences {
        text.push_str("\n  ");
        text.push_str(&difference.to_string());
    }
    text
}

/// A type as the declaration of a field names it: structs and enums by their names.
struct Short<'a>(&'a Schema);

impl fmt::Display for Short<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Schema::Any => write!(f, "something that can't be traced"),
            Schema::Option(inner) => write!(f, "Option<{}>", Short(inner)),
            Schema::List(inner) => write!(f, "[{}]", Short(inner)),
            Schema::Array(inner, length) => write!(f, "[{}; {length}]", Short(inner)),
            Schema::Map(key, value) => write!(f, "Map<{}, {}>", Short(key), Short(value)),
            Schema::Tuple(parts) => {
                let parts: Vec<_> = parts.iter().map(|part| Short(part).to_string()).collect();
                write!(f, "({})", parts.join(", "))
            }
            Schema::Struct { name, .. } | Schema::Enum { name, .. } => f.write_str(name),
            Schema::Primitive(_) | Schema::Recursive(_) => write!(f, "{}", self.0),
        }
    }
}

impl Schema {
    /// The differences of this schema from `old`.
    ///
    /// Names of structs and enums do not count, and neither do newtypes: they are not part of the
    /// bytes.
    ///
    /// ```
    /// # use flow_store::Schema;
    /// let old: Schema = "struct Cart { paid: u32, note: String }".parse()?;
    /// let new: Schema = "struct Cart { paid: u64, total: u64 }".parse()?;
    /// let lines: Vec<String> = new.differences(&old).iter().map(ToString::to_string).collect();
    /// assert_eq!(lines, [
    ///     "`Cart.paid` was u32 and is u64",
    ///     "`Cart.note` is gone: it was String",
    ///     "`Cart.total` is new: u64",
    /// ]);
    /// # Ok::<(), flow_store::ParseSchemaError>(())
    /// ```
    #[must_use]
    pub fn differences(&self, old: &Schema) -> Vec<Difference> {
        let mut comparison = Comparison {
            found: Vec::new(),
            around: Vec::new(),
        };
        comparison.compare(&self.root(), old, self);
        comparison.found
    }
}

/// The comparison of two schemas.
struct Comparison<'a> {
    found: Vec<Difference>,
    /// The pairs of types (old, new) that enclose the compared ones.
    around: Vec<(&'a Schema, &'a Schema)>,
}

impl<'a> Comparison<'a> {
    fn compare(&mut self, path: &str, old: &'a Schema, new: &'a Schema) {
        let retyped = || Difference::Retyped {
            path: path.to_owned(),
            was: old.clone(),
            is: new.clone(),
        };
        let both = (old.bare(), new.bare());
        self.around.push(both);
        match both {
            (Schema::Any, Schema::Any) => {}
            (Schema::Recursive(a), Schema::Recursive(b)) if self.are_one(a, b) => {}
            (Schema::Primitive(a), Schema::Primitive(b)) if a == b => {}
            (Schema::Option(a), Schema::Option(b)) if alike(a, b) => self.compare(path, a, b),
            (Schema::List(a), Schema::List(b)) if alike(a, b) => {
                self.compare(&format!("{path}[]"), a, b);
            }
            (Schema::Array(a, m), Schema::Array(b, n)) if m == n && alike(a, b) => {
                self.compare(&format!("{path}[]"), a, b);
            }
            (Schema::Map(a, x), Schema::Map(b, y)) if alike(a, b) && alike(x, y) => {
                self.compare(&format!("{path}[key]"), a, b);
                self.compare(&format!("{path}[]"), x, y);
            }
            (Schema::Tuple(a), Schema::Tuple(b)) if a.len() == b.len() => {
                self.compare_places(path, a, b);
            }
            (Schema::Struct { fields: a, .. }, Schema::Struct { fields: b, .. }) => {
                if !self.compare_fields(path, a, b) {
                    self.found.push(retyped());
                }
            }
            (Schema::Enum { variants: a, .. }, Schema::Enum { variants: b, .. }) => {
                self.compare_variants(path, a, b);
            }
            _ => self.found.push(retyped()),
        }
        self.around.pop();
    }

    /// Whether `^old` and `^new` stand for the same enclosing pair of types. The pairs have no
    /// newtypes, so if one of the names is not found, they count as the same.
    fn are_one(&self, old: &str, new: &str) -> bool {
        let around = || self.around.iter().rev();
        let was = around().position(|(was, _)| was.name() == Some(old));
        let is = around().position(|(_, is)| is.name() == Some(new));
        was.is_none() || is.is_none() || was == is
    }

    fn compare_places(&mut self, path: &str, old: &'a [Schema], new: &'a [Schema]) {
        for (index, (old, new)) in old.iter().zip(new).enumerate() {
            self.compare(&format!("{path}.{index}"), old, new);
        }
    }

    /// Compares the fields of two structs or variants. Returns false if the fields are of different
    /// forms.
    fn compare_fields(&mut self, path: &str, old: &'a Fields, new: &'a Fields) -> bool {
        match (old, new) {
            (Fields::None, Fields::None) => {}
            (Fields::Newtype(a), Fields::Newtype(b)) => self.compare(path, a, b),
            (Fields::Tuple(a), Fields::Tuple(b)) if a.len() == b.len() => {
                self.compare_places(path, a, b);
            }
            (Fields::Named(a), Fields::Named(b)) => self.compare_named(path, a, b),
            _ => return false,
        }
        true
    }

    fn compare_named(&mut self, path: &str, old: &'a [Field], new: &'a [Field]) {
        let at = |name: &str| format!("{path}.{name}");
        let reads = |field: &Field, name: &str| field.aliases.iter().any(|alias| alias == name);
        let mut kept_old = Vec::new();
        for was in old {
            let same = new.iter().find(|is| is.name == was.name);
            let is = same.or_else(|| {
                let renamed = new.iter().find(|is| reads(is, &was.name));
                renamed.filter(|is| !old.iter().any(|other| other.name == is.name))
            });
            match is {
                Some(is) => {
                    kept_old.push(is.name.as_str());
                    if is.name != was.name {
                        self.found.push(Difference::Renamed {
                            from: at(&was.name),
                            to: at(&is.name),
                        });
                    }
                    self.compare(&at(&is.name), &was.schema, &is.schema);
                }
                None => self.found.push(Difference::Removed {
                    path: at(&was.name),
                    schema: was.schema.clone(),
                }),
            }
        }
        let mut kept_new = Vec::new();
        for is in new {
            if kept_old.contains(&is.name.as_str()) {
                kept_new.push(is.name.as_str());
            } else {
                self.found.push(Difference::Added {
                    path: at(&is.name),
                    schema: is.schema.clone(),
                });
            }
        }
        if kept_old != kept_new {
            self.found.push(Difference::Reordered {
                path: path.to_owned(),
            });
        }
    }

    fn compare_variants(
        &mut self,
        path: &str,
        old: &'a [(String, Fields)],
        new: &'a [(String, Fields)],
    ) {
        let at = |name: &str| format!("{path}::{name}");
        let (mut kept_old, mut kept_new) = (Vec::new(), Vec::new());
        for (name, was) in old {
            let Some((_, is)) = new.iter().find(|(other, _)| other == name) else {
                self.found
                    .push(Difference::VariantRemoved { path: at(name) });
                continue;
            };
            kept_old.push(name);
            if !self.compare_fields(&at(name), was, is) {
                let whole = |fields: &Fields| Schema::Struct {
                    name: name.clone(),
                    fields: fields.clone(),
                };
                self.found.push(Difference::Retyped {
                    path: at(name),
                    was: whole(was),
                    is: whole(is),
                });
            }
        }
        for (name, _) in new {
            if kept_old.contains(&name) {
                kept_new.push(name);
            } else {
                self.found.push(Difference::VariantAdded { path: at(name) });
            }
        }
        if kept_old != kept_new {
            self.found.push(Difference::Reordered {
                path: path.to_owned(),
            });
        }
    }
}

/// Whether two types are of one kind, so that they can only differ in their parts.
fn alike(a: &Schema, b: &Schema) -> bool {
    match (a.bare(), b.bare()) {
        (Schema::Primitive(a), Schema::Primitive(b)) => a == b,
        (Schema::Array(_, a), Schema::Array(_, b)) => a == b,
        (Schema::Tuple(a), Schema::Tuple(b)) => a.len() == b.len(),
        (Schema::Option(a), Schema::Option(b)) | (Schema::List(a), Schema::List(b)) => alike(a, b),
        (Schema::Map(a, x), Schema::Map(b, y)) => alike(a, b) && alike(x, y),
        (a, b) => std::mem::discriminant(a) == std::mem::discriminant(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn differences(old: &str, new: &str) -> Vec<String> {
        let old: Schema = old.parse().unwrap();
        let new: Schema = new.parse().unwrap();
        let differences = new.differences(&old);
        differences.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn names_and_newtypes_are_no_difference() {
        let none: [String; 0] = [];
        assert_eq!(
            differences("struct A { x: u8 }", "struct B { x: u8 }"),
            none
        );
        assert_eq!(differences("struct Id(u64)", "u64"), none);
        assert_eq!(differences("[struct Unit]", "[()]"), none);
        assert_eq!(differences("enum A { X }", "enum B { X }"), none);
    }

    #[test]
    fn each_difference_has_its_line() {
        let cases = [
            ("u32", "u64", "it was u32 and is u64"),
            (
                "struct A { x: u8 }",
                "struct A { x: i8 }",
                "`A.x` was u8 and is i8",
            ),
            (
                "struct A { x: u8 }",
                "struct A { x: Option<u8> }",
                "`A.x` was u8 and is Option<u8>",
            ),
            (
                "struct A { x: u8 }",
                "struct A { }",
                "`A.x` is gone: it was u8",
            ),
            (
                "struct A { }",
                "struct A { x: [struct B { y: u8 }] }",
                "`A.x` is new: [B]",
            ),
            (
                "struct A { x: u8, y: u8 }",
                "struct A { y: u8, x: u8 }",
                "`A` has another order",
            ),
            (
                "struct A(u8, u8)",
                "struct A(u8, u16)",
                "`A.1` was u8 and is u16",
            ),
            (
                "struct A(u8, u8)",
                "struct A(u8, u8, u8)",
                "`A` was struct A(u8, u8) and is struct A(u8, u8, u8)",
            ),
            ("(u8, u8)", "(u8, bool)", "`.1` was u8 and is bool"),
            ("[u8; 3]", "[u8; 4]", "it was [u8; 3] and is [u8; 4]"),
            ("[u8]", "[u16]", "it was [u8] and is [u16]"),
            (
                "[struct A { x: u8 }]",
                "[struct A { x: bool }]",
                "`[].x` was u8 and is bool",
            ),
            (
                "Map<String, u8>",
                "Map<u8, u8>",
                "it was Map<String, u8> and is Map<u8, u8>",
            ),
            (
                "Map<struct K { k: u8 }, u8>",
                "Map<struct K { k: u16 }, u8>",
                "`[key].k` was u8 and is u16",
            ),
            (
                "Option<struct A { x: u8 }>",
                "Option<struct A { x: u16 }>",
                "`.x` was u8 and is u16",
            ),
            ("enum E { A }", "enum E { A, B }", "`E::B` is a new variant"),
            ("enum E { A, B }", "enum E { B }", "variant `E::A` is gone"),
            (
                "enum E { A, B }",
                "enum E { B, A }",
                "`E` has another order",
            ),
            (
                "enum E { A(u8) }",
                "enum E { A(u16) }",
                "`E::A` was u8 and is u16",
            ),
            (
                "enum E { A(u8) }",
                "enum E { A { x: u8 } }",
                "`E::A` was struct A(u8) and is struct A { x: u8 }",
            ),
            (
                "enum E { A { x: u8 } }",
                "enum E { A { x: u8, y: u8 } }",
                "`E::A.y` is new: u8",
            ),
            (
                "struct A { x: ? }",
                "struct A { x: u8 }",
                "`A.x` was something that can't be traced and is u8",
            ),
            ("struct A { x: u8 }", "u8", "it was A and is u8"),
            (
                "struct A { x: u8 }",
                "enum A { x }",
                "`A` was struct A { x: u8 } and is enum A { x }",
            ),
        ];
        for (old, new, expected) in cases {
            assert_eq!(differences(old, new), [expected], "{old} -> {new}");
        }
    }

    #[test]
    fn an_alias_is_a_new_name() {
        let old: Schema = "struct A { paid: u8, x: u8 }".parse().unwrap();
        let mut new: Schema = "struct A { payments: u8, x: u8 }".parse().unwrap();
        assert_eq!(new.differences(&old).len(), 2);
        if let Schema::Struct {
            fields: Fields::Named(fields),
            ..
        } = &mut new
        {
            fields[0].aliases.push("paid".to_owned());
        }
        let lines: Vec<_> = new
            .differences(&old)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(lines, ["`A.paid` is now `A.payments`"]);
    }
}
