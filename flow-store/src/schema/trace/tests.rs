use super::*;
use crate::schema::Fields;
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

/// A type that checks its value after it was made.
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
    // In a sequence nothing after a part that refuses all samples is reached.
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

/// A time with a human-readable form that calls `deserialize_any`, as those of the crate `time` do.
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
    // The type refuses all samples, but what it asks for is known.
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
