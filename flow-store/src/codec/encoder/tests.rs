use super::*;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
enum Event {
    Nothing,
    One(u64),
    Pair(i64, Option<String>),
    Named {
        at: Ipv4Addr,
        who: Box<Option<Event>>,
    },
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(tag = "type")]
enum Tagged {
    Unit,
    Fields { a: u8 },
    Inner(Inner),
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
struct Inner {
    x: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    y: Option<bool>,
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
struct Flat {
    own: u8,
    #[serde(flatten)]
    inner: Inner,
    #[serde(flatten)]
    rest: BTreeMap<String, serde_json::Value>,
}

#[derive(Serialize)]
struct Unit;
#[derive(Serialize)]
struct Id(u64);
#[derive(Serialize)]
struct Pair(u8, &'static str);

/// The bytes are compared with those of `rmp_serde`.
#[track_caller]
fn same(value: &impl Serialize) {
    let mut bytes = vec![7];
    crate::encode(value, &mut bytes).unwrap();
    let mut same = rmp_serde::Serializer::new(vec![7])
        .with_struct_map()
        .with_human_readable();
    value.serialize(&mut same).unwrap();
    assert_eq!(bytes, same.into_inner());
}

#[test]
fn the_bytes_are_those_of_rmp_serde() {
    for bit in 0..64 {
        let number = 1u64 << bit;
        for near in [number - 1, number, number + 1] {
            same(&near);
            same(&near.cast_signed());
            same(&near.wrapping_neg().cast_signed());
        }
    }
    same(&(i8::MIN, i16::MIN, i32::MIN, i64::MIN, u64::MAX));
    same(&(u128::MAX, i128::MIN, 0.1f32, f64::NAN, 'ä', true, false, ()));
    for len in [0, 1, 15, 16, 31, 32, 255, 256, 65_535, 65_536] {
        same(&"x".repeat(len));
        same(&vec![1u8; len]);
        same(&vec!["x"; len]);
        let map: BTreeMap<_, _> = (0..len).map(|n| (n, n)).collect();
        same(&map);
        same(&serde_bytes_like(len));
    }
    same(&(Unit, Id(3), Pair(1, "b")));
    let events = [
        Event::Nothing,
        Event::One(1),
        Event::Pair(-7, None),
        Event::Pair(-7, Some("s".to_owned())),
        Event::Named {
            at: Ipv4Addr::LOCALHOST,
            who: Box::new(Some(Event::Nothing)),
        },
    ];
    same(&events);
    let inner = Inner { x: 1.5, y: None };
    same(&[
        Tagged::Unit,
        Tagged::Fields { a: 1 },
        Tagged::Inner(inner.clone()),
    ]);
    let rest = (0..20).map(|n| (n.to_string(), serde_json::json!([n, { "a": null }])));
    same(&Flat {
        own: 1,
        inner,
        rest: rest.collect(),
    });
    let addresses: (IpAddr, SocketAddr) = ("::1".parse().unwrap(), "1.2.3.4:5".parse().unwrap());
    same(&addresses);
    same(&BTreeSet::from([Some(1), None]));
}

/// Serialized as bytes, not as a sequence of numbers.
fn serde_bytes_like(len: usize) -> impl Serialize {
    struct Bytes(usize);
    impl Serialize for Bytes {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_bytes(&vec![9; self.0])
        }
    }
    Bytes(len)
}

#[test]
fn an_extension_is_written_as_one() {
    struct Ext;
    impl Serialize for Ext {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            struct Data;
            impl Serialize for Data {
                fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                    s.serialize_bytes(&[1, 2])
                }
            }
            serializer.serialize_newtype_struct(EXTENSION, &(5i8, Data))
        }
    }
    same(&vec![Ext, Ext]);
}

#[test]
fn what_counts_its_elements_wrongly_is_refused() {
    struct Short;
    impl Serialize for Short {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            use ser::SerializeSeq as _;
            let mut parts = serializer.serialize_seq(Some(3))?;
            parts.serialize_element(&1)?;
            parts.end()
        }
    }
    let error = crate::encode(&Short, &mut Vec::new()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the value cannot be written as MessagePack: it says that it has 3 elements, and writes 1"
    );
}

#[derive(Serialize, Deserialize)]
struct Nested(Vec<Nested>);

fn nested(levels: u16) -> Nested {
    (1..levels).fold(Nested(Vec::new()), |inner, _| Nested(vec![inner]))
}

#[derive(Serialize, Deserialize)]
enum Chain {
    End,
    Link(Box<Chain>),
    Both { next: Box<Chain> },
}

#[test]
fn a_value_is_no_deeper_than_it_is_read() {
    let mut bytes = vec![1];
    crate::encode(&nested(LEVELS), &mut bytes).unwrap();
    crate::decode::<Nested>(&bytes[1..]).unwrap();
    bytes.truncate(1);
    let error = crate::encode(&nested(LEVELS + 1), &mut bytes).unwrap_err();
    assert_eq!((error, bytes.as_slice()), (CodecError::TooDeep, &[1][..]));
    // A variant is one level, and a variant with fields is two.
    let link = (0..LEVELS).fold(Chain::End, |chain, _| Chain::Link(Box::new(chain)));
    let both = |levels| {
        (0..levels / 2).fold(Chain::End, |chain, _| Chain::Both {
            next: Box::new(chain),
        })
    };
    for chain in [link, both(LEVELS)] {
        bytes.clear();
        crate::encode(&chain, &mut bytes).unwrap();
        crate::decode::<Chain>(&bytes).unwrap();
    }
    let error = crate::encode(&both(LEVELS + 2), &mut bytes).unwrap_err();
    assert_eq!(error, CodecError::TooDeep);
    // Deeper bytes of other programs are not read either: `rmp_serde` does not count every level.
    let deep = [
        [0x81, 0xa4, b'L', b'i', b'n', b'k'].repeat(5000),
        vec![0xa3, b'E', b'n', b'd'],
    ]
    .concat();
    let error = crate::decode::<Chain>(&deep).err().unwrap();
    assert_eq!(error, CodecError::TooDeep);
}

#[test]
fn a_some_that_is_written_as_none_is_refused() {
    #[derive(Serialize)]
    #[serde(untagged)]
    enum Maybe {
        Nothing,
        Number(u8),
    }
    let refused = |value: &dyn erased::Value| {
        let error = value.encode().unwrap_err();
        assert_eq!(error, CodecError::SomeOfNothing);
    };
    refused(&Some(None::<u8>));
    refused(&Some(()));
    refused(&Some(serde_json::Value::Null));
    refused(&vec![Some(Some(Maybe::Nothing))]);
    refused(&(1, Some(Id2(Box::new(None)))));
    crate::encode(
        &(Some(Maybe::Number(1)), None::<()>, Some(Unit)),
        &mut Vec::new(),
    )
    .unwrap();
}

#[derive(Serialize)]
struct Id2(Box<Option<u8>>);

mod erased {
    pub(super) trait Value {
        fn encode(&self) -> Result<(), crate::CodecError>;
    }
    impl<T: serde::Serialize> Value for T {
        fn encode(&self) -> Result<(), crate::CodecError> {
            crate::encode(self, &mut Vec::new())
        }
    }
}
