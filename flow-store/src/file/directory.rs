//! The directory of a store: its files, and how they are created durably.

use crate::error::{FileError, MaintenanceError, StoreError};
use crate::file::os;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// The only part file of a store in this layout.
pub(crate) const PART: &str = "part-00000-of-00001.redb";
/// The part file while it is being made.
const UNFINISHED: &str = "part-00000-of-00001.redb.new";
const LOCK: &str = "lock";

/// All files that a store in this directory may have, also while it is made, compacted or opened.
/// They need not exist.
///
/// ```
/// let files = flow_store::files_of("state".as_ref());
/// assert!(files.contains(&"state/lock".into()));
/// ```
#[must_use]
pub fn files_of(directory: &Path) -> Vec<PathBuf> {
    let place = Place::new(directory);
    vec![place.part, place.unfinished, place.lock]
}

/// The paths of a store's files.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) directory: PathBuf,
    pub(crate) part: PathBuf,
    pub(crate) unfinished: PathBuf,
    pub(crate) lock: PathBuf,
}

/// Which of the files exist.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// The names of all part files, sorted, whatever their numbers.
    pub(crate) parts: Vec<String>,
    pub(crate) lock: bool,
}

impl Found {
    pub(crate) fn is_new(&self) -> bool {
        self.parts.is_empty() && !self.lock
    }
}

impl Place {
    pub(crate) fn new(directory: &Path) -> Place {
        Place {
            directory: directory.to_path_buf(),
            part: directory.join(PART),
            unfinished: directory.join(UNFINISHED),
            lock: directory.join(LOCK),
        }
    }

    /// The same place with symbolic links of the part file resolved. A file that replaces it has to
    /// be made in the same directory.
    pub(crate) fn real(self) -> Place {
        let Ok(part) = self.part.canonicalize() else {
            return self;
        };
        let mut unfinished = part.clone().into_os_string();
        unfinished.push(".new");
        Place {
            part,
            unfinished: unfinished.into(),
            ..self
        }
    }

