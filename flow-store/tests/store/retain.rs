//! Epochs before the last one: how many are kept, what keeps and what forgets them, and what can't
//! go back.

use crate::support::*;
use flow_store::{
    Changes, End, Epoch, Execution, GoBackError, LockError, Look, Retain, StepSpec, StoreError,
};
use redb::{Database, ReadableTable, TableDefinition};
use std::time::Duration;

const DELTAS: TableDefinition<'static, (u64, u32), &[u8]> = TableDefinition::new("deltas");

/// Starts and commits three epochs, each of which gives the key `k` another value.
fn run(home: &Home, flow: &[StepSpec], retain: Retain) -> Execution {
    let look = home.look().retaining(retain);
    let manifest = look.reconcile(flow, &agree(&[])).unwrap();
    let number = manifest.numbers[0];
    let mut execution = start(look, &manifest);
    for n in 1..4 {
        let epoch = epoch(execution.number(), n);
        let changes = changes(number, &[("k", &epoch.to_string())]);
        execution.commit(epoch, [&changes]).unwrap();
    }
    execution
}

fn flow() -> Vec<StepSpec> {
    vec![step("a"), step("b")]
}

fn retained(look: &Look) -> Vec<Epoch> {
    look.retained().iter().map(|it| it.epoch).collect()
}

#[test]
fn as_many_as_was_said_and_those_of_a_duration() {
    let home = Home::new();
    run(&home, &flow(), Retain::Epochs(2))
        .end(End::Stopped)
        .unwrap();
    assert_eq!(retained(&home.look()), [epoch(1, 1), epoch(1, 2)]);
    // Across the end of an execution.
    drop(run(&home, &flow(), Retain::Epochs(5)));
    let five = [
        epoch(1, 2),
        epoch(1, 3),
        epoch(2, 0),
        epoch(2, 1),
        epoch(2, 2),
    ];
    assert_eq!(retained(&home.look()), five);
    let hour = Retain::For(Duration::from_secs(3600));
    drop(run(&home, &flow(), hour));
    assert_eq!(retained(&home.look()).len(), 9);
    let until = home.look().retained();
    assert!(until.is_sorted_by_key(|it| (it.epoch, it.until)));
    // Of a time that is over, only what is younger is left. Times are in milliseconds, and several
    // epochs may share one, so one run may have to keep more.
    let forgets = (0..50).any(|_| {
        drop(run(&home, &flow(), Retain::For(Duration::from_nanos(1))));
        retained(&home.look()).len() < 5
    });
    assert!(forgets);
    drop(run(&home, &flow(), Retain::Nothing));
    assert_eq!(retained(&home.look()), []);
}

#[test]
fn each_epoch_has_what_it_had() {
    let home = Home::new();
    drop(run(&home, &flow(), Retain::Epochs(100)));
    drop(run(&home, &flow(), Retain::Epochs(100)));
    let all = retained(&home.look());
    for epoch in all {
        let then = home.look().see(epoch).unwrap();
        let value = match (epoch.execution(), epoch.number()) {
            (1, 0) => vec![],
            (2, 0) => pairs(&[("k", "1.3")]),
            _ => pairs(&[("k", &epoch.to_string())]),
        };
        assert_eq!(rows(&then, 0), value, "{epoch}");
        assert!(retained(&then).iter().all(|earlier| *earlier < epoch));
        // From there the store can go further back, but not forward again.
        let further = then.see(Epoch::opening(1)).unwrap();
        assert_eq!(rows(&further, 0), []);
        let forward = further.see(epoch);
        assert!(forward.is_err() || epoch == Epoch::opening(1));
    }
}

/// Going back restores the steps too, with all their rows, if a start dropped or renamed them.
#[test]
fn steps_come_back_as_they_were() {
    let home = Home::new();
    drop(run(&home, &flow(), Retain::Epochs(100)));
    let before = epoch(1, 3);
    let look = home.look().retaining(Retain::Epochs(100));
    let other = [renamed("c", "b"), step("d")];
    let manifest = look.reconcile(&other, &agree(&["a"])).unwrap();
    drop(start(look, &manifest));
    assert_eq!(home.look().see(before).unwrap().epoch(), before);

    let look = home.look().go_back(before).unwrap();
    let ids: Vec<_> = look.steps().iter().map(|step| step.id.clone()).collect();
    assert_eq!(ids, ["a", "b"]);
    let manifest = look.reconcile(&flow(), &agree(&[])).unwrap();
    assert_eq!(manifest.numbers, [0, 1]);
    let execution = start(look, &manifest);
    assert_eq!((execution.number(), execution.resumed_from()), (3, before));
    assert_eq!(execution.epoch(), Epoch::opening(3));
    execution.end(End::Finished).unwrap();
    let look = home.look();
    assert_eq!(rows(&look, 0), pairs(&[("k", "1.3")]));
    let last = look.last_execution().unwrap();
    assert_eq!(last.went_back_from, Some(Epoch::opening(2)));
    // The numbers of the abandoned step and epoch are not used again.
    let more = [step("a"), step("b"), step("e")];
    assert_eq!(
        look.reconcile(&more, &agree(&[])).unwrap().numbers,
        [0, 1, 3]
    );
}

