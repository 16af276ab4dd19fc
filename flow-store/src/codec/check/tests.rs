use super::*;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

const BOTH: [Checks; 2] = [Checks::Every, Checks::EachShape];

/// Encodes many good values, and then a bad one.
#[track_caller]
fn the_last_is_refused<T>(good: impl Fn(u64) -> T, bad: &T) -> CodecError
where
    T: Serialize + DeserializeOwned,
{
    let mut errors = BOTH.map(|checks| {
        let (mut checked, mut bytes) = (Checked::new(checks), Vec::new());
        for n in 0..9_999 {
            bytes.clear();
            checked.encode(&good(n), &mut bytes).unwrap();
        }
        // Repeated, so that chance plays no part.
        checked.random = 0;
        bytes.truncate(1);
        let error = checked.encode(bad, &mut bytes).unwrap_err();
        assert_eq!(bytes.len(), 1);
        error
    });
    assert_eq!(errors[0], errors[1]);
    std::mem::replace(&mut errors[0], CodecError::TooDeep)
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Loose {
    Number(u64),
    Wide { wide: u128 },
}

#[derive(Serialize, Deserialize)]
enum Status {
    Open,
    #[serde(rename(serialize = "closed"))]
    Closed,
    #[serde(rename(serialize = "gone"))]
    Gone(u8),
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type")]
enum Tagged {
    Login {
        at: u64,
    },
    #[serde(skip_deserializing)]
    Logout {
        at: u64,
    },
    Address {
        ip: u128,
    },
}

#[derive(Serialize, Deserialize, Default)]
struct State {
    seen: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left_out: Vec<u8>,
    map: HashMap<String, Option<i64>>,
}

#[test]
fn what_cannot_be_read_is_refused_when_it_is_first_written() {
    let cases = [
        the_last_is_refused(Loose::Number, &Loose::Wide { wide: 1 }),
        the_last_is_refused(|_| Status::Open, &Status::Closed),
        the_last_is_refused(|_| Status::Open, &Status::Gone(1)),
        the_last_is_refused(|at| Tagged::Login { at }, &Tagged::Logout { at: 1 }),
        the_last_is_refused(|at| Tagged::Login { at }, &Tagged::Address { ip: 1 }),
        // Among others in a list that grows and shrinks, at any depth.
        the_last_is_refused(
            |n| {
                (0..n % 30)
                    .map(|_| (n, vec![Status::Open]))
                    .collect::<Vec<_>>()
            },
            &vec![
                (1, vec![Status::Open]),
                (2, vec![Status::Open, Status::Closed]),
            ],
        ),
        the_last_is_refused(
            |n| {
                (0..n % 9)
                    .map(|n| (n, Some(Status::Open)))
                    .collect::<BTreeMap<_, _>>()
            },
            &BTreeMap::from([(1, Some(Status::Closed))]),
        ),
    ];
    for error in cases {
        assert!(matches!(error, CodecError::Unreadable(_)), "{error}");
        assert!(error.help().is_some());
    }
}

#[test]
fn a_field_that_is_left_out_is_another_shape() {
    let state = |n: u64| State {
        seen: n,
        left_out: vec![1; 1 + n as usize % 3],
        map: (0..n % 5).map(|n| (n.to_string(), Some(-1))).collect(),
    };
    let error = the_last_is_refused(state, &State::default());
    assert_eq!(
        error.to_string(),
        "it can be written, but not read back: missing field `left_out`"
    );
    assert!(error.help().unwrap().contains("#[serde(default)]"));
}

#[test]
fn a_name_that_comes_twice_is_found() {
    #[derive(Serialize, Deserialize)]
    struct Flat {
        own: u64,
        #[serde(flatten)]
        rest: BTreeMap<String, u64>,
    }
    let flat = |n: u64| Flat {
        own: n,
        rest: (0..n % 20).map(|n| (n.to_string(), n)).collect(),
    };
    let bad = Flat {
        own: 1,
        rest: BTreeMap::from([("own".to_owned(), 1)]),
    };
    let error = the_last_is_refused(flat, &bad);
    assert!(error.to_string().contains("duplicate field"), "{error}");

    #[derive(Serialize, Deserialize)]
    #[serde(tag = "kind")]
    enum Tagged {
        Labels(BTreeMap<String, u64>),
    }
    let labels = |n: u64| Tagged::Labels([(n.to_string(), n)].into());
    let bad = Tagged::Labels([("kind".to_owned(), 1)].into());
    the_last_is_refused(labels, &bad);
}

#[test]
fn a_value_that_comes_back_as_another_is_refused() {
    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Amount {
        Whole(u64),
        Single(f32),
        Exact {
            a: u8,
        },
        #[serde(rename_all = "UPPERCASE")]
        Never {
            #[serde(default)]
            b: u8,
        },
    }
    let (mut checked, mut bytes) = (Checked::new(Checks::Every), Vec::new());
    checked.encode(&Amount::Whole(1), &mut bytes).unwrap();
    checked.encode(&Amount::Single(1.5), &mut bytes).unwrap();
    checked.encode(&Amount::Exact { a: 1 }, &mut bytes).unwrap();
    checked.encode(&Amount::Never { b: 1 }, &mut bytes).unwrap();

    #[derive(Serialize, Deserialize)]
    struct Rounded(#[serde(serialize_with = "half")] u64);
    fn half<S: serde::Serializer>(n: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(n / 2)
    }
    let error = checked.encode(&Rounded(8), &mut bytes).unwrap_err();
    assert_eq!(error.to_string(), "it is written as 4, and read back as 2");
}

#[test]
fn a_text_with_its_parts_in_another_order_is_refused_with_the_way_out() {
    /// A map that is written as JSON in a text.
    struct AsText(Vec<u8>);
    impl Serialize for AsText {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(&format_args!("{:?}", self.0))
        }
    }
    impl<'de> Deserialize<'de> for AsText {
        fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
            let text = String::deserialize(d)?;
            let mut parts: Vec<u8> = serde_json::from_str(&text).unwrap();
            parts.reverse();
            Ok(AsText(parts))
        }
    }
    let mut checked = Checked::new(Checks::EachShape);
    let error = checked
        .encode(&AsText(vec![1, 2, 3]), &mut Vec::new())
        .unwrap_err();
    assert!(matches!(error, CodecError::Differs { .. }), "{error}");
    assert!(error.help().unwrap().contains("in a text"));
}

/// Distinguishes a `null` from a missing field: `serde_with::rust::double_option`, and the half of
/// it that only reads.
#[test]
fn a_field_that_may_be_null_or_not_there() {
    mod double_option {
        use serde::{Deserialize, Deserializer, Serialize, Serializer};

        #[allow(clippy::option_option)]
        pub(super) fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<Option<u64>>, D::Error> {
            Option::deserialize(deserializer).map(Some)
        }

        #[allow(clippy::option_option, clippy::ref_option)]
        pub(super) fn serialize<S: Serializer>(
            value: &Option<Option<u64>>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            value.flatten().serialize(serializer)
        }
    }
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    #[allow(clippy::option_option)]
    struct Both {
        #[serde(
            default,
            skip_serializing_if = "Option::is_none",
            with = "double_option"
        )]
        last: Option<Option<u64>>,
    }
    #[derive(Serialize, Deserialize)]
    #[allow(clippy::option_option)]
    struct Half {
        #[serde(
            default,
            skip_serializing_if = "Option::is_none",
            deserialize_with = "double_option::deserialize"
        )]
        last: Option<Option<u64>>,
    }
    assert!(crate::trace::<Both>().ambiguous().is_none());
    let (mut checked, mut bytes) = (Checked::new(Checks::Every), Vec::new());
    for last in [None, Some(None), Some(Some(7))] {
        bytes.clear();
        checked.encode(&Both { last }, &mut bytes).unwrap();
        assert_eq!(decode::<Both>(&bytes).unwrap(), Both { last });
    }
    let error = checked
        .encode(&Half { last: Some(None) }, &mut bytes)
        .unwrap_err();
    assert_eq!(error, CodecError::SomeOfNothing);
    assert!(error.help().unwrap().contains("double_option"), "{error}");
}

