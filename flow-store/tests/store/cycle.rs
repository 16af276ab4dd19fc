//! Look, start, commit, end, and again.

use crate::support::*;
use flow_store::{
    Changes, End, Epoch, ExecutionRecord, FailureKind, FailureRecord, KEY_GROUPS, Look, Notice,
    Row, StoreError,
};
use std::fs;

#[test]
fn a_look_at_nothing_creates_nothing() {
    let home = Home::new();
    let look = home.look();
    assert!(look.is_new());
    assert_eq!(look.directory(), home.store());
    assert_eq!((look.epoch(), look.next_execution()), (Epoch::default(), 1));
    assert!(look.steps().is_empty() && look.last_execution().is_none());
    assert!(look.executions().unwrap().is_empty());
    assert!(look.rows(0, 0..KEY_GROUPS).unwrap().next().is_none());
    drop(look);
    assert!(!home.store().exists());
    // A directory with other files is a new store too.
    fs::create_dir(home.store()).unwrap();
    fs::write(home.store().join("notes.txt"), "mine").unwrap();
    assert!(home.look().is_new());
    assert_eq!(fs::read_dir(home.store()).unwrap().count(), 1);
}

#[test]
fn the_whole_cycle() {
    let home = Home::new();
    let look = home.look();
    let flow = [step("lines"), step("joiner")];
    let manifest = look.reconcile(&flow, &agree(&[])).unwrap();
    assert_eq!(manifest.numbers, [0, 1]);
    assert!(manifest.notices.is_empty() && manifest.dropped.is_empty());
    let mut execution = start_with(look, &manifest, &changes(0, &[("p", "start")])).unwrap();
    assert_eq!(execution.number(), 1);
    assert_eq!(execution.resumed_from(), Epoch::default());
    assert_eq!(execution.epoch(), Epoch::opening(1));

    let (one, mut two) = (
        changes(1, &[("b", "1"), ("a", "1")]),
        changes(0, &[("p", "2")]),
    );
    put(&mut two, 1, 7, "a", "other group");
    two.remove(1, 5, b"b");
    two.remove(1, 5, b"never there");
    execution.commit(epoch(1, 1), [&one, &two]).unwrap();
    execution.commit(epoch(1, 4), []).unwrap();
    assert_eq!(execution.epoch(), epoch(1, 4));
    execution.end(End::Finished).unwrap();

    let look = home.look();
    assert!(!look.is_new());
    assert_eq!((look.epoch(), look.next_execution()), (epoch(1, 4), 2));
    assert_eq!(rows(&look, 0), pairs(&[("p", "2")]));
    assert_eq!(rows(&look, 1), pairs(&[("a", "1"), ("a", "other group")]));
    let ids: Vec<_> = look
        .steps()
        .iter()
        .map(|step| (step.number, &step.id[..]))
        .collect();
    assert_eq!(ids, [(0, "lines"), (1, "joiner")]);
    let record = look.last_execution().unwrap();
    assert_eq!(
        (record.number, record.workers, &record.build[..]),
        (1, 2, "test 1.0")
    );
    assert_eq!(
        (record.pid, record.resumed_from),
        (std::process::id(), Epoch::default())
    );
    let (ended, how) = record.ended.clone().unwrap();
    assert_eq!(how, End::Finished);
    assert!(record.started <= ended && ended <= jiff::Timestamp::now());
    assert_eq!(look.executions().unwrap(), std::slice::from_ref(record));

    let manifest = look.reconcile(&flow, &agree(&[])).unwrap();
    assert_eq!(manifest.numbers, [0, 1]);
    let execution = start(look, &manifest);
    assert_eq!(
        (execution.number(), execution.resumed_from()),
        (2, epoch(1, 4))
    );
    assert_eq!(execution.epoch(), Epoch::opening(2));
}

#[test]
fn a_range_of_key_groups() {
    let home = Home::new();
    let mut execution = home.start(&[step("a"), step("b")]);
    let mut changes = Changes::new();
    for group in [0, 1, 9, 10, 1023] {
        for step in [0, 1] {
            put(&mut changes, step, group, "key", &format!("{step}/{group}"));
        }
    }
    execution.commit(epoch(1, 1), [&changes]).unwrap();
    drop(execution);
    let look = home.look();
    let groups = |range| -> Vec<u16> {
        let rows = look
            .rows(1, range)
            .unwrap()
            .map(|row: Result<Row, StoreError>| row.unwrap());
        rows.map(|row| row.group).collect()
    };
    assert_eq!(groups(0..1024), [0, 1, 9, 10, 1023]);
    assert_eq!(groups(1..10), [1, 9]);
    assert_eq!(groups(10..11), [10]);
    assert_eq!(groups(1023..u16::MAX), [1023]);
    assert!(groups(2..2).is_empty());
    #[expect(clippy::reversed_empty_ranges)]
    let backwards = groups(9..2);
    assert!(backwards.is_empty());
    assert!(look.rows(2, 0..1024).unwrap().next().is_none());
}

