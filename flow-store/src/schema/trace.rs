//! Traces a type through its `Deserialize`: plays a value to it, and notes what it asks for.
//!
//! One pass shows little: an `Option` takes `Some` or `None`, an enum one variant. So the type is
//! asked again and again, each time for something that is not known yet, until nothing is left. The
//! idea is that of [serde-reflection](https://docs.rs/serde-reflection). This one keeps a tree and
//! no registry by name, so that two structs of one name and generic ones are no trouble; it asks
//! each field by itself, so that one that refuses all samples hides no other; and it knows the
//! aliases of fields.

use super::{Field, Fields, Primitive, Schema};
use serde::de::value::{BorrowedStrDeserializer, StrDeserializer};
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};
use std::any::type_name;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The schema of a type, traced through its `Deserialize`.
///
/// A type that can't be traced is [`Schema::Any`], and so is a part of a type.
#[must_use]
pub fn trace<T: DeserializeOwned>() -> Schema {
    let mut book = Book {
        nodes: Vec::new(),
        progress: false,
        target: ROOT,
        inside: 0,
        sampled: None,
    };
    book.add(None, 0);
    while !book.is_done(ROOT) {
        book.progress = false;
        book.target = ROOT;
        book.inside = 0;
        book.sampled = None;
        // A `Deserialize` written by hand may not be ready for what it is given here.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            let tracer = Tracer {
                book: &mut book,
                at: ROOT,
            };
            T::deserialize(tracer).map(drop)
        }));
        if !book.progress && !book.try_another_sample() {
            book.give_up();
        }
    }
    book.schema(ROOT)
}

const ROOT: usize = 0;
/// No type that is written by people is deeper, or larger.
const DEEPEST: usize = 48;
const LARGEST: usize = 20_000;
/// A tuple from this length on is taken to have one type at all its places.
const LONG: usize = 13;
/// How often a value of a type may be inside of itself.
const SMALL: usize = 3;

/// What is known of the type.
struct Book {
    nodes: Vec<Node>,
    /// Whether this pass has shown anything new.
    progress: bool,
    /// The node that this pass wanted to know more of.
    target: usize,
    /// How many types around this one are inside of themselves: there a value is all that is
    /// wanted.
    inside: usize,
    /// The node whose sample was taken last in this pass. If the pass then ended in an error, that
    /// may have been said by what checks a value after it was made: `#[serde(try_from = "..")]`,
    /// `#[serde(deserialize_with = "..")]`.
    sampled: Option<usize>,
}

struct Node {
    parent: Option<usize>,
    depth: usize,
    /// The visitor that a struct or enum came with, which tells types apart.
    visitor: &'static str,
    kind: Kind,
    /// Which of the node's samples is a value that the type takes, as far as is known.
    sample: usize,
    /// How many samples there are; 0 while none has been taken.
    samples: usize,
    /// Whether all of them have been taken, and something around them still said no.
    exhausted: bool,
    done: bool,
}

enum Kind {
    Unknown,
    Any,
    /// Asked for as the name of a field: only what `#[serde(flatten)]` makes is.
    Identifier,
    Primitive(Primitive),
    Option(usize),
    List(usize),
    Array(usize, usize),
    Tuple(Vec<usize>),
    Map(usize, usize),
    Struct(&'static str, Parts),
    Enum(&'static str, Vec<(&'static str, Option<Parts>)>),
    /// The type of this name, which the node with this number is too.
    Recursive(&'static str, usize),
}

#[derive(Clone)]
enum Parts {
    None,
    Newtype(usize),
    Tuple(Vec<usize>),
    Named(Vec<NamedPart>),
}

#[derive(Clone)]
struct NamedPart {
    name: &'static str,
    node: usize,
    /// Whether it is known if this is only another name of a field.
    checked: bool,
    alias_of: Option<String>,
}

impl Book {
    fn add(&mut self, parent: Option<usize>, depth: usize) -> usize {
        let too_large = depth > DEEPEST || self.nodes.len() > LARGEST;
        self.nodes.push(Node {
            parent,
            depth,
            visitor: "",
            kind: if too_large { Kind::Any } else { Kind::Unknown },
            sample: 0,
            samples: 0,
            exhausted: false,
            done: too_large,
        });
        self.nodes.len() - 1
    }

    fn child(&mut self, of: usize) -> usize {
        let depth = self.nodes[of].depth + 1;
        self.add(Some(of), depth)
    }

    fn children(&mut self, of: usize, count: usize) -> Vec<usize> {
        (0..count).map(|_| self.child(of)).collect()
    }

    fn is_unknown(&self, at: usize) -> bool {
        matches!(self.nodes[at].kind, Kind::Unknown)
    }

    fn set(&mut self, at: usize, kind: Kind) {
        self.nodes[at].kind = kind;
        self.progress = true;
    }

