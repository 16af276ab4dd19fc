//! Operations on a store: it is read as a whole, and a flow resumes on it.

use crate::seeds::{FLOW, spec};
use flow_store::{
    Agreed, Changes, End, Epoch, Execution, ExecutionError, KEY_GROUPS, Look, Retain, Start,
    StepSpec, StoreError,
};
use std::collections::BTreeMap;
use std::path::Path;

/// All rows, by step, key group and key.
pub type Rows = BTreeMap<(u16, u16, Vec<u8>), Vec<u8>>;

/// The content that a look showed.
pub struct Read {
    /// The rows.
    pub rows: Rows,
    /// Whether there is also content that no flow writes.
    pub damaged: bool,
}

/// Reads everything that a look can show.
///
/// # Errors
///
/// The first error.
pub fn read_all(look: &Look) -> Result<Read, StoreError> {
    look.executions()?;
    let _ = (
        look.about(),
        look.last_execution(),
        look.next_execution().to_string(),
    );
    let mut all = Rows::new();
    for step in look.steps() {
        let mut before = None;
        for row in look.rows(step.number, 0..KEY_GROUPS)? {
            let row = row?;
            let _ = row.name(step);
            let key = (step.number, row.group, row.key);
            assert!(before < Some(key.clone()), "rows are not in their order");
            before = Some(key.clone());
            all.insert(key, row.value);
        }
    }
    // Rows of an unknown step are damage, not an error.
    let verified = look.verify(&mut |_, _| ())?;
    assert_eq!(verified.damaged > 0, !verified.damage.is_empty());
    assert_eq!(verified.rows, all.len() as u64);
    Ok(Read {
        rows: all,
        damaged: verified.damaged > 0,
    })
}

/// Looks at the store at each retained epoch: each gives an error or valid rows.
pub fn see_all(mut look: Look) {
    for _ in 0..8 {
        let Some(before) = look.retained().pop() else {
            return;
        };
        let read = look.see(before.epoch).and_then(|then| {
            assert_eq!(then.epoch(), before.epoch);
            read_all(&then).map(|_| then)
        });
        match read {
            Ok(then) => look = then,
            Err(error) => return drop(error.to_string()),
        }
    }
}

/// Starts an execution with the steps of the store; for a new store, with those of the seeds.
pub(crate) fn start(look: Look, changes: &Changes) -> Result<Execution, StoreError> {
    let flow: Vec<StepSpec> = match look.is_new() {
        true => FLOW.map(|(id, kind)| spec(id, kind)).to_vec(),
        false => {
            let specs = look.steps().iter().map(|step| StepSpec {
                schemas: flow_store::Schemas {
                    key: step.key_schema.clone(),
                    state: step.state_schema.clone(),
                    ..Default::default()
                },
                ..spec(&step.id, step.kind)
            });
            specs.collect()
        }
    };
    let manifest = look.reconcile(&flow, &Agreed::default())?;
    look.start(Start::new("fuzzed", &manifest, changes))
}

/// Resumes on a store in which a look found no error: commits that fold, going back, and a
/// compaction. Returns whether the result is as expected.
///
/// # Errors
///
/// The first error. See [`resume_whole`].
pub fn resume(store: &Path) -> Result<bool, StoreError> {
    let look = Look::at(store)?.retaining(Retain::Epochs(2));
    let mut rows = read_all(&look)?.rows;
    let keys: Vec<_> = rows.keys().cloned().collect();
    let first = look.steps().first().map(|step| step.number);
    let (number, from) = (look.next_execution(), look.epoch());
    let mut execution = start(look, &Changes::new())?;
    assert_eq!(
        (execution.number(), execution.resumed_from()),
        (number, from)
    );
    let mut past = Vec::new();
    for n in 0..5 {
        past.push((execution.epoch(), rows.clone()));
        let mut changes = Changes::new();
        if let Some(step) = first {
            // A row after all others.
            let last = (step, KEY_GROUPS - 1, vec![0xff; 64]);
            set(&mut rows, &mut changes, last, Some(vec![7; 9000 >> n]));
        }
        for (at, key) in keys.iter().enumerate() {
            match (at + n) % 4 {
                0 => set(&mut rows, &mut changes, key.clone(), Some(vec![7; n + 1])),
                1 => set(&mut rows, &mut changes, key.clone(), None),
                _ => {}
            }
        }
        execution.commit(execution.epoch().next(), [&changes])?;
    }
    let epoch = execution.epoch();
    execution.end(End::Stopped)?;
    let look = Look::at(store)?;
    assert_eq!((look.epoch(), look.next_execution()), (epoch, number + 1));
    let mut same = read_all(&look)?.rows == rows;

    let Some((before, rows)) = past.pop() else {
        return Ok(same);
    };
    let look = look.go_back(before)?;
    same &= read_all(&look)?.rows == rows;
    let execution = start(look, &Changes::new())?;
    assert_eq!(execution.epoch(), Epoch::opening(number + 1));
    drop(execution);
    let look = Look::at(store)?;
    same &= read_all(&look)?.rows == rows;
    look.compact(&mut |_, _| ())?;
    Ok(same && read_all(&Look::at(store)?)?.rows == rows)
}

/// The same for a file without forged pages. The only possible error is that all numbers are used.
///
/// # Panics
///
/// If there is any other error.
pub fn resume_whole(store: &Path) {
    match resume(store) {
        Ok(same) => assert!(same, "other rows than before"),
        Err(StoreError::Execution(ExecutionError::TooManyExecutions { .. })) => {}
        Err(error) => panic!("{error}"),
    }
}

/// Changes a row in the store, and in the expected content.
fn set(rows: &mut Rows, changes: &mut Changes, at: (u16, u16, Vec<u8>), value: Option<Vec<u8>>) {
    let (step, group, key) = &at;
    match value {
        Some(value) => {
            let put = changes.put(*step, *group, key, |bytes| {
                bytes.extend_from_slice(&value);
                Ok::<(), ()>(())
            });
            put.expect("a row");
            rows.insert(at, value);
        }
        None => {
            changes.remove(*step, *group, key);
            rows.remove(&at);
        }
    }
}