#[test]
fn maps_and_sets_may_be_in_any_order() {
    type Sets = HashMap<IpAddr, (HashSet<u64>, HashMap<String, HashSet<(u8, Option<bool>)>>)>;
    for checks in BOTH {
        let (mut checked, mut bytes) = (Checked::new(checks), Vec::new());
        for n in 0..50u8 {
            let set = |n: u8| (0..n).map(|n| (n, (n % 2 == 0).then_some(true)));
            let inner = |n: u8| (0..n).map(move |m| (m.to_string(), set(m).collect()));
            let sets: Sets = (0..n)
                .map(|n| {
                    let numbers = (0..u64::from(n) * 3).collect();
                    (
                        IpAddr::from([10, 0, 0, n]),
                        (numbers, inner(n % 7).collect()),
                    )
                })
                .collect();
            checked.encode(&sets, &mut bytes).unwrap();
        }
    }
    // Keys that are not the same are reported.
    let bytes_of = |value: &[(u8, u8)]| {
        let mut bytes = Vec::new();
        crate::encode(&value, &mut bytes).unwrap();
        bytes
    };
    let one = bytes_of(&[(1, 2), (3, 4)]);
    assert!(msgpack::same(&one, &bytes_of(&[(3, 4), (1, 2)])));
    assert!(!msgpack::same(&one, &bytes_of(&[(1, 2)])));
    assert!(!msgpack::same(&one, &bytes_of(&[(1, 2), (3, 5)])));
    assert!(!msgpack::same(&[0x82, 1, 2, 3, 4], &[0x82, 1, 3, 2, 4]));
    assert!(msgpack::same(&[0x82, 1, 2, 3, 4], &[0x82, 3, 4, 1, 2]));
}

