//! The text of a schema: `Display` writes it, and `FromStr` reads it.

use super::{Field, Fields, Primitive, Schema};
use std::fmt::{self, Write};
use std::str::FromStr;

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        let depth = f.alternate().then_some(0);
        write_schema(&mut text, self, depth)?;
        f.write_str(&text)
    }
}

/// Writes a schema: on one line, or, given a `depth`, with lines indented by it.
fn write_schema(out: &mut String, schema: &Schema, depth: Option<usize>) -> fmt::Result {
    match schema {
        Schema::Any => out.write_str("?"),
        Schema::Primitive(primitive) => write!(out, "{primitive}"),
        Schema::Option(inner) => {
            out.write_str("Option<")?;
            write_schema(out, inner, depth)?;
            out.write_str(">")
        }
        Schema::List(inner) => {
            out.write_str("[")?;
            write_schema(out, inner, depth)?;
            out.write_str("]")
        }
        Schema::Array(inner, length) => {
            out.write_str("[")?;
            write_schema(out, inner, depth)?;
            write!(out, "; {length}]")
        }
        Schema::Map(key, value) => {
            out.write_str("Map<")?;
            write_schema(out, key, depth)?;
            out.write_str(", ")?;
            write_schema(out, value, depth)?;
            out.write_str(">")
        }
        Schema::Tuple(parts) => write_tuple(out, parts, depth),
        Schema::Struct { name, fields } => {
            out.write_str("struct ")?;
            write_name(out, name)?;
            write_fields(out, fields, depth)
        }
        Schema::Enum { name, variants } => {
            out.write_str("enum ")?;
            write_name(out, name)?;
            write_block(out, variants, depth, |out, (name, fields), depth| {
                write_name(out, name)?;
                write_fields(out, fields, depth)
            })
        }
        Schema::Recursive(name) => {
            out.write_str("^")?;
            write_name(out, name)
        }
    }
}

fn write_fields(out: &mut String, fields: &Fields, depth: Option<usize>) -> fmt::Result {
    match fields {
        Fields::None => Ok(()),
        Fields::Newtype(inner) => {
            out.write_str("(")?;
            write_schema(out, inner, depth)?;
            out.write_str(")")
        }
        Fields::Tuple(parts) => write_tuple(out, parts, depth),
        Fields::Named(fields) => write_block(out, fields, depth, |out, field, depth| {
            write_name(out, &field.name)?;
            out.write_str(": ")?;
            write_schema(out, &field.schema, depth)
        }),
    }
}

/// A tuple of one has a comma after it, to distinguish it from a newtype.
fn write_tuple(out: &mut String, parts: &[Schema], depth: Option<usize>) -> fmt::Result {
    out.write_str("(")?;
    for (index, part) in parts.iter().enumerate() {
        out.write_str(if index > 0 { ", " } else { "" })?;
        write_schema(out, part, depth)?;
    }
    out.write_str(if parts.len() < 2 { ",)" } else { ")" })
}

fn write_block<T>(
    out: &mut String,
    items: &[T],
    depth: Option<usize>,
    write: impl Fn(&mut String, &T, Option<usize>) -> fmt::Result,
) -> fmt::Result {
    out.write_str(" {")?;
    for (index, item) in items.iter().enumerate() {
        match depth {
            Some(depth) => write!(out, "\n{:width$}", "", width = 4 * (depth + 1))?,
            None if index > 0 => out.write_str(", ")?,
            None => out.write_str(" ")?,
        }
        write(out, item, depth.map(|depth| depth + 1))?;
        if depth.is_some() {
            out.write_str(",")?;
        }
    }
    match depth {
        Some(depth) if !items.is_empty() => write!(out, "\n{:width$}}}", "", width = 4 * depth),
        _ => out.write_str(" }"),
    }
}

/// Writes a name as it is if it is an identifier, otherwise in quotes.
fn write_name(out: &mut String, name: &str) -> fmt::Result {
    if is_identifier(name) {
        out.write_str(name)
    } else {
        write!(out, "{name:?}")
    }
}

fn is_identifier(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && chars.all(|c| c.is_alphanumeric() || c == '_')
}

impl fmt::Display for Primitive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = Primitive::ALL.iter().find(|(which, _)| which == self);
        f.write_str(text.map_or("?", |(_, text)| text))
    }
}

