//! The types, crate by crate.

use crate::shapes::Shape::{Optional, Untagged};
use crate::shapes::{ALL, BUFFERED, Sample, Shape, expect, keys_and_states_of, states_of};

/// A test for each type: its name, its type, some values of it, and the shapes in which it is
/// refused.
///
/// A `key` can be hashed, so it is tried as a key too.
macro_rules! types {
    ($kind:ident $(
        $name:ident: $type:ty = [$($value:expr),+ $(,)?] $(refused in $refused:expr)?;
    )*) => {$(
        #[test]
        fn $name() {
            struct This;

            impl Sample for This {
                type Type = $type;

                fn values() -> Vec<$type> {
                    vec![$($value),+]
                }
            }
            let refused: &[Shape] = types!(@refused $($refused)?);
            expect(refused, types!(@$kind));
        }
    )*};
    (@refused) => { &[] };
    (@refused $refused:expr) => { &$refused };
    (@key) => { keys_and_states_of::<This>() };
    (@state) => { states_of::<This>() };
}

mod std_types {
    use super::*;
    use std::borrow::Cow;
    use std::cmp::Reverse;
    use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
    use std::ffi::OsString;
    use std::marker::PhantomData;
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
    use std::num::{NonZeroU32, Wrapping};
    use std::ops::{Bound, Range};
    use std::path::PathBuf;
    use std::sync::Arc;
    use std::time::{Duration, SystemTime};

    types! { key
        u64_: u64 = [0, u64::MAX];
        i64_: i64 = [i64::MIN, -1, 1];
        u128_: u128 = [0, u128::MAX] refused in BUFFERED;
        i128_: i128 = [i128::MIN, i128::MAX] refused in BUFFERED;
        char_: char = ['a', '\u{1F600}'];
        unit: () = [()] refused in [Optional];
        string: String = ["".into(), "10.0.0.7".into(), "\u{0}".into()];
        boxed_str: Box<str> = ["a".into()];
        arc_str: Arc<str> = ["a".into()];
        cow: Cow<'static, str> = ["a".into()];
        os_string: OsString = ["a".into()];
        path: PathBuf = ["/a/b".into(), "c".into()];
        array: [u8; 32] = [[0; 32], [255; 32]];
        list: Vec<u8> = [vec![], vec![0, 255]];
        tuple: (u8, String, bool) = [(1, "a".into(), true)];
        duration: Duration = [Duration::MAX, Duration::from_nanos(1)];
        system_time: SystemTime = [SystemTime::UNIX_EPOCH + Duration::from_millis(1500)];
        ip_addr: IpAddr = [[10, 0, 0, 7].into(), [1; 16].into()];
        ipv4_addr: Ipv4Addr = [[10, 0, 0, 7].into()];
        ipv6_addr: Ipv6Addr = [Ipv6Addr::LOCALHOST];
        socket_addr: SocketAddr = [([127, 0, 0, 1], 80).into(), ([1; 16], 443).into()];
        range: Range<u64> = [0..7];
        bound: Bound<u64> = [Bound::Unbounded, Bound::Included(1), Bound::Excluded(2)];
        result: Result<u8, String> = [Ok(1), Err("no".into())];
        option: Option<u8> = [None, Some(0)] refused in [Optional];
        non_zero: NonZeroU32 = [NonZeroU32::MAX];
        wrapping: Wrapping<u8> = [Wrapping(7)];
        reverse: Reverse<u64> = [Reverse(7)];
        phantom: PhantomData<u8> = [PhantomData] refused in [Optional, Untagged];
        b_tree_map: BTreeMap<u64, String> = [[(7, "a".into()), (1, "b".into())].into(), [].into()];
        b_tree_map_of_pairs: BTreeMap<(u8, bool), u8> = [[((1, true), 7)].into()];
        b_tree_set: BTreeSet<char> = [['b', 'a'].into()];
        deque: VecDeque<u64> = [[1, 2].into()];
    }

