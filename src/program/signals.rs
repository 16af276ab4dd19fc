//! SIGTERM, Ctrl-C and SIGHUP, from the first line of `main` to the last.
//!
//! A signal always means: end, and lose nothing. How to do that depends on the phase of the
//! program, so one thread watches for signals and knows the phase.

use std::{
    io,
    sync::{Mutex, MutexGuard, PoisonError, mpsc::channel},
    thread,
    time::{Duration, Instant},
};

use flow_core::{RunHandle, terminal::say};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
    low_level,
};

use super::INTERRUPTED;

/// The phase of a program.
enum Phase {
    /// It reads its command line: nothing has been done.
    Reading,
    /// It does something that a signal may interrupt at any time: `check` or `graph`.
    Harmless,
    /// It runs a flow.
    Running {
        run: RunHandle,
        /// The signal that has stopped the run, and when.
        stopped_by: Option<(i32, Instant)>,
    },
    /// The run has failed or was refused, and the error is being printed.
    Telling {
        code: u8,
        /// The signal that has arrived since, and when.
        signal: Option<(i32, Instant)>,
    },
    /// The run is over, and its exit status is known.
    Over(u8),
}

/// The same signal again within this time is the same request: `timeout` signals the program and
/// then its group, and a parent may pass on a Ctrl-C that the terminal has sent to both.
const ONE: Duration = Duration::from_millis(50);

struct Watched {
    phase: Phase,
    /// Whether the thread exists.
    is_watched: bool,
}

static WATCHED: Mutex<Watched> = Mutex::new(Watched {
    phase: Phase::Over(0),
    is_watched: false,
});

fn watched() -> MutexGuard<'static, Watched> {
    WATCHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Watches for signals from now on.
pub(super) fn watch() -> io::Result<()> {
    let mut watched = watched();
    watched.phase = Phase::Reading;
    if !watched.is_watched {
        // The thread comes first, because signals that nobody reads would be lost.
        let (sender, receiver) = channel::<Signals>();
        let thread = thread::Builder::new().name("flow-signals".to_owned());
        thread.spawn(move || {
            if let Ok(mut signals) = receiver.recv() {
                signals.forever().for_each(came);
            }
        })?;
        // If the system can't say whether SIGHUP is ignored, it has no handler. It then ends the
        // process, which is as safe as any kill.
        let all = [(SIGINT, false), (SIGTERM, false), (SIGHUP, true)];
        let mask = ignored();
        let all = all.into_iter().filter(|(signal, unknown)| {
            !mask.map_or(*unknown, |mask| mask >> (signal - 1) & 1 == 1)
        });
        // The thread waits for them.
        let _ = sender.send(Signals::new(all.map(|(signal, _)| signal))?);
        watched.is_watched = true;
    }
    Ok(())
}

/// From now on a signal ends the program as it would without a handler.
pub(super) fn break_off() {
    watched().phase = Phase::Harmless;
}

/// From now on the first signal stops this run, and a second one ends the process.
pub(super) fn stop(run: RunHandle) {
    watched().phase = Phase::Running {
        run,
        stopped_by: None,
    };
}

/// From now on a second signal ends the process with this status. The first one waits until the
/// error is printed.
pub(super) fn telling(code: u8) {
    watched().phase = Phase::Telling { code, signal: None };
}

/// Whether the run was stopped by Ctrl-C.
pub(super) fn interrupted() -> bool {
    matches!(
        &watched().phase,
        Phase::Running {
            stopped_by: Some((SIGINT, _)),
            ..
        }
    )
}

/// From now on a signal ends the process with the status of the run.
pub(super) fn over(code: u8) {
    watched().phase = Phase::Over(code);
}

fn came(signal: i32) {
    let mut watched = watched();
    match &mut watched.phase {
        Phase::Reading => leave(signal),
        Phase::Harmless => {
            // It fails only for signals that do not exist.
            let _ = low_level::emulate_default_handler(signal);
        }
        Phase::Running { run, stopped_by } => match stopped_by {
            Some((first, at)) if *first == signal && at.elapsed() < ONE => {}
            // As safe as any kill.
            Some(_) => low_level::exit(128 + signal),
            None => {
                *stopped_by = Some((signal, Instant::now()));
                run.stop_or_leave(|| leave(signal));
            }
        },
        Phase::Telling {
            code,
            signal: first,
        } => match first {
            Some((first, at)) if *first == signal && at.elapsed() < ONE => {}
            Some(_) => low_level::exit(i32::from(*code)),
            None => *first = Some((signal, Instant::now())),
        },
        Phase::Over(code) => {
            let interrupted = *code == 0 && signal == SIGINT;
            let code = if interrupted { INTERRUPTED } else { *code };
            low_level::exit(i32::from(code));
        }
    }
}

/// Ends a program that has changed nothing yet. It waits for nothing, because user code may hang in
/// an `open`.
fn leave(signal: i32) -> ! {
    say("flow: stopped while starting; nothing has been read or changed\n");
    let code = if signal == SIGINT { INTERRUPTED } else { 0 };
    low_level::exit(i32::from(code))
}

/// The signals that were ignored when the program was started, as a mask: `nohup` ignores SIGHUP,
/// and `trap '' INT` ignores SIGINT. It is known only on Linux.
fn ignored() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}