/// A text is not a schema.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{text}` is not a schema: {expected} is missing at byte {at}")]
pub struct ParseSchemaError {
    text: String,
    expected: &'static str,
    at: usize,
}

impl FromStr for Schema {
    type Err = ParseSchemaError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parser = Parser {
            rest: text,
            depth: 0,
        };
        let schema = parser.schema().and_then(|schema| {
            parser.skip();
            match parser.rest {
                "" => Ok(schema),
                _ => Err("the end"),
            }
        });
        schema.map_err(|expected| ParseSchemaError {
            text: text.to_owned(),
            expected,
            at: text.len() - parser.rest.len(),
        })
    }
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

/// The error is what was expected and not found.
type Parsed<T> = Result<T, &'static str>;

/// The limit of nested types. The tracer stays below it, and the stack is large enough for it.
const DEEPEST: usize = 256;

impl<'a> Parser<'a> {
    fn skip(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, token: &'static str) -> bool {
        self.skip();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, token: &'static str) -> Parsed<()> {
        if self.take(token) { Ok(()) } else { Err(token) }
    }

    fn word(&mut self) -> Option<&'a str> {
        self.skip();
        let inside = |c: char| c.is_alphanumeric() || c == '_';
        let end = self.rest.find(|c: char| !inside(c));
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        if word.is_empty() {
            return None;
        }
        self.rest = rest;
        Some(word)
    }

    fn name(&mut self) -> Parsed<String> {
        self.skip();
        if !self.rest.starts_with('"') {
            return self.word().map(str::to_owned).ok_or("a name");
        }
        // A quoted name is the `{:?}` of a string: the first quote that is not escaped ends it.
        let mut escaped = false;
        let end = self.rest.char_indices().skip(1).find(|(_, c)| {
            let ends = *c == '"' && !escaped;
            escaped = *c == '\\' && !escaped;
            ends
        });
        let (end, _) = end.ok_or("\"")?;
        let (quoted, rest) = self.rest.split_at(end + 1);
        let name = unescape(&quoted[1..end]).ok_or("a name")?;
        self.rest = rest;
        Ok(name)
    }

    fn schema(&mut self) -> Parsed<Schema> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("a type that is less deep");
        }
        let schema = self.any_schema();
        self.depth -= 1;
        schema
    }

    fn any_schema(&mut self) -> Parsed<Schema> {
        if self.take("?") {
            return Ok(Schema::Any);
        }
        if self.take("^") {
            return self.name().map(Schema::Recursive);
        }
        if self.take("()") {
            return Ok(Schema::Primitive(Primitive::Unit));
        }
        if self.take("(") {
            return self.tuple().map(Schema::Tuple);
        }
        if self.take("[") {
            let inner = Box::new(self.schema()?);
            if self.take(";") {
                let length = self.word().and_then(|word| word.parse().ok());
                self.expect("]")?;
                return length
                    .map(|length| Schema::Array(inner, length))
                    .ok_or("a number");
            }
            self.expect("]")?;
            return Ok(Schema::List(inner));
        }
        match self.word().ok_or("a type")? {
            "Option" => {
                self.expect("<")?;
                let inner = Box::new(self.schema()?);
                self.expect(">")?;
                Ok(Schema::Option(inner))
            }
            "Map" => {
                self.expect("<")?;
                let key = Box::new(self.schema()?);
                self.expect(",")?;
                let value = Box::new(self.schema()?);
                self.expect(">")?;
                Ok(Schema::Map(key, value))
            }
            "struct" => {
                let name = self.name()?;
                let fields = self.fields()?;
                Ok(Schema::Struct { name, fields })
            }
            "enum" => {
                let name = self.name()?;
                self.expect("{")?;
                let mut variants = Vec::new();
                while !self.take("}") {
                    let name = self.name()?;
                    variants.push((name, self.fields()?));
                    self.comma("}")?;
                }
                Ok(Schema::Enum { name, variants })
            }
            word => Primitive::ALL
                .iter()
                .find(|(_, text)| *text == word)
                .map(|(primitive, _)| Schema::Primitive(*primitive))
                .ok_or("a type"),
        }
    }

    /// Takes a comma, which may be left out before the end of the list.
    fn comma(&mut self, end: &'static str) -> Parsed<()> {
        self.skip();
        if self.take(",") || self.rest.starts_with(end) {
            Ok(())
        } else {
            Err(",")
        }
    }

    fn fields(&mut self) -> Parsed<Fields> {
        if self.take("{") {
            let mut fields = Vec::new();
            while !self.take("}") {
                let name = self.name()?;
                self.expect(":")?;
                fields.push(Field {
                    name,
                    schema: self.schema()?,
                    aliases: Vec::new(),
                });
                self.comma("}")?;
            }
            return Ok(Fields::Named(fields));
        }
        if !self.take("(") {
            return Ok(Fields::None);
        }
        if self.take(",") {
            self.expect(")")?;
            return Ok(Fields::Tuple(Vec::new()));
        }
        let first = self.schema()?;
        if self.take(")") {
            return Ok(Fields::Newtype(Box::new(first)));
        }
        self.expect(",")?;
        let mut parts = vec![first];
        parts.append(&mut self.tuple()?);
        Ok(Fields::Tuple(parts))
    }

    /// The parts of a tuple, after its `(`.
    fn tuple(&mut self) -> Parsed<Vec<Schema>> {
        let mut parts = Vec::new();
        if self.take(",") {
            self.expect(")")?;
            return Ok(parts);
        }
        while !self.take(")") {
            parts.push(self.schema()?);
            self.comma(")")?;
        }
        Ok(parts)
    }
}

