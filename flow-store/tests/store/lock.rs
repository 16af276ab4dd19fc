//! The holder of a store, and whether a directory without data is a new store.

use crate::support::*;
use flow_store::{Changes, End, Epoch, FileError, LockError, Look, StoreError};
use std::fs;

fn is_locked(home: &Home) -> bool {
    match Look::at(home.store()) {
        Ok(_) => false,
        Err(StoreError::Lock(LockError::Locked {
            pid,
            host,
            since,
            path,
        })) => {
            assert_eq!(pid, Some(std::process::id()));
            assert!(host.is_some() && since.is_some());
            assert_eq!(path, home.lock());
            true
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_store_is_held_from_the_look_to_the_end() {
    let home = Home::new();
    let mut execution = home.start(&[step("a")]);
    assert!(is_locked(&home));
    execution.commit(epoch(1, 1), []).unwrap();
    assert!(is_locked(&home));
    execution.end(End::Finished).unwrap();
    assert!(!is_locked(&home));
    let look = home.look();
    assert!(is_locked(&home));
    let manifest = look.reconcile(&[step("a")], &agree(&[])).unwrap();
    let execution = start(look, &manifest);
    assert!(is_locked(&home));
    drop(execution);
    assert!(!is_locked(&home));
}

#[test]
fn the_message_says_who_has_it() {
    let home = Home::new();
    let _execution = home.start(&[step("a")]);
    let (error, message) = home.refused();
    let StoreError::Lock(LockError::Locked {
        host: Some(host),
        pid: Some(pid),
        since: Some(since),
        ..
    }) = error
    else {
        panic!("{message}");
    };
    assert_eq!(
        message,
        format!(
            "the store state is in use by process {pid} on {host} since {since}\
             \nhelp: stop that process, or give another directory"
        )
    );
    // A torn record.
    fs::write(home.lock(), "flow-sto").unwrap();
    let (_, message) = home.refused();
    assert_eq!(
        message,
        "the store state is in use by an unknown process\nhelp: stop that process, or give another \
         directory"
    );
}

#[test]
fn redb_keeps_out_who_removes_the_lock_file() {
    let home = Home::new();
    let mut execution = home.start(&[step("a")]);
    fs::remove_file(home.lock()).unwrap();
    // The file can be looked at, with its last commit.
    let look = home.look();
    let manifest = look.reconcile(&[step("a")], &agree(&[])).unwrap();
    let error = start_with(look, &manifest, &flow_store::Changes::new()).unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::Lock(LockError::Locked { host: None, .. })
        ),
        "{error}"
    );
    execution.commit(epoch(1, 1), []).unwrap();
}

#[test]
fn two_who_make_a_store_at_once() {
    let home = Home::new();
    let (one, two) = (home.look(), home.look());
    let manifest = one.reconcile(&[step("a")], &agree(&[])).unwrap();
    let execution = start(one, &manifest);
    let error = start_with(two, &manifest, &flow_store::Changes::new()).unwrap_err();
    assert!(
        matches!(error, StoreError::Lock(LockError::Locked { .. })),
        "{error}"
    );

    // The same if the first start has finished already.
    let home = Home::new();
    let (one, two) = (home.look(), home.look());
    drop(start(one, &manifest));
    let before = fs::read(home.part()).unwrap();
    let error = start_with(two, &manifest, &flow_store::Changes::new()).unwrap_err();
    let message = error
        .to_string()
        .replace(&home.path("").display().to_string(), "");
    assert_eq!(
        message,
        "the store in state changed while it was being looked at (another process made a store \
         there)\nhelp: start again"
    );
    assert!(before == fs::read(home.part()).unwrap());
    drop(execution);
}

#[test]
fn empty_where_data_was() {
    let home = Home::new();
    drop(home.start(&[step("a")]));
    let text = fs::read_to_string(home.lock()).unwrap();
    let uuid = text
        .lines()
        .find_map(|line| line.strip_prefix("store "))
        .unwrap()
        .to_owned();
    fs::remove_file(home.part()).unwrap();
    // Every try is refused.
    for _ in 0..2 {
        let (_, message) = home.refused();
        assert_eq!(
            message,
            format!(
                "the store in state has lost its data: its lock file names the store {uuid}, and \
                 there is no {PART}\
                 \nhelp: put a backup there, or remove the directory to start from \
                 nothing"
            )
        );
    }
    assert!(!home.part().exists());
    // The same if the lock file can't be read: it may have named a store.
    fs::write(home.lock(), &text[..30]).unwrap();
    let (error, _) = home.refused();
    assert!(
        matches!(
            &error,
            StoreError::File(FileError::EmptyWhereDataWas { store, .. }) if store == "unknown"
        ),
        "{error}"
    );
    assert_eq!(fs::read_to_string(home.lock()).unwrap(), text[..30]);
}

#[test]
fn killed_as_the_store_was_made() {
    // The lock file was created but not written, or written with half a part file.
    for (text, unfinished) in [("", None), ("", Some("half")), ("written", Some("half"))] {
        let home = Home::new();
        fs::create_dir(home.store()).unwrap();
        fs::write(home.lock(), "").unwrap();
        if text == "written" {
            drop(home.look());
        }
        if let Some(half) = unfinished {
            fs::write(home.store().join(format!("{PART}.new")), half).unwrap();
        }
        let look = home.look();
        assert!(look.is_new());
        assert!(is_locked(&home));
        let manifest = look.reconcile(&[step("a")], &agree(&[])).unwrap();
        let mut execution = start(look, &manifest);
        execution
            .commit(epoch(1, 1), [&changes(0, &[("k", "1")])])
            .unwrap();
        drop(execution);
        assert_eq!(rows(&home.look(), 0), pairs(&[("k", "1")]));
        assert!(!home.store().join(format!("{PART}.new")).exists());
    }
}

#[test]
fn a_part_file_without_its_lock_file_is_a_store() {
    let home = Home::new();
    drop(home.start(&[step("a")]));
    fs::remove_file(home.lock()).unwrap();
    drop(home.look());
    // From then on a missing part file is noticed.
    fs::remove_file(home.part()).unwrap();
    let (error, _) = home.refused();
    assert!(
        matches!(error, StoreError::File(FileError::EmptyWhereDataWas { .. })),
        "{error}"
    );
}

#[test]
fn the_file_of_another_store() {
    let (home, other) = (Home::new(), Home::new());
    drop(home.start(&[step("a")]));
    drop(other.start(&[step("a")]));
    fs::copy(other.part(), home.part()).unwrap();
    for _ in 0..2 {
        let (error, message) = home.refused();
        let StoreError::File(FileError::ForeignPart {
            expected, found, ..
        }) = error
        else {
            panic!("{message}");
        };
        assert_ne!(expected, found);
        assert_eq!(
            message,
            format!(
                "state/{PART} is of the store {found}, and this directory held the store \
                 {expected}\
                 \nhelp: put the right file in its place, or remove state/lock to accept this one"
            )
        );
    }
    fs::remove_file(home.lock()).unwrap();
    drop(home.look());
}

#[test]
fn a_store_that_was_let_go_is_free_while_another_thread_starts_programs() {
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

    let home = Home::new();
    home.start(&[step("a")]).end(End::Finished).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(SeqCst) {
                std::process::Command::new("true").status().unwrap();
            }
        });
        let locked = (0..150).filter(|_| is_locked(&home)).count();
        done.store(true, SeqCst);
        assert_eq!(locked, 0);
    });
}

