//! Whether the holder of a lock is about to release it.
//!
//! The system frees the memory of a killed process before it closes its files. So with many GiB of
//! memory, a lock outlives `kill -9` by seconds. A supervisor that restarts the program at once
//! must not be told to stop a dying process.

use std::time::{Duration, Instant};

/// The holder of a lock, as it wrote it in the lock file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Holder<'a> {
    pub(crate) host: &'a str,
    pub(crate) pid: u32,
}

/// The host's name, on one line.
pub(crate) fn host() -> String {
    gethostname::gethostname()
        .to_string_lossy()
        .replace(char::is_control, " ")
}

/// How long to wait for a holder that is unknown, or seems to live.
const ANY: Duration = Duration::from_millis(250);

/// How long to wait for a dying holder.
const DYING: Duration = Duration::from_secs(10);

/// Limits how long to wait for a lock that another process has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience(Instant);

impl Patience {
    pub(crate) fn new() -> Self {
        Patience(Instant::now())
    }

    /// Whether to try again while this holder has the lock.
    pub(crate) fn lasts(self, holder: Option<Holder<'_>>) -> bool {
        let waited = self.0.elapsed();
        waited < ANY || (waited < DYING && holder.is_some_and(is_dying))
    }
}

/// Whether a holder is dying, as far as this host can tell.
fn is_dying(holder: Holder<'_>) -> bool {
    if holder.host != host() || !cfg!(target_os = "linux") {
        return false;
    }
    let file = |name| std::fs::read_to_string(format!("/proc/{}/{name}", holder.pid));
    let (Ok(stat), Ok(status)) = (file("stat"), file("status")) else {
        // The process is gone, so its lock soon will be.
        return true;
    };
    is_exiting(&stat) || has_been_killed(&status)
}

/// Whether a process has begun to exit, according to `/proc/PID/stat`.
fn is_exiting(stat: &str) -> bool {
    const PF_EXITING: u64 = 0x4;
    // The process name may contain anything, even a parenthesis.
    let Some((_, fields)) = stat.rsplit_once(')') else {
        return false;
    };
    let mut fields = fields.split_ascii_whitespace();
    let state = fields.next();
    let flags = fields.nth(5).and_then(|flags| flags.parse::<u64>().ok());
    matches!(state, Some("Z" | "X" | "x")) || flags.is_some_and(|flags| flags & PF_EXITING != 0)
}

/// Whether a SIGKILL is pending for a process, according to `/proc/PID/status`.
fn has_been_killed(status: &str) -> bool {
    const SIGKILL: u64 = 1 << 8;
    let pending = status.lines().filter_map(|line| {
        let mask = line
            .strip_prefix("SigPnd:")
            .or_else(|| line.strip_prefix("ShdPnd:"))?;
        u64::from_str_radix(mask.trim(), 16).ok()
    });
    pending.into_iter().any(|mask| mask & SIGKILL != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_of_a_process_is_understood() {
        let stat = |state, flags| format!("7 (a) b ) {state} 1 7 7 0 -1 {flags} 0 0");
        assert!(!is_exiting(&stat("S", 4_194_304)));
        assert!(is_exiting(&stat("R", 4_194_308)) && is_exiting(&stat("Z", 4_194_304)));
        assert!(!is_exiting(""));
        let status = |pending| format!("Name:\ta\nSigPnd:\t{pending:016x}\nShdPnd:\t{:016x}\n", 0);
        assert!(has_been_killed(&status(1 << 8)));
        assert!(!has_been_killed(&status(1 << 14)) && !has_been_killed(""));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_dying_holder_is_waited_for_longer_than_one_that_lives() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        let host = host();
        let holder = |pid| Some(Holder { host: &host, pid });
        let (dying, lives) = (holder(child.id()), holder(std::process::id()));
        let waited = |time: Duration| Patience(Instant::now().checked_sub(time).unwrap());
        assert!(waited(Duration::ZERO).lasts(lives) && waited(Duration::ZERO).lasts(None));
        assert!(!waited(ANY).lasts(lives) && !waited(ANY).lasts(None));
        assert!(waited(ANY).lasts(dying) && !waited(DYING).lasts(dying));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_process_that_is_gone_is_waited_for_and_one_that_lives_is_not() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        let host = host();
        let holder = |pid| Holder { host: &host, pid };
        assert!(is_dying(holder(child.id())));
        assert!(!is_dying(holder(std::process::id())));
        let elsewhere = Holder {
            host: "another host",
            pid: child.id(),
        };
        assert!(!is_dying(elsewhere));
    }
}