    /// Whether all of a node is known.
    fn is_done(&mut self, at: usize) -> bool {
        if self.nodes[at].done {
            return true;
        }
        let below = match &self.nodes[at].kind {
            Kind::Unknown => return false,
            Kind::Any | Kind::Identifier | Kind::Primitive(_) | Kind::Recursive(..) => Vec::new(),
            Kind::Option(inner) | Kind::List(inner) | Kind::Array(inner, _) => vec![*inner],
            Kind::Tuple(parts) => parts.clone(),
            Kind::Map(key, value) => vec![*key, *value],
            Kind::Struct(_, parts) => match parts.nodes() {
                Some(nodes) => nodes,
                None => return false,
            },
            Kind::Enum(_, variants) => {
                let mut below = Vec::new();
                for (_, parts) in variants {
                    match parts.as_ref().and_then(Parts::nodes) {
                        Some(mut nodes) => below.append(&mut nodes),
                        None => return false,
                    }
                }
                below
            }
        };
        let done = below.into_iter().all(|node| self.is_done(node));
        self.nodes[at].done = done;
        done
    }

    /// Moves on the sample that was taken last; false if there is none that is left.
    fn try_another_sample(&mut self) -> bool {
        let Some(at) = self.sampled.filter(|at| !self.nodes[*at].exhausted) else {
            return false;
        };
        let node = &mut self.nodes[at];
        node.sample += 1;
        if node.sample >= node.samples {
            // It was not to blame: its first one is as good as any.
            node.sample = 0;
            node.exhausted = true;
        }
        true
    }

    /// Takes what this pass could not find out for something that can't be.
    fn give_up(&mut self) {
        let at = self.target;
        let unknown = self.child(at);
        match &mut self.nodes[at].kind {
            Kind::Enum(_, variants) if variants.iter().any(|(_, parts)| parts.is_none()) => {
                if let Some((_, parts)) = variants.iter_mut().find(|(_, parts)| parts.is_none()) {
                    *parts = Some(Parts::Newtype(unknown));
                    self.nodes[unknown].kind = Kind::Any;
                }
            }
            kind => {
                *kind = Kind::Any;
                self.nodes[at].done = true;
            }
        }
    }

    /// Whether this pass is to find out more of a node.
    fn wants(&mut self, at: usize) -> bool {
        self.inside == 0 && !self.is_done(at)
    }

    /// The node around this one that is of the same type.
    fn same_around(&self, at: usize, visitor: &'static str) -> Option<usize> {
        let around = std::iter::successors(self.nodes[at].parent, |at| self.nodes[*at].parent);
        around
            .into_iter()
            .find(|at| self.nodes[*at].visitor == visitor)
    }

    fn schema(&self, at: usize) -> Schema {
        let boxed = |at: usize| Box::new(self.schema(at));
        match &self.nodes[at].kind {
            Kind::Unknown | Kind::Any | Kind::Identifier => Schema::Any,
            Kind::Primitive(primitive) => Schema::Primitive(*primitive),
            Kind::Option(inner) => Schema::Option(boxed(*inner)),
            Kind::List(inner) => Schema::List(boxed(*inner)),
            Kind::Array(inner, length) => Schema::Array(boxed(*inner), *length),
            Kind::Tuple(parts) => self.tuple(parts),
            // What `#[serde(flatten)]` takes can't be asked for.
            Kind::Map(key, _) if matches!(self.nodes[*key].kind, Kind::Identifier) => Schema::Any,
            Kind::Map(key, value) => Schema::Map(boxed(*key), boxed(*value)),
            Kind::Struct(name, parts) => Schema::Struct {
                name: (*name).to_owned(),
                fields: self.fields(parts),
            },
            Kind::Enum(name, variants) => Schema::Enum {
                name: (*name).to_owned(),
                variants: variants
                    .iter()
                    .map(|(name, parts)| {
                        let fields = parts.as_ref().map(|parts| self.fields(parts));
                        ((*name).to_owned(), fields.unwrap_or(Fields::None))
                    })
                    .collect(),
            },
            Kind::Recursive(name, _) => Schema::Recursive((*name).to_owned()),
        }
    }

    fn tuple(&self, parts: &[usize]) -> Schema {
        let mut parts: Vec<Schema> = parts.iter().map(|part| self.schema(*part)).collect();
        let same = parts.windows(2).all(|pair| pair[0] == pair[1]);
        match parts.len() {
            length @ 3.. if same => Schema::Array(Box::new(parts.remove(0)), length),
            _ => Schema::Tuple(parts),
        }
    }

    fn fields(&self, parts: &Parts) -> Fields {
        match parts {
            Parts::None => Fields::None,
            Parts::Newtype(inner) => Fields::Newtype(Box::new(self.schema(*inner))),
            Parts::Tuple(parts) => {
                Fields::Tuple(parts.iter().map(|part| self.schema(*part)).collect())
            }
            Parts::Named(parts) => Fields::Named(
                parts
                    .iter()
                    .filter(|part| part.alias_of.is_none())
                    .map(|part| Field {
                        name: part.name.to_owned(),
                        schema: self.schema(part.node),
                        aliases: parts
                            .iter()
                            .filter(|other| other.alias_of.as_deref() == Some(part.name))
                            .map(|other| other.name.to_owned())
                            .collect(),
                    })
                    .collect(),
            ),
        }
    }