/// Monitoring must neither keep a flow from starting nor leave a trace in the store.
#[test]
fn those_who_read_do_it_together_and_a_start_waits_for_them() {
    let home = Home::new();
    drop(home.start(&[step("a")]));
    let text = fs::read(home.lock()).unwrap();
    let reading = Look::read(home.store()).unwrap();
    let second = Look::read(home.store()).unwrap();
    assert_eq!(reading.epoch(), second.epoch());
    assert_eq!(fs::read(home.lock()).unwrap(), text, "they leave no trace");
    drop(second);

    let (store, (told, started)) = (home.store(), std::sync::mpsc::channel());
    let start = std::thread::spawn(move || {
        told.send(()).unwrap();
        Look::at(store).map(|look| look.epoch())
    });
    started.recv().unwrap();
    drop(reading);
    assert_eq!(start.join().unwrap().unwrap(), Epoch::opening(1));

    // While a flow runs, readers get the name of its process.
    let execution = home.start(&[step("a")]);
    let error = Look::read(home.store()).unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::Lock(LockError::Locked { pid: Some(_), .. })
        ),
        "{error}"
    );
    drop(execution);
}

/// Overlapping short readers must not keep a start waiting.
#[test]
fn whoever_would_read_while_a_start_waits_is_told_to_try_again() {
    let home = Home::new();
    drop(home.start(&[step("a")]));
    let reading = Look::read(home.store()).unwrap();
    let store = home.store();
    let start = std::thread::spawn(move || Look::at(store).map(|look| look.epoch()));
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(8);
    let error = loop {
        match Look::read(home.store()) {
            Err(error) => break error,
            Ok(_) => assert!(std::time::Instant::now() < deadline, "it still may read"),
        }
    };
    assert!(
        matches!(error, StoreError::Lock(LockError::AboutToStart { .. })),
        "{error}"
    );
    drop(reading);
    assert_eq!(start.join().unwrap().unwrap(), Epoch::opening(1));
    // After the start, however it ended, readers are admitted.
    Look::read(home.store()).unwrap();

    // The lock of a waiting start ends with its process.
    let announced = fs::File::open(home.store()).unwrap();
    announced.try_lock().unwrap();
    let error = Look::read(home.store()).unwrap_err();
    assert!(
        matches!(error, StoreError::Lock(LockError::AboutToStart { .. })),
        "{error}"
    );
    announced.unlock().unwrap();
    Look::read(home.store()).unwrap();
}

