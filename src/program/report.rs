//! Prints errors and other messages for people.

use std::{
    fmt,
    io::{self, IsTerminal},
};

use flow_core::{
    RecordError, RunError,
    source::UnfinishedLine,
    terminal::{say, write_all},
};
use flow_store::{visible, visible_on_a_line};
use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError,
    MietteSpanContents, SourceCode, SourceSpan, SpanContents,
};

/// Prints an error on standard error.
pub(super) fn error(error: &RunError) {
    match error {
        RunError::Record(error) => print(&BadRecord::new(error)),
        RunError::WhileStopping { error: last, first } => {
            self::error(last);
            say("This happened while the flow was stopping for another failure:\n");
            self::error(first);
        }
        error => print(&Plain::new(error)),
    }
}

/// The number of unread lines that are named, each with its file.
const UNFINISHED: usize = 5;

/// Names the last lines that were left unread.
pub(super) fn unfinished(lines: &[UnfinishedLine]) {
    let mut text = String::new();
    for line in lines.iter().take(UNFINISHED) {
        text += &format!("flow: {}\n", visible_on_a_line(&line.to_string()));
    }
    match lines.len().saturating_sub(UNFINISHED) {
        0 => {}
        1 => text += "flow: and the last line of one more file\n",
        more => text += &format!("flow: and the last lines of {more} more files\n"),
    }
    let mut helps: Vec<String> = lines.iter().map(UnfinishedLine::help).collect();
    helps.sort();
    helps.dedup();
    for help in helps {
        text += &format!("  help: {}\n", visible(&help));
    }
    say(&text);
}

/// Prints the answer of the parser of the command line: help on standard output, errors on standard
/// error. Returns the exit status.
pub(super) fn usage(told: &clap::Error) -> u8 {
    let text = told.render();
    let plain = text.to_string();
    let is_safe = visible(&plain) == plain;
    let shown = |colour: bool| match colour && is_safe {
        true => text.ansi().to_string(),
        false => visible(&plain).into_owned(),
    };
    if told.use_stderr() {
        say(&shown(colour_for(&io::stderr())));
    } else {
        // The reader may have seen enough of the help.
        let _ = write_all(
            &mut io::stdout(),
            shown(colour_for(&io::stdout())).as_bytes(),
        );
    }
    u8::try_from(told.exit_code()).unwrap_or(super::WRONG)
}

fn colour_for(out: &impl IsTerminal) -> bool {
    out.is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

fn print(diagnostic: &dyn Diagnostic) {
    let is_terminal = io::stderr().is_terminal();
    let colour = colour_for(&io::stderr());
    let mut theme = if colour {
        GraphicalTheme::unicode()
    } else {
        GraphicalTheme::unicode_nocolor()
    };
    "error:".clone_into(&mut theme.characters.error);
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_links(false)
        // In a file or a pipe, lines are not wrapped.
        .with_width(if is_terminal { 100 } else { 10_000 });
    let mut text = String::new();
    match handler.render_report(&mut text, diagnostic) {
        Ok(()) => say(text.trim_start()),
        Err(fmt::Error) => say(&format!("error: {diagnostic}\n")),
    }
}

/// An error without an excerpt of its input.
#[derive(Debug)]
struct Plain {
    message: String,
    help: Option<String>,
}

impl Plain {
    fn new(error: &RunError) -> Self {
        Plain {
            message: visible(&error.message()).into_owned(),
            help: advice([error.help(), error.what_is_safe(), error.hint()]),
        }
    }
}

/// The text after `help:`, one line for each part.
fn advice(parts: [Option<String>; 3]) -> Option<String> {
    let lines: Vec<String> = parts
        .into_iter()
        .flatten()
        .map(|part| visible(&part).into_owned())
        .collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

impl fmt::Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Plain {}

impl Diagnostic for Plain {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.help.as_ref()?))
    }
}

/// A record that failed, with its line of the input.
#[derive(Debug)]
struct BadRecord {
    message: String,
    help: Option<String>,
    line: Option<Line>,
    label: String,
    column: usize,
}

impl BadRecord {
    fn new(error: &RecordError) -> Self {
        let mut message = error.place();
        // The record is one line, so its place within the record is the column, which the caret
        // shows.
        let mut column = error.column().map_or(0, |column| column.saturating_sub(1));
        let line = error.excerpt.as_ref().map(|text| {
            let at = (0..=column).rev().find(|at| text.is_char_boundary(*at));
            let (before, behind) = text.split_at(at.unwrap_or(0));
            let before = visible_on_a_line(before);
            // Escaping makes the text longer, and the caret moves with it.
            column = before.len();
            Line {
                name: visible_on_a_line(&error.partition).into_owned(),
                number: error
                    .line
                    .and_then(|line| line.try_into().ok())
                    .unwrap_or(1),
                text: format!("{before}{}", visible_on_a_line(behind)),
            }
        });
        if line.is_none() {
            message += &format!(": {}", error.cause_text());
        }
        BadRecord {
            message: visible(&message).into_owned(),
            help: advice([error.help(), Some(error.safe.to_string()), error.hint()]),
            line,
            label: visible(&error.beside_column()).into_owned(),
            column,
        }
    }
}

impl fmt::Display for BadRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for BadRecord {}

impl Diagnostic for BadRecord {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.help.as_ref()?))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(self.line.as_ref()?)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let text = &self.line.as_ref()?.text;
        let start = (0..=self.column.min(text.len()))
            .rev()
            .find(|at| text.is_char_boundary(*at))
            .unwrap_or(0);
        let rest = text[start..].len();
        let length = if self.column == 0 { rest } else { rest.min(1) };
        let span = LabeledSpan::new(Some(self.label.clone()), start, length);
        Some(Box::new(std::iter::once(span)))
    }
}

/// One line of an input, under its own number.
#[derive(Debug)]
struct Line {
    name: String,
    number: usize,
    text: String,
}

impl SourceCode for Line {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        _before: usize,
        _after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        if span.offset() + span.len() > self.text.len() {
            return Err(MietteError::OutOfBounds);
        }
        let all = SourceSpan::from((0, self.text.len()));
        Ok(Box::new(MietteSpanContents::new_named(
            self.name.clone(),
            self.text.as_bytes(),
            all,
            self.number - 1,
            0,
            1,
        )))
    }
}