    /// Notes whether it is known of a name that it is a field of its own.
    fn check_name(
        &mut self,
        at: usize,
        variant: Option<usize>,
        index: usize,
        checked: bool,
    ) -> Option<&mut NamedPart> {
        let Some(Parts::Named(parts)) = self.parts_mut(at, variant) else {
            return None;
        };
        let part = parts.get_mut(index)?;
        part.checked = checked;
        Some(part)
    }

    /// The parts of the struct, or of a variant of the enum, at a node.
    fn parts_mut(&mut self, at: usize, variant: Option<usize>) -> Option<&mut Parts> {
        match (&mut self.nodes[at].kind, variant) {
            (Kind::Struct(_, parts), None) => Some(parts),
            (Kind::Enum(_, variants), Some(index)) => variants.get_mut(index)?.1.as_mut(),
            _ => None,
        }
    }
}

impl Parts {
    /// The nodes of all parts; `None` while not even those are known.
    fn nodes(&self) -> Option<Vec<usize>> {
        match self {
            Parts::None => Some(Vec::new()),
            Parts::Newtype(inner) => Some(vec![*inner]),
            Parts::Tuple(parts) => Some(parts.clone()),
            Parts::Named(parts) => {
                let checked = parts.iter().all(|part| part.checked);
                checked.then(|| parts.iter().map(|part| part.node).collect())
            }
        }
    }
}

/// Why a pass ended before a value was made.
#[derive(Debug)]
enum Stop {
    /// A type said so, or there is no sample left for it.
    Refused,
    /// A field came twice: its name, which may be another one than it came under.
    Duplicate(&'static str),
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a pass of the schema tracer has ended")
    }
}

impl std::error::Error for Stop {}

impl Error for Stop {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Stop::Refused
    }

    fn duplicate_field(field: &'static str) -> Self {
        Stop::Duplicate(field)
    }
}

/// Plays a value to one node.
struct Tracer<'b> {
    book: &'b mut Book,
    at: usize,
}

impl Tracer<'_> {
    fn node(&mut self) -> &mut Node {
        &mut self.book.nodes[self.at]
    }

    /// Says what the node is, the first time.
    fn learn(&mut self, make: impl FnOnce(&mut Book, usize) -> Kind) {
        if self.book.is_unknown(self.at) {
            let kind = make(self.book, self.at);
            self.book.set(self.at, kind);
        }
    }

    /// Plays a type with a name. Where it is inside of itself, a small value of it is all that is
    /// needed.
    fn named_type<'de, V: Visitor<'de>>(
        mut self,
        name: &'static str,
        visitor: V,
        play: impl FnOnce(Tracer<'_>, V) -> Result<V::Value, Stop>,
    ) -> Result<V::Value, Stop> {
        let own = type_name::<V>();
        self.node().visitor = own;
        if self.book.is_unknown(self.at)
            && let Some(around) = self.book.same_around(self.at, own)
        {
            self.book.set(self.at, Kind::Recursive(name, around));
        }
        let Kind::Recursive(_, at) = self.node().kind else {
            return play(self, visitor);
        };
        if self.book.inside == SMALL {
            return Err(Stop::Refused);
        }
        self.book.inside += 1;
        let book = &mut *self.book;
        let played = play(Tracer { book, at }, visitor);
        self.book.inside -= 1;
        played
    }

    /// Plays the node's next sample, of `count`; one that is refused is not played again.
    fn play<R>(
        self,
        count: usize,
        play: impl FnOnce(&mut Book, usize) -> Result<R, Stop>,
    ) -> Result<R, Stop> {
        let Node { sample, .. } = self.book.nodes[self.at];
        if sample >= count {
            return Err(Stop::Refused);
        }
        let before = (self.book.sampled, self.book.progress);
        let played = play(self.book, sample);
        let below = self.book.sampled.filter(|below| Some(*below) != before.0);
        let below = below.is_some_and(|below| !self.book.nodes[below].exhausted);
        // While something in it can be another, it is not to blame.
        if played.is_err() && !below && self.book.progress == before.1 {
            // Not one more: the type may be inside of itself, and have been here already.
            self.book.nodes[self.at].sample = sample + 1;
            self.book.progress = true;
        }
        played
    }

    fn primitive<T: Copy, R>(
        mut self,
        primitive: Primitive,
        samples: &[T],
        visit: impl FnOnce(T) -> Result<R, Stop>,
    ) -> Result<R, Stop> {
        self.learn(|_, _| Kind::Primitive(primitive));
        self.node().samples = samples.len();
        let at = self.at;
        self.play(samples.len(), |book, sample| {
            let visited = visit(samples[sample]);
            if visited.is_ok() {
                book.sampled = Some(at);
            }
            visited
        })
    }

    /// Plays the parts of a sequence in order: what is not known is asked for, the rest are
    /// samples.
    fn sequence<'de, V: Visitor<'de>>(
        self,
        parts: Vec<usize>,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        let unknown = parts.iter().find(|part| self.book.wants(**part));
        if let Some(unknown) = unknown {
            self.book.target = *unknown;
        }
        visitor.visit_seq(Sequence {
            book: self.book,
            parts: parts.into_iter(),
        })
    }

    /// Plays the fields of a struct or of a struct variant.
    fn named<'de, V: Visitor<'de>>(
        self,
        parts: Vec<NamedPart>,
        variant: Option<usize>,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        // What is not known, alone: what is missing beside it does not matter.
        if let Some(part) = parts.iter().find(|part| self.book.wants(part.node)) {
            self.book.target = part.node;
            return visitor.visit_map(NamedFields {
                book: self.book,
                fields: vec![(part.name, part.node)].into_iter(),
                value: None,
            });
        }
        // Twice the same: the error names the field by its own name.
        let unchecked = parts.iter().position(|part| !part.checked);
        if let Some(index) = unchecked.filter(|_| self.book.inside == 0) {
            let NamedPart { name, node, .. } = parts[index];
            let (at, book) = (self.at, &mut *self.book);
            // For good, if the type panics.
            book.check_name(at, variant, index, true);
            let before = book.progress;
            let twice = visitor.visit_map(NamedFields {
                book: &mut *book,
                fields: vec![(name, node), (name, node)].into_iter(),
                value: None,
            });
            let another = book.sampled.is_some_and(|at| !book.nodes[at].exhausted);
            match &twice {
                // Its value was refused, so that it did not come twice.
                Err(Stop::Refused) if another || book.progress != before => {
                    book.check_name(at, variant, index, false);
                }
                Err(Stop::Duplicate(own)) if *own != name => {
                    if let Some(part) = book.check_name(at, variant, index, true) {
                        part.alias_of = Some((*own).to_owned());
                    }
                    book.progress = true;
                }
                _ => book.progress = true,
            }
            return twice;
        }
        let own = parts.iter().filter(|part| part.alias_of.is_none());
        let fields: Vec<_> = own.map(|part| (part.name, part.node)).collect();
        visitor.visit_map(NamedFields {
            book: self.book,
            fields: fields.into_iter(),
            value: None,
        })
    }
}

