//! Code, comments and documents have lines of at most 100 columns.

use crate::tree::files;

const COLUMNS: usize = 100;

/// Files that are excluded: fixtures, patches, and output of programs.
const EXEMPT: [&str; 5] = [
    "tests/ui/",
    "tests/sums.graph",
    "flow-macros/tests/expansions/",
    "flow-store/tests/golden/format-",
    "docs/memory.svg",
];

#[test]
fn lines_have_at_most_100_columns() {
    let mut wide = Vec::new();
    for file in files() {
        let checked = [".rs", ".md", ".toml", "/run", "/tool", "justfile"]
            .iter()
            .any(|end| file.name.ends_with(end));
        if !checked || EXEMPT.iter().any(|exempt| file.name.starts_with(exempt)) {
            continue;
        }
        for (index, line) in file.text.lines().enumerate() {
            let table = line.trim_start_matches(['/', '!', ' ']).starts_with('|');
            if line.chars().count() > COLUMNS && !table && !line.contains("://") {
                wide.push(format!("{}:{}", file.name, index + 1));
            }
        }
    }
    assert!(wide.is_empty(), "{} lines: {wide:#?}", wide.len());
}
