//! The documentation of the crate shows the actual output of the command.

use crate::support::*;
use flow_store::{End, Retain};

/// The commands, each with the lines that follow it.
fn session() -> Vec<(String, Vec<String>)> {
    let mut shown = Vec::new();
    let mut inside = false;
    for line in include_str!("../../src/lib.rs").lines() {
        let Some(line) = line.strip_prefix("//!") else {
            continue;
        };
        let line = line.strip_prefix(' ').unwrap_or(line);
        if let Some(command) = line.strip_prefix("$ flow-store ") {
            inside = true;
            shown.push((command.to_owned(), Vec::new()));
        } else if line == "```" {
            inside = false;
        } else if let (true, Some((_, lines))) = (inside, shown.last_mut()) {
            lines.push(line.to_owned());
        }
    }
    shown
}

/// Whether the line matches the documented one, in which `[..]` stands for any text.
fn is_shown_as(line: &str, shown: &str) -> bool {
    let mut parts = shown.split("[..]");
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap()) else {
        return false;
    };
    let mut last = "";
    for part in parts {
        last = part;
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.is_empty() || last.is_empty() && shown.ends_with("[..]")
}

#[test]
fn the_documentation_is_what_the_command_says() {
    let home = Home::new();
    let mut execution = home.start_retaining("state", Retain::Epochs(10));
    execution.commit(epoch(1, 1), [&some_words()]).unwrap();
    home.copy("state", "yesterday");
    execution.commit(epoch(1, 2), [&later_words()]).unwrap();
    execution.end(End::Stopped).unwrap();

    let session = session();
    for (command, shown) in &session {
        let args: Vec<&str> = command.split(' ').collect();
        let ran = home.run(&args);
        let mut said: Vec<String> = ran.stdout.lines().map(str::to_owned).collect();
        said.extend(ran.stderr.lines().map(str::to_owned));
        if ran.code != 0 {
            said.push(format!("exit status {}", ran.code));
        }
        let same = said.len() == shown.len()
            && said
                .iter()
                .zip(shown)
                .all(|(said, shown)| is_shown_as(said, shown));
        assert!(
            same,
            "flow-store {command}\nsaid  {said:#?}\nshown {shown:#?}"
        );
    }
    for verb in [
        "info", "steps", "epochs", "get", "export", "verify", "diff", "drop", "rename", "compact",
        "backup",
    ] {
        assert!(
            session.iter().any(|(command, _)| command.starts_with(verb)),
            "{verb}"
        );
    }
}

#[test]
fn what_is_not_shown_is_found() {
    assert!(is_shown_as("a 1 b", "a [..] b") && is_shown_as("a 1", "a [..]"));
    assert!(is_shown_as("a", "a") && !is_shown_as("ab", "a") && !is_shown_as("a 1 c", "a [..] b"));
    assert!(!is_shown_as("a 1 b c", "a [..] b"));
}
