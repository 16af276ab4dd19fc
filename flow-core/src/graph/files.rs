//! Checks that no file is used for two things: written by two sinks, written and read, or part of
//! the store and anything else.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
};

use super::{Graph, Output, Step};
use crate::{
    error::{BuildError, InputIsStore, OutputInStore, OutputIsInput},
    files::{self, FileId},
};

pub(super) fn check(graph: &Graph, store: Option<&Path>, errors: &mut Vec<BuildError>) {
    let outputs = outputs(graph, errors);
    let store = store.map(Store::at);
    for (_, output) in &outputs {
        let written = || output.step.facts.output.as_ref();
        if let (Some(store), Some(Output::File(path))) = (&store, written())
            && store.has(path)
        {
            errors.push(BuildError::OutputInStore(Box::new(OutputInStore {
                sink: output.step.id(),
                place: output.step.place.clone(),
                output: path.clone(),
                store: store.directory.clone(),
            })));
        }
    }
    let outputs: HashMap<FileId, Written<'_>> = outputs.into_iter().collect();
    for step in &graph.steps {
        for input in &step.facts.inputs {
            let file = FileId::of(input);
            if let Some(store) = store.as_ref().filter(|store| store.files.contains(&file)) {
                errors.push(BuildError::InputIsStore(Box::new(InputIsStore {
                    source_step: step.id(),
                    place: step.place.clone(),
                    input: input.clone(),
                    store: store.directory.clone(),
                })));
            }
            if let Some(output) = outputs.get(&file) {
                errors.push(BuildError::OutputIsInput(Box::new(OutputIsInput {
                    sink: output.step.id(),
                    place: output.step.place.clone(),
                    output: output.name.clone(),
                    source_step: step.id(),
                    source_place: step.place.clone(),
                    input: input.clone(),
                })));
            }
        }
    }
}

/// The files that the flow writes.
pub(super) fn written(graph: &Graph) -> HashSet<FileId> {
    let outputs = outputs(graph, &mut Vec::new());
    outputs.into_iter().map(|(file, _)| file).collect()
}

/// A file that a sink writes.
struct Written<'a> {
    step: &'a Step,
    name: String,
}

/// The files that sinks write. An output of two sinks is refused.
fn outputs<'a>(graph: &'a Graph, errors: &mut Vec<BuildError>) -> Vec<(FileId, Written<'a>)> {
    let mut names: HashMap<&str, &Step> = HashMap::new();
    let mut files: Vec<(FileId, Written<'_>)> = Vec::new();
    for step in &graph.steps {
        let Some(output) = &step.facts.output else {
            continue;
        };
        let first = match output {
            Output::Other(name) => names.insert(name, step),
            Output::File(_) | Output::Stdout => {
                let file = match output {
                    Output::File(path) => Some(FileId::of(path)),
                    _ => FileId::of_stdout(),
                };
                let Some(file) = file else { continue };
                let first = files.iter().find(|(other, _)| *other == file);
                let first = first.map(|(_, written)| written.step);
                let name = output.to_string();
                files.push((file, Written { step, name }));
                // Any number of sinks may share standard output, because each line is written as a
                // whole.
                first.filter(|first| {
                    *output != Output::Stdout || first.facts.output != Some(Output::Stdout)
                })
            }
        };
        if let Some(first) = first {
            errors.push(BuildError::DoubleOutput {
                output: output.to_string(),
                first: first.place.clone(),
                second: step.place.clone(),
            });
        }
    }
    files
}

/// The directory and the files of the store.
struct Store {
    directory: PathBuf,
    real: PathBuf,
    files: HashSet<FileId>,
}

impl Store {
    fn at(directory: &Path) -> Self {
        let files = flow_store::files_of(directory);
        Store {
            directory: directory.to_path_buf(),
            real: files::target(directory),
            files: files.iter().map(|path| FileId::of(path)).collect(),
        }
    }

    /// Whether a file is in the directory of the store, or is one of its files under another name.
    fn has(&self, path: &Path) -> bool {
        files::target(path).starts_with(&self.real) || self.files.contains(&FileId::of(path))
    }
}
