//! Writes values as MessagePack: with field names, human-readable, and no deeper than they can be
//! read.
//!
//! The bytes are those that `rmp_serde` writes with `with_struct_map` and `with_human_readable`.
//! This encoder exists because the store also needs what the bytes don't tell: how deep the value
//! is, whether a `Some` was written as nothing, and which variants and fields it has.

use super::error::CodecError;
use super::form::{JSON_NUMBER, LEVELS};
use super::json_number;
use super::track::{Track, kind};
use super::write::{
    Failed, length, write_array, write_bytes, write_float, write_map, write_negative, write_text,
    write_unsigned,
};
use serde::{Serialize, Serializer, ser};
use std::any::type_name;

/// Writes one value.
pub(super) struct Encoder<'a, T> {
    out: &'a mut Vec<u8>,
    /// How many levels are left.
    levels: u16,
    pub(super) track: T,
}

impl<'a, T: Track> Encoder<'a, T> {
    pub(super) fn new(out: &'a mut Vec<u8>, track: T) -> Self {
        Encoder {
            out,
            levels: LEVELS,
            track,
        }
    }

    #[inline]
    fn deeper(&mut self, levels: u16) -> Result<(), Failed> {
        match self.levels.checked_sub(levels) {
            Some(left) => {
                self.levels = left;
                Ok(())
            }
            None => Err(CodecError::TooDeep.into()),
        }
    }

    #[inline]
    fn array(&mut self, len: u32) {
        write_array(self.out, len);
    }

    #[inline]
    fn map(&mut self, len: u32) {
        write_map(self.out, len);
    }

    #[inline]
    fn text(&mut self, text: &str) -> Result<(), Failed> {
        write_text(text, self.out)
    }

    /// Begins a map with the variant's name. Its value comes next.
    fn variant(&mut self, index: u32, name: &'static str) -> Result<(), Failed> {
        self.track
            .mix(kind::VARIANT ^ named(name) ^ u64::from(index));
        self.map(1);
        self.text(name)
    }
}

/// Identifies a name by its address. Two addresses of one text only count as two shapes.
#[inline]
fn named(name: &'static str) -> u64 {
    (name.as_ptr().addr() as u64) << 8
}

/// A hash of a text (FNV-1a).
fn content(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Whether values of this type are text of the program, such as the tag of an enum. Derived code
/// passes a tag as `str`, and data as a type of its own or as a reference.
#[inline]
fn is_tag<V: ?Sized>() -> bool {
    type_name::<V>() == "str"
}

/// The name by which `rmp_serde` knows an extension (a number and bytes).
const EXTENSION: &str = rmp_serde::MSGPACK_EXT_STRUCT_NAME;
struct Extension<'a, V: ?Sized>(&'a V);

impl<V: Serialize + ?Sized> Serialize for Extension<'_, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(EXTENSION, self.0)
    }
}

impl<'e, 'a, T: Track> Serializer for &'e mut Encoder<'a, T> {
    type Ok = ();
    type Error = Failed;
    type SerializeSeq = Parts<'e, 'a, T>;
    type SerializeTuple = Parts<'e, 'a, T>;
    type SerializeTupleStruct = Parts<'e, 'a, T>;
    type SerializeTupleVariant = Parts<'e, 'a, T>;
    type SerializeMap = Parts<'e, 'a, T>;
    type SerializeStruct = Parts<'e, 'a, T>;
    type SerializeStructVariant = Parts<'e, 'a, T>;

    fn is_human_readable(&self) -> bool {
        true
    }

    fn serialize_bool(self, value: bool) -> Result<(), Failed> {
        self.track.mix(kind::BOOL);
        self.out.push(0xc2 | u8::from(value));
        Ok(())
    }

    fn serialize_i8(self, number: i8) -> Result<(), Failed> {
        self.serialize_i64(number.into())
    }

    fn serialize_i16(self, number: i16) -> Result<(), Failed> {
        self.serialize_i64(number.into())
    }

    fn serialize_i32(self, number: i32) -> Result<(), Failed> {
        self.serialize_i64(number.into())
    }

