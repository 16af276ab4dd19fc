//! Finds files that were read under the names that they have now.
//!
//! Rotation renames a file between two runs, or copies it and empties it. What was read is looked for among the inputs, and in
//! the directory where it was. Each file is looked at once, and each directory listed once: the cost grows with their number,
//! not with that of pairs.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    ffi::OsString,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::{
    super::{Found, Known, SourceError, open},
    FileToken, HEAD, facts,
    identity::{FileNumber, Named, Now, Other, Reason, Verdict, judge},
    names::{is_numbered, is_rotation, name_of, path_of},
};
use crate::files::folder_of;

/// Where more files than that begin alike, that says nothing: then only those that are as long, or have the same name in another
/// directory, are compared.
const ALIKE: usize = 16;

/// The inputs of a source, and what a start finds out about them.
pub(super) struct Search<'a> {
    /// By name, sorted.
    inputs: &'a [(String, PathBuf)],
    known: &'a [Known<FileToken>],
    /// The inputs that have an inode.
    by_inode: HashMap<u64, Vec<usize>>,
    /// The inputs of which nothing is known that may be what was read, by the place in `known`.
    alike: HashMap<usize, Vec<usize>>,
    directories: HashMap<PathBuf, Directory>,
}

/// What lies in a directory.
#[derive(Default)]
struct Directory {
    by_inode: HashMap<u64, Vec<OsString>>,
    /// By their text, sorted.
    names: BTreeMap<String, OsString>,
}

/// Files that were read, by what they begin with.
#[derive(Default)]
struct Alike {
    /// The lengths of their beginnings.
    lengths: BTreeSet<u64>,
    by_head: HashMap<Head, Vec<usize>>,
    by_length: HashMap<(Head, u64), Vec<usize>>,
    by_name: HashMap<(Head, OsString), Vec<usize>>,
}

/// The length of a file's beginning, and its hash.
type Head = (u64, u64);

impl Alike {
    fn add(&mut self, index: usize, known: &Known<FileToken>) {
        let token = &known.token;
        if token.head_len == 0 {
            return;
        }
        let head = (token.head_len, token.head_hash);
        self.lengths.insert(token.head_len);
        self.by_head.entry(head).or_default().push(index);
        self.by_length
            .entry((head, token.offset))
            .or_default()
            .push(index);
        if let Some(name) = path_of(&known.partition).file_name() {
            let named = self.by_name.entry((head, name.to_owned()));
            named.or_default().push(index);
        }
    }

    /// Those that a file may be which begins like this.
    fn to(&self, path: &Path, head: &[u8], length: u64) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let few = |like: Option<&'_ Vec<usize>>| match like {
            Some(like) if like.len() <= ALIKE => like.clone(),
            _ => Vec::new(),
        };
        for head_len in &self.lengths {
            let bytes = usize::try_from(*head_len)
                .ok()
                .and_then(|len| head.get(..len));
            let Some(bytes) = bytes else {
                break;
            };
            let head = (*head_len, flow_store::hash(bytes));
            if !self.by_head.contains_key(&head) {
                continue;
            }
            found.extend(few(self.by_head.get(&head)));
            found.extend(few(self.by_length.get(&(head, length))));
            let name = path.file_name().unwrap_or_default();
            found.extend(few(self.by_name.get(&(head, name.to_owned()))));
        }
        found
    }
}

/// Other places where a file may be, and what they are called as partitions.
#[derive(Default)]
struct Others {
    files: Vec<Other<usize>>,
    /// Whether they are inputs.
    names: Vec<(String, bool)>,
}

impl Others {
    /// What can't be read is not known to be what was read.
    fn add(&mut self, name: String, is_input: bool, path: &Path, token: &FileToken, named: Named) {
        if let Ok(Now::File(facts)) = facts::at(path, token) {
            let place = self.names.len();
            self.names.push((name, is_input));
            self.files.push(Other {
                place,
                facts,
                named,
            });
        }
    }
}

impl<'a> Search<'a> {
    pub(super) fn new(inputs: &'a [(String, PathBuf)], known: &'a [Known<FileToken>]) -> Self {
        let mut search = Search {
            inputs,
            known,
            by_inode: HashMap::new(),
            alike: HashMap::new(),
            directories: HashMap::new(),
        };
        for (index, (_, path)) in inputs.iter().enumerate() {
            let metadata = path.metadata().ok().filter(fs::Metadata::is_file);
            if let Some(number) = metadata.and_then(|metadata| facts::number(&metadata)) {
                search.by_inode.entry(number.inode).or_default().push(index);
            }
        }
        search.compare_new();
        search
    }

