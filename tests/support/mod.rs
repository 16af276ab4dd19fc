//! Builds, runs and kills programs as users do, and reads what they leave behind.

#![allow(dead_code)] // each test uses its part

use std::{
    collections::BTreeMap,
    env::{self, consts::EXE_SUFFIX},
    ffi::OsStr,
    fmt, fs,
    io::ErrorKind,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use flow_store::Look;
use tempfile::{NamedTempFile, TempDir};

/// The time after which a waiting test fails.
const LIMIT: Duration = Duration::from_secs(60);

/// The directory in which the test was built: `target/debug`.
pub(crate) fn profile_dir() -> PathBuf {
    let test = env::current_exe().unwrap();
    test.parent().unwrap().parent().unwrap().to_path_buf()
}

/// The target directory of the test itself.
pub(crate) fn target_dir() -> PathBuf {
    let profile = profile_dir();
    let is_target = |path: &&Path| path.join("CACHEDIR.TAG").exists();
    let target = profile.ancestors().find(is_target);
    target.unwrap_or(profile.parent().unwrap()).to_path_buf()
}

/// The program of an example, built once for each test binary.
pub(crate) fn program(name: &str) -> PathBuf {
    static BUILT: Mutex<BTreeMap<String, PathBuf>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap();
    if let Some(path) = built.get(name) {
        return path.clone();
    }
    let profile = match profile_dir().file_name().and_then(OsStr::to_str) {
        Some("debug") => "dev".to_owned(),
        name => name.unwrap().to_owned(),
    };
    let output = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--example", name, "--profile", &profile])
        .args([
            "--manifest-path",
            concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
        ])
        .arg("--target-dir")
        .arg(target_dir())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} can't be built:\n{stderr}");
    let path = profile_dir()
        .join("examples")
        .join(format!("{name}{EXE_SUFFIX}"));
    built.insert(name.to_owned(), path.clone());
    path
}

/// Waits until `is_so`, looking every now and then.
pub(crate) fn wait_until(what: impl fmt::Display, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: not within {LIMIT:?}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Looks at a store that no program has.
pub(crate) fn look<R>(directory: &Path, look: impl FnOnce(&Look) -> R) -> R {
    look(&Look::at(directory).unwrap())
}

/// A directory to run programs in. It goes when the test ends.
pub(crate) struct Workdir(TempDir);

impl Workdir {
    pub(crate) fn new() -> Self {
        Workdir(tempfile::tempdir().unwrap())
    }

    /// A directory in memory, if possible, so that nothing waits for a disk.
    pub(crate) fn in_memory() -> Self {
        let memory = tempfile::tempdir_in("/dev/shm");
        Workdir(memory.or_else(|_| tempfile::tempdir()).unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }

    pub(crate) fn append(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let mut content = self.read(name);
        content.extend_from_slice(bytes.as_ref());
        self.write(name, content);
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        let path = self.path(name);
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    pub(crate) fn text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).unwrap()
    }

    /// The length of a file, 0 when it is not there.
    pub(crate) fn len(&self, name: &str) -> u64 {
        fs::metadata(self.path(name)).map_or(0, |metadata| metadata.len())
    }

    pub(crate) fn start<S: AsRef<OsStr>>(&self, program: &Path, args: &[S]) -> Running {
        let mut command = Command::new(program);
        command.args(args);
        self.spawn(command)
    }

    /// Starts a program here, with its output in files.
    pub(crate) fn spawn(&self, command: Command) -> Running {
        self.spawn_with(command, None, None)
    }

    /// Starts a program here. Output that goes nowhere else goes to files.
    pub(crate) fn spawn_with(
        &self,
        command: Command,
        stdout_to: Option<Stdio>,
        stderr_to: Option<Stdio>,
    ) -> Running {
        self.spawn_from(command, Stdio::null(), stdout_to, stderr_to)
    }

    /// The same, with this as its standard input.
    pub(crate) fn spawn_from(
        &self,
        mut command: Command,
        stdin: Stdio,
        stdout_to: Option<Stdio>,
        stderr_to: Option<Stdio>,
    ) -> Running {
        let (stdout, stderr) = (NamedTempFile::new().unwrap(), NamedTempFile::new().unwrap());
        command
            .current_dir(self.0.path())
            .env_remove("RUST_LOG")
            .env_remove("RUST_BACKTRACE")
            .stdin(stdin)
            .stdout(stdout_to.unwrap_or_else(|| stdout.reopen().unwrap().into()))
            .stderr(stderr_to.unwrap_or_else(|| stderr.reopen().unwrap().into()));
        let child = loop {
            match command.spawn() {
                // Another test has forked while this program was being copied. It keeps the copy
                // open for writing until it has started its own program.
                Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => {
                    thread::sleep(Duration::from_millis(10));
                }
                child => break child.unwrap(),
            }
        };
        Running {
            child,
            stdout,
            stderr,
        }
    }

    /// Runs a program to its end.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, program: &Path, args: &[S]) -> Ended {
        self.start(program, args).wait()
    }

    /// All that is in a directory, or a single file, to be compared.
    pub(crate) fn snapshot(&self, name: &str) -> Snapshot {
        let mut files = BTreeMap::new();
        gather(&self.path(name), name, &mut files);
        Snapshot(files)
    }
}

