//! What becomes of open windows, and of how far a windowed step has come, when the step changes.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use flow::{
    EventTime, Late, Outcome, Retain, RunError, Timestamp, Windowed, WindowedStreams, Windows,
    prelude::*, sink, source,
};
use flow_store::{Agreed, Changes, End, Look, OWN_KEY, Schemas, Start, StepKind, StepSpec};

use crate::{
    AsKey,
    support::{self, Workdir},
};

/// A page, and the second at which it was visited.
type Visit = (&'static str, i64);
type Visits<K = flow::NoKey> = Stream<Visited, K, EventTime>;
type Streams<K, S> = WindowedStreams<Visited, S, K, EventTime>;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Visited {
    page: String,
    second: i64,
}

fn minutes() -> Windows {
    Windows::tumbling(Duration::from_secs(60))
}

fn by_page(visits: Visits) -> Visits<String> {
    visits.key_on(|visit| visit.page.clone())
}

/// Counts the visits of each page.
fn count(visits: Visits<String>) -> Streams<String, u64> {
    visits.fold_window(minutes(), || 0, |count: &mut u64, _| *count += 1)
}

fn named(visits: Visits) -> Streams<String, u64> {
    count(by_page(visits)).named("minutes")
}

/// A store of a flow with two sources and one windowed step.
struct Store {
    work: Workdir,
    workers: usize,
}

/// What came out of a run, sorted.
type Seen = Vec<String>;

/// The visits of the first run. The watermark comes to 130 seconds, so the first minute is closed,
/// and the third is open.
const FIRST: &[Visit] = &[("a", 0), ("b", 1), ("a", 130), ("b", 121)];

/// More visits, of which the second run reads the last two.
const MORE: &[Visit] = &[
    ("a", 0),
    ("b", 1),
    ("a", 130),
    ("b", 121),
    ("a", 150),
    ("c", 151),
];

/// A visit of another source, whose own watermark does not make it late.
const OTHER: &[Visit] = &[("d", 30)];

/// What comes out of the second run if nothing was lost: the third minute goes on, and the first
/// one stays closed.
const NOTHING_LOST: &[&str] = &["late d 30", "value a 120 2", "value c 120 1"];

impl Store {
    fn new(workers: usize) -> Self {
        Store {
            work: Workdir::new(),
            workers,
        }
    }

    /// Runs the flow over the visits of its two sources.
    fn run<K: AsKey + std::fmt::Debug, S: std::fmt::Debug + Clone + Send + Sync + 'static>(
        &self,
        visits: [&'static [Visit]; 2],
        recover: impl FnOnce(Recovery) -> Recovery,
        step: impl Fn(Visits) -> Streams<K, S> + Send + Sync + 'static,
    ) -> Result<(Outcome, Seen), RunError> {
        let seen = Arc::new(Mutex::new(Seen::new()));
        let saw = seen.clone();
        let runner = Runner::new(move |flow: &Flow| {
            let [first, other] =
                [("first", visits[0]), ("other", visits[1])].map(|(id, visits)| {
                    let visits = visits.iter().map(|(page, second)| Visited {
                        page: (*page).to_owned(),
                        second: *second,
                    });
                    let visits: Vec<_> = visits.collect();
                    flow.source(source::from_iter(visits)).named(id)
                });
            let at = |visit: &Visited| Timestamp::from_second(visit.second).unwrap();
            let streams = step(first.merge(other).event_time(at, Duration::ZERO));
            let value = streams.values.map(|(key, it): (K, Windowed<S>)| {
                let open = it.window.open.as_second();
                format!("value {} {open} {:?}", shown(&key), it.value)
            });
            let late = streams.late.map(|(_, late): (K, Late<Visited>)| {
                format!("late {} {}", late.value.page, late.value.second)
            });
            let saw = saw.clone();
            let out = value.merge(late);
            out.sink(sink::from_fn(move |text| saw.lock().unwrap().push(text)));
        });
        let outcome = runner
            .workers(self.workers)
            .epochs(Epochs::every_record())
            .records_in_flight(1)
            .recover(recover(Recovery::at(self.work.path("state"))))
            .run()?;
        let mut seen = seen.lock().unwrap().clone();
        seen.sort();
        Ok((outcome, seen))
    }

    /// The first run.
    fn begin(workers: usize) -> Self {
        let store = Store::new(workers);
        let (_, seen) = store.run([FIRST, &[]], |it| it, named).unwrap();
        assert_eq!(
            seen,
            [
                "value a 0 1",
                "value a 120 1",
                "value b 0 1",
                "value b 120 1"
            ]
        );
        store
    }

    /// The second run.
    #[track_caller]
    fn goes_on<K: AsKey + std::fmt::Debug, S: std::fmt::Debug + Clone + Send + Sync + 'static>(
        &self,
        step: impl Fn(Visits) -> Streams<K, S> + Send + Sync + 'static,
    ) {
        let (_, seen) = self.run([MORE, OTHER], |it| it, step).unwrap();
        assert_eq!(seen, NOTHING_LOST);
    }

    /// The message of a second run that is refused, which has changed nothing.
    fn refused<K: AsKey + std::fmt::Debug, S: std::fmt::Debug + Clone + Send + Sync + 'static>(
        &self,
        step: impl Fn(Visits) -> Streams<K, S> + Send + Sync + 'static,
    ) -> String {
        let before = self.work.snapshot("state");
        let error = self.run([MORE, OTHER], |it| it, step).unwrap_err();
        before.assert_same(&self.work.snapshot("state"));
        crate::text(&self.work, &error)
    }

    fn look<R>(&self, look: impl FnOnce(&Look) -> R) -> R {
        support::look(&self.work.path("state"), look)
    }

    /// The row that the step has for itself, as text, with the number of the step.
    fn own_row(&self, id: &str) -> (u16, String) {
        self.look(|look| {
            let step = look.step(id).unwrap();
            let row = look.row(step, OWN_KEY).unwrap().unwrap();
            (step.number, flow_store::text_of(&row.value))
        })
    }
}