    fn input(&self, name: &str) -> Option<usize> {
        let found = self
            .inputs
            .binary_search_by(|(other, _)| other.as_str().cmp(name));
        found.ok()
    }

    /// Compares what was read of files with the inputs of which nothing is known.
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
            // What can't be read is told when it is opened.
            let Ok((head, length)) = head_of(path) else {
                continue;
            };
            for index in alike.to(path, &head, length) {
                self.alike.entry(index).or_default().push(input);
            }
        }
    }

    /// Where a file is that was read.
    pub(super) fn find(&mut self, index: usize) -> Result<Found<FileToken>, SourceError> {
        let Known {
            partition,
            token,
            finished,
        } = &self.known[index];
        let input = self.input(partition);
        // The rest of an input that was rotated away is read as long as the input is.
        let base = token.rest_of.as_ref();
        let base = base.filter(|base| self.input(base).is_some()).cloned();
        let path = match input {
            Some(input) => self.inputs[input].1.clone(),
            None => path_of(partition),
        };
        let here = match (input, &base, facts::at(&path, token)) {
            (None, None, _) => Now::Gone,
            (_, _, Ok(now)) => now,
            // Opening it tells what is wrong with it.
            (Some(_), _, Err(_)) => return Ok(Found::Same),
            (None, Some(_), Err(error)) => {
                let what = format!("{partition}: can't be read");
                return Err(SourceError::caused_by(what, error));
            }
        };
        let mut others = Others::default();
        let same = token.number.map(|number| self.by_inode.get(&number.inode));
        let same = same.flatten().into_iter().flatten();
        let alike = self.alike.get(&index).into_iter().flatten();
        for other in same.chain(alike).filter(|other| Some(**other) != input) {
            let (name, path) = &self.inputs[*other];
            others.add(name.clone(), true, path, token, Named::Input);
        }
        let is_here = matches!(&here, Now::File(facts) if facts.number == token.number);
        let is_clear =
            is_here && !matches!(judge::<()>(&token.was(), &here, &[]), Verdict::Refuse(_));
        if (input.is_some() || base.is_some()) && !is_clear {
            let rotated = base.as_deref().map_or_else(|| path.clone(), path_of);
            for (other, named) in self.beside(&path, &rotated, token.number) {
                let (name, is_input) = match self.input_at(&other) {
                    Some(input) => (self.inputs[input].0.clone(), true),
                    None => (name_of(&other), false),
                };
                others.add(name, is_input, &other, token, named);
            }
        }
        let before = match input {
            Some(_) => Some(partition.clone()),
            None => base,
        };
        let mut moved = |to: String, is_input: bool| Found::Moved {
            token: FileToken {
                rest_of: before.clone().filter(|_| !is_input),
                ..token.clone()
            },
            missed: before
                .as_ref()
                .map_or_else(Vec::new, |before| self.missed(before, &to)),
            before: before.clone(),
            to,
        };
        Ok(match judge(&token.was(), &here, &others.files) {
            Verdict::Continue if input.is_none() => moved(partition.clone(), false),
            Verdict::Wait if input.is_none() && !finished => moved(partition.clone(), false),
            Verdict::Continue | Verdict::Wait => Found::Same,
            Verdict::Rotated(place) => {
                let (name, is_input) = others.names[place].clone();
                moved(name, is_input)
            }
            Verdict::Refuse(Reason::Perhaps(place)) => Found::Perhaps {
                to: others.names[place].0.clone(),
            },
            Verdict::Refuse(_) if token.rest_of.is_some() && *finished => Found::Forgotten,
            Verdict::Refuse(_) => Found::Lost,
        })
    }

    /// The input that is the file at a path.
    fn input_at(&self, path: &Path) -> Option<usize> {
        let number = |path: &Path| facts::number(&path.metadata().ok()?);
        let own = number(path)?;
        let mut same = self.by_inode.get(&own.inode)?.iter().copied();
        same.find(|input| number(&self.inputs[*input].1) == Some(own))
    }

    /// The files beside one that may be what it was: those of the same inode, and those with a name that rotation gives. Where
    /// the path is a link, those of the same inode where it leads now.
    fn beside(
        &mut self,
        path: &Path,
        rotated: &Path,
        number: Option<FileNumber>,
    ) -> Vec<(PathBuf, Named)> {
        let mut found: Vec<_> = (self.in_folder(path, number).into_iter())
            .map(|other| match is_named_by_rotation(rotated, &other) {
                true => (other, Named::Rotation),
                false => (other, Named::Beside),
            })
            .collect();
        if path.is_symlink()
            && let Ok(target) = path.canonicalize()
        {
            let there = self.in_folder(&target, number).into_iter();
            let same = there.filter(|other| {
                let other = other
                    .metadata()
                    .ok()
                    .and_then(|metadata| facts::number(&metadata));
                other.is_some() && other == number
            });
            found.extend(same.map(|other| (other, Named::Rotation)));
        }
        found
    }

    fn in_folder(&mut self, path: &Path, number: Option<FileNumber>) -> Vec<PathBuf> {
        let folder = folder_of(path).to_path_buf();
        let directory = self
            .directories
            .entry(folder)
            .or_insert_with_key(|folder| list(folder).unwrap_or_default());
        let own = path.file_name().unwrap_or_default();
        let same = number.and_then(|number| directory.by_inode.get(&number.inode));
        let text = own.to_string_lossy();
        let stem = text.rsplit_once('.').map_or(&*text, |(stem, _)| stem);
        let alike = directory.names.range(stem.to_owned()..);
        let alike = alike.take_while(|(name, _)| name.starts_with(stem));
        let named = alike.filter(|(name, _)| is_rotation(&text, name));
        let names = same
            .into_iter()
            .flatten()
            .chain(named.map(|(_, name)| name));
        let names: BTreeSet<_> = names.filter(|name| **name != own).collect();
        names
            .into_iter()
            .map(|name| path.with_file_name(name))
            .collect()
    }

    /// Files beside one that was rotated away which came after it and were never read: those of rotations in between.
    fn missed(&mut self, base: &str, to: &str) -> Vec<String> {
        let (base, to) = (path_of(base), path_of(to));
        let (true, Some(then)) = (base.parent() == to.parent(), made(&to)) else {
            return Vec::new();
        };
        let Some(own) = base
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
        else {
            return Vec::new();
        };
        // By the time of its birth too: an inode is given to a later file at once.
        let known = self.known.iter().filter_map(|known| known.token.number);
        let known: HashMap<u64, Vec<FileNumber>> =
            known.fold(HashMap::new(), |mut by_inode, number| {
                by_inode.entry(number.inode).or_default().push(number);
                by_inode
            });
        let beside = self.in_folder(&base, None).into_iter();
        let later = beside.filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            *path != to && is_numbered(&own, &name) && made(path).is_some_and(|time| time > then)
        });
        let unread = later.filter(|path| {
            let number = path
                .metadata()
                .ok()
                .and_then(|metadata| facts::number(&metadata));
            number.is_none_or(|number| {
                let known = known.get(&number.inode).into_iter().flatten();
                !known.copied().any(|known| known.is(number))
            })
        });
        let names = unread.map(|path| name_of(&path));
        names.filter(|name| self.input(name).is_none()).collect()
    }
}

