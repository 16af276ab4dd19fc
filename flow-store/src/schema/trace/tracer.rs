//! Feeds a value to a type, part by part, and records what it asks for.

use super::book::{Book, Kind, LONG, NamedPart, Node, Parts, named_parts};
use super::samples::{BYTES, TEXTS};
use crate::schema::Primitive;
use serde::de::value::{BorrowedStrDeserializer, StrDeserializer};
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use std::any::type_name;
use std::fmt;

/// How deep a sample of a recursive type may be nested in itself.
const SMALL: usize = 3;

/// Why a pass ended before the value was complete.
#[derive(Debug)]
pub(super) enum Stop {
    /// A type refused a sample, or has no sample left.
    Refused,
    /// A field came twice. The name is the field's own, while it may have come under an alias.
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

/// Feeds a value to one node.
pub(super) struct Tracer<'b> {
    pub(super) book: &'b mut Book,
    pub(super) at: usize,
}

impl Tracer<'_> {
    fn node(&mut self) -> &mut Node {
        &mut self.book.nodes[self.at]
    }

    /// Sets the kind of the node if it is unknown.
    fn learn(&mut self, make: impl FnOnce(&mut Book, usize) -> Kind) {
        if self.book.is_unknown(self.at) {
            let kind = make(self.book, self.at);
            self.book.set(self.at, kind);
        }
    }

    /// Feeds a named type. A recursive occurrence only needs a small value.
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

    /// Plays the node's present sample, of `count` samples. A refused sample is not played again.
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
        // While a part of the sample can still change, the part may be the cause.
        if played.is_err() && !below && self.book.progress == before.1 {
            // It is set, not incremented: a recursive type may have advanced it already.
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

    /// Plays the parts of a sequence in order. The pass aims at the first unknown part; the others
    /// are samples.
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

    /// Plays the fields of a struct or a struct variant.
    fn named<'de, V: Visitor<'de>>(
        self,
        parts: Vec<NamedPart>,
        variant: Option<usize>,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        // An unknown field is played alone: it does not matter that the others are missing.
        if let Some(part) = parts.iter().find(|part| self.book.wants(part.node)) {
            self.book.target = part.node;
            return visitor.visit_map(NamedFields {
                book: self.book,
                fields: vec![(part.name, part.node)].into_iter(),
                value: None,
            });
        }
        // An unchecked field is played twice: the error then has the field's own name.
        let unchecked = parts.iter().position(|part| !part.checked);
        if let Some(index) = unchecked.filter(|_| self.book.inside == 0) {
            let NamedPart { name, node, .. } = parts[index];
            let (at, book) = (self.at, &mut *self.book);
            // It is set first, so that it holds even if the type panics.
            book.check_name(at, variant, index, true);
            let before = book.progress;
            let twice = visitor.visit_map(NamedFields {
                book: &mut *book,
                fields: vec![(name, node), (name, node)].into_iter(),
                value: None,
            });
            let another = book.sampled.is_some_and(|at| !book.nodes[at].exhausted);
            match &twice {
                // Its first value was refused, so the second one was not reached.
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

macro_rules! numbers {
    ($($method:ident $visit:ident $primitive:ident,)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
            // Some types refuse 0: `NonZero`, years, months.
            let samples = [0 as _, 1 as _, 100 as _];
            self.primitive(Primitive::$primitive, &samples, |n| visitor.$visit(n))
        })*
    };
}

impl<'de> Deserializer<'de> for Tracer<'_> {
    type Error = Stop;

    /// As in the store's MessagePack.
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

    /// A type that leaves the choice to the format is a text if it accepts only text.
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
        // The second sample has one element, for lists that must not be empty.
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
    /// Returns the parts of the variant, and records them the first time.
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
