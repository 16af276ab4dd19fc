//! The rows of a flow with event time: partitions with times, and the row that a windowed step has
//! for itself.

use crate::support::*;
use flow_store::{
    Agreed, Changes, End, Execution, OWN_KEY, Start, StepKind, StepSpec, TokenRow, encode,
};
use std::collections::BTreeMap;

fn step(id: &str, kind: StepKind, operator: &str, state: &str) -> StepSpec {
    StepSpec {
        id: id.to_owned(),
        kind,
        operator: operator.to_owned(),
        key_type: String::new(),
        state_type: state.to_owned(),
        schemas: Default::default(),
        renamed_from: Vec::new(),
        place: String::new(),
    }
}

fn start(home: &Home, store: &str) -> Execution {
    let look = home.look(store);
    let flow = [
        step("visits", StepKind::Source, "text_lines", "u64"),
        step("event_time", StepKind::Time, "event_time", "Timestamp"),
        step("hours", StepKind::State, "fold_window", "u64"),
    ];
    let manifest = look.reconcile(&flow, &Agreed::default()).unwrap();
    let changes = Changes::new();
    look.start(Start::new("visits", &manifest, &changes))
        .unwrap()
}

fn own(changes: &mut Changes, value: &[u8]) {
    let put = changes.put(2, StepKind::State.group(OWN_KEY), OWN_KEY, |into| {
        into.extend_from_slice(value);
        Ok::<(), ()>(())
    });
    put.unwrap();
}

fn closed(at: i64) -> Vec<u8> {
    let mut value = Vec::new();
    encode(&BTreeMap::from([("closed", at)]), &mut value).unwrap();
    value
}

/// Two partitions, of which one has a time, and a key, which is a text, with an open window.
fn visits(time: i64) -> Changes {
    let mut changes = Changes::new();
    let token = |changes: &mut Changes, partition: &str, times: &[(u16, i64)]| {
        let times = times.iter().copied().collect();
        let put = changes.put(0, 0, &TokenRow::key(partition), |into| {
            TokenRow::begin(false, &times, into);
            encode(&7u64, into)
        });
        put.unwrap();
    };
    token(&mut changes, "a.txt", &[(1, time)]);
    token(&mut changes, "b.txt", &[]);
    put(
        &mut changes,
        2,
        StepKind::State,
        &"null",
        &[(time, false, 3)],
    );
    own(&mut changes, &closed(time - 5));
    changes
}

const NOON: i64 = 1_767_268_800_000_000;

/// Two stores: in the second one, more has happened.
fn stores() -> Home {
    let home = Home::new();
    let mut execution = start(&home, "store");
    execution.commit(epoch(1, 1), [&visits(NOON)]).unwrap();
    home.copy("store", "before");
    execution.commit(epoch(1, 2), [&visits(NOON + 60)]).unwrap();
    execution.end(End::Stopped).unwrap();
    home
}

#[test]
fn the_row_of_a_step_for_itself_and_the_times_of_partitions_are_shown() {
    let home = stores();
    let get = |step: &str, key: &str| home.run(&["get", "before", step, key]).ok();
    assert_eq!(
        get("visits", "a.txt"),
        "{\"key\":\"a.txt\",\"done\":false,\"times\":{\"event_time\":1767268800000000},\
         \"state\":7}\n"
    );
    assert_eq!(
        get("visits", "b.txt"),
        "{\"key\":\"b.txt\",\"done\":false,\"state\":7}\n"
    );
    let own = "{\"key\":null,\"state\":{\"closed\":1767268799999995}}\n";
    assert_eq!(get("hours", "null"), own);
    let text = "{\"key\":\"null\",\"state\":[[1767268800000000,false,3]]}\n";
    assert_eq!(get("hours", "\"null\""), text);
    let exported = home.run(&["export", "before", "hours"]).ok();
    let mut lines: Vec<&str> = exported.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, [text.trim_end(), own.trim_end()]);
    // It is not among the examples of a key.
    assert_eq!(
        home.run(&["get", "store", "hours", "anna"]).refused(1),
        "step `hours` has no row with the key anna; its keys are written like \"null\""
    );
    home.run(&["get", "store", "visits", "null"]).refused(1);
}