/// Reverts the escapes of `{:?}` for a string.
fn unescape(text: &str) -> Option<String> {
    let mut plain = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            plain.push(c);
            continue;
        }
        plain.push(match chars.next()? {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            '0' => '\0',
            'u' => {
                let code = chars.as_str().strip_prefix('{')?.split_once('}')?;
                chars = code.1.chars();
                char::from_u32(u32::from_str_radix(code.0, 16).ok()?)?
            }
            other => other,
        });
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-zA-Z_][a-zA-Z0-9_]{0,6}",
            "\\PC{0,4}",
            Just("a\"b\\\n".to_owned())
        ]
    }

    fn fields(inner: impl Strategy<Value = Schema> + Clone + 'static) -> BoxedStrategy<Fields> {
        let field = (name(), inner.clone()).prop_map(|(name, schema)| Field {
            name,
            schema,
            aliases: Vec::new(),
        });
        prop_oneof![
            Just(Fields::None),
            inner
                .clone()
                .prop_map(|inner| Fields::Newtype(Box::new(inner))),
            prop::collection::vec(inner, 0..3).prop_map(Fields::Tuple),
            prop::collection::vec(field, 0..3).prop_map(Fields::Named),
        ]
        .boxed()
    }

    fn schema() -> impl Strategy<Value = Schema> {
        let leaf = prop_oneof![
            Just(Schema::Any),
            name().prop_map(Schema::Recursive),
            prop::sample::select(Primitive::ALL).prop_map(|(which, _)| Schema::Primitive(which)),
        ];
        leaf.prop_recursive(4, 24, 3, |inner| {
            let boxed = inner.clone().prop_map(Box::new);
            prop_oneof![
                boxed.clone().prop_map(Schema::Option),
                boxed.clone().prop_map(Schema::List),
                (boxed.clone(), 0..99usize)
                    .prop_map(|(inner, length)| Schema::Array(inner, length)),
                (boxed.clone(), boxed).prop_map(|(key, value)| Schema::Map(key, value)),
                prop::collection::vec(inner.clone(), 0..3).prop_map(Schema::Tuple),
                (name(), fields(inner.clone()))
                    .prop_map(|(name, fields)| Schema::Struct { name, fields }),
                (name(), prop::collection::vec((name(), fields(inner)), 0..3))
                    .prop_map(|(name, variants)| Schema::Enum { name, variants }),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(schema in schema()) {
            prop_assert_eq!(schema.to_string().parse(), Ok(schema.clone()));
            prop_assert_eq!(format!("{schema:#}").parse(), Ok(schema));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "[a-z0-9(){}<>\\[\\]:;,^?\" \\\\Opion]{0,40}") {
            let _ = text.parse::<Schema>();
        }
    }

    #[test]
    fn what_is_no_schema_is_refused_with_the_place() {
        let text = |text: &str| text.parse::<Schema>().unwrap_err().to_string();
        assert_eq!(
            text("struct Cart { paid u32 }"),
            "`struct Cart { paid u32 }` is not a schema: : is missing at byte 19"
        );
        assert!(text("Cart").contains("a type is missing"));
        assert!(text("u8 u8").contains("the end is missing"));
        assert!(text(&"[".repeat(5000)).contains("less deep"));
    }
}
