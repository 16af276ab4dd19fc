//! What is done with a store: it is read as a whole, and gone on with.

use crate::seeds::{FLOW, spec};
use flow_store::{
    Agreed, Changes, End, Epoch, Execution, KEY_GROUPS, Look, Row, Start, StepSpec, StoreError,
};
use std::path::Path;

/// All rows, by step.
type Rows = Vec<(u16, Vec<Row>)>;

/// Reads all that a look can show.
///
/// # Errors
///
/// The first.
pub fn read_all(look: &Look) -> Result<Rows, StoreError> {
    look.executions()?;
    let _ = (
        look.about(),
        look.last_execution(),
        look.next_execution().to_string(),
    );
    let mut all = Vec::new();
    for step in look.steps() {
        let rows: Vec<Row> = look
            .rows(step.number, 0..KEY_GROUPS)?
            .collect::<Result<_, _>>()?;
        for row in &rows {
            let _ = row.name(step);
        }
        all.push((step.number, rows));
    }
    // what a step has under no id is damage, not an error
    let verified = look.verify(&mut |_, _| ())?;
    assert_eq!(verified.damaged > 0, !verified.damage.is_empty());
    Ok(all)
}

/// Looks at the store as it was, as far back as that goes: an error or valid rows.
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

/// Starts an execution of whatever steps the store has; of a new one, those of the seeds.
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
    look.start(Start {
        manifest: &manifest,
        flow_name: "fuzzed",
        workers: 1,
        build: "",
        changes,
    })
}

/// Goes on with a store that a look found nothing wrong with, and holds what comes of it against
/// what was in it: whether it is the same.
///
/// # Errors
///
/// All that there are: the first. See [`resume_whole`].
pub fn resume(store: &Path) -> Result<bool, StoreError> {
    let look = Look::at(store)?;
    let mut expected = read_all(&look)?;
    let (number, from) = (look.next_execution(), look.epoch());
    let changes = one_more(&mut expected);
    let mut execution = start(look, &Changes::new())?;
    assert_eq!(
        (execution.number(), execution.resumed_from()),
        (number, from)
    );
    let epoch = Epoch::first(number);
    execution.commit(epoch, [&changes])?;
    execution.end(End::Stopped)?;
    let look = Look::at(store)?;
    assert_eq!((look.epoch(), look.next_execution()), (epoch, number + 1));
    Ok(read_all(&look)? == expected)
}

/// The same with a file whose pages nobody has forged: nothing goes wrong, but that the store has given
/// away all its numbers.
///
/// # Panics
///
/// If anything else does.
pub fn resume_whole(store: &Path) {
    match resume(store) {
        Ok(same) => assert!(same, "other rows than before"),
        Err(StoreError::TooManyExecutions { .. }) => {}
        Err(error) => panic!("{error}"),
    }
}

/// A row behind all others, of the first step.
fn one_more(rows: &mut Rows) -> Changes {
    let mut changes = Changes::new();
    let Some((step, rows)) = rows.first_mut() else {
        return changes;
    };
    let (group, key, value) = (KEY_GROUPS - 1, vec![0xff; 64], vec![7; 9000]);
    let put = changes.put(*step, group, &key, |bytes| {
        bytes.extend_from_slice(&value);
        Ok::<(), ()>(())
    });
    put.expect("a row");
    rows.retain(|row| row.group != group || row.key != key);
    rows.push(Row { group, key, value });
    rows.sort_by(|a, b| (a.group, &a.key).cmp(&(b.group, &b.key)));
    changes
}
