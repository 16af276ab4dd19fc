//! Which file a path leads to. All names of a file count as one file.

use std::{
    fs::{self, File, Metadata},
    io,
    path::{Path, PathBuf},
};

/// The most symbolic links that are followed for one path. Linux has the same limit.
const MOST_LINKS: usize = 40;

/// The identity of a file. Symbolic links, hard links and all spellings of its path share it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum FileId {
    /// An existing file.
    There { device: u64, inode: u64 },
    /// The path of a file that does not exist yet, or of any file on a system without inode
    /// numbers.
    At(PathBuf),
}

impl FileId {
    /// The file that a path leads to, or at which it would create one.
    pub(crate) fn of(path: &Path) -> FileId {
        let there = fs::metadata(path).ok();
        let there = there.and_then(|metadata| FileId::of_open(&metadata));
        there.unwrap_or_else(|| FileId::At(target(path)))
    }

    /// The file with this metadata; `None` on a system without inode numbers.
    #[cfg(unix)]
    #[allow(clippy::unnecessary_wraps)] // other systems have none
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

    /// The file that standard output goes to; `None` for terminals, pipes and devices, which can't
    /// be read back.
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

/// Where a path leads: an absolute path, if the system can tell. Links to files that do not exist
/// yet are followed too.
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
    // The existing part of the path is resolved, and the rest stays as written.
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
