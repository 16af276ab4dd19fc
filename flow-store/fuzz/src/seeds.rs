//! Valid stores, made when a target starts.

use crate::cycle::start;
use crate::seal::Seals;
use flow_store::{Changes, End, Epoch, Look, Retain, Schemas, StepKind, StepSpec, TokenRow, encode};
use std::fs;
use std::path::PathBuf;

/// The directory of stores, and the part files of the initial ones.
pub struct Seeds {
    directory: tempfile::TempDir,
    /// Stores that were killed or ended, with more or fewer rows, of which more or fewer are
    /// folded.
    pub parts: Vec<Vec<u8>>,
    /// The checksums of each.
    pub seals: Vec<Seals>,
}

/// The ids and kinds of the steps that they have.
pub const FLOW: [(&str, StepKind); 3] = [
    ("lines", StepKind::Source),
    ("counts", StepKind::State),
    ("out", StepKind::Sink),
];

impl Seeds {
    /// Makes them.
    ///
    /// # Panics
    ///
    /// If that fails.
    #[must_use]
    pub fn new() -> Seeds {
        let memory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        let mut seeds = Seeds {
            directory: memory.expect("a directory"),
            parts: Vec::new(),
            seals: Vec::new(),
        };
        for (rows, retain) in [
            (0, Retain::Epochs(9)),
            (30, Retain::Epochs(9)),
            (30, Retain::Epochs(1)),
            (400, Retain::Nothing),
        ] {
            let _ = fs::remove_dir_all(seeds.store());
            let look = Look::at(seeds.store()).expect("a new store");
            let look = look.retaining(retain);
            let mut execution = start(look, &Changes::new()).expect("a start");
            for n in 1..=3 {
                let epoch = Epoch::from_u64(Epoch::opening(1).to_u64() + n);
                execution
                    .commit(epoch, [&changes(rows, n)])
                    .expect("a commit");
            }
            seeds.parts.push(fs::read(seeds.part()).expect("a file"));
            execution.end(End::Finished).expect("an end");
            seeds.parts.push(fs::read(seeds.part()).expect("a file"));
        }
        for part in &seeds.parts {
            let seals = Seals::of(part);
            let mut same = part.clone();
            seals.seal(&mut same);
            assert!(same == *part && seals.len() > 5, "{} seals", seals.len());
            seeds.seals.push(seals);
        }
        seeds
    }

    /// The directory of the store.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    /// Its part file.
    #[must_use]
    pub fn part(&self) -> PathBuf {
        self.store().join("part-00000-of-00001.redb")
    }

    /// Its lock file.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.store().join("lock")
    }
}

impl Default for Seeds {
    fn default() -> Seeds {
        Seeds::new()
    }
}

fn changes(rows: u64, n: u64) -> Changes {
    let mut changes = Changes::new();
    let mut key = Vec::new();
    for row in 0..rows {
        key.clear();
        encode(&(row * n), &mut key).expect("a key");
        let text = "x".repeat((row % 100) as usize);
        changes
            .put(1, StepKind::State.group(&key), &key, |bytes| {
                encode(&text, bytes)
            })
            .expect("a row");
    }
    changes
        .put(0, 0, &TokenRow::key("a.txt"), |bytes| {
            TokenRow::begin(false, &[(3, n as i64)].into(), bytes);
            encode(&(n * 100), bytes)
        })
        .expect("a row");
    changes
        .put(2, 0, &[0], |bytes| encode(&n, bytes))
        .expect("a row");
    changes
}

/// A step of a flow.
pub(crate) fn spec(id: &str, kind: StepKind) -> StepSpec {
    StepSpec {
        id: id.to_owned(),
        kind,
        operator: "operator".to_owned(),
        key_type: "String".to_owned(),
        state_type: "u64".to_owned(),
        schemas: Schemas::default(),
        renamed_from: Vec::new(),
        place: String::new(),
    }
}
