//! Finds the files that were read, under their present names.
//!
//! Between two runs, rotation renames a file, or copies and empties it. So the search covers all
//! inputs, and the directory where the file was. Each file is examined once, and each directory is
//! listed once. The cost grows with their number, not with the number of pairs.

mod alike;
mod directory;
mod placed;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    ffi::OsString,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use self::{
    alike::Alike,
    directory::{Directory, Numbers, list, names_like},
    placed::{Others, Place, Placed},
};
use super::{
    HEAD, facts,
    identity::{FileNumber, Named, Now, Reason, Verdict, is_more_than_header, judge},
    names::{is_appended, is_backup, is_later, is_packed, is_rotation, name_of, path_of, series},
    open::open,
    token::FileToken,
};
use crate::{
    files::{FileId, folder_of},
    source::{Found, Known},
};

/// The inputs of a source, and the findings of a start about them.
pub(super) struct Search<'a> {
    /// The inputs by name, sorted.
    inputs: &'a [(String, PathBuf)],
    known: &'a [Known<FileToken>],
    /// Whether the flow writes a file. Such a file is never the rest of an input, whatever its name
    /// and content are.
    is_output: &'a dyn Fn(&Path) -> bool,
    /// The inputs by their inodes.
    by_inode: HashMap<u64, Vec<usize>>,
    /// The files that were read.
    read: Numbers,
    /// New inputs that may be a file that was read, by the index in `known`.
    alike: HashMap<usize, Vec<usize>>,
    /// The targets of inputs that are links.
    targets: HashMap<usize, PathBuf>,
    /// The names of the inputs and of their targets, without directories.
    file_names: HashSet<String>,
    directories: HashMap<PathBuf, Directory>,
    around: Option<Around>,
}

/// The directories of all inputs, for files that are no inputs any more.
#[derive(Default)]
struct Around {
    /// Files that may have been read.
    by_inode: HashMap<u64, Vec<PathBuf>>,
    /// The inputs, by their names in each directory.
    inputs: HashMap<PathBuf, usize>,
}

impl<'a> Search<'a> {
    pub(super) fn new(
        inputs: &'a [(String, PathBuf)],
        known: &'a [Known<FileToken>],
        is_output: &'a dyn Fn(&Path) -> bool,
    ) -> Self {
        let mut search = Search {
            inputs,
            known,
            is_output,
            by_inode: HashMap::new(),
            read: Numbers::default(),
            alike: HashMap::new(),
            targets: HashMap::new(),
            file_names: HashSet::new(),
            directories: HashMap::new(),
            around: None,
        };
        for (index, (_, path)) in inputs.iter().enumerate() {
            let metadata = path.metadata().ok().filter(fs::Metadata::is_file);
            if let Some(number) = metadata.and_then(|metadata| facts::number(&metadata)) {
                search.by_inode.entry(number.inode).or_default().push(index);
            }
            if path.is_symlink()
                && let Ok(target) = path.canonicalize()
            {
                search.targets.insert(index, target);
            }
            for (place, _) in search.places(index) {
                let name = place.file_name().unwrap_or_default();
                let name = name.to_string_lossy().into_owned();
                search.file_names.insert(name);
            }
        }
        for number in known.iter().filter_map(|known| known.token.number) {
            search.read.add(number);
        }
        search.compare_new();
        search
    }

    /// The path of an input, and, if it is a link, that of its target.
    fn places(&self, input: usize) -> Vec<(PathBuf, bool)> {
        let own = self.inputs.get(input);
        let own = own.map(|(_, path)| (path.clone(), false));
        let target = self.targets.get(&input);
        let target = target.map(|target| (target.clone(), true));
        own.into_iter().chain(target).collect()
    }

    fn input(&self, name: &str) -> Option<usize> {
        let found = self
            .inputs
            .binary_search_by(|(other, _)| other.as_str().cmp(name));
        found.ok()
    }

    /// Compares new inputs with the files that were read.
    fn compare_new(&mut self) {
        let mut alike = Alike::default();
        for (index, known) in self.known.iter().enumerate() {
            alike.add(index, known);
        }
        if alike.lengths.is_empty() {
            return;
        }
        let names: HashSet<&str> = self.known.iter().map(|known| &*known.partition).collect();
        for (input, (name, path)) in self.inputs.iter().enumerate() {
            if names.contains(&**name) {
                continue;
            }
            // An input that can't be read is reported when it is opened.
            let Ok((head, length)) = head_of(path) else {
                continue;
            };
            for index in alike.to(path, &head, length) {
                self.alike.entry(index).or_default().push(input);
            }
        }
    }