    types! { state
        f64_: f64 = [0.1, -0.0, f64::INFINITY, f64::MIN_POSITIVE];
        f32_: f32 = [0.1, f32::MAX];
        hash_map: HashMap<String, u64> = [(0..50).map(|n| (n.to_string(), n)).collect()];
        hash_map_of_numbers: HashMap<u64, u64> = [(0..50).map(|n| (n, n)).collect()];
        hash_set: HashSet<IpAddr> = [(0..50).map(|n| [10, 0, 0, n].into()).collect()];
    }
}

mod times {
    use super::*;

    types! { key
        chrono_utc: chrono::DateTime<chrono::Utc> = [
            chrono::DateTime::UNIX_EPOCH,
            chrono::DateTime::from_timestamp(1_700_000_000, 123_456_789).unwrap(),
        ];
        chrono_offset: chrono::DateTime<chrono::FixedOffset> = [
            "2026-11-26T23:00:00.5+01:00".parse().unwrap(),
        ];
        chrono_date: chrono::NaiveDate = ["2026-11-26".parse().unwrap()];
        chrono_date_time: chrono::NaiveDateTime = [
            "2026-11-26T23:00:00.000000001".parse().unwrap(),
        ];
        chrono_weekday: chrono::Weekday = [chrono::Weekday::Thu];
        jiff_timestamp: jiff::Timestamp = [
            jiff::Timestamp::UNIX_EPOCH,
            "2026-11-26T23:00:00.000000001Z".parse().unwrap(),
        ];
        jiff_date_time: jiff::civil::DateTime = ["2026-11-26T23:00:00".parse().unwrap()];
        jiff_date: jiff::civil::Date = ["2026-11-26".parse().unwrap()];
        jiff_signed_duration: jiff::SignedDuration = [jiff::SignedDuration::MIN];
        time_offset_date_time: time::OffsetDateTime = [
            time::OffsetDateTime::UNIX_EPOCH,
            time::OffsetDateTime::from_unix_timestamp_nanos(1_700_000_000_123_456_789).unwrap(),
        ];
        time_date: time::Date = [time::Date::MAX];
        time_duration: time::Duration = [time::Duration::MIN];
        time_weekday: time::Weekday = [time::Weekday::Thursday];
    }

    types! { state
        jiff_zoned: jiff::ZonedDateTime = [
            "2026-11-26T23:00:00.5+01:00[+01:00]".parse().unwrap(),
        ];
    }
}

mod numbers {
    use super::*;
    use ordered_float::{NotNan, OrderedFloat};

    types! { key
        decimal: rust_decimal::Decimal = [
            rust_decimal::Decimal::new(1050, 2),
            rust_decimal::Decimal::MAX,
        ];
        big_decimal: bigdecimal::BigDecimal = ["0.1".parse().unwrap(), "1e400".parse().unwrap()];
        big_int: num_bigint::BigInt = [num_bigint::BigInt::from(-1).pow(3), (1u128 << 100).into()];
        big_uint: num_bigint::BigUint = [num_bigint::BigUint::from(7u8).pow(200)];
        ordered_float: OrderedFloat<f64> = [OrderedFloat(0.1), OrderedFloat(f64::INFINITY)];
        not_nan: NotNan<f64> = [NotNan::new(-1.5).unwrap()];
    }

    types! { state
        ordered_nan: OrderedFloat<f64> = [OrderedFloat(f64::NAN)];
        point: geo_types::Point<f64> = [geo_types::Point::new(13.4, 52.5)];
        polygon: geo_types::Polygon<f64> = [geo_types::Rect::new((0., 0.), (1., 2.)).to_polygon()];
    }
}

mod names {
    use super::*;