/// If the lock file was removed, as in a copy, redb's own lock keeps readers and writers apart.
#[test]
fn those_who_read_without_a_lock_file_are_safe_from_a_writer() {
    let home = Home::new();
    let mut execution = home.start(&[step("a")]);
    fs::remove_file(home.lock()).unwrap();
    let error = Look::read(home.store()).unwrap_err();
    assert!(
        matches!(error, StoreError::Lock(LockError::Locked { pid: None, .. })),
        "{error}"
    );
    // The same if the file was created again.
    fs::write(home.lock(), "").unwrap();
    let error = Look::read(home.store()).unwrap_err();
    assert!(
        matches!(error, StoreError::Lock(LockError::Locked { pid: None, .. })),
        "{error}"
    );
    execution.commit(epoch(1, 1), []).unwrap();
    execution.end(End::Finished).unwrap();

    // A start waits for a reader without the file.
    fs::remove_file(home.lock()).unwrap();
    let reading = Look::read(home.store()).unwrap();
    let second = Look::read(home.store()).unwrap();
    assert!(!home.lock().exists());
    let store = home.store();
    let start = std::thread::spawn(move || Look::at(store).map(|look| look.epoch()));
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(8);
    while !home.lock().exists() {
        assert!(std::time::Instant::now() < deadline, "the start has begun");
        std::thread::yield_now();
    }
    std::thread::sleep(std::time::Duration::from_millis(50));
    assert!(!start.is_finished(), "it waits");
    drop((reading, second));
    assert_eq!(start.join().unwrap().unwrap(), epoch(1, 1));
}

#[test]
fn a_look_that_only_reads_changes_nothing() {
    let home = Home::new();
    drop(home.start(&[step("a")]));
    let before = fs::read(home.part()).unwrap();
    let read = || Look::read(home.store()).unwrap();
    let manifest = read().reconcile(&[step("a")], &agree(&[])).unwrap();
    let mut errors = vec![start_with(read(), &manifest, &Changes::new()).map(drop)];
    errors.push(read().drop_step("a").map(drop));
    errors.push(read().rename_step("a", "b").map(drop));
    errors.push(read().compact(&mut |_, _| ()).map(drop));
    for error in errors {
        let error = error.unwrap_err();
        assert!(
            matches!(error, StoreError::Lock(LockError::ReadOnly { .. })),
            "{error}"
        );
    }
    assert!(before == fs::read(home.part()).unwrap());
    read().backup(home.path("copy"), &mut |_, _| ()).unwrap();
    // The same in a read-only directory without a lock file.
    fs::remove_file(home.lock()).unwrap();
    assert_eq!(read().steps().len(), 1);
    assert!(!home.lock().exists());
}