fn named_parts(book: &mut Book, at: usize, names: &'static [&'static str]) -> Parts {
    let part = |book: &mut Book, name| NamedPart {
        name,
        node: book.child(at),
        checked: false,
        alias_of: None,
    };
    Parts::Named(names.iter().map(|name| part(book, *name)).collect())
}

macro_rules! numbers {
    ($($method:ident $visit:ident $primitive:ident,)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
            // 0 is not everyone's: `NonZero`, years, months.
            self.primitive(Primitive::$primitive, &[0 as _, 1 as _, 100 as _], |n| visitor.$visit(n))
        })*
    };
}

/// Texts that common types can be parsed from: times, addresses, identifiers, numbers. A type that
/// takes none of them hides what comes behind it in a sequence.
const TEXTS: &[&str] = &[
    "",
    "a",
    "0",
    "1",
    "0.0",
    "1970-01-01T00:00:00Z",
    "1970-01-01",
    "1970-01-01T00:00:00",
    "00:00:00",
    "PT0S",
    "UTC",
    "127.0.0.1",
    "127.0.0.1:80",
    "00000000-0000-0000-0000-000000000000",
    "http://localhost/",
    "/",
    // addresses and networks
    "::1",
    "[::1]:80",
    "127.0.0.0/8",
    "::/0",
    "00:00:00:00:00:00",
    "localhost",
    "a@example.com",
    "a/b",
    // times and their parts
    "1970-01-01 00:00:00",
    "1970-01-01 00:00:00.0",
    "1970-01-01 00:00:00.0 +00:00:00",
    "1970-01-01T00:00:00+00:00",
    "1970-01-01T00:00:00+00:00[UTC]",
    "Thu, 01 Jan 1970 00:00:00 GMT",
    "00:00:00.0",
    "+00:00",
    "+00:00:00",
    "0.000000000",
    "0s",
    "Monday",
    "Mon",
    "January",
    // versions, languages, currencies
    "0.0.0",
    "*",
    "en",
    "en-US",
    "USD",
    "true",
    "null",
    "{}",
    "[]",
    // identifiers: 4, 8, 12, 16, 20 and 32 bytes in hexadecimal digits, and 16 in other ones
    "00000000",
    "0000000000000000",
    "000000000000000000000000",
    "00000000000000000000000000000000",
    "0000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "00000000000000000000000000",
    "0x0",
    "AAAAAAAAAAAAAAAAAAAAAA==",
];

const BYTES: &[&[u8]] = &[&[], &[0; 16], &[0; 4], &[0; 8], &[0; 12], &[0; 32]];

