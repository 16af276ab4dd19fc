//! What travels between operators: one batch of records for one worker.
//!
//! Between threads a batch moves as it is. Between processes it is packed as MessagePack with field
//! names: timely's own encoding (bincode) can't carry untagged enums, flattened structs, skipped
//! fields or `serde_json::Value`, and fails only at run time. The batch's type is erased, so the
//! engine compiles once, and a batch that can't be packed or unpacked is an error of the step that
//! receives it.

use std::{any::Any, sync::OnceLock};

use crate::{
    error::BoxError,
    record::{Key, Record},
};

/// One batch for one worker.
#[derive(Default)]
pub(crate) struct Parcel {
    to: usize,
    load: Load,
    /// The form on the wire, made when it is first asked for.
    wire: OnceLock<Vec<u8>>,
}

#[derive(Default)]
enum Load {
    #[default]
    Empty,
    /// The batch itself.
    Here(Box<dyn Batch>),
    /// A batch that came from another process.
    Packed(Vec<u8>),
    /// A batch that could not be packed, and why: it fails where it arrives.
    Broken(String),
}

/// Records of one type.
pub(crate) trait Batch: Send {
    /// Appends the batch as MessagePack.
    fn pack(&self, into: &mut Vec<u8>) -> Result<(), BoxError>;

    /// Reads a packed batch.
    fn unpack(bytes: &[u8]) -> Result<Self, BoxError>
    where
        Self: Sized;

    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}

// The first byte of a parcel on the wire; others are free for control marks.
const EMPTY: u8 = 0;
const PACKED: u8 = 1;
const BROKEN: u8 = 2;

impl Parcel {
    pub(crate) fn new(to: usize, batch: impl Batch + 'static) -> Self {
        Parcel {
            to,
            load: Load::Here(Box::new(batch)),
            wire: OnceLock::new(),
        }
    }

    /// The worker that it is for.
    pub(crate) fn to(&self) -> usize {
        self.to
    }

    /// Sends it to another worker.
    pub(crate) fn redirect(&mut self, to: usize) {
        self.to = to;
        self.wire = OnceLock::new();
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(self.load, Load::Empty)
    }

    /// Takes the batch out.
    pub(crate) fn open<B: Batch + 'static>(self) -> Result<B, BoxError> {
        match self.load {
            Load::Here(batch) => match batch.into_any().downcast::<B>() {
                Ok(batch) => Ok(*batch),
                Err(_) => Err("a batch of another type came in".into()),
            },
            Load::Packed(bytes) => B::unpack(&bytes),
            Load::Broken(cause) => Err(cause.into()),
            Load::Empty => Err("an empty parcel came in".into()),
        }
    }

    /// The parcel's form on the wire.
    pub(crate) fn wire(&self) -> &[u8] {
        self.wire.get_or_init(|| self.to_wire())
    }

    fn to_wire(&self) -> Vec<u8> {
        let mut bytes = vec![EMPTY];
        bytes.extend_from_slice(&(self.to as u64).to_le_bytes());
        let head = bytes.len();
        match &self.load {
            Load::Empty => {}
            Load::Here(batch) => match batch.pack(&mut bytes) {
                Ok(()) => bytes[0] = PACKED,
                Err(cause) => {
                    bytes.truncate(head);
                    bytes[0] = BROKEN;
                    bytes.extend_from_slice(format!("a record can't be sent: {cause}").as_bytes());
                }
            },
            Load::Packed(packed) => {
                bytes[0] = PACKED;
                bytes.extend_from_slice(packed);
            }
            Load::Broken(cause) => {
                bytes[0] = BROKEN;
                bytes.extend_from_slice(cause.as_bytes());
            }
        }
        bytes
    }

    /// Reads what [`Parcel::to_wire`] wrote.
    pub(crate) fn from_wire(bytes: &[u8]) -> Self {
        let Some((head, load)) = bytes.split_first_chunk::<9>() else {
            let load = Load::Broken("a parcel came in without its head".to_owned());
            return Parcel {
                load,
                ..Parcel::default()
            };
        };
        let [tag, to @ ..] = *head;
        let load = match tag {
            EMPTY => Load::Empty,
            PACKED => Load::Packed(load.to_vec()),
            BROKEN => Load::Broken(String::from_utf8_lossy(load).into_owned()),
            _ => Load::Broken(format!("a parcel of unknown kind {tag} came in")),
        };
        #[allow(clippy::cast_possible_truncation)] // written from a usize
        let to = u64::from_le_bytes(to) as usize;
        Parcel {
            to,
            load,
            wire: OnceLock::new(),
        }
    }
}