    /// Finds where the files are that were read.
    pub(super) fn find(mut self) -> Vec<Found<FileToken>> {
        let is_rest = |index: &usize| self.known[*index].token.rest_of.is_some();
        let (rests, own): (Vec<_>, Vec<_>) = (0..self.known.len()).partition(is_rest);
        let mut placed: HashMap<usize, Placed> = HashMap::new();
        // The input that has the name now that another one had.
        let mut named: HashMap<&str, usize> = HashMap::new();
        // The rest of a file is looked for beside the input that has the file's name now.
        for index in own.into_iter().chain(rests) {
            let Known {
                partition, token, ..
            } = &self.known[index];
            let moved = self.input_of(token.number);
            let base = match &token.rest_of {
                None => self.input(partition),
                Some(base) => self.input(base).or_else(|| named.get(&**base).copied()),
            };
            let base = match base {
                None if token.rest_of.is_some() || moved.is_none() => self.base_around(index),
                base => base,
            };
            if let Some(input) = base.or(moved) {
                named.insert(partition, input);
            }
            placed.insert(index, self.place(index, base));
        }
        let mut read = std::mem::take(&mut self.read);
        placed
            .values()
            .filter_map(Placed::number)
            .for_each(|number| read.add(number));
        self.read = read;
        (0..self.known.len())
            .filter_map(|index| Some(self.found(index, &placed.remove(&index)?)))
            .collect()
    }

    /// The input with a number.
    fn input_of(&self, number: Option<FileNumber>) -> Option<usize> {
        let number = number?;
        let mut same = self.by_inode.get(&number.inode)?.iter().copied();
        same.find(|input| {
            let other = facts::number_at(&self.inputs[*input].1);
            other.and_then(|other| number.is(other)) == Some(true)
        })
    }

    /// The input that has the name now of a file that was read, or of which that file is the rest.
    /// It has the same file name, and the file lies beside it.
    fn base_around(&mut self, index: usize) -> Option<usize> {
        let Known {
            partition, token, ..
        } = &self.known[index];
        let number = token.number?;
        let name = path_of(token.rest_of.as_ref().unwrap_or(partition));
        let name = name.file_name()?;
        if self.around.is_none() {
            self.around = Some(self.look_around());
        }
        let around = self.around.as_ref()?;
        let mut there = around.by_inode.get(&number.inode)?.iter();
        there.find_map(|path| {
            let input = around.inputs.get(&folder_of(path).join(name))?;
            let is_it = number.is(facts::number_at(path)?) == Some(true);
            is_it.then_some(*input)
        })
    }

    fn look_around(&mut self) -> Around {
        let mut around = Around::default();
        let mut folders = BTreeSet::new();
        for (input, (_, path)) in self.inputs.iter().enumerate() {
            for (place, _) in self.places(input) {
                let folder = folder_of(&place).to_path_buf();
                if let Some(name) = place.file_name().and(path.file_name()) {
                    around.inputs.insert(folder.join(name), input);
                }
                folders.insert(folder);
            }
        }
        for folder in folders {
            let files = self.directory(&folder).by_inode.iter();
            for (inode, names) in files {
                let paths = names.iter().map(|name| folder.join(name));
                around.by_inode.entry(*inode).or_default().extend(paths);
            }
        }
        around
    }

    /// Examines all places where a file that was read may be.
    fn place(&mut self, index: usize, base: Option<usize>) -> Placed {
        let Known {
            partition, token, ..
        } = &self.known[index];
        let input = self.input(partition);
        let path = match input {
            Some(input) => self.inputs[input].1.clone(),
            None => path_of(partition),
        };
        let is_there = input.is_some() || base.is_some() && token.rest_of.is_some();
        let here = match is_there {
            true => facts::at(&path, token),
            false => Now::Gone,
        };
        let mut others = Others::default();
        let same = token.number.map(|number| self.by_inode.get(&number.inode));
        let same = same.flatten().into_iter().flatten();
        let alike = self.alike.get(&index).into_iter().flatten();
        for other in same.chain(alike).filter(|other| Some(**other) != input) {
            others.add(self.input_place(*other), token, Named::Input);
        }
        let was = token.was();
        let mut verdict = judge(&was, &here, &others.files);
        // If the file is here and all of it has been read, other places do not matter.
        let number = match here {
            Now::File(facts) => facts.number,
            _ => None,
        };
        let is_it = number.zip(token.number);
        let is_it = is_it.is_some_and(|(here, was)| was.is(here) == Some(true));
        if base.is_some() && !(is_it && verdict == Verdict::Wait) {
            let own = input.filter(|input| Some(*input) != base);
            let paths = base.into_iter().chain(own);
            for input in paths {
                self.look_beside(input, index, &mut others);
            }
            verdict = judge(&was, &here, &others.files);
        }
        Placed {
            input,
            base,
            here: number,
            verdict,
            others,
        }
    }