impl<'de> Deserializer<'de> for Tracer<'_> {
    type Error = Stop;

    /// As the store's MessagePack.
    fn is_human_readable(&self) -> bool {
        true
    }

    numbers! {
        deserialize_i8 visit_i8 I8,
        deserialize_i16 visit_i16 I16,
        deserialize_i32 visit_i32 I32,
        deserialize_i64 visit_i64 I64,
        deserialize_i128 visit_i128 I128,
        deserialize_u8 visit_u8 U8,
        deserialize_u16 visit_u16 U16,
        deserialize_u32 visit_u32 U32,
        deserialize_u64 visit_u64 U64,
        deserialize_u128 visit_u128 U128,
        deserialize_f32 visit_f32 F32,
        deserialize_f64 visit_f64 F64,
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.primitive(Primitive::Bool, &[false, true], |value| {
            visitor.visit_bool(value)
        })
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.primitive(Primitive::Char, &['a', '0'], |value| {
            visitor.visit_char(value)
        })
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.primitive(Primitive::String, TEXTS, |text| {
            visitor.visit_borrowed_str(text)
        })
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.primitive(Primitive::Bytes, BYTES, |bytes| {
            visitor.visit_borrowed_bytes(bytes)
        })
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.primitive(Primitive::Unit, &[()], |()| visitor.visit_unit())
    }

    /// A type that takes nothing but text is one, also where it leaves it to the format.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        const OTHERS: usize = 5;
        let at = self.at;
        self.play(OTHERS + TEXTS.len(), |book, sample| {
            let visited = match sample {
                0 => visitor.visit_unit(),
                1 => visitor.visit_u64(0),
                2 => visitor.visit_bool(false),
                3 => visitor.visit_map(serde::de::value::MapDeserializer::<_, Stop>::new(
                    std::iter::empty::<(&str, &str)>(),
                )),
                4 => visitor.visit_seq(serde::de::value::SeqDeserializer::<_, Stop>::new(
                    std::iter::empty::<&str>(),
                )),
                text => visitor.visit_borrowed_str(TEXTS[text - OTHERS]),
            };
            if visited.is_ok() && book.is_unknown(at) {
                let kind = match sample {
                    0..OTHERS => Kind::Any,
                    _ => Kind::Primitive(Primitive::String),
                };
                book.set(at, kind);
            }
            visited
        })
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_any(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Stop> {
        self.learn(|_, _| Kind::Identifier);
        visitor.visit_borrowed_str("")
    }

    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Stop> {
        self.learn(|book, at| Kind::Option(book.child(at)));
        let Kind::Option(inner) = self.node().kind else {
            return Err(Stop::Refused);
        };
        if self.book.wants(inner) {
            self.book.target = inner;
            let book = &mut *self.book;
            return visitor.visit_some(Tracer { book, at: inner });
        }
        self.play(2, |book, sample| match sample {
            0 => visitor.visit_none(),
            _ => visitor.visit_some(Tracer { book, at: inner }),
        })
    }

    fn deserialize_seq<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Stop> {
        self.learn(|book, at| Kind::List(book.child(at)));
        let Kind::List(inner) = self.node().kind else {
            return Err(Stop::Refused);
        };
        if self.book.wants(inner) {
            return self.sequence(vec![inner], visitor);
        }
        // Empty, or with one element, for those that must not be empty.
        self.play(2, |book, sample| {
            let parts = vec![inner; sample].into_iter();
            visitor.visit_seq(Sequence { book, parts })
        })
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        mut self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.learn(|book, at| match length {
            0..LONG => Kind::Tuple(book.children(at, length)),
            _ => Kind::Array(book.child(at), length),
        });
        match self.node().kind {
            Kind::Tuple(ref parts) => {
                let parts = parts.clone();
                self.sequence(parts, visitor)
            }
            Kind::Array(inner, length) => self.sequence(vec![inner; length], visitor),
            _ => Err(Stop::Refused),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Stop> {
        self.learn(|book, at| Kind::Map(book.child(at), book.child(at)));
        let Kind::Map(key, value) = self.node().kind else {
            return Err(Stop::Refused);
        };
        if self.book.wants(key) || self.book.wants(value) {
            let key_done = self.book.is_done(key);
            self.book.target = if key_done { value } else { key };
            return visitor.visit_map(Entries {
                book: self.book,
                key,
                value,
                left: 1,
            });
        }
        self.play(2, |book, left| {
            visitor.visit_map(Entries {
                book,
                key,
                value,
                left,
            })
        })
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.learn(|_, _| Kind::Struct(name, Parts::None));
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.named_type(name, visitor, |mut tracer, visitor| {
            tracer.learn(|book, at| Kind::Struct(name, Parts::Newtype(book.child(at))));
            let Kind::Struct(_, Parts::Newtype(inner)) = tracer.node().kind else {
                return Err(Stop::Refused);
            };
            if tracer.book.wants(inner) {
                tracer.book.target = inner;
            }
            visitor.visit_newtype_struct(Tracer {
                book: tracer.book,
                at: inner,
            })
        })
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.named_type(name, visitor, |mut tracer, visitor| {
            tracer.learn(|book, at| Kind::Struct(name, Parts::Tuple(book.children(at, length))));
            match &tracer.node().kind {
                Kind::Struct(_, Parts::Tuple(parts)) => {
                    let parts = parts.clone();
                    tracer.sequence(parts, visitor)
                }
                _ => Err(Stop::Refused),
            }
        })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.named_type(name, visitor, |mut tracer, visitor| {
            tracer.learn(|book, at| Kind::Struct(name, named_parts(book, at, fields)));
            match &tracer.node().kind {
                Kind::Struct(_, Parts::Named(parts)) => {
                    let parts = parts.clone();
                    tracer.named(parts, None, visitor)
                }
                _ => Err(Stop::Refused),
            }
        })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.named_type(name, visitor, |mut tracer, visitor| {
            tracer.learn(|_, _| {
                let variants = variants.iter().map(|variant| (*variant, None));
                Kind::Enum(name, variants.collect())
            });
            let Kind::Enum(_, variants) = &tracer.node().kind else {
                return Err(Stop::Refused);
            };
            let variants = variants.clone();
            let unknown = variants.iter().position(|(_, parts)| {
                let nodes = parts.as_ref().and_then(Parts::nodes);
                nodes.is_none_or(|nodes| nodes.into_iter().any(|node| !tracer.book.is_done(node)))
            });
            let at = tracer.at;
            if let Some(index) = unknown.filter(|_| tracer.book.inside == 0) {
                tracer.book.target = at;
                let name = variants[index].0;
                return visitor.visit_enum(Variant {
                    book: tracer.book,
                    at,
                    index,
                    name,
                });
            }
            tracer.play(variants.len(), |book, index| {
                let name = variants[index].0;
                visitor.visit_enum(Variant {
                    book,
                    at,
                    index,
                    name,
                })
            })
        })
    }
}

struct Sequence<'b> {
    book: &'b mut Book,
    parts: std::vec::IntoIter<usize>,
}

impl<'de> SeqAccess<'de> for Sequence<'_> {
    type Error = Stop;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Stop> {
        let Some(at) = self.parts.next() else {
            return Ok(None);
        };
        let book = &mut *self.book;
        seed.deserialize(Tracer { book, at }).map(Some)
    }
}