    bitflags::bitflags! {
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, serde::Serialize, serde::Deserialize)]
        struct Rights: u32 {
            const READ = 1;
            const WRITE = 2;
        }
    }

    types! { key
        uuid: uuid::Uuid = [uuid::Uuid::nil(), uuid::Uuid::from_u128(7)];
        ulid: ulid::Ulid = [ulid::Ulid::from_parts(7, 7)];
        ip_net: ipnet::IpNet = ["10.0.0.0/8".parse().unwrap(), "fe80::/10".parse().unwrap()];
        ipv4_net: ipnet::Ipv4Net = ["10.0.0.0/8".parse().unwrap()];
        flags: Rights = [Rights::READ | Rights::WRITE, Rights::empty()];
        url: url::Url = ["https://example.com/a?b=c#d".parse().unwrap()];
        version: semver::Version = ["1.2.3-rc.1+build".parse().unwrap()];
        version_req: semver::VersionReq = [">=1.2, <2".parse().unwrap()];
        utf8_path: camino::Utf8PathBuf = ["/a/b".into()];
        small_string: smol_str::SmolStr = ["a".into(), "a text that is not small at all".into()];
        compact_string: compact_str::CompactString = ["a".into()];
        array_string: arrayvec::ArrayString<8> = [arrayvec::ArrayString::from("a").unwrap()];
        heapless_string: heapless::String<8> = ["a".try_into().unwrap()];
        byte_string: bstr::BString = ["a".into(), vec![0, 255].into()];
    }
}

mod collections {
    use super::*;
    use either::Either;

    types! { key
        either: Either<u64, String> = [Either::Left(1), Either::Right("a".into())];
        bytes: bytes::Bytes = [bytes::Bytes::new(), vec![0, 255].into()];
        byte_buf: serde_bytes::ByteBuf = [serde_bytes::ByteBuf::from([0, 255])];
        byte_array: serde_bytes::ByteArray<4> = [serde_bytes::ByteArray::new([0, 1, 254, 255])];
        small_vec: smallvec::SmallVec<[u64; 2]> = [
            smallvec::smallvec![1],
            smallvec::smallvec![1, 2, 3],
        ];
        array_vec: arrayvec::ArrayVec<u64, 4> = [[1, 2].into_iter().collect()];
        heapless_vec: heapless::Vec<u64, 4> = [[1, 2].into_iter().collect()];
    }

    types! { state
        bytes_mut: bytes::BytesMut = [bytes::BytesMut::from(&[0, 255][..])];
        index_map: indexmap::IndexMap<String, u64> = [
            (0..50).rev().map(|n| (n.to_string(), n)).collect(),
        ];
        index_set: indexmap::IndexSet<u64> = [(0..50).rev().collect()];
        hashbrown_map: hashbrown::HashMap<u64, String> = [
            (0..50).map(|n| (n, n.to_string())).collect(),
        ];
        hashbrown_set: hashbrown::HashSet<String> = [(0..50).map(|n| n.to_string()).collect()];
    }
}

mod documents {
    use super::*;
    use serde::{Deserialize, Serialize};
    use serde_json::{Map, Number, Value, json, value::RawValue};

    /// The text that was read, as it was.
    #[derive(Serialize, Deserialize, Debug)]
    struct Raw(Box<RawValue>);

    impl PartialEq for Raw {
        fn eq(&self, other: &Raw) -> bool {
            self.0.get() == other.0.get()
        }
    }

    fn raw(text: &str) -> Raw {
        Raw(RawValue::from_string(text.to_owned()).unwrap())
    }

    types! { key
        json_value: Value = [json!({"a": [1, -1, 0.5, "x", true, null], "b": {}}), json!("a")];
        json_map: Map<String, Value> = [Map::from_iter([("a".to_owned(), json!([null]))])];
        json_number: Number = [1.into(), Number::from_f64(0.1).unwrap()];
    }

    types! { state
        json_null: Value = [Value::Null] refused in [Optional];
        raw_value: Raw = [raw("{\"a\": 1.50}")] refused in ALL;
        toml_value: toml::Value = [toml::from_str("a = [1, 2.5]\nb = 2026-11-26").unwrap()];
    }
}

/// Types that have no serde of their own: with the adapters that people use.
mod adapted {
    use super::*;
    use petgraph::graph::DiGraph;
    use serde::{Deserialize, Serialize};

