//! Types that change between two runs: what is read as it is, what is converted, and what is
//! refused.
#![cfg(test)]

mod support;

use std::{fmt::Debug, marker::PhantomData, sync::Arc};

use flow::{Key, RunError, prelude::*, sink, source};
use flow_store::{KEY_GROUPS, Look};
use serde::{Serialize, de::DeserializeOwned};
use support::Workdir;

/// What these tests need of a key.
trait AsKey: Key + Serialize + DeserializeOwned + Sync {}
impl<K: Key + Serialize + DeserializeOwned + Sync> AsKey for K {}

/// What these tests need of a state.
trait AsState: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {}
impl<S: Serialize + DeserializeOwned + Clone + Send + Sync + 'static> AsState for S {}

/// A store with one step, `cart`, whose types change.
struct Store {
    work: Workdir,
    workers: usize,
}

/// What a run told of itself.
type Notices = Vec<String>;

impl Store {
    fn new() -> Self {
        Store {
            work: Workdir::new(),
            workers: 1,
        }
    }

    fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Runs a flow that sets the state of some keys.
    fn run<K: AsKey, S: AsState>(
        &self,
        states: Vec<(K, S)>,
        change: impl Fn(KeyedStream<K, ()>) -> KeyedStream<K, ()> + Send + Sync + 'static,
    ) -> Result<Notices, RunError> {
        let states = Arc::new(states);
        let told = Arc::new(std::sync::Mutex::new(Notices::new()));
        let tell = told.clone();
        Runner::new(move |flow: &Flow| {
            // Another run's input goes on where the last one's ended, and has nothing of its own.
            let numbers = flow.source(source::from_iter(0..100u64)).named("numbers");
            let states = states.clone();
            let first =
                numbers.filter_map(move |n| states.get(usize::try_from(n).unwrap()).cloned());
            let set = |state: &mut Option<S>, (_, new): (K, S)| *state = Some(new);
            let cart = first
                .key_on(|(key, _)| key.clone())
                .stateful_map_opt(set)
                .named("cart");
            change(cart).map(|_| ()).sink(sink::from_fn(|()| ()));
        })
        .workers(self.workers)
        .recover(Recovery::at(self.work.path("state")))
        .on_start(move |started| {
            let notices = started.notices.iter().map(ToString::to_string);
            *tell.lock().unwrap() = notices.collect();
        })
        .run()?;
        let told = told.lock().unwrap().clone();
        Ok(told)
    }

    fn put<K: AsKey, S: AsState>(&self, states: impl IntoIterator<Item = (K, S)>) {
        self.run(states.into_iter().collect(), |cart| cart).unwrap();
    }

    /// What the store holds for `cart`, by key.
    fn states<K: DeserializeOwned + Ord, S: DeserializeOwned>(&self) -> Vec<(K, S)> {
        support::look(&self.work.path("state"), |look: &Look| {
            let cart = look.steps().iter().find(|step| step.id == "cart").unwrap();
            let rows = look.rows(cart.number, 0..KEY_GROUPS).unwrap();
            let decode = |row: flow_store::Row| {
                let key = flow_store::decode(&row.key).unwrap();
                assert_eq!(row.group, flow_store::group(flow_store::hash(&row.key)));
                (key, flow_store::decode(&row.value).unwrap())
            };
            let mut states: Vec<(K, S)> = rows.map(|row| decode(row.unwrap())).collect();
            states.sort_by(|(a, _), (b, _)| a.cmp(b));
            states
        })
    }

    /// What the flow is told when it goes on with these types; a refused start has changed nothing.
    fn go_on<K, S>(
        &self,
        change: impl Fn(KeyedStream<K, ()>) -> KeyedStream<K, ()> + Send + Sync + 'static,
    ) -> Result<Notices, String>
    where
        K: AsKey,
        S: AsState,
    {
        let before = self.work.snapshot("state");
        let ended = self.run(Vec::<(K, S)>::new(), change);
        if ended.is_err() {
            before.assert_same(&self.work.snapshot("state"));
        }
        ended.map_err(|error| self.text(&error))
    }

    /// An error, without what is another each time: directories and places.
    fn text(&self, error: &RunError) -> String {
        let text = error.to_string();
        let text = text.replace(&self.work.path("state").display().to_string(), "STORE");
        let mut parts = text.split("tests/changes.rs:");
        let mut plain = parts.next().unwrap().to_owned();
        for part in parts {
            let end = part.find(|c: char| !c.is_ascii_digit() && c != ':');
            plain += "PLACE";
            plain += part[end.unwrap_or(part.len())..].trim_start_matches(':');
        }
        plain
    }
}

/// What becomes of a state that was stored as another type.
enum Expected<'a> {
    /// It is read as it is now, and this is said; a second start says nothing.
    Read(&'a [&'a str]),
    /// It is refused, with this.
    Refused(&'a str),
}
use Expected::{Read, Refused};

