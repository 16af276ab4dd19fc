//! Parcels, which travel between operators: one batch of records for one worker.
//!
//! Between threads, a batch is moved. Between processes, it is packed as MessagePack with field
//! names. timely's own encoding (bincode) can't carry untagged enums, flattened structs, skipped
//! fields or `serde_json::Value`, and fails only at run time.
//!
//! The batch's type is erased, so the engine compiles once. A batch that can't be packed or
//! unpacked is an error of the step that receives it.

use std::{any::Any, sync::OnceLock};

use crate::{
    chain::{
        Carried,
        pool::{Pool, Reuse},
    },
    error::BoxError,
    record::{Key, Record},
    time::{Mark, TimeKind},
};

/// One batch for one worker.
#[derive(Default)]
pub(crate) struct Parcel {
    to: usize,
    load: Load,
    /// The form on the wire, made when it is first needed.
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
    /// The reason why a batch could not be packed. The step that receives it fails.
    Broken(String),
    /// No batch: how far a worker's operator has come with what it has sent before.
    Mark { from: usize, mark: Mark },
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

    /// Gives records of a block their times, now that the partition's watermark before the block is
    /// known.
    fn raise(&mut self, watermark: i64) {
        let _ = watermark;
    }
}

// The kind of a parcel is its first byte on the wire.
const EMPTY: u8 = 0;
const PACKED: u8 = 1;
const BROKEN: u8 = 2;
const MARK: u8 = 3;

impl Parcel {
    pub(crate) fn new(to: usize, batch: Box<impl Batch + 'static>) -> Self {
        Parcel {
            to,
            load: Load::Here(batch),
            wire: OnceLock::new(),
        }
    }

    /// Tells a worker how far this one has come with what it has sent there.
    pub(crate) fn mark(to: usize, from: usize, mark: Mark) -> Self {
        Parcel {
            to,
            load: Load::Mark { from, mark },
            wire: OnceLock::new(),
        }
    }

    /// The worker that says how far it has come, and how far; `None` for a batch.
    pub(crate) fn as_mark(&self) -> Option<(usize, Mark)> {
        match self.load {
            Load::Mark { from, mark } => Some((from, mark)),
            _ => None,
        }
    }

    /// See [`Batch::raise`]. The parcel has not been on the wire.
    pub(crate) fn raise(&mut self, watermark: i64) {
        if let Load::Here(batch) = &mut self.load {
            batch.raise(watermark);
            self.wire = OnceLock::new();
        }
    }