    fn input_place(&self, input: usize) -> Place {
        let (name, path) = &self.inputs[input];
        Place {
            name: name.clone(),
            path: path.clone(),
            is_input: true,
        }
    }

    /// Looks beside an input for a file that was read: by its number, and, if it was an input
    /// itself, for copies of it.
    fn look_beside(&mut self, input: usize, index: usize, others: &mut Others) {
        let Known {
            partition, token, ..
        } = &self.known[index];
        let Some(number) = token.number else {
            return;
        };
        let known_as = path_of(partition);
        let known_as = known_as.file_name().unwrap_or_default().to_string_lossy();
        for (place, is_target) in self.places(input) {
            let own = place.file_name().unwrap_or_default();
            let text = own.to_string_lossy();
            let directory = self.directory(folder_of(&place));
            let is_next = |name: &OsString| {
                let name = name.to_string_lossy();
                let is_next = |own: &str| is_rotation(own, &name) || series(own) == series(&name);
                !is_backup(&name) && (is_target || is_next(&text) || is_next(&known_as))
            };
            let same = directory.by_inode.get(&number.inode).into_iter().flatten();
            let same = same.filter(|name| **name != own && is_next(name)).cloned();
            let copies = directory.numbered.get(&*text).into_iter().flatten();
            let tells = is_more_than_header(&token.was());
            let copies = copies.filter(|name| {
                let name = name.to_string_lossy();
                !is_packed(&name) && (tells || is_appended(&text, &name))
            });
            let copies = copies.filter(|_| token.rest_of.is_none()).cloned();
            for name in same.chain(copies).collect::<BTreeSet<_>>() {
                let path = place.with_file_name(name);
                let Some(other) = facts::number_at(&path) else {
                    continue;
                };
                let place = match self.input_of(Some(other)) {
                    Some(input) => self.input_place(input),
                    None => Place {
                        name: name_of(&path),
                        is_input: false,
                        path,
                    },
                };
                let is_input = place.is_input;
                if number.may_be(other) {
                    others.add(place, token, Named::Rotated);
                } else if !self.read.has(other) && !(self.is_output)(&place.path) {
                    others.add(place, token, Named::Copy { is_input });
                }
            }
        }
    }

    fn directory(&mut self, folder: &Path) -> &Directory {
        self.directories
            .entry(folder.to_path_buf())
            .or_insert_with_key(|folder| {
                list(folder, &self.read, &self.file_names).unwrap_or_default()
            })
    }

    /// The answer about a file, given where it is.
    fn found(&mut self, index: usize, placed: &Placed) -> Found<FileToken> {
        let Known {
            partition,
            token,
            finished,
        } = &self.known[index];
        let base = placed.base.map(|base| self.inputs[base].0.clone());
        let is_rest = token.rest_of.is_some();
        let refused = |at: Option<usize>| at.and_then(|at| placed.others.places.get(at));
        match placed.verdict {
            Verdict::Continue | Verdict::Wait if placed.input.is_some() && !is_rest => Found::Same,
            Verdict::Wait if *finished && placed.input.is_none() && token.rest_of == base => {
                Found::Same
            }
            Verdict::Continue | Verdict::Wait => Found::Moved {
                to: partition.clone(),
                token: FileToken {
                    rest_of: base.clone().filter(|_| placed.input.is_none()),
                    ..token.clone()
                },
                before: base,
                missed: Vec::new(),
            },
            Verdict::Rotated(_) => {
                let Some((to, _)) = placed.place() else {
                    return Found::Lost;
                };
                // Missed files are looked for once, when the file stops being an input.
                let missed = match placed.base {
                    Some(base) if !is_rest => self.missed(base, &to.path),
                    _ => Vec::new(),
                };
                Found::Moved {
                    to: to.name.clone(),
                    token: FileToken {
                        number: placed.number(),
                        rest_of: base.clone().filter(|_| !to.is_input),
                        ..token.clone()
                    },
                    before: base,
                    missed,
                }
            }
            Verdict::Refuse(Reason::Perhaps(at)) => {
                refused(Some(at)).map_or(Found::Lost, |to| Found::Perhaps {
                    to: to.name.clone(),
                })
            }
            Verdict::Refuse(Reason::Copied(at)) => refused(Some(at)).map_or(Found::Lost, |copy| {
                copied(partition, &copy.name, token.offset > 0)
            }),
            Verdict::Refuse(Reason::OtherFile) if placed.input.is_some() && !is_rest => {
                Found::Replaced {
                    token: FileToken {
                        number: placed.here,
                        ..token.clone()
                    },
                }
            }
            // If it is an input, opening it reports what is wrong.
            Verdict::Refuse(Reason::Unreadable(at)) if at.is_some() || placed.input.is_none() => {
                let own = (partition.clone(), path_of(partition));
                let (name, path) =
                    refused(at).map_or(own, |other| (other.name.clone(), other.path.clone()));
                unreadable(partition, &name, &path)
            }
            // A run without that input does not decide about its rest.
            Verdict::Refuse(_) if is_rest && *finished && placed.base.is_none() => Found::Same,
            Verdict::Refuse(_) if is_rest && *finished => Found::Forgotten,
            Verdict::Refuse(_) => Found::Lost,
        }
    }