#[test]
fn several_threads_read_at_once() {
    let home = Home::new();
    let mut execution = home.start(&[step("a")]);
    let mut changes = Changes::new();
    for n in 0..4000 {
        put(
            &mut changes,
            0,
            n % KEY_GROUPS,
            &format!("{n}"),
            &format!("{}", n * 2),
        );
    }
    execution.commit(epoch(1, 1), [&changes]).unwrap();
    drop(execution);
    let look = &home.look();
    let counts: Vec<usize> = std::thread::scope(|scope| {
        let count = |worker| {
            let rows = look.rows(0, flow_store::groups_of(worker, 3)).unwrap();
            rows.map(Result::unwrap).count()
        };
        let threads: Vec<_> = (0..3)
            .map(|worker| scope.spawn(move || count(worker)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!(counts.iter().sum::<usize>(), 4000);
}

#[test]
fn what_was_committed_survives_a_kill() {
    let home = Home::new();
    let mut execution = home.start(&[step("a")]);
    let opened = home.killed();
    execution
        .commit(epoch(1, 1), [&changes(0, &[("k", "1")])])
        .unwrap();
    let once = home.killed();
    execution
        .commit(epoch(1, 2), [&changes(0, &[("k", "2"), ("l", "2")])])
        .unwrap();
    let twice = home.killed();
    // The execution is neither dropped nor ended, as after a kill.
    std::mem::forget(execution);
    for (home, at, expected) in [
        (opened, epoch(1, 0), pairs(&[])),
        (once, epoch(1, 1), pairs(&[("k", "1")])),
        (twice, epoch(1, 2), pairs(&[("k", "2"), ("l", "2")])),
    ] {
        let before = fs::read(home.part()).unwrap();
        let look = home.look();
        assert_eq!((look.epoch(), look.next_execution()), (at, 2));
        assert_eq!(rows(&look, 0), expected);
        assert_eq!(look.last_execution().unwrap().ended, None);
        drop(look);
        assert!(
            before == fs::read(home.part()).unwrap(),
            "a look changed a killed store"
        );
        let mut execution = home.start(&[step("a")]);
        assert_eq!((execution.number(), execution.resumed_from()), (2, at));
        execution
            .commit(epoch(2, 1), [&changes(0, &[("m", "3")])])
            .unwrap();
        execution.end(End::Stopped).unwrap();
        let mut expected = expected;
        expected.push(("m".to_owned(), "3".to_owned()));
        assert_eq!(rows(&home.look(), 0), expected);
    }
}

#[test]
fn a_look_does_not_change_a_closed_store() {
    let home = Home::new();
    home.start(&[step("a")]).end(End::Finished).unwrap();
    let before = fs::read(home.part()).unwrap();
    let look = home.look();
    assert_eq!(rows(&look, 0), []);
    assert!(before == fs::read(home.part()).unwrap());
    drop(look);
    assert!(before == fs::read(home.part()).unwrap());
}

#[test]
fn dropped_without_an_end_is_killed() {
    let home = Home::new();
    let mut execution = home.start(&[step("a")]);
    execution
        .commit(epoch(1, 1), [&changes(0, &[("k", "1")])])
        .unwrap();
    drop(execution);
    let look = home.look();
    assert_eq!(look.epoch(), epoch(1, 1));
    assert_eq!(look.last_execution().unwrap().ended, None);
}

#[test]
fn how_executions_ended_is_kept() {
    let home = Home::new();
    let mut failed = FailureRecord::new(FailureKind::Record, "no such field");
    failed.step = Some("parse".to_owned());
    failed.source = Some("lines".to_owned());
    failed.partition = Some("events.jsonl".to_owned());
    failed.position = Some("line 7".to_owned());
    let ends = [
        End::Finished,
        End::Stopped,
        End::Failed(failed),
        End::Aborted {
            failure: FailureRecord::new(FailureKind::Sync, "the sink failed"),
            in_flight: 12,
            foreign: None,
        },
    ];
    for end in ends.clone() {
        home.start(&[step("a")]).end(end).unwrap();
    }
    drop(home.start(&[step("a")]));
    let records = home.look().executions().unwrap();
    let numbers: Vec<_> = records.iter().map(|record| record.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
    let ended = |record: &ExecutionRecord| record.ended.clone().map(|(_, end)| end);
    assert_eq!(records.iter().map(ended).collect::<Vec<_>>(), {
        let mut expected: Vec<_> = ends.into_iter().map(Some).collect();
        expected.push(None);
        expected
    });
    assert_eq!(records[4].resumed_from, Epoch::opening(4));
}

#[test]
fn a_renamed_step_keeps_its_rows() {
    let home = Home::new();
    let mut execution = home.start(&[step("old"), step("other")]);
    execution
        .commit(epoch(1, 1), [&changes(0, &[("k", "1")])])
        .unwrap();
    drop(execution);
    let look = home.look();
    let manifest = look
        .reconcile(&[step("other"), renamed("new", "old")], &agree(&[]))
        .unwrap();
    assert_eq!(manifest.numbers, [1, 0]);
    let (from, to) = ("old".to_owned(), "new".to_owned());
    assert_eq!(manifest.notices, [Notice::Renamed { from, to }]);
    drop(start(look, &manifest));
    let look = home.look();
    assert_eq!(look.steps()[0].id, "new");
    assert_eq!(rows(&look, 0), pairs(&[("k", "1")]));
    // The next time there is no notice.
    let manifest = look
        .reconcile(&[step("other"), renamed("new", "old")], &agree(&[]))
        .unwrap();
    assert_eq!((manifest.numbers, manifest.notices), (vec![1, 0], vec![]));
}

#[test]
fn a_dropped_step_loses_its_rows_and_its_number() {
    let home = Home::new();
    let mut execution = home.start(&[step("a"), step("b"), step("c")]);
    let all: Vec<Changes> = (0..3)
        .map(|step| changes(step, &[("k", "1"), ("l", "2")]))
        .collect();
    execution.commit(epoch(1, 1), &all).unwrap();
    drop(execution);

    // The flow no longer has `b`, and still has `c`.
    let look = home.look();
    let manifest = look
        .reconcile(&[step("a"), step("c")], &agree(&["b", "c"]))
        .unwrap();
    assert_eq!(manifest.numbers, [0, 3]);
    let dropped: Vec<_> = manifest.dropped.iter().map(|step| step.number).collect();
    assert_eq!(dropped, [1, 2]);
    // A manifest by itself changes nothing.
    drop(look);
    let look = home.look();
    assert_eq!(look.steps().len(), 3);
    let manifest = look
        .reconcile(&[step("a"), step("c")], &agree(&["b", "c"]))
        .unwrap();
    let mut execution = start_with(look, &manifest, &changes(3, &[("new", "3")])).unwrap();
    execution
        .commit(epoch(2, 1), [&changes(0, &[("m", "4")])])
        .unwrap();
    drop(execution);

    let look = home.look();
    assert_eq!(rows(&look, 0), pairs(&[("k", "1"), ("l", "2"), ("m", "4")]));
    assert_eq!((rows(&look, 1), rows(&look, 2)), (vec![], vec![]));
    assert_eq!(rows(&look, 3), pairs(&[("new", "3")]));
    // A step that comes back is a new step.
    let manifest = look
        .reconcile(&[step("a"), step("b"), step("c")], &agree(&[]))
        .unwrap();
    assert_eq!(manifest.numbers, [0, 4, 3]);
}

#[test]
fn numbers_of_dropped_steps_are_never_given_again() {
    let home = Home::new();
    drop(home.start(&[step("a"), step("b")]));
    let look = home.look();
    let manifest = look.reconcile(&[step("a")], &agree(&["b"])).unwrap();
    drop(start(look, &manifest));
    let look = home.look();
    let manifest = look
        .reconcile(&[step("a"), step("z")], &agree(&[]))
        .unwrap();
    assert_eq!(manifest.numbers, [0, 2]);
}

#[test]
fn large_rows() {
    let home = Home::new();
    let mut execution = home.start(&[step("a")]);
    let large = "x".repeat(5 << 20);
    execution
        .commit(epoch(1, 1), [&changes(0, &[("large", &large), ("", "")])])
        .unwrap();
    drop(execution);
    assert_eq!(rows(&home.look(), 0), pairs(&[("", ""), ("large", &large)]));
}

#[test]
fn the_parts_can_go_to_other_threads() {
    fn send<T: Send>() {}
    fn sync<T: Sync>() {}
    send::<flow_store::Execution>();
    send::<Changes>();
    send::<Look>();
    sync::<Look>();
    send::<flow_store::Rows<'_>>();
    send::<StoreError>();
    sync::<StoreError>();
}