#[test]
fn steps_lists_a_step_that_gives_a_time() {
    let home = stores();
    assert_eq!(
        home.run(&["steps", "store"]).ok(),
        "number  id          kind    operator     keys  state      rows\n\
         0       visits      source  text_lines         u64        2\n\
         1       event_time  time    event_time         Timestamp  0\n\
         2       hours       state   fold_window        u64        2\n"
    );
    let json = home.run(&["steps", "store", "--json"]).ok();
    let json: serde_json::Value = serde_json::from_str(json.lines().nth(1).unwrap()).unwrap();
    assert_eq!((&json["kind"], &json["rows"]), (&"time".into(), &0.into()));
    assert_eq!(home.run(&["export", "store", "event_time"]).ok(), "");
    let schemas = home.run(&["steps", "store", "--schemas"]).ok();
    assert!(
        schemas.contains("\nevent_time (time, event_time)\n"),
        "{schemas}"
    );
}

#[test]
fn diff_shows_what_has_changed_in_them() {
    let home = stores();
    let ran = home.run(&["diff", "before", "store"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (1, ""));
    for line in [
        "~ {\"step\":\"hours\",\"key\":null,\"from\":{\"state\":{\"closed\":1767268799999995}},\
         \"to\":{\"state\":{\"closed\":1767268800000055}}}",
        "~ {\"step\":\"visits\",\"key\":\"a.txt\",\"from\":{\"done\":false,\
         \"times\":{\"event_time\":1767268800000000},\"state\":7},\"to\":{\"done\":false,\
         \"times\":{\"event_time\":1767268800000060},\"state\":7}}",
        "step `hours`: 0 added, 0 removed, 2 changed",
        "step `visits`: 0 added, 0 removed, 1 changed",
    ] {
        assert!(
            ran.stdout.lines().any(|it| it == line),
            "{line}\n{}",
            ran.stdout
        );
    }
}

/// They stay through all that is done by hand.
#[test]
fn they_are_maintained_like_other_rows() {
    let home = stores();
    let get = |store: &str, step: &str, key: &str| home.run(&["get", store, step, key]).ok();
    let own = get("store", "hours", "null");
    let said = home.run(&["verify", "store"]).ok();
    assert!(said.starts_with("all pages and 4 rows ("), "{said}");
    home.run(&["backup", "store", "copy"]).ok();
    home.run(&["compact", "store"]).ok();
    assert_eq!(
        home.run(&["rename", "store", "hours", "days"]).ok(),
        "renamed step `hours` to `days` (state, fold_window)\n"
    );
    assert_eq!(get("copy", "hours", "null"), own);
    assert_eq!(get("store", "days", "null"), own);
    assert_eq!(
        home.run(&["drop", "store", "days"]).ok(),
        "dropped step `days` (state, fold_window) and its 2 rows\n"
    );
    assert_eq!(
        home.run(&["drop", "store", "event_time"]).ok(),
        "dropped step `event_time` (time, event_time) and its 0 rows\n"
    );
    home.run(&["verify", "store"]).ok();
    // The number of the dropped step is not used again, so the times under it are nobody's, and no
    // id is shown for it.
    drop(start(&home, "store"));
    let look = home.look("store");
    let numbers = look.steps().iter().map(|step| step.number);
    assert_eq!(numbers.collect::<Vec<_>>(), [0, 3, 4]);
    drop(look);
    assert!(get("store", "visits", "a.txt").contains("\"times\":{\"1\":"));
    assert_eq!(home.run(&["export", "store", "hours"]).ok(), "");
}

#[test]
fn damage_in_the_row_of_a_step_for_itself_is_found() {
    let home = Home::new();
    let mut execution = start(&home, "store");
    let mut changes = Changes::new();
    let whole = closed(NOON);
    own(&mut changes, &whole[..whole.len() - 1]);
    execution.commit(epoch(1, 1), [&changes]).unwrap();
    execution.end(End::Stopped).unwrap();
    let ran = home.run(&["verify", "store"]);
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (
            3,
            "the row of step `hours` for itself, key group 194: its value: the bytes cannot be \
             read as this type: the value is cut short\n"
        )
    );
    let message = home.run(&["export", "store", "hours"]).refused(3);
    let row = "the row of step `hours` for itself, key group 194: its value: ";
    assert!(message.contains(row), "{message}");
}
