//! States of another type than those that are stored.

use std::fmt::Debug;

use flow::{prelude::*, sink, source};

use crate::{
    AsState, Notices, Store, cents,
    cents::{Cents, Text},
    refused,
};

/// What happens to a state that was stored as another type.
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

/// Stores a state of one type and resumes with another one, both named `Cart`.
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
help: convert them with `.migrate_from::<Old>(..)`, give up what is stored with `--drop-state \
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
help: convert them with `.migrate_from::<Old>(..)`, give up what is stored with `--drop-state \
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
help: convert them with `.migrate_from::<Old>(..)`, give up what is stored with `--drop-state \
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
help: convert them with `.migrate_from::<Old>(..)`, give up what is stored with `--drop-state \
cart`, or go back to the type that is stored: struct Cart(u32, u32)"));

change!(an_array_gets_longer: { struct Cart { a: [u8; 3] } } Cart { a: [1, 2, 3] } =>
    { struct Cart { a: [u8; 4] } } "", Refused(
"the states of step `cart` (PLACE) are of another type than in the store in STORE:
  `Cart.a` was [u8; 3] and is [u8; 4]
help: convert them with `.migrate_from::<Old>(..)`, give up what is stored with `--drop-state \
cart`, or go back to the type that is stored: struct Cart { a: [u8; 3] }"));

change!(a_type_that_cant_be_traced_is_read_while_it_can_be:
    { struct Cart { a: u8 } } Cart { a: 1 } =>
    { #[serde(transparent)] struct Cart { a: serde_json::Value } }
    "[(7, Cart { a: Object {\"a\": Number(1)} })]",
    Read(&["it was Cart and is something that can't be traced"]));

/// A value that was read with a default is stored with it, so the default may be removed later.
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

/// Changes that serde would read, but misread, so they are refused.
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

/// The help names the step by its id in the store.
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
