//! `docs/performance.md` explains each row of the benchmark in the words of its code.

use crate::tree::root;
use std::fs;

#[test]
fn rows_are_explained_as_in_the_code() {
    let rows = fs::read_to_string(root().join("benches/flow/rows.rs")).unwrap();
    let document = fs::read_to_string(root().join("docs/performance.md")).unwrap();
    let document: Vec<&str> = document.split_whitespace().collect();
    let document = document.join(" ");
    let mut missing = Vec::new();
    let mut explained = 0;
    for rest in rows.split(".why(").skip(1) {
        let Some(rest) = rest.trim_start().strip_prefix('"') else {
            continue;
        };
        let (text, _) = rest.split_once('"').unwrap();
        let words: Vec<&str> = text
            .split(|c: char| c.is_whitespace() || c == '\\')
            .collect();
        let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
        explained += 1;
        if !document.contains(&words.join(" ")) {
            missing.push(text);
        }
    }
    assert!(explained > 30, "{explained} rows");
    assert!(missing.is_empty(), "{missing:#?}");
}
