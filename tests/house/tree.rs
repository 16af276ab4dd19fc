//! The files of the project, and Markdown as far as the checks need it.

use std::fs;
use std::path::{Path, PathBuf};

/// The root of the project.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A text file of the project.
pub(crate) struct File {
    /// The path below the root, with `/` between its parts.
    pub(crate) name: String,
    pub(crate) text: String,
}

/// All text files that are not generated, by name.
pub(crate) fn files() -> Vec<File> {
    let mut found = Vec::new();
    collect(root(), &mut found);
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

/// All files whose name ends in `.md`.
pub(crate) fn documents() -> Vec<File> {
    let mut files = files();
    files.retain(|file| file.name.ends_with(".md"));
    assert!(files.len() > 5, "{} documents", files.len());
    files
}

fn collect(folder: &Path, found: &mut Vec<File>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        let last = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !matches!(last.as_str(), "target" | ".git" | "corpus" | "artifacts") {
                collect(&path, found);
            }
        } else if let Ok(text) = fs::read_to_string(&path) {
            let below = path.strip_prefix(root()).unwrap();
            let parts: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
            let name = parts.join("/");
            found.push(File { name, text });
        }
    }
}

/// A line of Markdown.
pub(crate) struct Line<'a> {
    pub(crate) number: usize,
    pub(crate) text: &'a str,
    /// The language of the code block that the line is in.
    pub(crate) block: Option<&'a str>,
}

impl File {
    /// The lines of a document, without the fences of code blocks.
    pub(crate) fn lines(&self) -> Vec<Line<'_>> {
        let mut block = None;
        let mut lines = Vec::new();
        for (index, text) in self.text.lines().enumerate() {
            let number = index + 1;
            match (text.trim_start().strip_prefix("```"), block) {
                (Some(_), Some(_)) => block = None,
                (Some(language), None) => block = Some(language),
                (None, _) => lines.push(Line {
                    number,
                    text,
                    block,
                }),
            }
        }
        lines
    }
}

impl<'a> Line<'a> {
    /// The texts between backticks.
    pub(crate) fn code(&self) -> impl Iterator<Item = &'a str> {
        let text = if self.block.is_none() { self.text } else { "" };
        text.split('`').skip(1).step_by(2)
    }
}
