//! Refuses numbers that JSON can't express. Without this, serde_json would write `null`.

use serde::ser::{
    Error, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

/// A value or a serializer that lets only finite numbers through, and changes nothing else.
pub(super) struct Finite<T>(pub(super) T);

impl<T: Serialize + ?Sized> Serialize for Finite<&T> {
    #[inline]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(Finite(serializer))
    }
}

/// The end of the error text of a refused number.
pub(super) const NO_FORM: &str = "has no form in JSON";

#[cold]
fn not_finite<E: Error>(number: f64) -> E {
    E::custom(format_args!("{number} {NO_FORM}"))
}

/// Methods that pass on a plain value.
macro_rules! plain {
    ($($method:ident($type:ty)),* $(,)?) => { $(
        #[inline]
        fn $method(self, value: $type) -> Result<S::Ok, S::Error> {
            self.0.$method(value)
        }
    )* };
}

impl<S: Serializer> Serializer for Finite<S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Finite<S::SerializeSeq>;
    type SerializeTuple = Finite<S::SerializeTuple>;
    type SerializeTupleStruct = Finite<S::SerializeTupleStruct>;
    type SerializeTupleVariant = Finite<S::SerializeTupleVariant>;
    type SerializeMap = Finite<S::SerializeMap>;
    type SerializeStruct = Finite<S::SerializeStruct>;
    type SerializeStructVariant = Finite<S::SerializeStructVariant>;

    plain! {
        serialize_bool(bool),
        serialize_i8(i8), serialize_i16(i16), serialize_i32(i32), serialize_i64(i64),
        serialize_i128(i128), serialize_u8(u8), serialize_u16(u16), serialize_u32(u32),
        serialize_u64(u64), serialize_u128(u128), serialize_char(char), serialize_str(&str),
        serialize_bytes(&[u8]), serialize_unit_struct(&'static str),
    }

    #[inline]
    fn serialize_f32(self, value: f32) -> Result<S::Ok, S::Error> {
        match value.is_finite() {
            true => self.0.serialize_f32(value),
            false => Err(not_finite(value.into())),
        }
    }

    #[inline]
    fn serialize_f64(self, value: f64) -> Result<S::Ok, S::Error> {
        match value.is_finite() {
            true => self.0.serialize_f64(value),
            false => Err(not_finite(value)),
        }
    }

    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.0.serialize_none()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.0.serialize_some(&Finite(value))
    }

    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.0.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<S::Ok, S::Error> {
        self.0.serialize_unit_variant(name, index, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.0.serialize_newtype_struct(name, &Finite(value))
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let value = Finite(value);
        self.0
            .serialize_newtype_variant(name, index, variant, &value)
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        self.0.serialize_seq(len).map(Finite)
    }

    fn serialize_tuple(self, len: usize) -> Result<Self::SerializeTuple, S::Error> {
        self.0.serialize_tuple(len).map(Finite)
    }

    fn serialize_tuple_struct(
        self,
        name: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleStruct, S::Error> {
        self.0.serialize_tuple_struct(name, len).map(Finite)
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        let made = self.0.serialize_tuple_variant(name, index, variant, len);
        made.map(Finite)
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        self.0.serialize_map(len).map(Finite)
    }

    fn serialize_struct(
        self,
        name: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStruct, S::Error> {
        self.0.serialize_struct(name, len).map(Finite)
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        let made = self.0.serialize_struct_variant(name, index, variant, len);
        made.map(Finite)
    }

    fn collect_str<T: std::fmt::Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.0.collect_str(value)
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

/// Sequences of all kinds pass on their elements, and end.
macro_rules! elements {
    ($($trait:ident::$method:ident),*) => { $(
        impl<C: $trait> $trait for Finite<C> {
            type Ok = C::Ok;
            type Error = C::Error;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
                self.0.$method(&Finite(value))
            }

            fn end(self) -> Result<C::Ok, C::Error> {
                self.0.end()
            }
        }
    )* };
}
elements!(
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field
);

/// Structs of both kinds pass on their fields, and end.
macro_rules! fields {
    ($($trait:ident),*) => { $(
        impl<C: $trait> $trait for Finite<C> {
            type Ok = C::Ok;
            type Error = C::Error;

            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), C::Error> {
                self.0.serialize_field(name, &Finite(value))
            }

            fn skip_field(&mut self, name: &'static str) -> Result<(), C::Error> {
                self.0.skip_field(name)
            }

            fn end(self) -> Result<C::Ok, C::Error> {
                self.0.end()
            }
        }
    )* };
}
fields!(SerializeStruct, SerializeStructVariant);

impl<C: SerializeMap> SerializeMap for Finite<C> {
    type Ok = C::Ok;
    type Error = C::Error;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), C::Error> {
        self.0.serialize_key(&Finite(key))
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
        self.0.serialize_value(&Finite(value))
    }

    #[inline]
    fn serialize_entry<K: Serialize + ?Sized, V: Serialize + ?Sized>(
        &mut self,
        key: &K,
        value: &V,
    ) -> Result<(), C::Error> {
        self.0.serialize_entry(&Finite(key), &Finite(value))
    }

    fn end(self) -> Result<C::Ok, C::Error> {
        self.0.end()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(serde::Serialize)]
    struct Unit;

    #[derive(serde::Serialize)]
    struct Newtype<T>(T);

    #[derive(serde::Serialize)]
    struct Pair<T>(u8, T);

    #[derive(serde::Serialize)]
    struct Fields<T> {
        a: T,
        #[serde(skip_serializing_if = "Option::is_none")]
        b: Option<T>,
    }

    #[derive(serde::Serialize)]
    enum Variants<T> {
        Unit,
        Newtype(T),
        Pair(u8, T),
        Fields { a: T },
    }

    #[derive(serde::Serialize)]
    struct Flat<T> {
        id: u128,
        #[serde(flatten)]
        rest: BTreeMap<String, T>,
    }

    /// Values of every kind that contain this number.
    fn of_all_kinds(number: f64) -> Vec<Box<dyn Fn(bool) -> serde_json::Result<String>>> {
        fn both<T: Serialize + 'static>(
            value: T,
        ) -> Box<dyn Fn(bool) -> serde_json::Result<String>> {
            Box::new(move |checked| match checked {
                true => serde_json::to_string(&Finite(&value)),
                false => serde_json::to_string(&value),
            })
        }
        let map = BTreeMap::from([("x".to_owned(), number)]);
        vec![
            both(number),
            #[allow(clippy::cast_possible_truncation)]
            both(number as f32),
            both(Some(number)),
            both(Newtype(number)),
            both(Pair(1, number)),
            both(Fields { a: number, b: None }),
            both(Fields {
                a: 1.0,
                b: Some(number),
            }),
            both(Variants::Newtype(number)),
            both(Variants::Pair(1, number)),
            both(Variants::Fields { a: number }),
            both(vec![1.0, number]),
            both((1, "two", number)),
            both(map.clone()),
            both(Flat {
                id: u128::MAX,
                rest: map,
            }),
        ]
    }

    #[test]
    fn all_that_has_a_form_is_as_without_it() {
        for line in of_all_kinds(1.5) {
            assert_eq!(line(true).unwrap(), line(false).unwrap());
        }
        let plain = (
            Unit,
            Variants::<u8>::Unit,
            (),
            None::<u8>,
            'c',
            true,
            i128::MIN,
            [1u8, 2],
        );
        assert_eq!(
            serde_json::to_string(&Finite(&plain)).unwrap(),
            serde_json::to_string(&plain).unwrap()
        );
        let value = serde_json::json!({"a": [1, null, {"b": "c"}], "d": 1e300});
        assert_eq!(
            serde_json::to_string(&Finite(&value)).unwrap(),
            value.to_string()
        );
    }

    #[test]
    fn a_number_without_a_form_is_refused_wherever_it_is() {
        for (number, name) in [
            (f64::NAN, "NaN"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            for line in of_all_kinds(number) {
                let error = line(true).unwrap_err().to_string();
                assert_eq!(error, format!("{name} has no form in JSON"));
                assert!(line(false).unwrap().contains("null"));
            }
        }
    }
}