/// A record on its way to the worker of its key, with the hash of the key's bytes.
pub(crate) struct Routed<K, V> {
    pub(crate) hash: u64,
    pub(crate) key: K,
    pub(crate) value: V,
}

/// Records that go by their keys.
pub(crate) struct Keyed<K, V>(pub(crate) Vec<Routed<K, V>>);

impl<K: Key, V: Record> Batch for Keyed<K, V> {
    fn pack(&self, into: &mut Vec<u8>) -> Result<(), BoxError> {
        for routed in &self.0 {
            into.extend_from_slice(&routed.hash.to_le_bytes());
            routed.key.encode(into)?;
            routed.value.encode(into)?;
        }
        Ok(())
    }

    fn unpack(mut bytes: &[u8]) -> Result<Self, BoxError> {
        let mut records = Vec::new();
        while let Some((hash, rest)) = bytes.split_first_chunk::<8>() {
            bytes = rest;
            records.push(Routed {
                hash: u64::from_le_bytes(*hash),
                key: K::decode_front(&mut bytes)?,
                value: V::decode_front(&mut bytes)?,
            });
        }
        if !bytes.is_empty() {
            return Err("a batch came in with bytes left over".into());
        }
        Ok(Keyed(records))
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// Records that all go to one worker.
pub(crate) struct Plain<T>(pub(crate) Vec<T>);

impl<T: Record> Batch for Plain<T> {
    fn pack(&self, into: &mut Vec<u8>) -> Result<(), BoxError> {
        for record in &self.0 {
            record.encode(into)?;
        }
        Ok(())
    }

    fn unpack(mut bytes: &[u8]) -> Result<Self, BoxError> {
        let mut records = Vec::new();
        while !bytes.is_empty() {
            records.push(T::decode_front(&mut bytes)?);
        }
        Ok(Plain(records))
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Untagged {
        Number(u64),
        Text { text: String },
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Loose {
        #[serde(skip_serializing_if = "Option::is_none")]
        a: Option<u64>,
        #[serde(flatten)]
        rest: serde_json::Map<String, serde_json::Value>,
        either: Untagged,
    }

    fn over_the_wire<B: Batch + 'static>(batch: B) -> Result<B, BoxError> {
        let parcel = Parcel::from_wire(&Parcel::new(3, batch).to_wire());
        assert_eq!(parcel.to(), 3);
        parcel.open()
    }

    #[test]
    fn what_bincode_cannot_carry_arrives() {
        let loose = |a, either| Loose {
            a,
            rest: serde_json::from_str(r#"{"x":[1,null,{"y":2.5}]}"#).unwrap(),
            either,
        };
        let records = vec![
            loose(None, Untagged::Number(1)),
            loose(Some(2), Untagged::Text { text: "t".into() }),
        ];
        let same = vec![
            loose(None, Untagged::Number(1)),
            loose(Some(2), Untagged::Text { text: "t".into() }),
        ];
        assert_eq!(over_the_wire(Plain(records)).unwrap().0, same);
    }

    #[test]
    fn keyed_records_keep_key_hash_and_order() {
        let routed = |n: u64| Routed {
            hash: n << 40,
            key: format!("k{n}"),
            value: n,
        };
        let there = over_the_wire(Keyed(vec![routed(2), routed(1)])).unwrap();
        let seen: Vec<_> = there.0.iter().map(|r| (r.hash, &*r.key, r.value)).collect();
        assert_eq!(seen, [(2 << 40, "k2", 2), (1 << 40, "k1", 1)]);
    }

    #[test]
    fn a_record_that_cannot_be_packed_fails_where_it_arrives() {
        struct Never;
        impl Serialize for Never {
            fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                Err(serde::ser::Error::custom("not today"))
            }
        }
        impl<'de> Deserialize<'de> for Never {
            fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
                Ok(Never)
            }
        }
        let error = over_the_wire(Plain(vec![Never])).err().unwrap().to_string();
        assert!(error.contains("not today"), "{error}");
    }

    #[test]
    fn bytes_that_are_no_parcel_are_an_error() {
        assert!(Parcel::from_wire(&[1, 2]).open::<Plain<u64>>().is_err());
        let unknown = Parcel::from_wire(&[9, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert!(unknown.open::<Plain<u64>>().is_err());
        let mut torn = Parcel::new(0, Plain(vec![String::from("abc")])).to_wire();
        torn.pop();
        assert!(Parcel::from_wire(&torn).open::<Plain<String>>().is_err());
    }
}
