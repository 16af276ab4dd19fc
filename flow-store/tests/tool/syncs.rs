//! Durability after a power failure: a file's bytes are durable once the file is synced, and its
//! name once the directory is.

use crate::support::*;
use std::fs;
use std::process::Command;

/// The syncs and renames of the command, in order, with paths relative to its working directory.
fn synced(home: &Home, args: &[&str]) -> Vec<String> {
    let library = home.path("syncs.so");
    if !library.exists() {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tool/syncs.c");
        let mut compiler = Command::new("cc");
        compiler
            .args(["-shared", "-fPIC", "-o"])
            .arg(&library)
            .args([source, "-ldl"]);
        assert!(
            compiler.status().unwrap().success(),
            "a C compiler is needed"
        );
    }
    let log = home.path("syncs");
    let mut command = home.command(args);
    command.env("LD_PRELOAD", &library).env("FLOW_SYNCS", &log);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = fs::read_to_string(&log).unwrap();
    fs::remove_file(&log).unwrap();
    // The system knows the directory by its path without symbolic links.
    let directory = fs::canonicalize(home.path(".")).unwrap();
    let directory = directory.to_str().unwrap();
    let relative = text
        .replace(&format!("{directory}/"), "")
        .replace(directory, ".");
    relative.lines().map(str::to_owned).collect()
}

/// The file is complete before it gets the name, and the name is durable before the command reports
/// success.
#[test]
fn a_part_file_is_synced_then_renamed_then_its_directory_is_synced() {
    let home = Home::stores();
    let published = |store: &str| {
        let new = format!("{store}/{PART}.new");
        [
            format!("sync {new}"),
            format!("rename {new} {store}/{PART}"),
            format!("sync {store}"),
        ]
    };
    let backup = synced(&home, &["backup", "clean", "target"]);
    assert!(backup.ends_with(&published("target")), "{backup:#?}");
    // The directory has a name too.
    assert_eq!(backup.first().unwrap(), "sync .", "{backup:#?}");

    let compact = synced(&home, &["compact", "clean"]);
    assert!(compact.ends_with(&published("clean")), "{compact:#?}");
}
