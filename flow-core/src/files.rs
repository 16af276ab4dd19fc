//! Which file a path leads to, whatever the path is: two names of one file are one file.

use std::{
    fs::{self, File, Metadata},
    io,
    path::{Path, PathBuf},
};

/// How many symbolic links a path is followed through, as the system does.
const MOST_LINKS: usize = 40;

/// A file as the system knows it: symbolic and hard links to it, and all spellings of its path, are
/// the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum FileId {
    /// A file that is there.
    There { device: u64, inode: u64 },
    /// A file that is not there yet, or on a system that does not number files: where the path
    /// leads.
    At(PathBuf),
}

impl FileId {
    /// The file that a path leads to, or would be made at.
    pub(crate) fn of(path: &Path) -> FileId {
        let there = fs::metadata(path).ok();
        let there = there.and_then(|metadata| FileId::of_open(&metadata));
        there.unwrap_or_else(|| FileId::At(target(path)))
    }

    /// The file of this metadata; none where the system does not number files.
    #[cfg(unix)]
    #[allow(clippy::unnecessary_wraps)] // elsewhere there may be none
    pub(crate) fn of_open(metadata: &Metadata) -> Option<FileId> {
        use std::os::unix::fs::MetadataExt;
        Some(FileId::There {
            device: metadata.dev(),
            inode: metadata.ino(),
        })
    }

    #[cfg(not(unix))]
    pub(crate) fn of_open(_: &Metadata) -> Option<FileId> {
        None
    }

    /// The file that standard output goes to; none for terminals, pipes and devices, which nobody
    /// reads back.
    #[cfg(unix)]
    pub(crate) fn of_stdout() -> Option<FileId> {
        use std::os::fd::AsFd;
        let stdout = io::stdout().as_fd().try_clone_to_owned().ok()?;
        let metadata = File::from(stdout).metadata().ok()?;
        metadata.is_file().then(|| FileId::of_open(&metadata))?
    }

    #[cfg(not(unix))]
    pub(crate) fn of_stdout() -> Option<FileId> {
        None
    }
}

/// Where a path leads, through links to files that are not there yet too: absolute, if the system
/// can say.
pub(crate) fn target(path: &Path) -> PathBuf {
    let mut path = path.to_path_buf();
    for _ in 0..MOST_LINKS {
        if let Ok(real) = path.canonicalize() {
            return real;
        }
        match fs::read_link(&path) {
            Ok(to) => path = folder_of(&path).join(to),
            Err(_) => break,
        }
    }
    // What is there of it is real, and the rest is as it was written.
    let ancestors = path.ancestors().skip(1);
    for ancestor in ancestors {
        let there = if ancestor.as_os_str().is_empty() {
            Path::new(".")
        } else {
            ancestor
        };
        if let (Ok(real), Ok(rest)) = (there.canonicalize(), path.strip_prefix(ancestor)) {
            return real.join(rest);
        }
    }
    path
}

/// The directory that a file is in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn all_names_of_a_file_are_one() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("file"), "").unwrap();
        fs::create_dir(at("folder")).unwrap();
        fs::hard_link(at("file"), at("hard")).unwrap();
        symlink("file", at("soft")).unwrap();
        symlink("..", at("folder/up")).unwrap();
        let file = FileId::of(&at("file"));
        for name in ["./file", "hard", "soft", "folder/../file", "folder/up/soft"] {
            assert_eq!(FileId::of(&at(name)), file, "{name}");
        }
        fs::write(at("other"), "").unwrap();
        assert_ne!(FileId::of(&at("other")), file);
    }

    #[test]
    fn all_names_of_a_file_that_is_not_there_are_one() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir(at("folder")).unwrap();
        symlink("folder", at("link")).unwrap();
        symlink("folder/new", at("soft")).unwrap();
        symlink("loop", at("loop")).unwrap();
        let file = FileId::of(&at("folder/new"));
        assert_eq!(
            target(&at("soft")),
            directory.path().canonicalize().unwrap().join("folder/new")
        );
        for name in ["link/new", "folder/./new", "soft"] {
            assert_eq!(FileId::of(&at(name)), file, "{name}");
        }
        for name in ["folder/other", "nowhere/new", "loop"] {
            assert_ne!(FileId::of(&at(name)), file, "{name}");
        }
    }
}
