//! Each dependency of a package is named in its code.

use crate::commands::metadata;
use crate::tree::files;

#[test]
fn dependencies_are_used() {
    let files = files();
    let mut unused = Vec::new();
    for manifest in [
        "Cargo.toml",
        "flow-core/Cargo.toml",
        "flow-macros/Cargo.toml",
        "flow-store/Cargo.toml",
        "flow-store/fuzz/Cargo.toml",
        "tests/types/Cargo.toml",
    ] {
        let folder = manifest.trim_end_matches("Cargo.toml");
        let metadata = metadata(manifest);
        let packages = metadata["packages"].as_array().unwrap();
        let package = packages
            .iter()
            .find(|package| {
                package["manifest_path"]
                    .as_str()
                    .unwrap()
                    .ends_with(manifest)
            })
            .unwrap();
        for dependency in package["dependencies"].as_array().unwrap() {
            let name = dependency["rename"]
                .as_str()
                .or(dependency["name"].as_str())
                .unwrap();
            // The package itself, named again for a feature of its own.
            if name == package["name"] {
                continue;
            }
            let word = match name {
                // Its library has a name of its own.
                "flow-dataflow" => "flow".to_owned(),
                name => name.replace('-', "_"),
            };
            let used = files
                .iter()
                .filter(|file| file.name.ends_with(".rs") && file.name.starts_with(folder))
                .any(|file| names(&file.text, &word));
            if !used {
                unused.push(format!("{manifest}: {name}"));
            }
        }
    }
    assert!(unused.is_empty(), "{unused:#?}");
}

/// Whether the text has the word outside of comments.
fn names(text: &str, word: &str) -> bool {
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_'))
        .any(|one| one == word)
}

#[test]
fn a_comment_uses_nothing() {
    assert!(names("use redb::Database;", "redb"));
    assert!(!names("// redb\nuse redbird::X;", "redb"));
}
