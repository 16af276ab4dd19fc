//! Schemas: the fields of a type and their types, as serde sees them.

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
/// `{}` formats it on one line, and `{:#}` with a line for each field. Both forms can be parsed.
/// The store keeps the one-line form of each step's types.
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
    /// A type that can't be traced: it accepts any value, or its `Deserialize` refuses every
    /// sample. Written `?`.
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
        /// Its name, which is not part of the bytes.
        name: String,
        /// Its fields.
        fields: Fields,
    },
    /// An enum.
    Enum {
        /// Its name, which is not part of the bytes.
        name: String,
        /// Its variants.
        variants: Vec<(String, Fields)>,
    },
    /// The enclosing struct or enum of this name. Written `^Name`.
    Recursive(String),
}

/// The fields of a struct or a variant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fields {
    /// Nothing.
    None,
    /// One field without a name. Only its content is written.
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
    /// Other names under which it is read (`#[serde(alias = "..")]`). They are not in the text, and
    /// not compared.
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
    /// The fingerprint of the schema: the XXH3 hash of its one-line text, with seed 0.
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

    /// The first part of the type with two values of the same bytes, if there is one: its path and
    /// the part.
    ///
    /// `Option<Option<T>>` and `Option<()>` have a `Some` that is written like `None`.
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

    /// The same, inside the types `around`.
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

    /// The schema without newtypes, and with `^Name` replaced by the type that it stands for.
    fn resolved<'a>(&'a self, around: &[&'a Schema]) -> &'a Schema {
        let mut schema = self.bare();
        // The limit ends the loop for a newtype of itself, which has no value.
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

    /// Whether every value of the other type has the same bytes as a value of this one.
    ///
    /// Names of types do not count. Parts that could not be traced are assumed to be the same. An
    /// enum may have more variants than the other one.
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

    /// The beginning of a path into this schema.
    fn root(&self) -> String {
        self.name().unwrap_or_default().to_owned()
    }

    fn parts(&self) -> Vec<&Schema> {
        self.steps().into_iter().map(|(_, part)| part).collect()
    }

    /// The parts of the schema, each with its step of a path.
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

/// A schema as the store keeps it: its one-line text and the fingerprint.
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