impl Store {
    #[track_caller]
    fn expect<S>(&self, now: &str, expected: &Expected<'_>)
    where
        S: AsState + Debug,
    {
        match expected {
            Read(differences) => {
                let notices = self.go_on::<u64, S>(|cart| cart).unwrap();
                if differences.is_empty() {
                    assert_eq!(notices, Notices::new());
                } else {
                    let head = "the states of step `cart` changed, and all could be read:";
                    let lines: String = differences
                        .iter()
                        .map(|line| format!("\n  {line}"))
                        .collect();
                    assert_eq!(notices, [format!("{head}{lines}")]);
                }
                // In the store, too, and not only for those keys that come up again.
                assert_eq!(format!("{:?}", self.states::<u64, S>()), now);
                assert_eq!(self.go_on::<u64, S>(|cart| cart), Ok(Notices::new()));
                assert_eq!(format!("{:?}", self.states::<u64, S>()), now);
            }
            Refused(message) => {
                assert_eq!(
                    self.go_on::<u64, S>(|cart| cart),
                    Err((*message).to_owned())
                );
            }
        }
    }
}

/// Stores a state of one type and goes on with another one, both called `Cart`.
macro_rules! change {
    ($name:ident: { $($was:item)* } $value:expr => { $($is:item)* } $now:expr, $expected:expr) => {
        #[test]
        fn $name() {
            let store = Store::new();
            {
                $(#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)] $was)*
                store.put([(7u64, $value)]);
            }
            {
                $(#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)] $is)*
                store.expect::<Cart>($now, &$expected);
            }
        }
    };
}

change!(the_same_type: { struct Cart { paid: u32 } } Cart { paid: 1 } =>
    { struct Cart { paid: u32 } } "[(7, Cart { paid: 1 })]", Read(&[]));

change!(another_name_of_the_type: { struct Basket { paid: u32 } } Basket { paid: 1 } =>
    { struct Cart { paid: u32 } } "[(7, Cart { paid: 1 })]", Read(&[]));

change!(a_newtype_around_a_field: { struct Cart { paid: u32 } } Cart { paid: 1 } =>
    { struct Cents(u32); struct Cart { paid: Cents } } "[(7, Cart { paid: Cents(1) })]", Read(&[]));

change!(a_field_is_added_with_a_default: { struct Cart { paid: u32 } } Cart { paid: 1 } =>
    { struct Cart { paid: u32, #[serde(default)] note: String } }
    "[(7, Cart { paid: 1, note: \"\" })]", Read(&["`Cart.note` is new: String"]));

change!(an_option_is_added: { struct Cart { paid: u32 } } Cart { paid: 1 } =>
    { struct Cart { paid: u32, note: Option<String> } }
    "[(7, Cart { paid: 1, note: None })]", Read(&["`Cart.note` is new: Option<String>"]));

change!(a_field_is_added_without_a_default: { struct Cart { paid: u32 } } Cart { paid: 1 } =>
    { struct Cart { paid: u32, note: String } } "", Refused(
"the state of step `cart` for key 7 can't be read as `Cart`: the bytes cannot be read as this \
 type: missing field `note`
  `Cart.note` is new: String
help: `#[serde(default)]` on a new field reads what was stored without it
help: convert what is stored with `.migrate_from::<Old>(..)`, give it up with `--drop-state \
cart`, or go back to the type that is stored: struct Cart { paid: u32 }"));

change!(a_field_is_removed:
    { struct Cart { paid: u32, note: String } } Cart { paid: 1, note: String::new() } =>
    { struct Cart { paid: u32 } } "[(7, Cart { paid: 1 })]", Read(&["`Cart.note` is gone: it was \
        String"]));

change!(a_field_is_removed_and_unknown_ones_are_denied:
    { struct Cart { paid: u32, note: String } } Cart { paid: 1, note: String::new() } =>
    { #[serde(deny_unknown_fields)] struct Cart { paid: u32 } } "", Refused(
"the state of step `cart` for key 7 can't be read as `Cart`: the bytes cannot be read as this \
 type: unknown field `note`, expected `paid`
  `Cart.note` is gone: it was String
help: convert what is stored with `.migrate_from::<Old>(..)`, give it up with `--drop-state \
cart`, or go back to the type that is stored: struct Cart { paid: u32, note: String }"));

change!(a_field_is_renamed_with_an_alias: { struct Cart { paid: u32 } } Cart { paid: 1 } =>
    { struct Cart { #[serde(alias = "paid")] cents: u32 } }
    "[(7, Cart { cents: 1 })]", Read(&["`Cart.paid` is now `Cart.cents`"]));

change!(a_field_is_renamed_without_an_alias: { struct Cart { paid: u32 } } Cart { paid: 1 } =>
    { struct Cart { cents: u32 } } "", Refused(
"the state of step `cart` for key 7 can't be read as `Cart`: the bytes cannot be read as this \
 type: missing field `cents`
  `Cart.paid` is gone: it was u32
  `Cart.cents` is new: u32
help: if `paid` is now called `cents`, `#[serde(alias = \"paid\")]` on it reads what is stored
help: `#[serde(default)]` on a new field reads what was stored without it
help: convert what is stored with `.migrate_from::<Old>(..)`, give it up with `--drop-state \
cart`, or go back to the type that is stored: struct Cart { paid: u32 }"));

change!(fields_are_reordered: { struct Cart { a: u32, b: String } } Cart { a: 1, b: "x".into() } =>
    { struct Cart { b: String, a: u32 } }
    "[(7, Cart { b: \"x\", a: 1 })]", Read(&["`Cart` has another order"]));

change!(a_number_is_widened: { struct Cart { paid: u32 } } Cart { paid: u32::MAX } =>
    { struct Cart { paid: u64 } }
    "[(7, Cart { paid: 4294967295 })]", Read(&["`Cart.paid` was u32 and is u64"]));

change!(a_number_is_narrowed_and_fits: { struct Cart { paid: u64 } } Cart { paid: 200 } =>
    { struct Cart { paid: u8 } } "[(7, Cart { paid: 200 })]", Read(&["`Cart.paid` was u64 and is \
        u8"]));

change!(a_number_is_narrowed_and_does_not_fit: { struct Cart { paid: u64 } } Cart { paid: 300 } =>
    { struct Cart { paid: u8 } } "", Refused(
"the state of step `cart` for key 7 can't be read as `Cart`: the bytes cannot be read as this \
 type: invalid value: integer `300`, expected u8
  `Cart.paid` was u64 and is u8
help: convert what is stored with `.migrate_from::<Old>(..)`, give it up with `--drop-state \
cart`, or go back to the type that is stored: struct Cart { paid: u64 }"));

change!(a_field_becomes_optional: { struct Cart { paid: u32 } } Cart { paid: 1 } =>
    { struct Cart { paid: Option<u32> } }
    "[(7, Cart { paid: Some(1) })]", Read(&["`Cart.paid` was u32 and is Option<u32>"]));

change!(a_field_is_no_longer_optional: { struct Cart { paid: Option<u32> } } Cart { paid: None } =>
    { struct Cart { paid: u32 } } "", Refused(
"the state of step `cart` for key 7 can't be read as `Cart`: the bytes cannot be read as this \
 type: invalid type: unit value, expected u32
  `Cart.paid` was Option<u32> and is u32
help: convert what is stored with `.migrate_from::<Old>(..)`, give it up with `--drop-state \
cart`, or go back to the type that is stored: struct Cart { paid: Option<u32> }"));

change!(a_field_is_retyped: { struct Cart { paid: u32 } } Cart { paid: 1 } =>
    { struct Cart { paid: String } } "", Refused(
"the states of step `cart` (PLACE) are of another type than in the store in STORE:
  `Cart.paid` was u32 and is String
help: convert them with `.migrate_from::<Old>(..)`, give what is stored up with `--drop-state \
cart`, or go back to the type that is stored: struct Cart { paid: u32 }"));

change!(a_list_becomes_a_set:
    { struct Cart { items: Vec<String> } } Cart { items: vec!["a".into()] } =>
    { struct Cart { items: std::collections::BTreeSet<String> } }
    "[(7, Cart { items: {\"a\"} })]", Read(&[]));

change!(a_list_becomes_a_map:
    { struct Cart { items: Vec<String> } } Cart { items: vec!["a".into()] } =>
    { struct Cart { items: std::collections::BTreeMap<String, u32> } } "", Refused(
"the states of step `cart` (PLACE) are of another type than in the store in STORE:
  `Cart.items` was [String] and is Map<String, u32>
help: convert them with `.migrate_from::<Old>(..)`, give what is stored up with `--drop-state \
cart`, or go back to the type that is stored: struct Cart { items: [String] }"));

change!(a_field_deep_inside_is_retyped:
    { struct Item { price: u32 } struct Cart { items: Vec<Option<Item>> } }
    Cart { items: vec![Some(Item { price: 3 })] } =>
    { struct Item { price: f64 } struct Cart { items: Vec<Option<Item>> } }
    "[(7, Cart { items: [Some(Item { price: 3.0 })] })]", Read(&["`Cart.items[].price` was u32 \
     and is f64"]));

change!(a_struct_becomes_an_enum: { struct Cart { paid: u32 } } Cart { paid: 1 } =>
    { enum Cart { Open, Paid(u32) } } "", Refused(
"the states of step `cart` (PLACE) are of another type than in the store in STORE:
  `Cart` was struct Cart { paid: u32 } and is enum Cart { Open, Paid(u32) }
help: convert them with `.migrate_from::<Old>(..)`, give what is stored up with `--drop-state \
cart`, or go back to the type that is stored: struct Cart { paid: u32 }"));

change!(a_variant_is_added: { enum Cart { Open, Paid(u32) } } Cart::Paid(1) =>
    { enum Cart { Open, Lost, Paid(u32) } } "[(7, Paid(1))]", Read(&["`Cart::Lost` is a new \
        variant"]));

change!(a_variant_that_is_not_stored_is_removed: { enum Cart { Open, Lost } } Cart::Open =>
    { enum Cart { Open } } "[(7, Open)]", Read(&["variant `Cart::Lost` is gone"]));

change!(a_variant_that_is_stored_is_removed: { enum Cart { Open, Lost } } Cart::Lost =>
    { enum Cart { Open } } "", Refused(
"the state of step `cart` for key 7 can't be read as `Cart`: the bytes cannot be read as this \
 type: unknown variant `Lost`, expected `Open`
  variant `Cart::Lost` is gone
help: convert what is stored with `.migrate_from::<Old>(..)`, give it up with `--drop-state \
cart`, or go back to the type that is stored: enum Cart { Open, Lost }"));

change!(a_variant_is_renamed_with_an_alias: { enum Cart { Open, Lost } } Cart::Lost =>
    { enum Cart { Open, #[serde(alias = "Lost")] Gone } } "[(7, Gone)]", Read(&["`Cart::Gone` is \
        a new variant"]));

change!(variants_are_reordered: { enum Cart { Open, Lost } } Cart::Lost =>
    { enum Cart { Lost, Open } } "[(7, Lost)]", Read(&["`Cart` has another order"]));

change!(a_variant_gets_a_field: { enum Cart { Paid { at: u64 } } } Cart::Paid { at: 1 } =>
    { enum Cart { Paid { at: u64, #[serde(default)] by: u8 } } }
    "[(7, Paid { at: 1, by: 0 })]", Read(&["`Cart::Paid.by` is new: u8"]));

change!(a_tuple_gets_longer: { struct Cart(u32, u32); } Cart(1, 2) =>
    { struct Cart(u32, u32, u32); } "", Refused(
"the states of step `cart` (PLACE) are of another type than in the store in STORE:
  `Cart` was struct Cart(u32, u32) and is struct Cart(u32, u32, u32)
help: convert them with `.migrate_from::<Old>(..)`, give what is stored up with `--drop-state \
cart`, or go back to the type that is stored: struct Cart(u32, u32)"));

change!(an_array_gets_longer: { struct Cart { a: [u8; 3] } } Cart { a: [1, 2, 3] } =>
    { struct Cart { a: [u8; 4] } } "", Refused(
"the states of step `cart` (PLACE) are of another type than in the store in STORE:
  `Cart.a` was [u8; 3] and is [u8; 4]
help: convert them with `.migrate_from::<Old>(..)`, give what is stored up with `--drop-state \
cart`, or go back to the type that is stored: struct Cart { a: [u8; 3] }"));

change!(a_type_that_cant_be_traced_is_read_while_it_can_be:
    { struct Cart { a: u8 } } Cart { a: 1 } =>
    { #[serde(transparent)] struct Cart { a: serde_json::Value } }
    "[(7, Cart { a: Object {\"a\": Number(1)} })]",
    Read(&["it was Cart and is something that can't be traced"]));

// ---- migrations

mod cents {
    #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
    pub(super) struct Euros {
        pub(super) euros: u32,
    }
    #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
    pub(super) struct Cents {
        pub(super) cents: u64,
    }
    /// Between the two: a text.
    #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
    pub(super) struct Text {
        pub(super) text: String,
    }

    pub(super) fn of_euros(old: Euros) -> Cents {
        Cents {
            cents: u64::from(old.euros) * 100,
        }
    }

    pub(super) fn of_text(old: Text) -> Cents {
        Cents {
            cents: old.text.parse().unwrap(),
        }
    }
}
use cents::{Cents, Euros, Text, of_euros, of_text};

const MIGRATED: &str = "the states of step `cart` are migrated:";

fn both(cart: KeyedStream<u64, ()>) -> KeyedStream<u64, ()> {
    cart.migrate_from::<Euros>(of_euros).migrate_from(of_text)
}

#[test]
fn states_are_migrated_once_and_all_together() {
    for workers in [1, 3] {
        let store = Store::new().workers(workers);
        store.put((0..50u64).map(|key| (key, Euros { euros: 5 })));
        let euros = "\n  `Cents.euros` is gone: it was u32\n  `Cents.cents` is new: u64";
        let notices = store.go_on::<u64, Cents>(both).unwrap();
        assert_eq!(notices, [format!("{MIGRATED}{euros}")]);
        let states = store.states::<u64, Cents>();
        assert_eq!(states.len(), 50);
        assert!(
            states.iter().all(|(_, state)| state.cents == 500),
            "{states:?}"
        );
        // The line may stay.
        assert_eq!(store.go_on::<u64, Cents>(both), Ok(vec![]));
        assert_eq!(store.states::<u64, Cents>()[49].1.cents, 500);
    }
}

#[test]
fn of_several_migrations_the_one_for_the_stored_type_is_taken() {
    let store = Store::new();
    store.put([(1u64, Text { text: "42".into() })]);
    store.go_on::<u64, Cents>(both).unwrap();
    assert_eq!(store.states::<u64, Cents>()[0].1.cents, 42);
}

#[test]
fn one_state_that_cant_be_migrated_holds_them_all() {
    let store = Store::new();
    let text = |text: &str| Text { text: text.into() };
    store.put([(1u64, text("42")), (2, text("many")), (3, text("43"))]);
    let error = store.go_on::<u64, Cents>(both).unwrap_err();
    assert!(
        error.starts_with("step `cart` panicked before the run started:")
            && error.contains("InvalidDigit"),
        "{error}"
    );
    assert_eq!(store.states::<u64, Text>().len(), 3);
}

#[test]
fn a_migration_of_another_type_is_no_help() {
    let store = Store::new();
    store.put([(1u64, Text { text: "42".into() })]);
    let only = |cart: KeyedStream<u64, ()>| cart.migrate_from::<Euros>(of_euros);
    assert_eq!(store.go_on::<u64, Cents>(only).unwrap_err(),
"the state of step `cart` for key 1 can't be read as `Cents`: the bytes cannot be read as this \
 type: missing field `cents`
  `Cents.text` is gone: it was String
  `Cents.cents` is new: u64
note: `.migrate_from` reads struct Euros { euros: u32 }, which is not what is stored
help: `#[serde(default)]` on a new field reads what was stored without it
help: convert what is stored with `.migrate_from::<Old>(..)`, give it up with `--drop-state \
cart`, or go back to the type that is stored: struct Text { text: String }");
}

#[test]
fn a_type_can_change_and_change_back() {
    #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
    struct WithNote {
        cents: u64,
        #[serde(default)]
        note: String,
    }
    let store = Store::new();
    store.put([(1u64, Cents { cents: 5 })]);
    store.go_on::<u64, WithNote>(|cart| cart).unwrap();
    let notices = store.go_on::<u64, Cents>(|cart| cart).unwrap();
    assert!(notices[0].contains("`Cents.note` is gone"), "{notices:?}");
    assert_eq!(store.states::<u64, Cents>()[0].1.cents, 5);
}

/// What was read under a default is stored with it, so the default may go later.
#[test]
fn a_default_may_go_when_all_states_have_been_read_with_it() {
    #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
    struct First {
        cents: u64,
        #[serde(default)]
        note: String,
    }
    #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
    struct Later {
        cents: u64,
        note: String,
    }
    let store = Store::new();
    store.put([(1u64, Cents { cents: 5 })]);
    store.go_on::<u64, First>(|cart| cart).unwrap();
    assert_eq!(store.go_on::<u64, Later>(|cart| cart), Ok(vec![]));
    assert_eq!(store.states::<u64, Later>()[0].1.note, "");
}

// ---- keys

const REKEYED: &str = "the keys of step `cart` are converted:";

#[test]
fn another_key_is_refused() {
    let store = Store::new();
    store.put([(1u64, Cents { cents: 5 })]);
    assert_eq!(
        store.go_on::<String, Cents>(|cart| cart).unwrap_err(),
        "the key of step `cart` (PLACE) is not what it was in the store in STORE:
  it was u64 and is String
help: other keys have other bytes, so what is stored would be out of reach. Convert each key with \
`.rekey_from::<Old>(..)`, give the rows up with `--drop-state cart`, or go back to the key that \
is stored: u64"
    );
    // Even where the bytes might be the same.
    let error = store.go_on::<u32, Cents>(|cart| cart).unwrap_err();
    assert!(error.contains("it was u64 and is u32"), "{error}");
    let error = store
        .go_on::<String, Cents>(|cart| cart.rekey_from(|old: bool| old.to_string()))
        .unwrap_err();
    assert!(
        error.contains("\nnote: `.rekey_from` reads bool, which is not what is stored\nhelp: "),
        "{error}"
    );
}

#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
struct Shop {
    country: String,
    number: u8,
}

fn shop(number: u8) -> Shop {
    Shop {
        country: "de".into(),
        number,
    }
}

fn lower_case<S: serde::Serializer>(name: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&name.to_lowercase())
}

/// A shape is that of what is read. Where only the writing has changed, the state of the key would
/// be lost.
#[test]
fn a_key_that_is_now_written_in_another_way_is_refused() {
    #[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, serde::Deserialize)]
    struct Name(#[serde(serialize_with = "lower_case")] String);

    for workers in [1, 2] {
        let store = Store::new().workers(workers);
        store.put([("anna".to_owned(), 1u64), ("bert".to_owned(), 2)]);
        assert_eq!(store.go_on::<Name, u64>(|cart| cart), Ok(Notices::new()));

        let store = Store::new().workers(workers);
        store.put([("anna".to_owned(), 1u64), ("Carla".to_owned(), 3)]);
        let told = store.go_on::<Name, u64>(|cart| cart).unwrap_err();
        for part in ["`cart`", "`Name`", "\"Carla\"", "\"carla\""] {
            assert!(told.contains(part), "{part}: {told}");
        }
    }
}

#[test]
fn the_fields_of_a_key_have_an_order() {
    #[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
    struct Reordered {
        number: u8,
        country: String,
    }
    let store = Store::new();
    store.put([(shop(1), Cents { cents: 5 })]);
    let error = store.go_on::<Reordered, Cents>(|cart| cart).unwrap_err();
    assert!(
        error.contains("\n  `Reordered` has another order\n"),
        "{error}"
    );
}

#[test]
fn what_a_key_is_called_is_not_in_its_bytes() {
    #[derive(
        Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
    )]
    struct Renamed {
        country: Country,
        number: u8,
    }
    #[derive(
        Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
    )]
    struct Country(String);
    let store = Store::new();
    store.put([(shop(1), Cents { cents: 5 })]);
    assert_eq!(store.go_on::<Renamed, Cents>(|cart| cart), Ok(vec![]));
    assert_eq!(store.states::<Renamed, Cents>().len(), 1);
}

#[test]
fn keys_are_converted_to_wherever_they_belong() {
    for workers in [1, 4] {
        let store = Store::new().workers(workers);
        let states = (0..100u8).map(|number| {
            (
                shop(number),
                Cents {
                    cents: number.into(),
                },
            )
        });
        store.put(states);
        let rekey = |cart: KeyedStream<String, ()>| {
            cart.rekey_from(|old: Shop| format!("{}-{}", old.country, old.number))
        };
        let notices = store.go_on::<String, Cents>(rekey).unwrap();
        assert_eq!(notices, [format!("{REKEYED}\n  it was Shop and is String")]);
        let states = store.states::<String, Cents>();
        assert_eq!(states.len(), 100);
        for (key, state) in states {
            assert_eq!(key, format!("de-{}", state.cents));
        }
        assert_eq!(store.go_on::<String, Cents>(rekey), Ok(vec![]));
        assert_eq!(store.states::<String, Cents>().len(), 100);
    }
}

/// The new keys are among the old ones' bytes: none may take the place of another.
#[test]
fn keys_can_change_places() {
    #[derive(
        Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
    )]
    struct Turned(u8, u8);
    let store = Store::new().workers(3);
    store.put((0..16u8).map(|n| ((n / 4, n % 4), Cents { cents: n.into() })));
    // A pair is written as a struct of two is, but the two are said to be told apart by their
    // types.
    #[derive(
        Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
    )]
    struct Named(u8, u16);
    let turn =
        |cart: KeyedStream<Named, ()>| cart.rekey_from(|(a, b): (u8, u8)| Named(b, a.into()));
    store.go_on::<Named, Cents>(turn).unwrap();
    for (Named(a, b), state) in store.states::<Named, Cents>() {
        assert_eq!(u64::from(b) * 4 + u64::from(a), state.cents);
    }
    assert_eq!(store.states::<Turned, Cents>().len(), 16);
}

#[test]
fn two_keys_that_would_become_one_are_refused() {
    let store = Store::new().workers(2);
    store.put((1..4u64).map(|key| (key, Cents { cents: key })));
    let rekey = |cart: KeyedStream<String, ()>| cart.rekey_from(|old: u64| (old / 2).to_string());
    assert_eq!(
        store.go_on::<String, Cents>(rekey).unwrap_err(),
        "the keys 3 and 2 of step `cart` would both become \"1\"
help: states can't be put together: make `.rekey_from` give each key one of its own"
    );
}

#[test]
fn keys_and_states_can_change_at_once() {
    let store = Store::new().workers(2);
    store.put((0..20u64).map(|key| (key, Euros { euros: 2 })));
    let change = |cart: KeyedStream<String, ()>| {
        cart.rekey_from(|old: u64| format!("k{old}"))
            .migrate_from::<Euros>(of_euros)
    };
    let notices = store.go_on::<String, Cents>(change).unwrap();
    assert!(
        notices[0].starts_with(REKEYED) && notices[1].starts_with(MIGRATED),
        "{notices:?}"
    );
    let states = store.states::<String, Cents>();
    assert_eq!(states.len(), 20);
    assert!(
        states
            .iter()
            .all(|(key, state)| key.starts_with('k') && state.cents == 200)
    );
}

// ---- what can be seen without a store

#[track_caller]
fn refused(build: impl Fn(&Flow) + Send + Sync + 'static) -> String {
    let store = Store::new();
    let runner = Runner::new(build).recover(Recovery::at(store.work.path("state")));
    let error = runner.run().unwrap_err();
    assert!(!store.work.path("state").exists());
    store.text(&error)
}

fn cents(flow: &Flow) -> KeyedStream<u64, u64> {
    flow.source(source::from_iter(0..3u64)).key_on(|n| *n)
}

fn add(state: &mut Option<Cents>, cents: u64) {
    state.get_or_insert(Cents { cents: 0 }).cents += cents;
}

#[test]
fn a_migration_makes_the_state_of_its_step() {
    let error = refused(|flow| {
        let sums = cents(flow).stateful_map_opt(add).named("sums");
        sums.migrate_from(|old: Euros| old.euros)
            .map(|_| ())
            .sink(sink::from_fn(|()| ()));
    });
    assert_eq!(
        error,
        "PLACE `.migrate_from` makes a `u32`, but `sums` keeps a `Cents`\nhelp: give it a \
         function that makes a `Cents`"
    );
}

#[test]
fn a_migration_stands_behind_a_step_that_keeps_state() {
    let error = refused(|flow| {
        let sums = cents(flow).stateful_map_opt(add).named("sums");
        sums.map(|x| x)
            .migrate_from::<Euros>(of_euros)
            .map(|_| ())
            .sink(sink::from_fn(|()| ()));
    });
    assert_eq!(
        error,
        "PLACE `map` keeps no state, so there is nothing to convert\nhelp: put `.migrate_from` \
         and `.rekey_from` right behind the step that keeps it"
    );
}

#[test]
fn a_type_that_only_changed_its_meaning_cant_be_told_apart() {
    #[derive(Clone, serde::Serialize, serde::Deserialize)]
    struct Sum {
        cents: u64,
    }
    let error = refused(|flow| {
        let sums = cents(flow).stateful_map_opt(add).named("sums");
        sums.migrate_from(|old: Sum| Cents {
            cents: old.cents * 100,
        })
        .map(|_| ())
        .sink(sink::from_fn(|()| ()));
    });
    assert_eq!(
        error,
        "PLACE the store can't tell the old `Sum` of `sums` from the present one: both look like \
         struct Cents { cents: u64 }\nhelp: give a field that changed its meaning another name, \
         so that stored ones are never taken for new ones"
    );
}

/// What can't be traced looks like everything else that can't: the help of both errors leads to
/// what works.
#[test]
fn a_type_that_cant_be_traced_is_converted_into_a_struct_with_one_field() {
    #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
    #[serde(untagged)]
    enum Old {
        Euros { euros: u64 },
    }
    #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
    #[serde(untagged)]
    enum New {
        Cents { cents: u64 },
    }
    #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
    struct Kept {
        v2: New,
    }
    fn of_old(Old::Euros { euros }: Old) -> New {
        New::Cents { cents: euros * 100 }
    }
    let store = Store::new();
    store.put([(1u64, Old::Euros { euros: 5 })]);
    let error = store.go_on::<u64, New>(|cart| cart).unwrap_err();
    let help = "help: put the type into a struct with one field, `struct New { v2: .. }`, which \
        the store can tell from what is \
                stored, and convert that with `.migrate_from::<Old>(..)`, give it up with \
                `--drop-state cart`, or go back to \
                the type that was stored";
    assert!(error.ends_with(help), "{error}");
    let error = store.go_on::<u64, New>(|cart| cart.migrate_from(of_old));
    assert_eq!(
        error.unwrap_err(),
        "PLACE the store can't tell the old `Old` of `cart` from the present one: both look like \
         ?\nhelp: put the present \
         type into a struct with one field, `struct New { v2: .. }`: what shows as `?` can't be \
         traced, and a field with a \
         name can"
    );
    let into_kept = |cart: KeyedStream<u64, ()>| cart.migrate_from(|old| Kept { v2: of_old(old) });
    store.go_on::<u64, Kept>(into_kept).unwrap();
    let [
        (
            1,
            Kept {
                v2: New::Cents { cents: 500 },
            },
        ),
    ] = store.states::<u64, Kept>()[..]
    else {
        panic!("{:?}", store.states::<u64, Kept>());
    };
    assert_eq!(store.go_on::<u64, Kept>(into_kept), Ok(vec![]));
}

#[test]
fn a_type_that_messagepack_cant_hold_is_refused() {
    #[derive(Default, serde::Serialize, serde::Deserialize)]
    struct Seen {
        last: Option<Option<u64>>,
    }
    let error = refused(|flow| {
        let see = |seen: &mut Seen, n: u64| seen.last = Some(Some(n));
        cents(flow)
            .stateful_map(see)
            .named("see")
            .map(|_| ())
            .sink(sink::from_fn(|()| ()));
    });
    assert_eq!(
        error,
        "PLACE the state of `see` can't be stored as it is: `Seen.last` is an \
         `Option<Option<u64>>`, and the store can't tell its `Some` from `None`\nhelp: use an \
         enum of your own, or one `Option` less"
    );
    let error = refused(|flow| {
        let numbers = flow.source(source::from_iter(0..3u64)).key_on(|_| Some(()));
        numbers
            .stateful_map(|_: &mut u64, _| ())
            .named("see")
            .map(|_| ())
            .sink(sink::from_fn(|()| ()));
    });
    assert!(
        error.contains("the key of `see` can't be stored as it is: it is an `Option<()>`"),
        "{error}"
    );
}

/// What serde would read and is refused all the same: it would be taken for something that it never
/// was.
mod no_value_is_taken_for_another {
    use super::*;
    use std::collections::BTreeMap;

    #[track_caller]
    fn refused<W: AsState, S: AsState>(value: W, says: &str) {
        let store = Store::new();
        store.put([(7u64, value)]);
        let error = store.go_on::<u64, S>(|cart| cart).unwrap_err();
        let begins = "the states of step `cart` (PLACE) are of another type than in the store";
        assert!(error.starts_with(begins) && error.contains(says), "{error}");
    }

    #[derive(Clone, serde::Serialize, serde::Deserialize)]
    struct Pair(u32, u32);

    #[derive(Clone, Default, serde::Serialize, serde::Deserialize)]
    #[serde(default)]
    struct Sums {
        unpaid: u32,
        paid: u32,
    }

    #[derive(Clone, serde::Serialize, serde::Deserialize)]
    enum Status {
        Open,
        Paid,
    }

    #[derive(Clone, serde::Serialize, serde::Deserialize)]
    struct Number<N> {
        n: N,
    }

    #[test]
    fn by_its_position_or_index() {
        refused::<_, Sums>(Pair(1, 2), "`Sums` was Pair and is Sums");
        refused::<_, Sums>(vec![1u32, 2], "was [u32] and is Sums");
        refused::<_, Sums>(
            BTreeMap::from([(0u32, 5u32)]),
            "was Map<u32, u32> and is Sums",
        );
        refused::<_, Sums>(BTreeMap::from([("a".to_owned(), 5u32)]), "and is Sums");
        refused::<_, Status>(1u32, "was u32 and is Status");
        refused::<_, String>(Status::Open, "was Status and is String");
        refused::<_, String>(Status::Paid, "was Status and is String");
    }

    #[test]
    fn because_it_is_rounded() {
        refused::<_, Number<f32>>(Number { n: 1e300 }, "`Number.n` was f64 and is f32");
        refused::<_, Number<f32>>(Number { n: 0.1 }, "`Number.n` was f64 and is f32");
        refused::<_, Number<f64>>(Number { n: u64::MAX - 1 }, "`Number.n` was u64 and is f64");
        refused::<_, Number<f32>>(
            Number {
                n: (1u32 << 24) + 1,
            },
            "was u32 and is f32",
        );
    }
}

#[test]
fn two_old_types_of_one_look_cant_be_told_apart() {
    #[derive(Clone, serde::Serialize, serde::Deserialize)]
    struct First {
        amount: u64,
    }
    #[derive(Clone, serde::Serialize, serde::Deserialize)]
    struct Second {
        amount: u64,
    }
    let error = refused(|flow| {
        let sums = cents(flow).stateful_map_opt(add).named("sums");
        sums.migrate_from(|old: First| Cents {
            cents: old.amount * 100,
        })
        .migrate_from(|old: Second| Cents { cents: old.amount })
        .map(|_| ())
        .sink(sink::from_fn(|()| ()));
    });
    assert_eq!(
        error,
        "PLACE the store can't tell the old `Second` of `sums` from the old `First`: both look \
         like struct First { amount: u64 }\nhelp: give a field that changed its meaning another \
         name, so that stored ones are never taken for new ones"
    );
}

/// An `Option` of an `Option`, by way of the type itself.
#[test]
fn a_type_inside_of_itself_that_messagepack_cant_hold_is_refused() {
    #[derive(Default, serde::Serialize, serde::Deserialize)]
    struct Link(Option<Box<Link>>);
    let error = refused(|flow| {
        cents(flow)
            .stateful_map(|_: &mut Link, _| ())
            .named("see")
            .map(|_| ())
            .sink(sink::from_fn(|()| ()));
    });
    assert!(
        error.contains("the state of `see` can't be stored as it is: `Link` is an `Option<^Link>`"),
        "{error}"
    );
}

#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(untagged)]
enum AnyId {
    Number(u64),
    Text(String),
}

/// A key that can't be traced might be as it was; a conversion that is there is meant.
#[test]
fn keys_that_cant_be_traced_are_converted_too() {
    let user = |id: u64| format!("user-{id}");
    let store = Store::new().workers(2);
    store.put((0..9u64).map(|key| (key, Cents { cents: key })));
    let to_any =
        move |cart: KeyedStream<AnyId, ()>| cart.rekey_from(move |id: u64| AnyId::Text(user(id)));
    let notices = store.go_on::<AnyId, Cents>(to_any).unwrap();
    let line = "it was u64 and is something that can't be traced";
    assert_eq!(notices, [format!("{REKEYED}\n  {line}")]);
    let states = store.states::<AnyId, Cents>();
    assert!(
        states
            .iter()
            .all(|(key, state)| *key == AnyId::Text(user(state.cents)))
    );
    assert_eq!(store.go_on::<AnyId, Cents>(to_any), Ok(vec![]));

    let from_any = |cart: KeyedStream<String, ()>| {
        cart.rekey_from(|id: AnyId| match id {
            AnyId::Number(id) => id.to_string(),
            AnyId::Text(id) => id,
        })
    };
    store.go_on::<String, Cents>(from_any).unwrap();
    let states = store.states::<String, Cents>();
    assert!(states.len() == 9 && states.iter().all(|(key, state)| *key == user(state.cents)));
}

/// The type of a key has another `Eq`, and two stored keys are one: each has a row, on any worker.
#[test]
fn stored_keys_that_are_equal_now_are_refused() {
    #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
    struct Caseless(String);
    impl PartialEq for Caseless {
        fn eq(&self, other: &Self) -> bool {
            self.0.eq_ignore_ascii_case(&other.0)
        }
    }
    impl Eq for Caseless {}
    impl std::hash::Hash for Caseless {
        fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
            self.0.to_ascii_lowercase().hash(state);
        }
    }
    for workers in [1, 2, 3] {
        let store = Store::new().workers(workers);
        store.put(["anna", "Anna", "ben"].map(|key| (key.to_owned(), Cents { cents: 5 })));
        let error = store.go_on::<Caseless, Cents>(|cart| cart);
        let error = error.unwrap_err();
        for says in [
            "`cart`",
            "it is equal to the key",
            "which is written otherwise",
            "\nhelp: ",
        ] {
            assert!(error.contains(says), "{error}");
        }
        assert_eq!(store.states::<String, Cents>().len(), 3);
    }
}

#[test]
fn a_converted_key_that_is_not_what_its_bytes_are_is_refused() {
    #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
    struct Shown {
        id: u64,
        #[serde(skip)]
        text: String,
    }
    let store = Store::new();
    store.put([(1u64, Cents { cents: 1 })]);
    let rekey = |text: &'static str| {
        move |cart: KeyedStream<Shown, ()>| {
            let text = text.to_owned();
            cart.rekey_from(move |id: u64| Shown {
                id,
                text: text.clone(),
            })
        }
    };
    let error = store.go_on::<Shown, Cents>(rekey("one")).unwrap_err();
    assert!(
        error.starts_with(
            "step `cart`: the key {\"id\":1}, of type `Shown`, can't be kept: it is not equal to \
             what its bytes are read as\nhelp: "
        ),
        "{error}"
    );
    store.go_on::<Shown, Cents>(rekey("")).unwrap();
}

#[test]
fn a_conversion_of_keys_that_is_another_on_each_worker_is_refused() {
    use std::hash::{BuildHasher, RandomState};
    let store = Store::new().workers(4);
    store.put((0..100u64).map(|key| (key, Cents { cents: key })));
    let rekey = |cart: KeyedStream<String, ()>| {
        let state = RandomState::new();
        cart.rekey_from(move |old: u64| format!("{old}-{}", state.hash_one(old)))
    };
    let error = store.go_on::<String, Cents>(rekey).unwrap_err();
    let says = "`.rekey_from` of step `cart` did not convert each key in the same way on all \
        workers: of 100 stored states ";
    assert!(
        error.starts_with(says) && error.contains("no random numbers"),
        "{error}"
    );
}

/// Keys that are stored keep their bytes.
#[test]
fn the_enum_of_a_key_may_grow() {
    #[derive(
        Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
    )]
    enum Country {
        De,
        Fr(u8),
    }
    #[derive(
        Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
    )]
    enum More {
        At,
        #[serde(alias = "fr")]
        Fr(u8),
        De,
    }
    #[derive(
        Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
    )]
    enum Fewer {
        De,
    }
    let store = Store::new();
    store.put([
        (Country::De, Cents { cents: 5 }),
        (Country::Fr(3), Cents { cents: 6 }),
    ]);
    assert_eq!(store.go_on::<More, Cents>(|cart| cart), Ok(vec![]));
    assert_eq!(store.states::<More, Cents>().len(), 2);
    let error = store.go_on::<Fewer, Cents>(|cart| cart).unwrap_err();
    assert!(error.contains("variant `Fewer::Fr` is gone"), "{error}");
}

/// The way out names the step as the store knows it.
#[test]
fn what_may_be_dropped_is_called_as_the_store_calls_it() {
    let store = Store::new();
    store.put([(1u64, Cents { cents: 5 })]);
    let renamed = |cart: KeyedStream<u64, ()>| cart.named("basket").renamed_from("cart");
    for error in [
        store.go_on::<u64, Text>(renamed).unwrap_err(),
        store.go_on::<u64, Vec<u8>>(renamed).unwrap_err(),
    ] {
        assert!(error.contains("of step `basket`"), "{error}");
        assert!(error.contains("`--drop-state cart`"), "{error}");
    }
    let renamed = |cart: KeyedStream<String, ()>| cart.named("basket").renamed_from("cart");
    let error = store.go_on::<String, Cents>(renamed).unwrap_err();
    assert!(error.contains("`--drop-state cart`"), "{error}");
}

// ---- tokens

/// Counts to three in each of its partitions and stops there; its token is a `T` that holds the
/// number.
struct Count<T>(PhantomData<T>, &'static [&'static str]);

struct CountReader<T> {
    next: u64,
    batch: u64,
    token: PhantomData<T>,
}

impl<T: From<u64> + Into<u64> + AsState> source::Source for Count<T> {
    type Item = u64;
    type Token = T;
    type Reader = CountReader<T>;

    fn kind(&self) -> String {
        "count".to_owned()
    }

    fn partitions(&self) -> Result<Vec<String>, source::SourceError> {
        Ok(self.1.iter().map(|name| (*name).to_owned()).collect())
    }

    fn open(&self, _: &str, at: source::At<T>) -> Result<CountReader<T>, source::SourceError> {
        Ok(CountReader {
            next: at.token().map_or(0, Into::into),
            batch: 0,
            token: PhantomData,
        })
    }
}

impl<T: From<u64> + 'static> source::Reader for CountReader<T> {
    type Item = u64;
    type Token = T;

    fn read(
        &mut self,
        out: &mut Vec<u64>,
        _: &std::task::Waker,
    ) -> Result<source::Next, source::SourceError> {
        self.batch = (3 - self.next).min(1);
        out.extend(self.next..self.next + self.batch);
        self.next += self.batch;
        Ok(match self.batch {
            0 => source::Next::End,
            _ => source::Next::Ready,
        })
    }

    fn token(&self, index: usize) -> T {
        T::from(self.next - self.batch + index as u64)
    }
}

macro_rules! tokens {
    ($($name:ident {
        $(#[$attribute:meta])* $field:ident: $type:ty $(, $new:ident: $default:ty)?
    })*) => {
        $(
            #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
            struct $name {
                $(#[$attribute])* $field: $type,
                $(#[serde(default)] $new: $default,)?
            }
            impl From<u64> for $name {
                fn from(n: u64) -> Self {
                    let $field = n.to_string().parse().unwrap();
                    $name { $field, $($new: <$default>::default())? }
                }
            }
            impl From<$name> for u64 {
                fn from(token: $name) -> u64 {
                    token.$field.to_string().parse().unwrap()
                }
            }
        )*
    };
}

tokens! {
    Token { next: u64 }
    Longer { next: u64, note: String }
    Renamed { #[serde(alias = "next")] number: u64 }
    Retyped { next: String }
}

impl Store {
    /// Runs a flow that counts; how many records it read, and what it was told.
    fn count<T: From<u64> + Into<u64> + AsState>(
        &self,
        partitions: &'static [&'static str],
        agree: impl FnOnce(Recovery) -> Recovery,
    ) -> Result<(u64, Notices), String> {
        let told = Arc::new(std::sync::Mutex::new(Notices::new()));
        let tell = told.clone();
        let flow = move |flow: &Flow| {
            flow.source(Count::<T>(PhantomData, partitions))
                .named("count")
                .sink(sink::from_fn(|_: u64| ()));
        };
        let recovery = agree(Recovery::at(self.work.path("state")));
        let outcome = Runner::new(flow)
            .recover(recovery)
            .on_start(move |started| {
                *tell.lock().unwrap() = started.notices.iter().map(ToString::to_string).collect();
            })
            .run()
            .map_err(|error| self.text(&error))?;
        let told = told.lock().unwrap().clone();
        Ok((outcome.records, told))
    }
}

/// What nobody reads any more must not keep the flow from going on.
#[test]
fn the_token_of_a_partition_that_is_gone_can_be_given_up() {
    let store = Store::new();
    let nothing = |recovery| recovery;
    store.count::<Renamed>(&["all", "new"], nothing).unwrap();
    let error = store.count::<Retyped>(&["new"], nothing).unwrap_err();
    assert!(
        error.starts_with("the position of `count` in `all` can't be read"),
        "{error}"
    );
    assert!(
        error.contains("it is gone: give it up with `--drop-partition all`"),
        "{error}"
    );
    let dropped = |recovery: Recovery| recovery.drop_partition("all");
    let error = store.count::<Retyped>(&["new"], dropped).unwrap_err();
    assert!(
        error.starts_with("the position of `count` in `new` can't be read"),
        "{error}"
    );
    let dropped = |recovery: Recovery| recovery.drop_partition("all").drop_partition("new");
    store.count::<Retyped>(&[], dropped).unwrap();
    assert_eq!(store.count::<Retyped>(&["all"], nothing), Ok((3, vec![])));
}

#[test]
fn tokens_change_as_states_do() {
    let store = Store::new();
    fn run<T: From<u64> + Into<u64> + AsState>(store: &Store) -> Result<(u64, Notices), String> {
        store.count::<T>(&["all"], |recovery| recovery)
    }
    let changed = |line: &str| {
        vec![format!(
            "the tokens of step `count` changed, and all could be read:\n  {line}"
        )]
    };
    assert_eq!(run::<Token>(&store), Ok((3, vec![])));
    assert_eq!(
        run::<Longer>(&store),
        Ok((0, changed("`Longer.note` is new: String")))
    );
    assert_eq!(
        run::<Token>(&store),
        Ok((0, changed("`Token.note` is gone: it was String")))
    );
    assert_eq!(
        run::<Renamed>(&store),
        Ok((0, changed("`Renamed.next` is now `Renamed.number`")))
    );
    assert_eq!(run::<Renamed>(&store), Ok((0, vec![])));
    assert_eq!(
        run::<Retyped>(&store).unwrap_err(),
        "the position of `count` in `all` can't be read as `Retyped`: the bytes cannot be \
         read as this type: missing field `next`
  `Retyped.number` is gone: it was u64
  `Retyped.next` is new: String
help: `#[serde(default)]` on a new field reads what was stored without it
help: start that step anew with `--drop-state count`, or go back to the type that is stored: \
struct Renamed { number: u64 }"
    );
}