    /// Finds the files that exist. A missing directory has none.
    pub(crate) fn list(&self) -> Result<Found, StoreError> {
        let at = |attempt| {
            move |cause| StoreError::Io {
                attempt,
                path: self.directory.clone(),
                cause,
            }
        };
        match fs::metadata(&self.directory) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => {
                return Err(StoreError::File(FileError::NotADirectory {
                    path: self.directory.clone(),
                }));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::default()),
            Err(error) => return Err(at("look at the directory")(error)),
        }
        let mut found = Found::default();
        for entry in fs::read_dir(&self.directory).map_err(at("list the directory"))? {
            let entry = entry.map_err(at("list the directory"))?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            if name == LOCK {
                found.lock = true;
            } else if name.starts_with("part-") && name.ends_with(".redb") {
                found.parts.push(name);
            }
        }
        found.parts.sort();
        Ok(found)
    }

    /// Creates the directory, and missing ones above it, so that they survive a power failure.
    /// Returns the new ones.
    pub(crate) fn create(&self) -> Result<Vec<PathBuf>, StoreError> {
        // The lowest comes first.
        let absent: Vec<&Path> = self
            .directory
            .ancestors()
            .take_while(|path| !exists(path))
            .collect();
        fs::create_dir_all(&self.directory).map_err(|cause| StoreError::Io {
            attempt: "create the directory",
            path: self.directory.clone(),
            cause,
        })?;
        for made in &absent {
            match made.parent() {
                Some(parent) if parent.as_os_str().is_empty() => sync_directory(Path::new("."))?,
                Some(parent) => sync_directory(parent)?,
                None => {}
            }
        }
        Ok(absent.into_iter().map(Path::to_path_buf).collect())
    }

    /// Removes the directories that [`create`](Place::create) made, if they are still empty.
    pub(crate) fn take_back(made: &[PathBuf]) {
        for directory in made {
            let _ = fs::remove_dir(directory);
        }
    }

    /// Creates only the directory itself, which must not exist yet.
    pub(crate) fn create_new(&self) -> Result<(), StoreError> {
        fs::create_dir(&self.directory).map_err(|cause| match cause.kind() {
            io::ErrorKind::AlreadyExists => {
                StoreError::Maintenance(MaintenanceError::TargetExists {
                    path: self.directory.clone(),
                })
            }
            _ => StoreError::Io {
                attempt: "create the directory",
                path: self.directory.clone(),
                cause,
            },
        })?;
        match self.directory.parent() {
            Some(parent) if parent.as_os_str().is_empty() => sync_directory(Path::new(".")),
            Some(parent) => sync_directory(parent),
            None => Ok(()),
        }
    }

    /// Removes the unfinished part file of a process that was killed while making it.
    pub(crate) fn remove_unfinished(&self) -> Result<(), StoreError> {
        match fs::remove_file(&self.unfinished) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(cause) => Err(StoreError::Io {
                attempt: "remove",
                path: self.unfinished.clone(),
                cause,
            }),
        }
    }

    /// Whether the names of new files can be made durable. Other errors are reported when a file is
    /// made.
    pub(crate) fn has_durable_names(&self) -> bool {
        cfg!(not(unix)) || os::sync_directory(self.above()).unwrap_or(true)
    }

    /// The directory, or the nearest one above it that exists.
    fn above(&self) -> &Path {
        let mut above = self.directory.ancestors();
        match above.find(|path| exists(path)) {
            Some(path) if path.as_os_str().is_empty() => Path::new("."),
            Some(path) => path,
            None => &self.directory,
        }
    }

    /// Checks that existing files may be written and missing ones created, without doing either.
    pub(crate) fn check_writable(&self) -> Result<(), StoreError> {
        if !self.part.exists() || !self.lock.exists() {
            let above = self.above();
            os::may_create_in(above).map_err(|cause| StoreError::Io {
                attempt: "make files in",
                path: above.to_path_buf(),
                cause,
            })?;
        }
        for path in [&self.lock, &self.part] {
            match File::options().write(true).open(path) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(cause) => {
                    return Err(StoreError::Io {
                        attempt: "open to write to",
                        path: path.clone(),
                        cause,
                    });
                }
            }
        }
        Ok(())
    }

    /// The length of a file in bytes.
    pub(crate) fn len_of(&self, path: &Path) -> Result<u64, StoreError> {
        let metadata = fs::metadata(path).map_err(|cause| StoreError::Io {
            attempt: "look at",
            path: path.to_path_buf(),
            cause,
        })?;
        Ok(metadata.len())
    }

    /// Gives the finished part file its name, so that it survives a power failure.
    pub(crate) fn publish(&self) -> Result<(), StoreError> {
        let at = |attempt| {
            move |cause| StoreError::Io {
                attempt,
                path: self.unfinished.clone(),
                cause,
            }
        };
        // Some systems sync only files that are open for writing.
        File::options()
            .write(true)
            .open(&self.unfinished)
            .and_then(|file| file.sync_all())
            .map_err(at("sync"))?;
        fs::rename(&self.unfinished, &self.part).map_err(at("rename"))?;
        sync_directory(self.part.parent().unwrap_or(&self.directory))
    }
}

fn exists(path: &Path) -> bool {
    // The last ancestor of a relative path is the empty path: the current directory.
    path.as_os_str().is_empty() || path.exists()
}

/// Makes the names in a directory durable where that is supported, and warns where it is not.
fn sync_directory(path: &Path) -> Result<(), StoreError> {
    match os::sync_directory(path) {
        Ok(synced) => {
            if !synced && cfg!(unix) {
                tracing::warn!(
                    path = %path.display(),
                    "the file system can't make a directory \
                     durable"
                );
            }
            Ok(())
        }
        Err(cause) => Err(StoreError::Io {
            attempt: "sync the directory",
            path: path.to_path_buf(),
            cause,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_files_are_found() {
        let directory = tempfile::tempdir().unwrap();
        let place = Place::new(directory.path());
        assert!(place.list().unwrap().is_new());
        for name in [
            "part-00000-of-00001.redb.new",
            "notes.txt",
            "part-1",
            "x.redb",
        ] {
            fs::write(directory.path().join(name), b"").unwrap();
        }
        assert!(place.list().unwrap().is_new());
        for name in [
            "lock",
            "part-00001-of-00002.redb",
            "part-00000-of-00002.redb",
        ] {
            fs::write(directory.path().join(name), b"").unwrap();
        }
        let found = place.list().unwrap();
        assert_eq!(
            found.parts,
            ["part-00000-of-00002.redb", "part-00001-of-00002.redb"]
        );
        assert!(found.lock);
    }

    #[test]
    fn directories_above_are_made() {
        let directory = tempfile::tempdir().unwrap();
        let place = Place::new(&directory.path().join("a/b/c"));
        assert!(place.list().unwrap().is_new());
        place.create().unwrap();
        place.create().unwrap();
        assert!(place.directory.is_dir());
    }
}
