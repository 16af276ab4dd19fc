//! SIGTERM and Ctrl-C.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use flow_core::RunHandle;
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};

/// What the signals so far have been.
pub(super) struct Seen {
    interrupt: Arc<AtomicBool>,
}

impl Seen {
    /// Whether the run was ended by Ctrl-C.
    pub(super) fn interrupted(&self) -> bool {
        self.interrupt.load(SeqCst)
    }
}

/// From now on the first signal stops the run, and the second one ends the process.
pub(super) fn watch(run: RunHandle) -> io::Result<Seen> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let interrupt = Arc::new(AtomicBool::new(false));
    let seen = Seen {
        interrupt: interrupt.clone(),
    };
    std::thread::spawn(move || {
        let mut first = true;
        for signal in signals.forever() {
            if !std::mem::take(&mut first) {
                // As safe as any kill.
                std::process::exit(128 + signal);
            }
            interrupt.store(signal == SIGINT, SeqCst);
            run.stop();
        }
    });
    Ok(seen)
}
