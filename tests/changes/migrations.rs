//! States that `.migrate_from` converts.

use flow::{prelude::*, sink};

use crate::{
    Store, add, cents,
    cents::{Cents, Euros, Text, of_euros, of_text},
    refused,
};

pub(crate) const MIGRATED: &str = "the states of step `cart` are migrated:";

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

/// All types that can't be traced look alike: the help of both errors leads to a solution.
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