/// The values that are read again if all are alike.
#[test]
fn one_shape_is_read_once_and_then_by_sample() {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    static READ: AtomicUsize = AtomicUsize::new(0);
    struct Counted(Vec<Option<u64>>);
    impl Serialize for Counted {
        fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
            self.0.serialize(s)
        }
    }
    impl<'de> Deserialize<'de> for Counted {
        fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
            READ.fetch_add(1, SeqCst);
            Vec::deserialize(d).map(Counted)
        }
    }
    let mut checked = Checked::new(Checks::EachShape);
    let mut encode = |values: Vec<Option<u64>>| {
        let before = READ.load(SeqCst);
        checked.encode(&Counted(values), &mut Vec::new()).unwrap();
        READ.load(SeqCst) - before
    };
    assert_eq!(encode(vec![Some(1)]), 1);
    assert_eq!(encode(vec![]), 1);
    assert_eq!(encode(vec![Some(1), None]), 1);
    // The same shape: longer, in another order, with other numbers.
    assert_eq!(encode(vec![None, Some(7), Some(1000)]), 0);
    let read: usize = (0..1000).map(|n| encode(vec![Some(n % 100)])).sum();
    assert!((10..=20).contains(&read), "{read}");
    let mut checked = Checked::new(Checks::Every);
    let before = READ.load(SeqCst);
    for n in 0..100 {
        checked
            .encode(&Counted(vec![Some(n)]), &mut Vec::new())
            .unwrap();
    }
    assert_eq!(READ.load(SeqCst) - before, 100);
}