struct Entries<'b> {
    book: &'b mut Book,
    key: usize,
    value: usize,
    left: usize,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Stop;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Stop> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let (book, at) = (&mut *self.book, self.key);
        seed.deserialize(Tracer { book, at }).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Stop> {
        let (book, at) = (&mut *self.book, self.value);
        seed.deserialize(Tracer { book, at })
    }
}

struct NamedFields<'b> {
    book: &'b mut Book,
    fields: std::vec::IntoIter<(&'static str, usize)>,
    value: Option<usize>,
}

impl<'de> MapAccess<'de> for NamedFields<'_> {
    type Error = Stop;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Stop> {
        let Some((name, node)) = self.fields.next() else {
            return Ok(None);
        };
        self.value = Some(node);
        seed.deserialize(BorrowedStrDeserializer::new(name))
            .map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Stop> {
        let at = self.value.take().ok_or(Stop::Refused)?;
        let book = &mut *self.book;
        seed.deserialize(Tracer { book, at })
    }
}

struct Variant<'b> {
    book: &'b mut Book,
    at: usize,
    index: usize,
    name: &'static str,
}

impl Variant<'_> {
    /// Notes what the variant has, the first time, and gives it.
    fn parts(&mut self, make: impl FnOnce(&mut Book, usize) -> Parts) -> Result<Parts, Stop> {
        let (at, index) = (self.at, self.index);
        if self.book.parts_mut(at, Some(index)).is_none() {
            let parts = make(self.book, at);
            if let Kind::Enum(_, variants) = &mut self.book.nodes[at].kind
                && let Some((_, slot)) = variants.get_mut(index)
            {
                *slot = Some(parts);
                self.book.progress = true;
            }
        }
        let parts = self.book.parts_mut(at, Some(index));
        parts.cloned().ok_or(Stop::Refused)
    }
}

