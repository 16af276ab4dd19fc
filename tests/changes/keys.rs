//! Keys of another type, and those that `.rekey_from` converts.

use flow::prelude::*;

use crate::{
    Notices, Store,
    cents::{Cents, Euros, of_euros},
    migrations::MIGRATED,
};

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
`.rekey_from::<Old>(..)`, give up the rows with `--drop-state cart`, or go back to the key that \
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

/// A schema describes what is read. If only the writing changed, the state of the key would be
/// lost.
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

/// The bytes of new keys are those of other old keys: none may replace another.
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

#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(untagged)]
enum AnyId {
    Number(u64),
    Text(String),
}

/// A key that can't be traced may be unchanged, but an existing conversion is used.
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

/// The type of a key has a new `Eq`, and two stored keys are now equal, each with a row, on any
/// worker.
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
            "which is written differently",
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

/// Stored keys keep their bytes.
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