    /// The files that were never read although they came between the old file of an input, which is
    /// at `to` now, and its present file. Rotations in between made them, or a link skipped them.
    fn missed(&mut self, base: usize, to: &Path) -> Vec<String> {
        let mut missed = BTreeSet::new();
        for (place, is_target) in self.places(base) {
            let own = place.file_name().unwrap_or_default().to_string_lossy();
            let to_name = to.file_name().unwrap_or_default().to_string_lossy();
            if FileId::of(folder_of(&place)) != FileId::of(folder_of(to)) {
                continue;
            }
            let between = match is_target {
                false => {
                    let directory = self.directory(folder_of(&place));
                    directory.numbered.get(&*own).cloned().unwrap_or_default()
                }
                true if series(&own) == series(&to_name) => names_like(&place).unwrap_or_default(),
                true => Vec::new(),
            };
            for name in between {
                let path = place.with_file_name(&name);
                let text = name.to_string_lossy();
                let is_between = match is_target {
                    // The names of one series say in which order rotation gave them.
                    false => {
                        series(&text) == series(&to_name)
                            && is_later(&own, &text, &to_name) == Some(true)
                    }
                    true => text != own && came_after(&path, to) && !is_made_after(&path, &place),
                };
                let is_unread = facts::number_at(&path).is_some_and(|number| {
                    !self.read.has(number) && self.input_of(Some(number)).is_none()
                });
                if is_between && is_unread && has_content(&path) && !(self.is_output)(&path) {
                    missed.insert(name_of(&path));
                }
            }
        }
        missed.into_iter().collect()
    }
}

/// Whether a file was written after another one. A compressed file has the time of its original.
fn came_after(path: &Path, other: &Path) -> bool {
    let written = |path: &Path| {
        path.metadata()
            .and_then(|metadata| metadata.modified())
            .ok()
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    written(path) > written(other) || !is_packed(&name) && is_made_after(path, other)
}

/// Whether it is a regular file that is not empty.
fn has_content(path: &Path) -> bool {
    let metadata = path.metadata();
    metadata.is_ok_and(|metadata| metadata.is_file() && metadata.len() > 0)
}

/// Whether a file was created after another one. False if the system does not record it.
fn is_made_after(path: &Path, other: &Path) -> bool {
    let made = |path: &Path| path.metadata().and_then(|metadata| metadata.created()).ok();
    made(path)
        .zip(made(other))
        .is_some_and(|(one, other)| one > other)
}

/// The answer if it is not clear what happened to a file of which there is a copy.
fn copied<T>(name: &str, copy: &str, goes_on: bool) -> Found<T> {
    // If nothing had been read, the copy is an input like any other.
    let rename = match goes_on {
        true => format!(
            ", with `--rename-partition {name}={copy}`, which resumes there and reads {name} from \
             its beginning"
        ),
        false => String::new(),
    };
    Found::Unclear {
        why: format!(
            "{name} may have been copied and emptied, or only copied: it and {copy} both begin \
             with what was read of it"
        ),
        help: format!(
            "if it was emptied, name {copy} as an input too{rename}. If it was only copied, move \
             {copy} to another directory. Or leave unread what {copy} has, with \
             `--drop-partition {name}`, which reads {name} from its beginning"
        ),
    }
}

/// The answer for a file that can't be read and has the unread rest, or may have it.
fn unreadable<T>(name: &str, at: &str, path: &Path) -> Found<T> {
    let why = match open(path) {
        Err(error) => crate::error::Chain(&error.about(at)).to_string(),
        Ok(_) => format!("{at} can't be read"),
    };
    let what = match name == at {
        true => "what had not been read of it would be lost".to_owned(),
        false => format!("what was read as {name} is, or may be, in {at} now"),
    };
    Found::Unclear {
        why: format!("{why}; {what}"),
        help: format!(
            "let this user read {at}; or leave unread what had not been read, with \
             `--drop-partition {name}`"
        ),
    }
}

/// The first bytes of a file, and its length.
fn head_of(path: &Path) -> io::Result<(Vec<u8>, u64)> {
    let file = open(path)?;
    let length = file.metadata()?.len();
    let mut head = Vec::new();
    file.take(HEAD as u64).read_to_end(&mut head)?;
    Ok((head, length))
}
