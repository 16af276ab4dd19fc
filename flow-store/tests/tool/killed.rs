//! `compact` and `backup` killed at any moment.

use crate::support::*;
use flow_store::{Changes, FileError, Look, StepKind, StoreError};
use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};

const KILLS: u64 = 16;

fn large() -> Home {
    let home = Home::new();
    let mut execution = home.start("store");
    for n in 0..4u32 {
        let mut changes = Changes::new();
        for key in 0..6000u32 {
            let text = format!("{n}").repeat(100);
            put(
                &mut changes,
                1,
                StepKind::State,
                &(key * (1 + n % 2)),
                &text,
            );
        }
        execution
            .commit(epoch(1, u64::from(n) + 1), [&changes])
            .unwrap();
    }
    home
}

/// Kills the command when it has written a part of its copy.
fn kill_at(mut child: Child, copy: &Path, bytes: u64) {
    loop {
        let there = fs::metadata(copy).is_ok_and(|copy| copy.len() >= bytes);
        if there || child.try_wait().unwrap().is_some() {
            break;
        }
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_killed_compaction_leaves_the_old_file_or_the_new() {
    let home = large();
    home.copy("store", "copy");
    let before = home.contents("store");
    home.run(&["compact", "copy"]).ok();
    let full = home.bytes("copy").len() as u64;
    let mut left_over = 0;
    for part in 0..=KILLS {
        let name = format!("store {part}");
        home.copy("store", &name);
        let unfinished = home.path(&name).join(format!("{PART}.new"));
        let mut command = home.command(&["compact", &name]);
        let child = command.stdout(Stdio::null()).spawn().unwrap();
        kill_at(child, &unfinished, full * part / KILLS);
        left_over += u64::from(unfinished.exists());
        assert_eq!(home.contents(&name), before, "{part}");
        // The next one succeeds, over the remains of this one.
        home.run(&["compact", &name]).ok();
        assert_eq!(home.contents(&name), before, "{part}");
        assert!(!unfinished.exists());
        fs::remove_dir_all(home.path(&name)).unwrap();
    }
    // Otherwise all of them had finished before the kill.
    assert!(left_over > 2, "{left_over}");
}

#[test]
fn a_killed_backup_is_whole_or_refused() {
    let home = large();
    let before = home.contents("store");
    home.run(&["backup", "store", "target"]).ok();
    let full = home.bytes("target").len() as u64;
    let mut refused = 0;
    for part in 0..=KILLS {
        let name = format!("target {part}");
        let unfinished = home.path(&name).join(format!("{PART}.new"));
        let mut command = home.command(&["backup", "store", &name]);
        let child = command.stdout(Stdio::null()).spawn().unwrap();
        kill_at(child, &unfinished, full * part / KILLS);
        match Look::at(home.path(&name)) {
            Ok(look) => {
                assert!(!look.is_new(), "{part}: it would start from nothing");
                drop(look);
                assert_eq!(home.contents(&name), before, "{part}");
            }
            Err(StoreError::File(FileError::EmptyWhereDataWas { .. })) => refused += 1,
            Err(error) => panic!("{part}: {error}"),
        }
        assert_eq!(home.contents("store"), before, "{part}");
    }
    assert!(refused > 2, "{refused}");
}
