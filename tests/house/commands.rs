//! The commands in Markdown exist: targets and packages of cargo, recipes of `just`, verbs of
//! `flow-store`, and named tests.

use crate::tree::{File, documents, files, root};
use serde_json::Value;
use std::collections::HashSet;
use std::fs;
use std::process::Command;

/// The things that a command can name.
struct Known {
    /// `test house`, `example cart_join`, `package flow-core`.
    targets: HashSet<String>,
    recipes: HashSet<String>,
    verbs: HashSet<String>,
    /// All words of all Rust files.
    words: HashSet<String>,
}

/// The output of `cargo metadata` for the package of a manifest.
pub(crate) fn metadata(manifest: &str) -> Value {
    let said = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version=1"])
        .arg("--manifest-path")
        .arg(root().join(manifest))
        .output()
        .unwrap();
    serde_json::from_slice(&said.stdout).unwrap()
}

impl Known {
    fn new(files: &[File]) -> Self {
        let mut targets = HashSet::new();
        for manifest in [
            "Cargo.toml",
            "tests/types/Cargo.toml",
            "flow-store/fuzz/Cargo.toml",
        ] {
            for package in metadata(manifest)["packages"].as_array().unwrap() {
                targets.insert(format!("package {}", package["name"].as_str().unwrap()));
                for target in package["targets"].as_array().unwrap() {
                    let kind = target["kind"][0].as_str().unwrap();
                    targets.insert(format!("{kind} {}", target["name"].as_str().unwrap()));
                }
            }
        }
        let recipes = fs::read_to_string(root().join("justfile")).unwrap();
        let recipes = recipes
            .lines()
            .filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()))
            .filter_map(|line| Some(line.split_once(':')?.0.split(' ').next()?.to_owned()))
            .collect();
        let cli = fs::read_to_string(root().join("flow-store/src/bin/flow-store/main.rs")).unwrap();
        let (_, verbs) = cli.split_once("enum Verb {").unwrap();
        let (verbs, _) = verbs.split_once("\n}").unwrap();
        let verbs = verbs
            .lines()
            .filter_map(|line| line.strip_prefix("    "))
            .filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()))
            .map(|line| line.trim_end_matches([' ', '{', ',']).to_lowercase())
            .collect();
        let words = files
            .iter()
            .filter(|file| file.name.ends_with(".rs"))
            .flat_map(|file| file.text.split(|c: char| !c.is_alphanumeric() && c != '_'))
            .map(str::to_owned)
            .collect();
        Self {
            targets,
            recipes,
            verbs,
            words,
        }
    }

    /// The things that a command names and that do not exist.
    fn missing(&self, command: &str) -> Vec<String> {
        let command = command.split('#').next().unwrap_or_default();
        let words: Vec<&str> = command
            .split_whitespace()
            .skip_while(|word| word.contains('='))
            .collect();
        let mut missing = Vec::new();
        match words.as_slice() {
            ["cargo", rest @ ..] => {
                for pair in rest.windows(2).take_while(|pair| pair[0] != "--") {
                    let kind = match pair[0] {
                        "--test" => "test",
                        "--example" => "example",
                        "--bench" => "bench",
                        "-p" => "package",
                        "--path" | "--manifest-path" if !root().join(pair[1]).exists() => {
                            missing.push(pair[1].to_owned());
                            continue;
                        }
                        _ => continue,
                    };
                    let target = format!("{kind} {}", pair[1]);
                    if !self.targets.contains(&target) {
                        missing.push(target);
                    }
                }
            }
            ["just", recipe, ..] if !self.recipes.contains(*recipe) => {
                missing.push(format!("recipe {recipe}"));
            }
            ["flow-store", verb, ..] if !verb.starts_with('-') && !self.verbs.contains(*verb) => {
                missing.push(format!("verb {verb}"));
            }
            ["bash", script, ..] if !root().join(script).exists() => {
                missing.push((*script).to_owned());
            }
            // A test by its name alone, which is a whole sentence.
            [name]
                if name.matches('_').count() >= 4
                    && name
                        .chars()
                        .all(|c| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit())
                    && !self.words.contains(*name) =>
            {
                missing.push(format!("test {name}"));
            }
            _ => {}
        }
        missing
    }
}

#[test]
fn commands_name_what_there_is() {
    let known = Known::new(&files());
    let mut wrong = Vec::new();
    for document in documents() {
        // What was once said of a version stays.
        if document.name == "CHANGELOG.md" {
            continue;
        }
        for line in document.lines() {
            let shown = line.block.filter(|block| *block == "sh").map(|_| line.text);
            for command in line.code().chain(shown) {
                for missing in known.missing(command) {
                    wrong.push(format!("{}:{}: {missing}", document.name, line.number));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn recipes_and_guards_name_what_there_is() {
    let files = files();
    let known = Known::new(&files);
    let mut wrong = Vec::new();
    for file in &files {
        let runs = matches!(file.name.as_str(), "justfile" | ".ci/run");
        let is_guard = file.name.starts_with("tests/guards/") && file.name.ends_with(".patch");
        for line in file.text.lines().filter(|_| runs || is_guard) {
            let command = if is_guard {
                line.strip_prefix("test: ")
            } else {
                Some(line.trim())
            };
            for missing in known.missing(command.unwrap_or_default()) {
                wrong.push(format!("{}: {missing}", file.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_is_not_there_is_noticed() {
    let known = Known::new(&files());
    for (command, missing) in [
        ("cargo test --test kill --test gone", "test gone"),
        (
            "FLOW_KILLS=2 cargo run --example gone -- run",
            "example gone",
        ),
        ("cargo test -p flow-gone", "package flow-gone"),
        ("cargo install --path flow-gone", "flow-gone"),
        ("just gone", "recipe gone"),
        ("flow-store gone state", "verb gone"),
        ("bash gone", "gone"),
    ] {
        assert_eq!(known.missing(command), [missing], "{command}");
    }
    let name = ["a_test", "that_nobody", "has_written"].join("_");
    assert_eq!(known.missing(&name), [format!("test {name}")]);
    for command in [
        "cargo test -p flow-store --lib --test store model -- --test gone",
        "just ci",
        "flow-store get state joiner",
        "commands_name_what_there_is",
    ] {
        assert!(known.missing(command).is_empty(), "{command}");
    }
}