/// The bytes of each file, by name.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Snapshot(BTreeMap<String, Vec<u8>>);

impl Snapshot {
    #[track_caller]
    pub(crate) fn assert_same(&self, now: &Snapshot) {
        let names = self.0.keys().chain(now.0.keys());
        let changed: Vec<_> = names
            .filter(|name| self.0.get(*name) != now.0.get(*name))
            .collect();
        assert!(changed.is_empty(), "these have changed: {changed:?}");
    }
}

fn gather(path: &Path, name: &str, files: &mut BTreeMap<String, Vec<u8>>) {
    if !path.is_dir() {
        if let Ok(mut bytes) = fs::read(path) {
            if path.file_name() == Some(OsStr::new("lock")) {
                bytes = without_holder(&bytes);
            }
            files.insert(name.to_owned(), bytes);
        }
        return;
    }
    files.insert(format!("{name}/"), Vec::new());
    for entry in fs::read_dir(path).unwrap() {
        let entry = entry.unwrap().file_name().into_string().unwrap();
        gather(&path.join(&entry), &format!("{name}/{entry}"), files);
    }
}

/// The text of a store's lock file without the lines that say who had it last.
fn without_holder(text: &[u8]) -> Vec<u8> {
    let lines = text.split_inclusive(|byte| *byte == b'\n');
    let kept = lines.filter(|line| !line.starts_with(b"pid ") && !line.starts_with(b"since "));
    kept.flatten().copied().collect()
}

/// A program that runs. It is killed if the test is done with it before it ends.
pub(crate) struct Running {
    child: Child,
    stdout: NamedTempFile,
    stderr: NamedTempFile,
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn stdout(&self) -> String {
        fs::read_to_string(self.stdout.path()).unwrap()
    }

    pub(crate) fn stderr(&self) -> String {
        fs::read_to_string(self.stderr.path()).unwrap()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits until something is so; the program must not end before.
    pub(crate) fn wait_until(
        &mut self,
        what: impl fmt::Display,
        mut is_so: impl FnMut(&Running) -> bool,
    ) {
        wait_until(what.to_string(), || {
            let ended = !self.is_running();
            let so = is_so(self);
            assert!(so || !ended, "{what}: ended before\n{}", self.stderr());
            so
        });
    }

    /// Sends a signal, as in `TERM`.
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.pid().to_string();
        let status = Command::new("kill").args(["-s", signal, &pid]).status();
        assert!(status.unwrap().success());
    }

    /// `kill -9`; false if the program had ended before.
    pub(crate) fn kill(&mut self) -> bool {
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        status.signal() == Some(9)
    }

    pub(crate) fn wait(mut self) -> Ended {
        let deadline = Instant::now() + LIMIT;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > deadline {
                panic!("it still runs after {LIMIT:?}\n{}", self.stderr());
            }
            thread::sleep(Duration::from_millis(1));
        };
        Ended {
            code: status.code(),
            signal: status.signal(),
            stdout: self.stdout(),
            stderr: self.stderr(),
        }
    }
}

/// How a program ended, and all that it said.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    /// The signal that ended it.
    pub(crate) signal: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// It ended with this exit status, and user-visible panics are none of it.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        assert!(!self.stderr.contains("panicked at"), "{self}");
        self
    }

    /// Standard error says each of these.
    #[track_caller]
    pub(crate) fn says<S: AsRef<str>>(self, texts: impl IntoIterator<Item = S>) -> Self {
        for text in texts {
            let text = text.as_ref();
            assert!(
                self.stderr.contains(text),
                "it does not say {text:?}\n{self}"
            );
        }
        self
    }

    /// It gave out nothing.
    #[track_caller]
    pub(crate) fn silent(self) -> Self {
        assert_eq!(self.stdout, "", "{self}");
        self
    }

    /// It failed with this status and one error, which says each of these.
    #[track_caller]
    pub(crate) fn one_error<S: AsRef<str>>(
        self,
        code: i32,
        texts: impl IntoIterator<Item = S>,
    ) -> Self {
        let errors = self.stderr.matches("error:").count();
        assert_eq!(errors, 1, "{self}");
        self.expect(code).says(texts)
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "status {:?}, signal {:?}\n--- stdout\n{}--- stderr\n{}",
            self.code, self.signal, self.stdout, self.stderr
        )
    }
}