    /// The worker that it goes to.
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
    pub(crate) fn open<B: Batch + 'static>(self) -> Result<Box<B>, BoxError> {
        match self.load {
            Load::Here(batch) => match batch.into_any().downcast::<B>() {
                Ok(batch) => Ok(batch),
                Err(_) => Err("a batch of another type came in".into()),
            },
            Load::Packed(bytes) => B::unpack(&bytes).map(Box::new),
            Load::Broken(cause) => Err(cause.into()),
            Load::Empty | Load::Mark { .. } => Err("an empty parcel came in".into()),
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
            Load::Mark { from, mark } => {
                bytes[0] = MARK;
                bytes.extend_from_slice(&(*from as u64).to_le_bytes());
                bytes.extend_from_slice(&mark.at.to_le_bytes());
                bytes.extend_from_slice(&mark.last.to_le_bytes());
            }
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
            MARK => read_mark(load),
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

/// Reads the load of a mark.
fn read_mark(load: &[u8]) -> Load {
    let number = |place: usize| {
        let bytes = load.get(8 * place..)?.first_chunk::<8>()?;
        Some(i64::from_le_bytes(*bytes))
    };
    let (Some(from), Some(at), Some(last)) = (number(0), number(1), number(2)) else {
        return Load::Broken("a torn mark came in".to_owned());
    };
    Load::Mark {
        from: usize::try_from(from).unwrap_or(usize::MAX),
        mark: Mark { at, last },
    }
}

/// Records that are routed by their keys.
///
/// The hashes have a vector of their own. So a table can look ahead over them, and records move
/// between vectors unchanged.
pub(crate) struct Keyed<K, V, Time> {
    /// The hash of the bytes of each record's key.
    pub(crate) hashes: Vec<u64>,
    pub(crate) records: Vec<Carried<V, K, Time>>,
    home: Option<Pool<Self>>,
}

impl<K, V, Time> Default for Keyed<K, V, Time> {
    fn default() -> Self {
        Keyed {
            hashes: Vec::new(),
            records: Vec::new(),
            home: None,
        }
    }
}

impl<K, V, Time> Reuse for Keyed<K, V, Time> {
    fn home(&mut self) -> &mut Option<Pool<Self>> {
        &mut self.home
    }

    fn clear(&mut self) {
        self.hashes.clear();
        self.records.clear();
    }

    fn room(&self) -> usize {
        self.records.capacity()
    }
}

impl<K: Key, V: Record, Time: TimeKind> Batch for Keyed<K, V, Time> {
    fn pack(&self, into: &mut Vec<u8>) -> Result<(), BoxError> {
        for (hash, (time, (key, value))) in self.hashes.iter().zip(&self.records) {
            into.extend_from_slice(&hash.to_le_bytes());
            time.encode(into)?;
            key.encode(into)?;
            value.encode(into)?;
        }
        Ok(())
    }

    fn unpack(mut bytes: &[u8]) -> Result<Self, BoxError> {
        let mut batch = Keyed::default();
        while let Some((hash, rest)) = bytes.split_first_chunk::<8>() {
            bytes = rest;
            batch.hashes.push(u64::from_le_bytes(*hash));
            let time = Time::decode_front(&mut bytes)?;
            let key = K::decode_front(&mut bytes)?;
            let value = V::decode_front(&mut bytes)?;
            batch.records.push((time, (key, value)));
        }
        if !bytes.is_empty() {
            return Err("a batch came in with bytes left over".into());
        }
        Ok(batch)
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }

    fn raise(&mut self, watermark: i64) {
        for (time, _) in &mut self.records {
            time.raise(watermark);
        }
    }
}

/// Records that all go to one worker.
pub(crate) struct Plain<T> {
    pub(crate) records: Vec<T>,
    home: Option<Pool<Self>>,
}

impl<T> Default for Plain<T> {
    fn default() -> Self {
        Vec::new().into()
    }
}

impl<T> From<Vec<T>> for Plain<T> {
    fn from(records: Vec<T>) -> Self {
        Plain {
            records,
            home: None,
        }
    }
}

impl<T> Reuse for Plain<T> {
    fn home(&mut self) -> &mut Option<Pool<Self>> {
        &mut self.home
    }

    fn clear(&mut self) {
        self.records.clear();
    }

    fn room(&self) -> usize {
        self.records.capacity()
    }
}

impl<T: Record> Batch for Plain<T> {
    fn pack(&self, into: &mut Vec<u8>) -> Result<(), BoxError> {
        for record in &self.records {
            record.encode(into)?;
        }
        Ok(())
    }

    fn unpack(mut bytes: &[u8]) -> Result<Self, BoxError> {
        let mut records = Vec::new();
        while !bytes.is_empty() {
            records.push(T::decode_front(&mut bytes)?);
        }
        Ok(records.into())
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::time::{EventTime, NoTime};

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

    fn over_the_wire<B: Batch + 'static>(batch: B) -> Result<Box<B>, BoxError> {
        let parcel = Parcel::from_wire(&Parcel::new(3, Box::new(batch)).to_wire());
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
        assert_eq!(over_the_wire(Plain::from(records)).unwrap().records, same);
    }

    fn keyed<Time>(times: [Time; 2]) -> Keyed<String, u64, Time> {
        let pairs = [2, 1u64].map(|n| (format!("k{n}"), n));
        Keyed {
            hashes: vec![2 << 40, 1 << 40],
            records: times.into_iter().zip(pairs).collect(),
            home: None,
        }
    }

    fn assert_same_pairs<Time>(there: &Keyed<String, u64, Time>) {
        assert_eq!(there.hashes, [2 << 40, 1 << 40]);
        let pairs = there.records.iter().map(|(_, pair)| pair.clone());
        assert!(pairs.eq([("k2".to_owned(), 2), ("k1".to_owned(), 1)]));
    }

    #[test]
    fn keyed_records_keep_key_hash_and_order() {
        let there = over_the_wire(keyed([NoTime, NoTime])).unwrap();
        assert_same_pairs(&there);
    }

    #[test]
    fn keyed_records_keep_their_times() {
        let times = [(-5, 0), (1_767_225_600_000_000, 60_000_000)];
        let there = over_the_wire(keyed(times.map(|(at, behind)| EventTime { at, behind })));
        let there = there.unwrap();
        assert_same_pairs(&there);
        let arrived = there.records.iter().map(|(time, _)| (time.at, time.behind));
        assert!(arrived.eq(times));
    }

    #[test]
    fn a_record_without_time_sends_no_byte_for_it() {
        let wire = Parcel::new(0, Box::new(keyed([NoTime, NoTime]))).to_wire();
        let mut pairs = Vec::new();
        for (hash, key, value) in [(2u64 << 40, "k2", 2u64), (1 << 40, "k1", 1)] {
            pairs.extend_from_slice(&hash.to_le_bytes());
            flow_store::encode(&key, &mut pairs).unwrap();
            flow_store::encode(&value, &mut pairs).unwrap();
        }
        assert_eq!(wire[9..], pairs);
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
        let error = over_the_wire(Plain::from(vec![Never]))
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("not today"), "{error}");
    }

    #[test]
    fn bytes_that_are_no_parcel_are_an_error() {
        assert!(Parcel::from_wire(&[1, 2]).open::<Plain<u64>>().is_err());
        let unknown = Parcel::from_wire(&[9, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert!(unknown.open::<Plain<u64>>().is_err());
        let mut torn = Parcel::new(0, Box::new(Plain::from(vec![String::from("abc")]))).to_wire();
        torn.pop();
        assert!(Parcel::from_wire(&torn).open::<Plain<String>>().is_err());
    }
}
