//! Stores of the present format, as the version that wrote them left them. This version must read
//! them, and resume from them. The way in which a store is written may change only with a new
//! format.
//!
//! `format-N/NAME.redb.zlib` is a part file, and `NAME.txt` beside it is its expected content. They
//! are never rewritten. When the format changes, they are removed, and `make` writes those of the
//! new one:
//!
//! ```sh
//! cargo test -p flow-store --test golden -- --ignored
//! ```

#![cfg(test)]

mod contents;
mod make;

use contents::contents;
use flow_store::{
    Agreed, Changes, End, Epoch, GoBackError, KEY_GROUPS, Look, Retain, Row, Schemas, Start,
    StepSpec, StoreError, StoredStep,
};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const PART: &str = "part-00000-of-00001.redb";

/// The present format.
const FORMAT: u64 = 6;

fn directory(format: u64) -> PathBuf {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    golden.join(format!("format-{format}"))
}

/// The stores of a format, by name.
fn names(format: u64) -> BTreeSet<String> {
    let files = fs::read_dir(directory(format)).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let of = |name: String| name.split('.').next().unwrap().to_owned();
    names.map(of).collect()
}

/// A directory with one of them as a store in it.
fn unpack(format: u64, name: &str) -> tempfile::TempDir {
    let packed = fs::read(directory(format).join(format!("{name}.redb.zlib"))).unwrap();
    let part = miniz_oxide::inflate::decompress_to_vec_zlib(&packed).unwrap();
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join(PART), part).unwrap();
    home
}

fn each(test: impl Fn(&str, &tempfile::TempDir, &str)) {
    let names = names(FORMAT);
    assert!(!names.is_empty());
    for name in names {
        let expected = directory(FORMAT).join(format!("{name}.txt"));
        let expected = fs::read_to_string(expected).unwrap().replace('\r', "");
        test(&name, &unpack(FORMAT, &name), &expected);
    }
}

#[test]
fn what_is_in_them_is_found() {
    each(|name, home, expected| {
        let part = home.path().join(PART);
        let before = fs::read(&part).unwrap();
        let found = contents(Look::at(home.path()).unwrap());
        assert!(found == expected, "{name}: it has\n{found}");
        let look = Look::at(home.path()).unwrap();
        let verified = look.verify(&mut |_, _| ()).unwrap();
        assert_eq!(verified.damage, Vec::<String>::new(), "{name}");
        drop(look);
        assert!(before == fs::read(&part).unwrap(), "{name}");
    });
}

