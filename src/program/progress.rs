//! A line that shows how far a run is, where a person can see it.

use std::{
    io::IsTerminal,
    sync::mpsc::{Sender, channel},
    thread::JoinHandle,
    time::Duration,
};

use flow_core::RunHandle;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};

/// How often the line changes.
const PERIOD: Duration = Duration::from_millis(200);

/// The line, as long as it is shown.
pub(super) struct Shown(Option<(Sender<()>, JoinHandle<()>)>);

impl Shown {
    /// Takes the line away.
    pub(super) fn end(self) {
        if let Some((end, thread)) = self.0 {
            drop(end);
            // A line that could not be drawn is no reason to fail.
            let _ = thread.join();
        }
    }
}

/// Shows the line on a terminal, and nothing anywhere else. Results on the same terminal would be drawn over, so
/// it is shown only where they go elsewhere.
pub(super) fn show(run: RunHandle) -> Shown {
    if !std::io::stderr().is_terminal() || std::io::stdout().is_terminal() {
        return Shown(None);
    }
    let (end, ended) = channel::<()>();
    let thread = std::thread::spawn(move || {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        while ended.recv_timeout(PERIOD) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            if let Some(progress) = run.progress() {
                let mut line = format!("{} records read", HumanCount(progress.records));
                if let Some(epoch) = progress.durable {
                    line += &format!(", durable up to epoch {epoch}");
                }
                bar.set_message(line);
                bar.tick();
            }
        }
        bar.finish_and_clear();
    });
    Shown(Some((end, thread)))
}
