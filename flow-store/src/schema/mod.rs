//! What a type looks like in the store: fields and their types, as serde sees them.

mod difference;
mod readable;
mod text;
mod trace;

pub use difference::Difference;
pub(crate) use difference::list;
pub use text::ParseSchemaError;
pub use trace::trace;

use serde::{Deserialize, Serialize};

/// The shape of a type, traced through its `Deserialize` by [`trace`](crate::trace).
///
/// Shown with `{}` it is one line, with `{:#}` a line for each field; both can be parsed again. The
/// store keeps it in that form beside the rows of a step.
///
/// ```
/// use flow_store::{Schema, trace};
///
/// #[derive(serde::Deserialize)]
/// #[allow(dead_code)]
/// struct Cart { paid: Vec<u32>, note: Option<String> }
///
/// let schema = trace::<Cart>();
/// assert_eq!(schema.to_string(), "struct Cart { paid: [u32], note: Option<String> }");
/// assert_eq!(schema.to_string().parse(), Ok(schema));
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Schema {
    /// What can't be traced: a type that takes whatever it finds, or whose `Deserialize` refuses
    /// every sample. Written `?`.
    Any,
    /// A type without parts.
    Primitive(Primitive),
    /// `Option<T>`.
    Option(Box<Schema>),
    /// A sequence of any length. Written `[T]`.
    List(Box<Schema>),
    /// `Map<K, V>`.
    Map(Box<Schema>, Box<Schema>),
    /// A sequence of a fixed length with the same type at each place. Written `[T; 3]`.
    Array(Box<Schema>, usize),
    /// A sequence of a fixed length.
    Tuple(Vec<Schema>),
    /// A struct.
    Struct {
        /// Its name, which is not in the bytes.
        name: String,
        /// What it has.
        fields: Fields,
    },
    /// An enum.
    Enum {
        /// Its name, which is not in the bytes.
        name: String,
        /// Its variants.
        variants: Vec<(String, Fields)>,
    },
    /// The struct or enum of this name around it once more. Written `^Name`.
    Recursive(String),
}

/// What a struct or a variant has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fields {
    /// Nothing.
    None,
    /// One field without a name, which is written as what it holds.
    Newtype(Box<Schema>),
    /// Fields without names.
    Tuple(Vec<Schema>),
    /// Fields with names.
    Named(Vec<Field>),
}

/// A field with a name.
#[derive(Clone, Eq, Debug)]
pub struct Field {
    /// Its name in the bytes.
    pub name: String,
    /// Its type.
    pub schema: Schema,
    /// The other names that it is read under (`#[serde(alias = "..")]`). Not in the text, and not
    /// compared.
    pub aliases: Vec<String>,
}

impl PartialEq for Field {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.schema == other.schema
    }
}

macro_rules! primitives {
    ($($variant:ident $text:literal,)*) => {
        /// A type without parts.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[allow(missing_docs)] // they are called as in Rust
        pub enum Primitive {
            $($variant,)*
        }

        impl Primitive {
            const ALL: &[(Primitive, &str)] = &[$((Primitive::$variant, $text),)*];
        }
    };
}

primitives! {
    Unit "()", Bool "bool", Char "char", String "String", Bytes "bytes",
    I8 "i8", I16 "i16", I32 "i32", I64 "i64", I128 "i128",
    U8 "u8", U16 "u16", U32 "u32", U64 "u64", U128 "u128",
    F32 "f32", F64 "f64",
}

