//! The output of the command: lines on stdout, and progress bars on stderr.

use flow_store::{visible, visible_json};
use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};
use std::path::Path;
use std::time::Duration;

/// Standard output, a line at a time.
pub(crate) struct Out(BufWriter<StdoutLock<'static>>);

impl Out {
    pub(crate) fn new() -> Out {
        Out(BufWriter::new(io::stdout().lock()))
    }

    /// Writes a line. Texts of a store may come from anywhere, so control characters are escaped.
    pub(crate) fn line(&mut self, text: &str) -> io::Result<()> {
        self.0.write_all(visible(text).as_bytes())?;
        self.0.write_all(b"\n")
    }

    /// Writes a line of JSON after a prefix.
    pub(crate) fn json<T: Serialize>(&mut self, before: &str, value: &T) -> io::Result<()> {
        self.0.write_all(visible(before).as_bytes())?;
        let json = serde_json::to_string(value)?;
        self.0.write_all(visible_json(&json).as_bytes())?;
        self.0.write_all(b"\n")
    }

    /// Writes indented lines, in columns as wide as their content.
    pub(crate) fn columns(&mut self, indent: &str, lines: &[Vec<String>]) -> io::Result<()> {
        let widest = |column: usize| {
            let texts = lines.iter().filter_map(|line| line.get(column));
            texts.map(|text| text.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..lines.iter().map(Vec::len).max().unwrap_or(0))
            .map(widest)
            .collect();
        for line in lines {
            let cells = line.iter().zip(&widths);
            let text: String = cells
                .map(|(text, width)| format!("{text:width$}  "))
                .collect();
            self.line(&format!("{indent}{}", text.trim_end()))?;
        }
        Ok(())
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// A number of rows in words.
pub(crate) fn rows(count: u64) -> String {
    match count {
        1 => "1 row".to_owned(),
        count => format!("{} rows", HumanCount(count)),
    }
}

/// A progress bar, on a terminal only. It is removed when this is dropped.
pub(crate) struct Bar(ProgressBar);

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Number of steps between updates of a bar, so that short work shows nothing.
const OFTEN: u64 = 4096;

impl Bar {
    fn new(template: &str, message: String) -> Bar {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        // The templates are valid. If one were not, the bar would have its default look.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(visible(&message).into_owned());
        Bar(bar)
    }

    /// Shows how many of all rows are done.
    pub(crate) fn of_rows(what: &str) -> impl FnMut(u64, u64) + use<> {
        let bar = Bar::new(
            "{msg} {wide_bar} {human_pos} of {human_len} rows",
            what.to_owned(),
        );
        move |done, all| {
            if done % OFTEN == 0 {
                bar.0.set_length(all);
                bar.0.set_position(done);
            }
        }
    }

    /// Counts rows that are written to stdout, unless stdout is a terminal and shows them.
    pub(crate) fn counting(what: &str) -> impl FnMut() + use<> {
        let bar = Bar::new("{spinner} {msg} {human_pos} rows", what.to_owned());
        if io::stdout().is_terminal() {
            bar.0.set_draw_target(ProgressDrawTarget::hidden());
        }
        let mut rows = 0;
        move || {
            rows += 1;
            if rows % OFTEN == 0 {
                bar.0.set_position(rows);
            }
        }
    }
}

/// Shows what is being done to a store, without its progress.
pub(crate) fn busy(what: &str, directory: &Path) -> Bar {
    let bar = Bar::new("{spinner} {msg}", format!("{what} {}", directory.display()));
    bar.0.enable_steady_tick(Duration::from_millis(200));
    bar
}