    fn serialize_i64(self, number: i64) -> Result<(), Failed> {
        match u64::try_from(number) {
            Ok(number) => write_unsigned(self.out, number),
            Err(_) => {
                self.track.note(kind::NEGATIVE);
                write_negative(self.out, number);
            }
        }
        self.track.mix(kind::INTEGER);
        Ok(())
    }

    fn serialize_i128(self, number: i128) -> Result<(), Failed> {
        self.serialize_bytes(&number.to_be_bytes())
    }

    fn serialize_u8(self, number: u8) -> Result<(), Failed> {
        self.serialize_u64(number.into())
    }

    fn serialize_u16(self, number: u16) -> Result<(), Failed> {
        self.serialize_u64(number.into())
    }

    fn serialize_u32(self, number: u32) -> Result<(), Failed> {
        self.serialize_u64(number.into())
    }

    fn serialize_u64(self, number: u64) -> Result<(), Failed> {
        if number > i64::MAX as u64 {
            self.track.note(kind::LARGE);
        }
        self.track.mix(kind::INTEGER);
        write_unsigned(self.out, number);
        Ok(())
    }

    fn serialize_u128(self, number: u128) -> Result<(), Failed> {
        self.serialize_bytes(&number.to_be_bytes())
    }

    fn serialize_f32(self, number: f32) -> Result<(), Failed> {
        self.track.mix(kind::F32);
        self.out.push(0xca);
        self.out.extend_from_slice(&number.to_be_bytes());
        Ok(())
    }

