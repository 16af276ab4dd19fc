//! Links in Markdown lead somewhere, and the files that it names exist.

use crate::tree::{File, documents, files, root};
use std::path::Path;

/// The anchors that a document has for its headings, as GitHub makes them.
fn anchors(document: &File) -> Vec<String> {
    let lines = document.lines();
    let headings = lines
        .iter()
        .filter(|line| line.block.is_none() && line.text.starts_with('#'));
    headings
        .map(|line| anchor(line.text.trim_start_matches('#').trim()))
        .collect()
}

fn anchor(heading: &str) -> String {
    let kept = heading
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// The targets of the links in a line: `[text](target)`.
fn targets(text: &str) -> Vec<&str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once(')')?.0))
        .collect()
}

#[test]
fn links_lead_somewhere() {
    let documents = documents();
    let mut wrong = Vec::new();
    for document in &documents {
        let folder = Path::new(&document.name).parent().unwrap();
        for line in document.lines() {
            if line.block.is_some() {
                continue;
            }
            for target in targets(line.text) {
                // Links of rustdoc, such as `Look::drop_state`, are rustdoc's to check.
                if target.contains("://") || target.contains("::") {
                    continue;
                }
                let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
                let file = match path {
                    "" => Path::new(&document.name).to_owned(),
                    path => folder.join(path),
                };
                let there = root().join(&file).exists();
                let at = root().join(&file).canonicalize().ok();
                let linked = documents
                    .iter()
                    .find(|one| root().join(&one.name).canonicalize().ok() == at);
                let found = anchor.is_empty()
                    || linked.is_some_and(|one| anchors(one).iter().any(|known| known == anchor));
                if !there || !found {
                    wrong.push(format!("{}:{}: {target}", document.name, line.number));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn named_files_are_there() {
    let files = files();
    let mut wrong = Vec::new();
    for document in documents() {
        let folder = root().join(&document.name).parent().unwrap().to_owned();
        for line in document.lines() {
            for code in line.code().filter(|code| names_a_file(code)) {
                let exact = [root(), &folder]
                    .iter()
                    .any(|folder| folder.join(code).exists());
                let ends = format!("/{code}");
                let is_last_part = files.iter().any(|file| file.name.ends_with(&ends));
                if !exact && !is_last_part {
                    wrong.push(format!("{}:{}: {code}", document.name, line.number));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Whether it is a file or folder of the project: a Rust file or a document by the last parts of
/// its path, anything else by the whole path.
fn names_a_file(code: &str) -> bool {
    let is_path = code
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
    let inside = code.split_once('/').is_some_and(|(first, rest)| {
        first != "target" && !rest.is_empty() && root().join(first).is_dir()
    });
    is_path && (inside || code.ends_with(".rs") || code.ends_with(".md"))
}

#[test]
fn anchors_are_those_of_github() {
    assert_eq!(anchor("What is kept, and where"), "what-is-kept-and-where");
    assert_eq!(
        anchor("The store: append, then fold"),
        "the-store-append-then-fold"
    );
    assert_eq!(targets("see [a](b.md#c) and [d](#e)"), ["b.md#c", "#e"]);
}