impl Schema {
    /// A short number for the schema's text: the XXH3 hash of its one line, with seed 0.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        crate::hash(self.to_string().as_bytes())
    }

    /// Whether a part of the type could not be traced.
    #[must_use]
    pub fn has_any(&self) -> bool {
        match self {
            Schema::Any => true,
            Schema::Primitive(_) | Schema::Recursive(_) => false,
            _ => self.parts().into_iter().any(Schema::has_any),
        }
    }

    /// What is written as one byte whichever of two values it has, if there is such a thing: a part
    /// of the type that MessagePack can't hold, as a path and the part.
    ///
    /// `Option<Option<T>>` and `Option<()>` have a `Some` that is written as `None` is.
    ///
    /// ```
    /// let schema = flow_store::trace::<(u32, Option<Option<u32>>)>();
    /// let (path, part) = schema.ambiguous().unwrap();
    /// assert_eq!((path.as_str(), part.to_string().as_str()), (".1", "Option<Option<u32>>"));
    /// assert_eq!(flow_store::trace::<Option<u32>>().ambiguous(), None);
    /// ```
    #[must_use]
    pub fn ambiguous(&self) -> Option<(String, &Schema)> {
        self.ambiguous_in(&mut Vec::new())
    }

    /// The same, inside of some types with names.
    fn ambiguous_in<'a>(&'a self, around: &mut Vec<&'a Schema>) -> Option<(String, &'a Schema)> {
        if let Schema::Option(inner) = self
            && matches!(
                inner.resolved(around),
                Schema::Option(_) | Schema::Primitive(Primitive::Unit)
            )
        {
            return Some((self.root(), self));
        }
        around.push(self);
        let found = self.steps().into_iter().find_map(|(step, part)| {
            let (path, found) = part.ambiguous_in(around)?;
            let below = path.strip_prefix(part.name().unwrap_or_default());
            let path = format!("{}{step}{}", self.root(), below.unwrap_or(&path));
            Some((path, found))
        });
        around.pop();
        found
    }

    /// The schema without newtypes, and in place of `^Name` what it stands for.
    fn resolved<'a>(&'a self, around: &[&'a Schema]) -> &'a Schema {
        let mut schema = self.bare();
        // a newtype of itself alone has no value
        for _ in 0..=around.len() {
            let Schema::Recursive(name) = schema else {
                break;
            };
            let named = around.iter().rev();
            match named.copied().find(|it| it.name() == Some(name)) {
                Some(it) => schema = it.bare(),
                None => break,
            }
        }
        schema
    }

    /// Whether every value of the other type has the same bytes as it has as this one, whatever the
    /// types are called. What could not be traced is taken to be the same. An enum may have more
    /// variants than the other one.
    #[must_use]
    pub fn has_bytes_of(&self, other: &Schema) -> bool {
        let all = |a: &[Schema], b: &[Schema]| {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.has_bytes_of(b))
        };
        match (self.bare(), other.bare()) {
            (Schema::Any, _) | (_, Schema::Any) => true,
            (Schema::Primitive(a), Schema::Primitive(b)) => a == b,
            (Schema::Option(a), Schema::Option(b)) | (Schema::List(a), Schema::List(b)) => {
                a.has_bytes_of(b)
            }
            (Schema::Map(a, x), Schema::Map(b, y)) => a.has_bytes_of(b) && x.has_bytes_of(y),
            (Schema::Array(a, x), Schema::Array(b, y)) => x == y && a.has_bytes_of(b),
            (Schema::Tuple(a), Schema::Tuple(b)) => all(a, b),
            (Schema::Struct { fields: a, .. }, Schema::Struct { fields: b, .. }) => {
                a.have_bytes_of(b)
            }
            (Schema::Enum { variants: a, .. }, Schema::Enum { variants: b, .. }) => {
                b.iter().all(|(name, was)| {
                    let mut same = a.iter().filter(|(other, _)| other == name);
                    same.any(|(_, is)| is.have_bytes_of(was))
                })
            }
            (Schema::Recursive(_), Schema::Recursive(_)) => true,
            _ => false,
        }
    }

    /// The schema without the newtypes around it.
    fn bare(&self) -> &Schema {
        static UNIT: Schema = Schema::Primitive(Primitive::Unit);
        match self {
            Schema::Struct {
                fields: Fields::Newtype(inner),
                ..
            } => inner.bare(),
            Schema::Struct {
                fields: Fields::None,
                ..
            } => &UNIT,
            other => other,
        }
    }

    fn name(&self) -> Option<&str> {
        match self {
            Schema::Struct { name, .. } | Schema::Enum { name, .. } => Some(name),
            _ => None,
        }
    }

    /// How a path into this schema begins.
    fn root(&self) -> String {
        self.name().unwrap_or_default().to_owned()
    }

    fn parts(&self) -> Vec<&Schema> {
        self.steps().into_iter().map(|(_, part)| part).collect()
    }

    /// The parts of the schema, each with the step that leads to it.
    fn steps(&self) -> Vec<(String, &Schema)> {
        match self {
            Schema::Any | Schema::Primitive(_) | Schema::Recursive(_) => Vec::new(),
            Schema::Option(inner) => vec![(String::new(), inner)],
            Schema::List(inner) | Schema::Array(inner, _) => vec![("[]".to_owned(), inner)],
            Schema::Map(key, value) => {
                vec![("[key]".to_owned(), key), ("[]".to_owned(), value)]
            }
            Schema::Tuple(parts) => numbered("", parts),
            Schema::Struct { fields, .. } => fields.steps(""),
            Schema::Enum { variants, .. } => variants
                .iter()
                .flat_map(|(name, fields)| fields.steps(&format!("::{name}")))
                .collect(),
        }
    }
}

fn numbered<'a>(before: &str, parts: &'a [Schema]) -> Vec<(String, &'a Schema)> {
    parts
        .iter()
        .enumerate()
        .map(|(index, part)| (format!("{before}.{index}"), part))
        .collect()
}

impl Fields {
    fn steps(&self, before: &str) -> Vec<(String, &Schema)> {
        match self {
            Fields::None => Vec::new(),
            Fields::Newtype(inner) => vec![(before.to_owned(), inner)],
            Fields::Tuple(parts) => numbered(before, parts),
            Fields::Named(fields) => fields
                .iter()
                .map(|field| (format!("{before}.{}", field.name), &field.schema))
                .collect(),
        }
    }

    fn have_bytes_of(&self, other: &Fields) -> bool {
        match (self, other) {
            (Fields::None, Fields::None) => true,
            (Fields::Newtype(a), Fields::Newtype(b)) => a.has_bytes_of(b),
            (Fields::Tuple(a), Fields::Tuple(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.has_bytes_of(b))
            }
            (Fields::Named(a), Fields::Named(b)) => {
                a.len() == b.len()
                    && a.iter()
                        .zip(b)
                        .all(|(a, b)| a.name == b.name && a.schema.has_bytes_of(&b.schema))
            }
            _ => false,
        }
    }
}

/// A schema as the store keeps it: its one line, and the fingerprint of that.
#[derive(Serialize, Deserialize)]
struct Stored {
    text: String,
    fingerprint: u64,
}

impl Serialize for Schema {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.to_string();
        let fingerprint = crate::hash(text.as_bytes());
        Stored { text, fingerprint }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Schema {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let Stored { text, fingerprint } = Stored::deserialize(deserializer)?;
        if crate::hash(text.as_bytes()) != fingerprint {
            return Err(D::Error::custom(format!(
                "the schema `{text}` does not have its fingerprint"
            )));
        }
        text.parse().map_err(D::Error::custom)
    }
}