/// A flow of the steps that the store has.
fn flow(steps: &[StoredStep]) -> Vec<StepSpec> {
    let specs = steps.iter().map(|step| StepSpec {
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
    specs.collect()
}

fn rows(look: &Look) -> Vec<(u16, Row)> {
    let mut all = Vec::new();
    for step in look.steps() {
        let rows = look.rows(step.number, 0..KEY_GROUPS).unwrap();
        all.extend(rows.map(|row| (step.number, row.unwrap())));
    }
    all
}

#[test]
fn they_are_gone_on_with() {
    each(|name, home, _| {
        let look = Look::at(home.path())
            .unwrap()
            .retaining(Retain::Epochs(100));
        let (epoch, number, steps) = (look.epoch(), look.next_execution(), look.steps().to_vec());
        let mut expected = rows(&look);
        let manifest = look.reconcile(&flow(&steps), &Agreed::default()).unwrap();
        assert_eq!(manifest.notices, [], "{name}");
        let nothing = Changes::new();
        let start = Start {
            manifest: &manifest,
            flow_name: "golden",
            workers: 3,
            build: "now",
            changes: &nothing,
        };
        let mut execution = look.start(start).unwrap();
        assert_eq!(
            (execution.number(), execution.resumed_from()),
            (number, epoch),
            "{name}"
        );

        // Every other row is removed, and the others get another value.
        let mut changes = Changes::new();
        let mut n = 0;
        expected.retain_mut(|(step, row)| {
            n += 1;
            if n % 2 == 0 {
                changes.remove(*step, row.group, &row.key);
                return false;
            }
            row.value.extend_from_slice(&[0xc0; 9000]);
            let put = changes.put(*step, row.group, &row.key, |bytes| {
                bytes.extend_from_slice(&row.value);
                Ok::<(), ()>(())
            });
            put.unwrap();
            true
        });
        let epoch = Epoch::first(number);
        execution.commit(epoch, [&changes]).unwrap();
        execution.end(End::Stopped).unwrap();
        let look = Look::at(home.path()).unwrap();
        assert_eq!(
            (look.epoch(), look.next_execution()),
            (epoch, number + 1),
            "{name}"
        );
        assert_eq!(look.steps(), steps, "{name}");
        assert_eq!(rows(&look), expected, "{name}");
    });
}

#[test]
fn they_are_gone_back_with() {
    each(|name, home, _| {
        let look = || Look::at(home.path()).unwrap();
        let retained: Vec<Epoch> = look().retained().iter().map(|it| it.epoch).collect();
        for epoch in retained {
            let home = copy(home.path());
            let look = match Look::at(home.path()).unwrap().go_back(epoch) {
                Ok(look) => look,
                // The store may have gone back to it already.
                Err(StoreError::GoBack(GoBackError::WentBack { .. })) => continue,
                Err(error) => panic!("{name}: {error}"),
            };
            let look = look.retaining(Retain::Epochs(100));
            let (expected, number) = (rows(&look), look.next_execution());
            let before: Vec<Epoch> = look.retained().iter().map(|it| it.epoch).collect();
            let flow = flow(look.steps());
            let manifest = look.reconcile(&flow, &Agreed::default()).unwrap();
            let start = Start {
                manifest: &manifest,
                flow_name: "golden",
                workers: 3,
                build: "now",
                changes: &Changes::new(),
            };
            drop(look.start(start).unwrap());
            let look = Look::at(home.path()).unwrap();
            assert_eq!(look.about().unwrap().format, FORMAT);
            assert_eq!(look.epoch(), Epoch::opening(number), "{name}");
            assert_eq!(rows(&look), expected, "{name}, {epoch}");
            let now: Vec<Epoch> = look.retained().iter().map(|it| it.epoch).collect();
            assert_eq!(now, [before, vec![epoch]].concat(), "{name}, {epoch}");
            let verified = look.verify(&mut |_, _| ()).unwrap();
            assert_eq!(verified.damage, Vec::<String>::new(), "{name}, {epoch}");
        }
    });
}

#[test]
fn they_are_worked_on_by_hand() {
    each(|name, home, _| {
        let original = rows(&Look::at(home.path()).unwrap());
        for work in ["compact", "backup", "rename", "drop"] {
            let home = copy(home.path());
            let target = home.path().join("backup");
            let mut expected = original.clone();
            let look = Look::at(home.path()).unwrap();
            let retained = look.retained();
            let first = look.steps().first().cloned();
            let first = first.map(|step| (step.number, step.id));
            match (work, first) {
                ("compact", _) => drop(look.compact(&mut |_, _| ()).unwrap()),
                ("backup", _) => drop(look.backup(&target, &mut |_, _| ()).unwrap()),
                ("rename", Some((_, id))) => drop(look.rename_step(&id, "other").unwrap()),
                ("drop", Some((number, id))) => {
                    expected.retain(|(step, _)| *step != number);
                    drop(look.drop_step(&id).unwrap());
                }
                _ => continue,
            }
            let at = if work == "backup" {
                &target
            } else {
                home.path()
            };
            let look = Look::at(at).unwrap();
            assert_eq!(look.about().unwrap().format, FORMAT, "{name}, {work}");
            assert_eq!(rows(&look), expected, "{name}, {work}");
            let verified = look.verify(&mut |_, _| ()).unwrap();
            assert_eq!(verified.damage, Vec::<String>::new(), "{name}, {work}");
            match work {
                "compact" | "backup" => assert_eq!(look.retained(), retained),
                _ => assert_eq!(look.retained(), []),
            }
        }
    });
}

fn copy(store: &Path) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    fs::copy(store.join(PART), home.path().join(PART)).unwrap();
    home
}

/// Otherwise a store of the present format is missing here.
#[test]
fn there_are_some_of_the_present_format() {
    let home = tempfile::tempdir().unwrap();
    make::a_store(home.path(), "started");
    let look = Look::at(home.path()).unwrap();
    assert_eq!(look.about().unwrap().format, FORMAT);
    let made: BTreeSet<String> = make::NAMES.map(str::to_owned).into();
    assert_eq!(names(FORMAT), made);
}