/// A key as text, without the signs of its form.
fn shown<K: AsKey>(key: &K) -> String {
    let mut bytes = Vec::new();
    flow_store::encode(key, &mut bytes).unwrap();
    flow_store::text_of(&bytes).replace(['"', '[', ']'], "")
}

#[test]
fn another_number_of_workers_loses_nothing() {
    for workers in [[1, 3], [3, 1], [4, 2]] {
        let mut store = Store::begin(workers[0]);
        store.workers = workers[1];
        store.goes_on(named);
    }
}

#[test]
fn a_windowed_step_is_renamed_with_all_that_it_keeps() {
    let store = Store::begin(2);
    let (number, own) = store.own_row("minutes");
    store.goes_on(|visits| {
        let counts = count(by_page(visits)).named("pages");
        counts.renamed_from("minutes")
    });
    assert_eq!(store.own_row("pages").0, number);
    assert!(own.contains("\"closed\":130000000"), "{own}");
}

/// The rows are written again under a new number, also the one of the step itself.
#[test]
fn values_of_a_type_that_reads_the_stored_ones_lose_nothing() {
    for workers in [1, 3] {
        let store = Store::begin(workers);
        let (number, _) = store.own_row("minutes");
        let narrow = |visits: Visits| {
            let counts = by_page(visits).fold_window(minutes(), || 0, |n: &mut u32, _| *n += 1);
            counts.named("minutes")
        };
        store.goes_on(narrow);
        assert_ne!(store.own_row("minutes").0, number);
        // The run after that resumes with the new rows.
        let other: &[Visit] = &[("d", 30), ("e", 31)];
        let (_, seen) = store.run([MORE, other], |it| it, narrow).unwrap();
        assert_eq!(seen, ["late e 31"]);
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Count {
    visits: u64,
}

fn counted(visits: Visits) -> Streams<String, Count> {
    let none = || Count { visits: 0 };
    let counts =
        by_page(visits).fold_window(minutes(), none, |count: &mut Count, _| count.visits += 1);
    counts.named("minutes")
}

#[test]
fn values_of_another_type_are_refused_unless_they_are_converted() {
    for workers in [1, 3] {
        let store = Store::begin(workers);
        assert_eq!(
            store.refused(counted),
            "the states of step `minutes` (PLACE) are of another type than in the store in \
             STORE:\n  `[].2` was u64 and is Count\nhelp: convert them with \
             `.migrate_from::<Old>(..)`, give up what is stored with `--drop-state minutes`, or go \
             back to the type that is stored: [(i64, bool, u64)]"
        );
        let (number, _) = store.own_row("minutes");
        let migrated = |visits| {
            counted(visits).migrate_from(|visits: u64| Count {
                visits: visits * 10,
            })
        };
        let (_, seen) = store.run([MORE, OTHER], |it| it, migrated).unwrap();
        // A window that was shown before it was converted is not shown again.
        assert_eq!(
            seen,
            [
                "late d 30",
                "value a 120 Count { visits: 11 }",
                "value c 120 Count { visits: 1 }"
            ]
        );
        assert_ne!(store.own_row("minutes").0, number);
        // The line may stay.
        let other: &[Visit] = &[("d", 30), ("e", 31), ("a", 140)];
        let (_, seen) = store.run([MORE, other], |it| it, migrated).unwrap();
        assert_eq!(seen, ["late e 31", "value a 120 Count { visits: 12 }"]);
    }
}

#[test]
fn keys_of_another_type_are_refused_unless_they_are_converted() {
    for workers in [1, 3] {
        let store = Store::begin(workers);
        let pairs = |visits: Visits| {
            let pages = visits.key_on(|visit| (visit.page.clone(), 7));
            let counts = pages.fold_window(minutes(), || 0, |n: &mut u64, _| *n += 1);
            counts.named("minutes")
        };
        let error = store.refused(pairs);
        assert!(
            error.starts_with(
                "the key of step `minutes` (PLACE) is not what it was in the store in STORE:\n  it \
                 was String and is (String, i32)\nhelp: "
            ),
            "{error}"
        );
        let rekeyed = move |visits| {
            let WindowedStreams { values, late } = pairs(visits);
            let values = values.rekey_from(|page: String| (page, 7));
            WindowedStreams { values, late }
        };
        let (_, seen) = store.run([MORE, OTHER], |it| it, rekeyed).unwrap();
        assert_eq!(seen, ["late d 30", "value a,7 120 2", "value c,7 120 1"]);
        let (_, seen) = store.run([MORE, OTHER], |it| it, rekeyed).unwrap();
        assert!(seen.is_empty(), "{seen:?}");
    }
}

#[test]
fn a_dropped_step_begins_anew() {
    let store = Store::begin(2);
    let drop = |it: Recovery| it.drop_state("minutes");
    let (_, seen) = store.run([MORE, OTHER], drop, named).unwrap();
    assert_eq!(seen, ["value a 120 1", "value c 120 1", "value d 0 1"]);
}

fn hours(visits: Visits) -> Streams<String, u64> {
    let hours = Windows::tumbling(Duration::from_secs(3600));
    let counts = by_page(visits).fold_window(hours, || 0, |count: &mut u64, _| *count += 1);
    counts.named("minutes")
}

#[test]
fn open_windows_of_another_length_are_refused() {
    let store = Store::begin(3);
    assert_eq!(
        store.refused(hours),
        "step `minutes` has open windows of tumbling(60s), and the flow now has windows of \
         tumbling(3600s)\nhelp: go back to the windows that are stored, or give up the open \
         windows with `--drop-state minutes`"
    );
    store.goes_on(named);
}

#[test]
fn without_open_windows_their_length_may_change() {
    let store = Store::new(2);
    let of_a = |visits: Visits| visits.filter(|visit| visit.page == "a");
    // The watermark closes the window before the input ends, because each visit is read only when
    // the one before it is durable.
    let visits: &[Visit] = &[("a", 0), ("b", 3700), ("b", 3700)];
    let step = move |visits| named(of_a(visits));
    let (_, seen) = store.run([visits, &[]], |it| it, step).unwrap();
    assert_eq!(seen, ["value a 0 1"]);
    let step = move |visits| hours(of_a(visits));
    let (_, seen) = store
        .run([visits, &[("a", 30), ("a", 3650)]], |it| it, step)
        .unwrap();
    // The first hour closed with the last of its minutes.
    assert_eq!(seen, ["late a 30", "value a 3600 1"]);
    assert!(store.own_row("minutes").1.contains("tumbling(3600s)"));
}

#[test]
fn open_windows_are_no_states_of_a_step_without_windows() {
    let store = Store::begin(2);
    let error = store.refused(|visits| {
        let counts = by_page(visits).stateful_map(|count: &mut u64, visit: Visited| {
            *count += 1;
            (visit, *count)
        });
        let counts = counts.named("minutes");
        let window = flow::Window {
            open: Timestamp::UNIX_EPOCH,
            close: Timestamp::UNIX_EPOCH,
        };
        let late = counts
            .clone()
            .map_values(move |(value, _)| Late { value, window });
        let values = counts.map_values(move |(_, value)| Windowed { value, window });
        WindowedStreams { values, late }
    });
    assert!(
        error.contains("\n  it was [(i64, bool, u64)] and is u64\nhelp: "),
        "{error}"
    );
}

#[test]
fn going_back_brings_windows_back() {
    let store = Store::new(2);
    let retain = |it: Recovery| it.retain(Retain::Epochs(100));
    store.run([FIRST, &[]], retain, named).unwrap();
    let epoch = store.look(Look::epoch);
    let (_, first) = store.run([MORE, OTHER], retain, named).unwrap();
    assert_eq!(first, NOTHING_LOST);
    let back = |it: Recovery| retain(it).from_epoch(epoch);
    let (_, again) = store.run([MORE, OTHER], back, named).unwrap();
    assert_eq!(again, NOTHING_LOST);
}

/// The step would otherwise forget how far it has come.
#[test]
fn a_row_of_the_step_itself_that_cant_be_read_is_damage() {
    let store = Store::begin(1);
    let look = Look::at(store.work.path("state")).unwrap();
    let specs = look.steps().iter().map(|step| StepSpec {
        id: step.id.clone(),
        kind: step.kind,
        operator: step.operator.clone(),
        key_type: step.key_type.clone(),
        state_type: step.state_type.clone(),
        schemas: Schemas {
            key: step.key_schema.clone(),
            state: step.state_schema.clone(),
            ..Schemas::default()
        },
        renamed_from: Vec::new(),
        place: String::new(),
    });
    let specs: Vec<_> = specs.collect();
    let manifest = look.reconcile(&specs, &Agreed::default()).unwrap();
    let number = look.step("minutes").unwrap().number;
    let mut changes = Changes::new();
    let put = changes.put(number, StepKind::State.group(OWN_KEY), OWN_KEY, |into| {
        flow_store::encode(&7, into)
    });
    put.unwrap();
    let execution = look.start(Start::new("f", &manifest, &changes)).unwrap();
    execution.end(End::Stopped).unwrap();
    let error = store.refused(named);
    let row = "is damaged: the row of step `minutes` for itself, key group 194: its value: ";
    assert!(error.contains(row), "{error}");
    assert!(
        error.ends_with("\nhelp: put a backup in its place"),
        "{error}"
    );
}