/// When a file was made, or last changed where the system does not say.
fn made(path: &Path) -> Option<SystemTime> {
    let metadata = path.metadata().ok()?;
    metadata.created().or_else(|_| metadata.modified()).ok()
}

fn is_named_by_rotation(base: &Path, other: &Path) -> bool {
    match (base.file_name(), other.file_name()) {
        (Some(base), Some(other)) => is_rotation(&base.to_string_lossy(), &other.to_string_lossy()),
        _ => false,
    }
}

/// The first bytes of a file, and its length.
fn head_of(path: &Path) -> io::Result<(Vec<u8>, u64)> {
    let file = open::open(path)?;
    let length = file.metadata()?.len();
    let mut head = Vec::new();
    file.take(HEAD as u64).read_to_end(&mut head)?;
    Ok((head, length))
}

fn list(folder: &Path) -> io::Result<Directory> {
    let mut directory = Directory::default();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if let Some(inode) = inode_of(&entry) {
            directory
                .by_inode
                .entry(inode)
                .or_default()
                .push(entry.file_name());
        }
        let name = entry.file_name();
        directory
            .names
            .insert(name.to_string_lossy().into_owned(), name);
    }
    Ok(directory)
}

#[cfg(unix)]
#[allow(clippy::unnecessary_wraps)] // elsewhere there is none
fn inode_of(entry: &fs::DirEntry) -> Option<u64> {
    Some(std::os::unix::fs::DirEntryExt::ino(entry))
}

#[cfg(not(unix))]
fn inode_of(_: &fs::DirEntry) -> Option<u64> {
    None
}
