//! A line that shows the progress of a run on a terminal.

use std::{
    io::IsTerminal,
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    thread,
    time::Duration,
};

use flow_core::{RunHandle, terminal::can_say};
use indicatif::{HumanCount, ProgressBar, ProgressStyle};

/// The time between updates of the line.
const PERIOD: Duration = Duration::from_millis(200);

/// How long to wait until the line is removed. The terminal may have been stopped (Ctrl-S).
const PATIENCE: Duration = Duration::from_secs(1);

/// The line while it is shown.
pub(super) struct Shown(Option<(Sender<()>, Receiver<()>)>);

impl Shown {
    /// Removes the line.
    pub(super) fn end(self) {
        if let Some((end, gone)) = self.0 {
            drop(end);
            // A line that can't be removed is no reason to fail, or to wait longer.
            let _ = gone.recv_timeout(PATIENCE);
        }
    }
}

/// Shows the line if standard error is a terminal and standard output is not. On the same terminal
/// it would overwrite results.
pub(super) fn show(run: RunHandle) -> Shown {
    if !std::io::stderr().is_terminal() || std::io::stdout().is_terminal() {
        return Shown(None);
    }
    let (end, ended) = channel::<()>();
    let (taken_away, gone) = channel::<()>();
    let thread = thread::Builder::new().name("flow-progress".to_owned());
    let thread = thread.spawn(move || {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        while ended.recv_timeout(PERIOD) == Err(RecvTimeoutError::Timeout) {
            if let Some(progress) = run.progress().filter(|_| can_say()) {
                let mut line = format!("{} records read", HumanCount(progress.records));
                if let Some(epoch) = progress.durable {
                    line += &format!(", durable up to epoch {epoch}");
                }
                bar.set_message(line);
                bar.tick();
            }
        }
        bar.finish_and_clear();
        drop(taken_away);
    });
    // Without a thread there is no line. If threads are limited, the run needs them more.
    Shown(thread.ok().map(|_| (end, gone)))
}