    fn serialize_f64(self, number: f64) -> Result<(), Failed> {
        self.track.mix(kind::F64);
        write_float(self.out, number);
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), Failed> {
        self.track.mix(kind::TEXT);
        self.text(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, text: &str) -> Result<(), Failed> {
        if text.is_empty() {
            self.track.note(kind::EMPTY);
        }
        self.track.mix(kind::TEXT);
        self.text(text)
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), Failed> {
        self.track.mix(kind::BYTES);
        write_bytes(bytes, self.out)
    }

    fn serialize_none(self) -> Result<(), Failed> {
        self.serialize_unit()
    }

    fn serialize_some<V: Serialize + ?Sized>(self, value: &V) -> Result<(), Failed> {
        let before = self.out.len();
        self.track.mix(kind::SOME);
        value.serialize(&mut *self)?;
        match self.out.get(before..) {
            Some([0xc0]) => Err(CodecError::SomeOfNothing.into()),
            _ => Ok(()),
        }
    }

    fn serialize_unit(self) -> Result<(), Failed> {
        self.track.mix(kind::NIL);
        self.out.push(0xc0);
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Failed> {
        self.track.mix(kind::UNIT_STRUCT);
        self.array(0);
        Ok(())
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<(), Failed> {
        self.track
            .mix(kind::VARIANT ^ named(variant) ^ u64::from(index));
        self.text(variant)
    }

    fn serialize_newtype_struct<V: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &V,
    ) -> Result<(), Failed> {
        if name == EXTENSION {
            self.track.mix(kind::EXTENSION);
            let written = rmp_serde::encode::write_named(&mut *self.out, &Extension(value));
            return written.map_err(|error| CodecError::Encode(error.to_string()).into());
        }
        value.serialize(self)
    }

    fn serialize_newtype_variant<V: Serialize + ?Sized>(
        self,
        _: &'static str,
        index: u32,
        variant: &'static str,
        value: &V,
    ) -> Result<(), Failed> {
        self.deeper(1)?;
        self.variant(index, variant)?;
        value.serialize(&mut *self)?;
        self.levels += 1;
        Ok(())
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Self::SerializeSeq, Failed> {
        self.track.mix(kind::SEQUENCE);
        Parts::of_unsure(self, len, false)
    }

    fn serialize_tuple(self, len: usize) -> Result<Self::SerializeTuple, Failed> {
        self.track.mix(kind::TUPLE);
        self.array(length(len)?);
        Parts::new(self, 1)
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleStruct, Failed> {
        self.serialize_tuple(len)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleVariant, Failed> {
        self.variant(index, variant)?;
        self.array(length(len)?);
        Parts::new(self, 2)
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Self::SerializeMap, Failed> {
        self.track.mix(kind::MAP);
        Parts::of_unsure(self, len, true)
    }

    fn serialize_struct(
        self,
        _: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStruct, Failed> {
        self.track.mix(kind::STRUCT);
        self.map(length(len)?);
        Parts::new(self, 1)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStructVariant, Failed> {
        self.variant(index, variant)?;
        self.map(length(len)?);
        Parts::new(self, 2)
    }
}

/// The parts of a sequence, a map or a struct, one after the other.
pub(super) struct Parts<'e, 'a, T> {
    encoder: &'e mut Encoder<'a, T>,
    /// How many levels its parts are deeper than itself.
    levels: u16,
    /// For sequences and maps: the result of [`Track::begin`].
    at: u64,
    /// For sequences and maps: the shape of the last element.
    last: u64,
    written: u32,
    /// The announced number of parts; `None` if it was not announced.
    said: Option<u32>,
    /// Where its marker belongs, which is written last if the number was not announced.
    marker: usize,
    /// For maps: whether the key is the name of a field.
    named: bool,
    /// For maps that are made of fields and other maps (`#[serde(flatten)]`): two small Bloom
    /// filters, of the names of fields and of the other keys.
    keys: [u64; 2],
}

impl<'e, 'a, T: Track> Parts<'e, 'a, T> {
    /// The parts of a tuple or a struct, whose length has been written.
    #[inline]
    fn new(encoder: &'e mut Encoder<'a, T>, levels: u16) -> Result<Self, Failed> {
        encoder.deeper(levels)?;
        Ok(Parts {
            encoder,
            levels,
            at: 0,
            last: 0,
            written: 0,
            said: None,
            marker: 0,
            named: false,
            keys: [0; 2],
        })
    }

    /// The parts of a sequence or a map, whose length may be unknown.
    #[inline]
    fn of_unsure(
        encoder: &'e mut Encoder<'a, T>,
        len: Option<usize>,
        is_map: bool,
    ) -> Result<Self, Failed> {
        let said = len.map(length).transpose()?;
        let marker = encoder.out.len();
        match said {
            Some(len) if is_map => encoder.map(len),
            Some(len) => encoder.array(len),
            None => {}
        }
        let at = encoder.track.begin();
        Ok(Parts {
            at,
            said,
            marker,
            ..Parts::new(encoder, 1)?
        })
    }

    #[inline]
    fn part<V: Serialize + ?Sized>(&mut self, value: &V) -> Result<(), Failed> {
        value.serialize(&mut *self.encoder)
    }

    /// Writes a part that may be a tag. The text of a tag counts for the shape, because it decides
    /// which other parts there are.
    #[inline]
    fn maybe_tag<V: Serialize + ?Sized>(&mut self, value: &V) -> Result<(), Failed> {
        let before = self.encoder.out.len();
        self.part(value)?;
        if is_tag::<V>()
            && let Some(text) = self.encoder.out.get(before..)
            && text.len() <= 64
        {
            self.encoder.track.mix(content(text));
        }
        Ok(())
    }

    #[inline]
    fn field<V: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &V,
    ) -> Result<(), Failed> {
        self.encoder.track.mix(named(name));
        let before = self.encoder.out.len();
        self.encoder.text(name)?;
        self.maybe_tag(value)?;
        if name.len() == JSON_NUMBER.len() && name == JSON_NUMBER {
            json_number::simplify(self.encoder.out, before);
        }
        Ok(())
    }

    #[inline]
    fn ended(self) {
        self.encoder.track.mix(kind::END);
        self.encoder.levels += self.levels;
    }

    /// Notes a key of a map that is made of several, and reports a doubt if it may be there twice.
    fn mind_key(&mut self, before: usize) {
        let hash = content(self.encoder.out.get(before..).unwrap_or_default());
        let bits = 1 << (hash >> 58) | 1 << (hash >> 52 & 63);
        let [names, others] = self.keys;
        let against = match self.named {
            true => names | others,
            false => names,
        };
        self.keys[usize::from(!self.named)] |= bits;
        if against & bits == bits {
            self.encoder.track.doubt();
        }
    }

    /// Writes the length if it was not announced; refuses a wrong announcement.
    #[inline]
    fn count(self, is_map: bool) -> Result<(), Failed> {
        self.encoder.track.end(self.at, self.written);
        self.encoder.levels += self.levels;
        match self.said {
            Some(said) if said == self.written => Ok(()),
            Some(said) => Err(miscounted(said, self.written)),
            None => {
                let mut head = Vec::new();
                match is_map {
                    true => write_map(&mut head, self.written),
                    false => write_array(&mut head, self.written),
                }
                self.encoder.out.splice(self.marker..self.marker, head);
                Ok(())
            }
        }
    }
}

#[cold]
fn miscounted(said: u32, written: u32) -> Failed {
    CodecError::Encode(format!(
        "it says that it has {said} elements, and writes {written}"
    ))
    .into()
}

impl<T: Track> ser::SerializeSeq for Parts<'_, '_, T> {
    type Ok = ();
    type Error = Failed;

    #[inline]
    fn serialize_element<V: Serialize + ?Sized>(&mut self, value: &V) -> Result<(), Failed> {
        self.part(value)?;
        self.encoder.track.element(self.at, &mut self.last);
        self.written = self.written.wrapping_add(1);
        Ok(())
    }

    #[inline]
    fn end(self) -> Result<(), Failed> {
        self.count(false)
    }
}

impl<T: Track> ser::SerializeMap for Parts<'_, '_, T> {
    type Ok = ();
    type Error = Failed;

    #[inline]
    fn serialize_key<K: Serialize + ?Sized>(&mut self, key: &K) -> Result<(), Failed> {
        // With `#[serde(flatten)]` a struct is written as a map, and its fields' names as keys.
        self.named = is_tag::<K>();
        let before = self.encoder.out.len();
        self.maybe_tag(key)?;
        json_number::check_key(self.encoder.out.get(before..).unwrap_or_default())?;
        // A map of known length may still begin with the tag of an enum: `#[serde(tag = "kind")]`.
        if self.said.is_none() || self.named || self.keys[0] != 0 {
            self.mind_key(before);
        }
        Ok(())
    }

    #[inline]
    fn serialize_value<V: Serialize + ?Sized>(&mut self, value: &V) -> Result<(), Failed> {
        self.maybe_tag(value)?;
        self.written = self.written.wrapping_add(1);
        if self.named {
            // The set of fields counts for the shape of the whole value, as in a struct.
            self.at = self.encoder.track.begin();
            self.last = 0;
        } else {
            self.encoder.track.element(self.at, &mut self.last);
        }
        Ok(())
    }

    #[inline]
    fn end(self) -> Result<(), Failed> {
        self.count(true)
    }
}

macro_rules! parts {
    ($($parts:ident $method:ident $(named $name:ident)?;)*) => {
        $(impl<T: Track> ser::$parts for Parts<'_, '_, T> {
            type Ok = ();
            type Error = Failed;

            #[inline]
            fn $method<V: Serialize + ?Sized>(
                &mut self,
                $($name: &'static str,)?
                value: &V,
            ) -> Result<(), Failed> {
                parts!(self value $($name)?)
            }

            #[inline]
            fn end(self) -> Result<(), Failed> {
                self.ended();
                Ok(())
            }
        })*
    };
    ($self:ident $value:ident) => { $self.part($value) };
    ($self:ident $value:ident $name:ident) => { $self.field($name, $value) };
}

parts! {
    SerializeTuple serialize_element;
    SerializeTupleStruct serialize_field;
    SerializeTupleVariant serialize_field;
    SerializeStruct serialize_field named name;
    SerializeStructVariant serialize_field named name;
}

#[cfg(test)]
mod tests;