impl<'de> EnumAccess<'de> for Variant<'_> {
    type Error = Stop;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Stop> {
        let name: StrDeserializer<'_, Stop> = StrDeserializer::new(self.name);
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = Stop;

    fn unit_variant(mut self) -> Result<(), Stop> {
        self.parts(|_, _| Parts::None).map(drop)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(mut self, seed: T) -> Result<T::Value, Stop> {
        let Parts::Newtype(at) = self.parts(|book, at| Parts::Newtype(book.child(at)))? else {
            return Err(Stop::Refused);
        };
        if self.book.wants(at) {
            self.book.target = at;
        }
        seed.deserialize(Tracer {
            book: self.book,
            at,
        })
    }

    fn tuple_variant<V: Visitor<'de>>(
        mut self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        let parts = self.parts(|book, at| Parts::Tuple(book.children(at, length)))?;
        let Parts::Tuple(parts) = parts else {
            return Err(Stop::Refused);
        };
        let (book, at) = (self.book, self.at);
        Tracer { book, at }.sequence(parts, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        mut self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        let parts = self.parts(|book, at| named_parts(book, at, fields))?;
        let Parts::Named(parts) = parts else {
            return Err(Stop::Refused);
        };
        let (book, at, variant) = (self.book, self.at, Some(self.index));
        Tracer { book, at }.named(parts, variant, visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use std::collections::{BTreeMap, HashSet, VecDeque};
    use std::num::NonZeroU32;
    use std::time::Duration;

    /// One that checks its values after they were made.
    #[derive(Deserialize)]
    #[serde(try_from = "String")]
    struct Email;

    impl TryFrom<String> for Email {
        type Error = &'static str;

        fn try_from(text: String) -> Result<Self, Self::Error> {
            match text.starts_with("1970-01-01T") {
                true => Ok(Email),
                false => Err("no"),
            }
        }
    }

    #[test]
    fn what_is_checked_after_it_was_made_hides_nothing() {
        check::<(Email, u64)>("(String, u64)");
        #[derive(Deserialize)]
        enum At {
            #[allow(dead_code)]
            At(Email),
        }
        check::<(At, u64)>("(enum At { At(String) }, u64)");
        check::<(Option<Email>, Vec<Email>, u64)>("(Option<String>, [String], u64)");
        #[derive(Deserialize)]
        #[allow(dead_code)]
        struct Named {
            #[serde(alias = "e_mail")]
            email: Email,
            never: Never,
            last: u8,
        }
        check::<Named>("struct Named { email: String, never: u64, last: u8 }");
        // In a sequence nothing comes behind what takes no sample.
        check::<(Never, u64)>("(u64, ?)");
        #[derive(Deserialize)]
        #[allow(dead_code)]
        struct Bad {
            a: u8,
            #[serde(default)]
            b: Option<Panics>,
            c: u8,
        }
        check::<Bad>("struct Bad { a: u8, b: Option<String>, c: u8 }");
    }

    #[track_caller]
    fn check<T: DeserializeOwned>(expected: &str) {
        let schema = trace::<T>();
        assert_eq!(schema.to_string(), expected);
        assert_eq!(expected.parse(), Ok(schema));
    }

    #[test]
    fn types_of_the_standard_library() {
        check::<u8>("u8");
        check::<()>("()");
        check::<String>("String");
        check::<Box<str>>("String");
        check::<Option<Vec<u32>>>("Option<[u32]>");
        check::<(u8, char)>("(u8, char)");
        check::<[u8; 3]>("[u8; 3]");
        check::<[u8; 32]>("[u8; 32]");
        check::<(u8, u8)>("(u8, u8)");
        check::<BTreeMap<String, VecDeque<f64>>>("Map<String, [f64]>");
        check::<HashSet<i128>>("[i128]");
        check::<NonZeroU32>("u32");
        check::<Duration>("struct Duration { secs: u64, nanos: u32 }");
        check::<Result<u8, String>>("enum Result { Ok(u8), Err(String) }");
        check::<(std::net::Ipv4Addr, u8)>("(String, u8)");
        check::<(std::net::IpAddr, std::net::SocketAddrV6, u8)>("(String, String, u8)");
        check::<uuid::Bytes>("[u8; 16]");
        check::<std::marker::PhantomData<u8>>("struct PhantomData");
    }

    /// A time that has a form for people, and asks for whatever comes: as those of the crate `time`
    /// do.
    struct Time;
    impl<'de> Deserialize<'de> for Time {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Text;
            impl Visitor<'_> for Text {
                type Value = Time;
                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("a time")
                }
                fn visit_str<E: Error>(self, text: &str) -> Result<Time, E> {
                    match text {
                        "1970-01-01 00:00:00.0 +00:00:00" => Ok(Time),
                        other => Err(E::custom(other)),
                    }
                }
            }
            match deserializer.is_human_readable() {
                true => deserializer.deserialize_any(Text),
                false => <(u8, u8)>::deserialize(deserializer).map(|_| Time),
            }
        }
    }

    #[test]
    fn a_type_with_a_form_for_people_is_text() {
        check::<Time>("String");
        check::<(Time, Option<Time>, u8)>("(String, Option<String>, u8)");
        check::<BTreeMap<String, (Time, bool)>>("Map<String, (String, bool)>");
    }

    #[derive(Deserialize)]
    struct Unit;
    #[derive(Deserialize)]
    struct Id(#[allow(dead_code)] u64);
    #[derive(Deserialize)]
    struct Pair(#[allow(dead_code)] u8, #[allow(dead_code)] Id);
    #[derive(Deserialize)]
    #[allow(dead_code)]
    struct Generic<T> {
        inner: T,
    }
    #[derive(Deserialize)]
    #[allow(dead_code)]
    #[serde(rename_all = "kebab-case")]
    enum Event {
        Plain,
        One(Id),
        TwoOf(u8, Option<String>),
        Named { at: u64, who: Generic<u8> },
    }

    #[test]
    fn structs_and_enums() {
        check::<Unit>("struct Unit");
        check::<Id>("struct Id(u64)");
        check::<Pair>("struct Pair(u8, struct Id(u64))");
        check::<(Generic<u8>, Generic<Generic<bool>>)>(
            "(struct Generic { inner: u8 }, struct Generic { inner: struct Generic { inner: bool } })",
        );
        check::<Event>(
            "enum Event { plain, one(struct Id(u64)), \"two-of\"(u8, Option<String>), \
             named { at: u64, who: struct Generic { inner: u8 } } }",
        );
    }

    #[derive(Deserialize)]
    #[allow(dead_code)]
    struct Tree {
        value: u32,
        left: Option<Box<Tree>>,
        more: Vec<Tree>,
    }
    #[derive(Deserialize)]
    #[allow(dead_code)]
    enum Expr {
        Sum(Box<Expr>, Box<Expr>),
        Number(i64),
    }
    #[derive(Deserialize)]
    #[allow(dead_code)]
    struct Endless(Vec<Endless>);

    #[test]
    fn types_that_hold_themselves() {
        check::<Tree>("struct Tree { value: u32, left: Option<^Tree>, more: [^Tree] }");
        check::<(Expr, u8)>("(enum Expr { Sum(^Expr, ^Expr), Number(i64) }, u8)");
        check::<(Endless, u8)>("(struct Endless([^Endless]), u8)");
    }

    #[derive(Deserialize)]
    #[allow(dead_code)]
    #[serde(deny_unknown_fields)]
    struct Attributes {
        #[serde(rename = "type")]
        kind: String,
        #[serde(alias = "aa", alias = "zz")]
        middle: Option<u8>,
        #[serde(default)]
        absent: u8,
        #[serde(skip)]
        never: u8,
    }

    #[test]
    fn names_are_those_in_the_bytes_and_aliases_are_known() {
        check::<Attributes>("struct Attributes { type: String, middle: Option<u8>, absent: u8 }");
        let Schema::Struct {
            fields: Fields::Named(fields),
            ..
        } = trace::<Attributes>()
        else {
            panic!("not a struct");
        };
        assert_eq!(fields[1].aliases, ["aa", "zz"]);
    }

    #[derive(Deserialize)]
    #[serde(untagged)]
    #[allow(dead_code)]
    enum Untagged {
        A(u8),
        B(String),
    }
    #[derive(Deserialize)]
    #[allow(dead_code)]
    struct Flat {
        own: u8,
        #[serde(flatten)]
        rest: Generic<u8>,
    }
    #[derive(Deserialize)]
    #[serde(try_from = "u64")]
    struct Never;
    impl TryFrom<u64> for Never {
        type Error = String;
        fn try_from(_: u64) -> Result<Self, String> {
            Err("never".to_owned())
        }
    }
    struct Panics;
    impl<'de> Deserialize<'de> for Panics {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            String::deserialize(deserializer)?
                .parse::<u8>()
                .map_err(D::Error::custom)?;
            std::panic::resume_unwind(Box::new("not ready for this"))
        }
    }

    #[test]
    fn what_cant_be_traced_hides_nothing_else() {
        check::<serde_json::Value>("?");
        check::<Untagged>("?");
        check::<Flat>("?");
        check::<Generic<Untagged>>("struct Generic { inner: ? }");
        // Its samples are refused, but what it asks for is known.
        check::<Never>("u64");
        check::<(Never, bool)>("(u64, ?)");
        check::<Panics>("String");
        #[derive(Deserialize)]
        #[allow(dead_code)]
        struct Mixed {
            never: Never,
            value: serde_json::Value,
            panics: Panics,
            last: bool,
        }
        check::<Mixed>("struct Mixed { never: u64, value: ?, panics: String, last: bool }");
        check::<Option<Never>>("Option<u64>");
    }

    #[test]
    fn what_messagepack_cant_hold_is_found() {
        let found = |schema: &Schema| {
            let (path, part) = schema.ambiguous().unwrap();
            format!("{path}: {part}")
        };
        assert_eq!(
            found(&trace::<Generic<Vec<Option<Option<u8>>>>>()),
            "Generic.inner[]: Option<Option<u8>>"
        );
        assert_eq!(found(&trace::<Option<()>>()), ": Option<()>");
        assert_eq!(
            found(&trace::<Generic<Option<Unit>>>()),
            "Generic.inner: Option<struct Unit>"
        );
        assert_eq!(
            found(&trace::<(u8, Generic<Option<Unit>>)>()),
            ".1.inner: Option<struct Unit>"
        );
        assert!(trace::<Option<Option<Vec<u8>>>>().ambiguous().is_some());
        assert_eq!(trace::<Option<Vec<Option<u8>>>>().ambiguous(), None);
        assert_eq!(trace::<BTreeMap<u8, ()>>().ambiguous(), None);
    }
}