/// A large value among many small ones, at any place.
#[test]
fn each_kind_of_value_is_in_the_sample() {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    static READ: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];
    #[derive(Serialize)]
    struct Counted(Vec<u8>);
    impl<'de> Deserialize<'de> for Counted {
        fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
            let bytes = Vec::deserialize(d)?;
            READ[usize::from(bytes.len() > 100)].fetch_add(1, SeqCst);
            Ok(Counted(bytes))
        }
    }
    for every in [2, 64, 100] {
        let mut checked = Checked::new(Checks::EachShape);
        let before = [0, 1].map(|kind: usize| READ[kind].load(SeqCst));
        for n in 0..1000 * every {
            let len = if n % every == 0 { 1000 } else { 1 };
            checked
                .encode(&Counted(vec![1; len]), &mut Vec::new())
                .unwrap();
        }
        let [small, large] = [0, 1].map(|kind| READ[kind].load(SeqCst) - before[kind]);
        // One of 64 of a thousand, and of the others.
        assert!((5..=30).contains(&large), "{large} of 1000, of {every}");
        assert!(small < 1000 * every / 40, "{small} of {}", 1000 * every);
    }
}

#[test]
fn where_no_more_shapes_are_remembered_a_new_one_is_refused() {
    let mut checked = Checked::new(Checks::EachShape);
    let value = |status: Status| (1, status);
    checked
        .encode(&value(Status::Open), &mut Vec::new())
        .unwrap();
    for n in 0..2 * MOST as u64 {
        checked.values.is_new(mix(START, n));
        checked.parts.is_new(mix(START, n));
    }
    checked.random = 0;
    let error = checked.encode(&value(Status::Closed), &mut Vec::new());
    assert!(matches!(error, Err(CodecError::Unreadable(_))), "{error:?}");
    let list = vec![value(Status::Open), value(Status::Closed)];
    let error = checked.encode(&list, &mut Vec::new());
    assert!(matches!(error, Err(CodecError::Unreadable(_))), "{error:?}");
}

/// The keys of a map are data, even if a type passes them as `&str`.
#[test]
fn borrowed_keys_are_no_names() {
    #[derive(Default, Deserialize)]
    #[serde(transparent)]
    struct Words(BTreeMap<String, u64>);
    impl Serialize for Words {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map(self.0.iter().map(|(word, n)| (word.as_str(), n)))
        }
    }
    let mut checked = Checked::new(Checks::EachShape);
    for n in 0..1000u64 {
        let words = (0..n % 20).map(|m| ((n * m).to_string(), m)).collect();
        checked.encode(&Words(words), &mut Vec::new()).unwrap();
    }
    assert!(checked.values.held <= 2, "{:?}", checked.values.held);
    assert!(checked.parts.held <= 4, "{:?}", checked.parts.held);
}

#[test]
fn so_many_shapes_are_remembered() {
    let mut seen = Seen::default();
    let shape = |n: u64| mix(START, n);
    for n in 0..MOST as u64 {
        assert!(seen.is_new(shape(n)), "{n}");
        assert!(!seen.is_new(shape(n / 2)), "{n}");
    }
    // Shapes that can't be remembered stay new.
    for n in 0..2 * MOST as u64 {
        assert_eq!(seen.is_new(shape(n)), n >= MOST as u64, "{n}");
    }
}

/// Growing numbers, and texts and maps with any names, are no new shapes.
#[test]
fn data_is_not_in_the_shape() {
    let mut checked = Checked::new(Checks::EachShape);
    for n in 0..5000i64 {
        let map: HashMap<String, i64> = (0..n % 50).map(|m| ((n * m).to_string(), n)).collect();
        let value = (
            n.pow(3),
            n as f64,
            "x".repeat(n as usize % 100),
            map,
            n % 2 == 0,
        );
        checked.encode(&value, &mut Vec::new()).unwrap();
    }
    assert!(checked.values.held <= 2, "{:?}", checked.values.held);
    assert!(checked.parts.held <= 4, "{:?}", checked.parts.held);
}