#[test]
fn copies_keep_them_and_work_by_hand_forgets_them() {
    let home = Home::new();
    run(&home, &flow(), Retain::Epochs(100))
        .end(End::Stopped)
        .unwrap();
    let kept = retained(&home.look());
    assert_eq!(kept.len(), 3);
    home.look().compact(&mut |_, _| ()).unwrap();
    assert_eq!(retained(&home.look()), kept);
    let copy = home.path("copy");
    home.look().backup(&copy, &mut |_, _| ()).unwrap();
    let copied = Look::at(&copy).unwrap().see(epoch(1, 1)).unwrap();
    assert_eq!(rows(&copied, 0), pairs(&[("k", "1.1")]));
    drop(copied);
    assert_eq!(damage(&home), Vec::<String>::new());
    home.look().rename_step("b", "c").unwrap();
    assert_eq!(retained(&home.look()), []);

    // A look that went back can only be used for a start.
    let brought_back = || Look::at(&copy).unwrap().see(epoch(1, 1)).unwrap();
    let nothing = &mut |_: u64, _: u64| ();
    let mut errors = Vec::new();
    errors.push(brought_back().compact(nothing).map(drop));
    errors.push(brought_back().backup(home.path("x"), nothing).map(drop));
    errors.push(brought_back().drop_step("a").map(drop));
    errors.push(brought_back().rename_step("a", "x").map(drop));
    for error in errors {
        let error = error.unwrap_err();
        assert!(
            matches!(error, StoreError::GoBack(GoBackError::GoneBack { .. })),
            "{error}"
        );
    }
}

/// It works even if the last execution committed nothing, so that no other manifest has the step.
#[test]
fn of_a_step_that_is_dropped_by_hand_nothing_is_left() {
    for commits in [false, true] {
        let home = Home::new();
        run(&home, &flow(), Retain::Nothing)
            .end(End::Stopped)
            .unwrap();
        // This folds everything.
        home.look().compact(&mut |_, _| ()).unwrap();
        let mut execution = home.start(&flow());
        if commits {
            execution.commit(epoch(2, 1), []).unwrap();
        }
        drop(execution);
        home.look().rename_step("b", "c").unwrap();
        assert_eq!(home.look().drop_step("a").unwrap().rows, 1);
        let verified = home.look().verify(&mut |_, _| ()).unwrap();
        assert_eq!(verified.damage, Vec::<String>::new());
    }
}

/// The damage of the entries. The rows of these tests are not MessagePack, which is another damage.
fn damage(home: &Home) -> Vec<String> {
    let damage = home.look().verify(&mut |_, _| ()).unwrap().damage;
    damage
        .into_iter()
        .filter(|what| what.contains("changed"))
        .collect()
}

/// Changes the entries in a way that no code of the store does.
fn tamper(home: &Home, change: impl FnOnce(&mut redb::Table<'_, (u64, u32), &[u8]>)) {
    let database = Database::open(home.part()).unwrap();
    let transaction = database.begin_write().unwrap();
    change(&mut transaction.open_table(DELTAS).unwrap());
    transaction.commit().unwrap();
}

/// Retained deltas are not folded, so the store is incomplete without them.
#[test]
fn damaged_deltas_are_not_gone_over() {
    let home = Home::new();
    run(&home, &flow(), Retain::Epochs(100))
        .end(End::Stopped)
        .unwrap();
    let middle = (epoch(1, 2).to_u64(), 0);
    let refused = |home: &Home, says: &str| {
        let rows = Look::at(home.store()).and_then(|look| look.rows(0, 0..1024).map(drop));
        let error = rows.unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    };

    let cut = home.killed();
    tamper(&cut, |deltas| drop(deltas.remove(middle).unwrap()));
    refused(&cut, "part 0 of what epoch 1.3 changed is out of place");

    for bit in [8 * 4, 8 * 30] {
        let bent = home.killed();
        tamper(&bent, |deltas| {
            let mut value = deltas.get(middle).unwrap().unwrap().value().to_vec();
            value[bit / 8] ^= 1;
            deltas.insert(middle, &value[..]).unwrap();
        });
        match bit / 8 {
            // The part says that there is a second part.
            4 => refused(&bent, "part 0 of what epoch 1.3 changed is out of place"),
            _ => {
                let says = "part 0 of what epoch 1.2 changed does not match its CRC";
                refused(&bent, says);
                assert_eq!(damage(&bent), [says]);
                // Everything before it is there.
                let before = bent.look().see(epoch(1, 1)).unwrap();
                assert_eq!(rows(&before, 0), pairs(&[("k", "1.1")]));
            }
        }
    }
}

/// A start from an outdated look is refused, also one that goes back.
#[test]
fn a_look_that_went_back_is_fenced_like_any() {
    let home = Home::new();
    drop(run(&home, &flow(), Retain::Epochs(100)));
    let copy = home.killed();
    let look = copy.look().go_back(epoch(1, 2)).unwrap();
    let manifest = look.reconcile(&flow(), &agree(&[])).unwrap();
    std::fs::remove_file(copy.lock()).unwrap();
    drop(run(&copy, &flow(), Retain::Epochs(100)));
    let error = start_with(look, &manifest, &Changes::new()).unwrap_err();
    assert!(
        matches!(error, StoreError::Lock(LockError::Changed { .. })),
        "{error}"
    );
    assert_eq!(copy.look().epoch(), epoch(2, 3));
}