    #[derive(Clone, Serialize, Deserialize, PartialEq, Eq, Hash, Debug)]
    struct Method(#[serde(with = "http_serde::method")] http::Method);

    #[derive(Clone, Serialize, Deserialize, PartialEq, Eq, Hash, Debug)]
    struct Status(#[serde(with = "http_serde::status_code")] http::StatusCode);

    #[derive(Clone, Serialize, Deserialize, PartialEq, Eq, Hash, Debug)]
    struct Uri(#[serde(with = "http_serde::uri")] http::Uri);

    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Headers(#[serde(with = "http_serde::header_map")] http::HeaderMap);

    fn headers() -> http::HeaderMap {
        let value = |text| http::HeaderValue::from_static(text);
        let several = [("a", value("1")), ("a", value("2")), ("b", value("3"))];
        let named = several.map(|(name, value)| (http::HeaderName::from_static(name), value));
        let mut headers = http::HeaderMap::new();
        named.into_iter().for_each(|(name, value)| {
            headers.append(name, value);
        });
        headers
    }

    #[derive(Serialize, Deserialize, Debug)]
    struct Graph(DiGraph<String, u64>);

    impl PartialEq for Graph {
        fn eq(&self, other: &Graph) -> bool {
            format!("{self:?}") == format!("{other:?}")
        }
    }

    fn graph() -> Graph {
        let mut graph = DiGraph::new();
        let [a, b] = ["a", "b"].map(|name| graph.add_node(name.to_owned()));
        graph.add_edge(a, b, 7);
        Graph(graph)
    }

    types! { key
        http_method: Method = [Method(http::Method::GET)];
        http_status: Status = [Status(http::StatusCode::NOT_FOUND)];
        http_uri: Uri = [Uri(http::Uri::from_static("https://example.com/a?b"))];
    }

    types! { state
        http_headers: Headers = [Headers(headers())];
        directed_graph: Graph = [graph()];
    }
}

/// Types of a user's own, with the attributes of serde that change what is written.
mod attributes {
    use super::*;
    use serde::{Deserialize, Serialize};
    use std::collections::{BTreeMap, HashMap};
    use std::net::IpAddr;

    #[derive(Clone, Serialize, Deserialize, PartialEq, Eq, Hash, Debug)]
    struct Unit;

    #[derive(Clone, Serialize, Deserialize, PartialEq, Eq, Hash, Debug)]
    struct Pair(u64, Box<str>);

    #[derive(Clone, Serialize, Deserialize, PartialEq, Eq, Hash, Debug)]
    #[serde(transparent)]
    struct Transparent {
        value: Vec<IpAddr>,
    }

    #[derive(Clone, Serialize, Deserialize, PartialEq, Eq, Hash, Debug)]
    #[serde(rename_all = "kebab-case", deny_unknown_fields)]
    struct Named {
        one_field: u8,
        #[serde(rename = "type", alias = "kind")]
        other_field: Option<String>,
    }

    #[derive(Clone, Serialize, Deserialize, PartialEq, Eq, Hash, Debug)]
    enum Kinds {
        Unit,
        Newtype(u64),
        Tuple(u8, IpAddr),
        Struct { left: Option<u8>, right: Box<Kinds> },
    }

    #[derive(Clone, Serialize, Deserialize, PartialEq, Eq, Hash, Debug)]
    #[serde(tag = "type", rename_all = "lowercase")]
    enum Event {
        Login(Login),
        Logout,
    }

    #[derive(Clone, Serialize, Deserialize, PartialEq, Eq, Hash, Debug)]
    struct Login {
        from: IpAddr,
        at: BTreeMap<u64, bool>,
    }

    #[derive(Clone, Serialize, Deserialize, PartialEq, Eq, Hash, Debug)]
    struct Line {
        account: String,
        #[serde(flatten)]
        event: Event,
    }

    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Extra {
        id: u64,
        #[serde(flatten)]
        rest: HashMap<String, serde_json::Value>,
    }

    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Numbered {
        id: u64,
        #[serde(flatten)]
        rest: BTreeMap<u64, u64>,
    }

    #[derive(Clone, Serialize, Deserialize, PartialEq, Eq, Hash, Debug)]
    struct Bytes {
        #[serde(with = "serde_bytes")]
        bytes: Vec<u8>,
    }

    #[derive(Clone, Default, Serialize, Deserialize, PartialEq, Eq, Hash, Debug)]
    #[serde(default)]
    struct Defaults {
        #[serde(skip_serializing_if = "Vec::is_empty")]
        list: Vec<u8>,
        #[serde(skip_serializing_if = "Option::is_none")]
        option: Option<u8>,
        #[serde(skip)]
        cache: u8,
    }

    #[derive(Clone, Serialize, Deserialize, PartialEq, Eq, Hash, Debug)]
    struct NoDefault {
        seen: u64,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        list: Vec<u8>,
    }

    #[derive(Clone, Serialize, Deserialize, PartialEq, Eq, Hash, Debug)]
    struct Hidden {
        #[serde(skip_serializing)]
        token: String,
    }

    #[derive(Clone, Serialize, Deserialize, PartialEq, Eq, Hash, Debug)]
    struct TwoNames {
        #[serde(rename(serialize = "out", deserialize = "in"))]
        n: u64,
    }

    #[derive(Clone, Serialize, Deserialize, PartialEq, Eq, Hash, Debug)]
    enum TwoNamesOfAVariant {
        Fine,
        #[serde(rename(serialize = "out", deserialize = "in"))]
        Lost,
    }

    #[derive(Clone, Serialize, Deserialize, PartialEq, Eq, Hash, Debug)]
    enum WriteOnly {
        Fine,
        #[serde(skip_deserializing)]
        Lost(u8),
    }

    #[derive(Clone, Serialize, Deserialize, PartialEq, Eq, Hash, Debug)]
    struct Wide {
        seen: u128,
        below: i128,
    }

    #[derive(Clone, Serialize, Deserialize, PartialEq, Eq, Hash, Debug)]
    struct Maybe {
        value: Option<serde_json::Value>,
    }

    fn json(text: &str) -> Option<serde_json::Value> {
        Some(serde_json::from_str(text).unwrap())
    }

    fn login() -> Event {
        Event::Login(Login {
            from: [10, 0, 0, 7].into(),
            at: [(7, true)].into(),
        })
    }

    types! { key
        unit_struct: Unit = [Unit] refused in [Optional, Untagged];
        tuple_struct: Pair = [Pair(1, "a".into())];
        transparent: Transparent = [Transparent { value: vec![[10, 0, 0, 7].into()] }];
        names: Named = [
            Named { one_field: 1, other_field: None },
            Named { one_field: 1, other_field: Some("a".into()) },
        ];
        kinds: Kinds = [
            Kinds::Unit,
            Kinds::Newtype(1),
            Kinds::Tuple(1, [10, 0, 0, 7].into()),
            Kinds::Struct { left: None, right: Box::new(Kinds::Unit) },
            Kinds::Struct { left: Some(1), right: Box::new(Kinds::Newtype(2)) },
        ];
        event: Event = [Event::Logout, login()];
        line: Line = [
            Line { account: "a".into(), event: Event::Logout },
            Line { account: "a".into(), event: login() },
        ];
        bytes: Bytes = [Bytes { bytes: vec![] }, Bytes { bytes: vec![0, 255] }];
        defaults: Defaults = [
            Defaults::default(),
            Defaults { list: vec![1], option: Some(1), cache: 0 },
        ];
        no_default_never_empty: NoDefault = [NoDefault { seen: 1, list: vec![1] }];
        no_default: NoDefault = [
            NoDefault { seen: 1, list: vec![1] },
            NoDefault { seen: 2, list: vec![] },
        ] refused in ALL;
        hidden: Hidden = [Hidden { token: "a".into() }] refused in ALL;
        two_names: TwoNames = [TwoNames { n: 1 }] refused in ALL;
        two_names_of_a_variant: TwoNamesOfAVariant = [
            TwoNamesOfAVariant::Fine,
            TwoNamesOfAVariant::Lost,
        ] refused in ALL;
        write_only: WriteOnly = [WriteOnly::Fine, WriteOnly::Lost(1)] refused in ALL;
        wide: Wide = [Wide { seen: u128::MAX, below: i128::MIN }] refused in BUFFERED;
        maybe: Maybe = [Maybe { value: None }, Maybe { value: json("[null]") }];
        maybe_null: Maybe = [Maybe { value: None }, Maybe { value: json("null") }] refused in ALL;
    }

    types! { state
        flattened_map: Extra = [Extra {
            id: 1,
            rest: [("a".to_owned(), json("[1.5, null]").unwrap())].into(),
        }];
        flattened_numbers: Numbered = [Numbered { id: 1, rest: [(7, 8)].into() }];
    }
}

/// Keys that are equal and are written differently: one of them would have two rows.
mod equal_keys {
    use super::*;
    use crate::shapes::Shape::StreamKey;
    use ordered_float::OrderedFloat;

    types! { key
        decimal: rust_decimal::Decimal = [
            rust_decimal::Decimal::new(10, 1),
            rust_decimal::Decimal::new(100, 2),
        ] refused in [StreamKey];
        big_decimal: bigdecimal::BigDecimal = [
            "1.0".parse().unwrap(),
            "1.00".parse().unwrap(),
        ] refused in [StreamKey];
        chrono_offset: chrono::DateTime<chrono::FixedOffset> = [
            "2026-11-26T23:00:00+01:00".parse().unwrap(),
            "2026-11-26T22:00:00+00:00".parse().unwrap(),
        ] refused in [StreamKey];
        time_offset: time::OffsetDateTime = [
            time::OffsetDateTime::UNIX_EPOCH,
            time::OffsetDateTime::UNIX_EPOCH.to_offset(time::UtcOffset::from_hms(1, 0, 0).unwrap()),
        ] refused in [StreamKey];
        not_a_number: OrderedFloat<f64> = [
            OrderedFloat(f64::NAN),
            OrderedFloat(-f64::NAN),
        ] refused in [StreamKey];
        zero: OrderedFloat<f32> = [OrderedFloat(0.0), OrderedFloat(-0.0)] refused in [StreamKey];
        json_zero: serde_json::Value = [
            serde_json::json!([0.0]),
            serde_json::json!([-0.0]),
        ] refused in [StreamKey];
    }
}

/// What users may come up with.
mod odd {
    use super::*;
    use ordered_float::OrderedFloat;
    use serde::{Deserialize, Serialize};
    use serde_json::{Value, json};
    use std::borrow::Cow;
    use std::collections::{BTreeMap, HashMap};
    use std::rc::Rc;
    use std::sync::Arc;

    #[derive(Clone, Serialize, Deserialize, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
    struct Empty {}

    #[derive(Clone, Serialize, Deserialize, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
    struct Point {
        x: i32,
        y: Option<i32>,
    }

    /// The second one has all that the first one reads.
    #[derive(Clone, Serialize, Deserialize, PartialEq, Eq, Hash, Debug)]
    #[serde(untagged)]
    enum Overlapping {
        Less { x: u8 },
        More { x: u8, y: u8 },
    }

    #[derive(Clone, Serialize, Deserialize, PartialEq, Eq, Hash, Debug)]
    #[serde(untagged)]
    enum Numbers {
        Small(u8),
        Negative(i64),
        Large(u64),
        Float(OrderedFloat<f64>),
        List(Vec<Numbers>),
        Pair(u8, String),
    }

    #[derive(Clone, Serialize, Deserialize, PartialEq, Eq, Hash, Debug)]
    #[serde(untagged)]
    enum Nothing {
        Nothing,
        Number(u64),
    }

    #[derive(Clone, Serialize, Deserialize, PartialEq, Eq, Hash, Debug)]
    struct MaybeFlat {
        id: u8,
        #[serde(flatten)]
        point: Option<Point>,
    }

    #[derive(Clone, Serialize, Deserialize, PartialEq, Eq, Hash, Debug)]
    struct AllOptional {
        #[serde(skip_serializing_if = "Option::is_none")]
        a: Option<u8>,
    }

    #[derive(Clone, Serialize, Deserialize, PartialEq, Eq, Hash, Debug)]
    struct MaybeEmpty {
        id: u8,
        #[serde(flatten)]
        all: Option<AllOptional>,
    }

    #[derive(Clone, Serialize, Deserialize, PartialEq, Eq, Hash, Debug)]
    struct TwoFlat {
        #[serde(flatten)]
        first: Point,
        #[serde(flatten)]
        second: BTreeMap<String, i32>,
    }

    fn two(second: &[(&str, i32)]) -> TwoFlat {
        let second = second.iter().map(|(key, n)| ((*key).to_owned(), *n));
        TwoFlat {
            first: Point { x: 1, y: None },
            second: second.collect(),
        }
    }

    #[derive(Clone, Serialize, Deserialize, PartialEq, Eq, Hash, Debug)]
    enum Fallback {
        Known,
        #[serde(other)]
        Other,
    }

    #[derive(Clone, Serialize, Deserialize, PartialEq, Eq, Hash, Debug)]
    #[serde(tag = "kind")]
    enum Labelled {
        Labels(BTreeMap<String, String>),
        Unit,
        Empty {},
    }

    fn labels(key: &str) -> Labelled {
        Labelled::Labels([(key.to_owned(), "Unit".to_owned())].into())
    }

    types! { key
        empty: Empty = [Empty {}];
        struct_keys: BTreeMap<Point, u8> = [
            [(Point { x: 1, y: None }, 1), (Point { x: 1, y: Some(2) }, 2)].into(),
        ];
        wide_keys: BTreeMap<u128, i128> = [[(u128::MAX, i128::MIN)].into()] refused in BUFFERED;
        option_keys: BTreeMap<Option<u8>, Option<u8>> = [[(None, None), (Some(1), Some(0))].into()];
        overlapping_less: Overlapping = [Overlapping::Less { x: 1 }];
        overlapping: Overlapping = [Overlapping::More { x: 1, y: 2 }] refused in ALL;
        numbers: Numbers = [
            Numbers::Small(1),
            Numbers::Negative(-1),
            Numbers::Negative(1000),
            Numbers::Large(u64::MAX),
            Numbers::Float(OrderedFloat(2.0)),
            Numbers::List(vec![Numbers::Small(1), Numbers::Float(OrderedFloat(0.5))]),
            Numbers::Pair(1, "a".into()),
        ];
        nothing: Nothing = [Nothing::Nothing, Nothing::Number(1)] refused in [Optional];
        maybe_flat: MaybeFlat = [
            MaybeFlat { id: 1, point: None },
            MaybeFlat { id: 1, point: Some(Point { x: 1, y: None }) },
        ];
        flat_and_empty: MaybeEmpty = [
            MaybeEmpty { id: 1, all: Some(AllOptional { a: Some(1) }) },
            MaybeEmpty { id: 1, all: Some(AllOptional { a: None }) },
        ];
        two_flat: TwoFlat = [two(&[]), two(&[("z", 1)])];
        two_flat_meet: TwoFlat = [two(&[("x", 2)])] refused in ALL;
        fallback: Fallback = [Fallback::Known, Fallback::Other];
        labelled: Labelled = [labels("a"), Labelled::Unit, Labelled::Empty {}];
        labelled_as_another: Labelled = [labels("a"), labels("kind")] refused in ALL;
        arc: Arc<Point> = [Arc::new(Point { x: 1, y: None })];
        cow_of_a_struct: Cow<'static, Point> = [Cow::Owned(Point { x: 1, y: Some(1) })];
        cow_of_bytes: Cow<'static, [u8]> = [Cow::Owned(vec![0, 255])];
        private_key: Value = [json!({ "$serde_json::private::Number": "1.50" })] refused in ALL;
        private_key_of_a_map: BTreeMap<String, u8> = [
            [("$serde_json::private::RawValue".to_owned(), 1)].into(),
        ] refused in ALL;
    }

    types! { state
        rc: Rc<Point> = [Rc::new(Point { x: 1, y: None })];
        not_a_number: OrderedFloat<f32> = [OrderedFloat(f32::NAN), OrderedFloat(-f32::NAN)];
        keys_that_are_nan: HashMap<OrderedFloat<f32>, u8> = [[(OrderedFloat(f32::NAN), 1)].into()];
        unit_keys: HashMap<(), u8> = [[((), 1)].into()];
        maps_of_maps_of_wide: HashMap<u128, HashMap<i128, ()>> = [
            [(1, [(-1, ())].into())].into(),
        ] refused in BUFFERED;
    }
}
