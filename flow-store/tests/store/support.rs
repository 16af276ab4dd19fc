//! A directory for a store, and the shortest ways to use it.

use flow_store::{
    Agreed, Changes, Epoch, Execution, KEY_GROUPS, Look, Manifest, Row, Start, StepKind, StepSpec,
    StoreError,
};
use std::fs;
use std::path::{Path, PathBuf};

pub(crate) const PART: &str = "part-00000-of-00001.redb";

/// A directory that is removed when the test ends, with the directory of the store in it.
pub(crate) struct Home {
    directory: tempfile::TempDir,
}

impl Home {
    pub(crate) fn new() -> Home {
        Home {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.path("state")
    }

    pub(crate) fn part(&self) -> PathBuf {
        self.store().join(PART)
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.store().join("lock")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn look(&self) -> Look {
        Look::at(self.store()).unwrap()
    }

    /// Starts a flow of these steps, with nothing to agree to.
    pub(crate) fn start(&self, flow: &[StepSpec]) -> Execution {
        let look = self.look();
        let manifest = look.reconcile(flow, &Agreed::default()).unwrap();
        start(look, &manifest)
    }

    /// The message of a look's refusal, which must leave the part file unchanged.
    pub(crate) fn refused(&self) -> (StoreError, String) {
        let before = fs::read(self.part()).ok();
        let error = Look::at(self.store()).unwrap_err();
        assert!(
            before == fs::read(self.part()).ok(),
            "a refusal changed the part file: {error}"
        );
        let message = error
            .to_string()
            .replace(&self.path("").display().to_string(), "");
        (error, message)
    }

    /// The files that a kill leaves: those of the running execution.
    pub(crate) fn killed(&self) -> Home {
        let home = Home::new();
        copy(&self.store(), &home.store());
        home
    }
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

pub(crate) fn start(look: Look, manifest: &Manifest) -> Execution {
    start_with(look, manifest, &Changes::new()).unwrap()
}

pub(crate) fn start_with(
    look: Look,
    manifest: &Manifest,
    changes: &Changes,
) -> Result<Execution, StoreError> {
    look.start(Start {
        manifest,
        flow_name: "cart_join",
        workers: 2,
        build: "test 1.0",
        changes,
    })
}

pub(crate) fn step(id: &str) -> StepSpec {
    StepSpec {
        id: id.to_owned(),
        kind: StepKind::State,
        operator: "stateful_map".to_owned(),
        key_type: "String".to_owned(),
        state_type: "Cart".to_owned(),
        schemas: Default::default(),
        renamed_from: Vec::new(),
        place: "src/main.rs:12:9".to_owned(),
    }
}

pub(crate) fn renamed(id: &str, from: &str) -> StepSpec {
    StepSpec {
        renamed_from: vec![from.to_owned()],
        ..step(id)
    }
}

pub(crate) fn agree(ids: &[&str]) -> Agreed {
    Agreed {
        drop_steps: ids.iter().map(|id| (*id).to_owned()).collect(),
    }
}

pub(crate) fn put(changes: &mut Changes, step: u16, group: u16, key: &str, value: &str) {
    changes
        .put(step, group, key.as_bytes(), |bytes| {
            bytes.extend_from_slice(value.as_bytes());
            Ok::<(), StoreError>(())
        })
        .unwrap();
}

/// Rows of one step, in group 5: key and value.
pub(crate) fn changes(step: u16, rows: &[(&str, &str)]) -> Changes {
    let mut changes = Changes::new();
    for (key, value) in rows {
        put(&mut changes, step, 5, key, value);
    }
    changes
}

pub(crate) fn rows(look: &Look, step: u16) -> Vec<(String, String)> {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let pair = |row: Row| (text(row.key), text(row.value));
    let rows: Result<Vec<Row>, StoreError> = look.rows(step, 0..KEY_GROUPS).unwrap().collect();
    rows.unwrap().into_iter().map(pair).collect()
}

pub(crate) fn pairs(rows: &[(&str, &str)]) -> Vec<(String, String)> {
    rows.iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

pub(crate) fn epoch(execution: u64, number: u64) -> Epoch {
    Epoch::from_u64(Epoch::opening(execution).to_u64() + number)
}
