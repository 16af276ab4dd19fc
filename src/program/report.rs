//! What goes wrong, as a person reads it on a terminal.

use std::{error::Error, fmt, io::IsTerminal};

use flow_core::{RecordError, RunError, source::UnfinishedLine};
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
            eprintln!("This happened while the flow was stopping for another failure:");
            self::error(first);
        }
        error => print(&Plain::new(error)),
    }
}

/// So many lines that were left unread are named, each with its file.
const UNFINISHED: usize = 5;

/// Names the last lines that were left unread.
pub(super) fn unfinished(lines: &[UnfinishedLine]) {
    for line in lines.iter().take(UNFINISHED) {
        eprintln!("flow: {}", visible(&line.to_string()));
    }
    match lines.len().saturating_sub(UNFINISHED) {
        0 => {}
        1 => eprintln!("flow: and the last line of one more file"),
        more => eprintln!("flow: and the last lines of {more} more files"),
    }
    let mut helps: Vec<String> = lines.iter().map(UnfinishedLine::help).collect();
    helps.sort();
    helps.dedup();
    for help in helps {
        eprintln!("  help: {help}");
    }
}

/// Text of an input, in which no character does anything to a terminal.
fn visible(text: &str) -> String {
    let shown = |char: char| match char.is_control() {
        true => char::REPLACEMENT_CHARACTER,
        false => char,
    };
    text.chars().map(shown).collect()
}

fn print(diagnostic: &dyn Diagnostic) {
    let is_terminal = std::io::stderr().is_terminal();
    let colour = is_terminal && std::env::var_os("NO_COLOR").is_none();
    let mut theme = if colour {
        GraphicalTheme::unicode()
    } else {
        GraphicalTheme::unicode_nocolor()
    };
    "error:".clone_into(&mut theme.characters.error);
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_links(false)
        // In a file or a pipe, a line is as long as its sentence.
        .with_width(if is_terminal { 100 } else { 10_000 });
    let mut text = String::new();
    match handler.render_report(&mut text, diagnostic) {
        Ok(()) => eprint!("{}", text.trim_start()),
        Err(fmt::Error) => eprintln!("error: {diagnostic}"),
    }
}

/// An error of one or more lines, of which those behind `help:` are advice.
#[derive(Debug)]
struct Plain {
    message: String,
    help: Option<String>,
}

impl Plain {
    fn new(error: &RunError) -> Self {
        let text = error.to_string();
        let safe = error.safe().map(|safe| safe.to_string());
        let behind_safe = safe.as_ref().and_then(|safe| text.strip_suffix(safe));
        match (behind_safe, text.split_once("\nhelp: ")) {
            (Some(message), _) => Plain {
                message: message.trim_end().to_owned(),
                help: safe,
            },
            (None, Some((message, help))) => Plain {
                message: message.to_owned(),
                help: Some(help.to_owned()),
            },
            (None, None) => Plain {
                message: text,
                help: None,
            },
        }
    }
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

/// A record that failed, with its line as it stands in the input.
#[derive(Debug)]
struct BadRecord {
    message: String,
    help: String,
    line: Option<Line>,
    label: String,
    column: usize,
}

impl BadRecord {
    fn new(error: &RecordError) -> Self {
        let mut message = format!("step `{}` failed at {}", error.step, error.partition);
        if let Some(position) = &error.position {
            message += &format!(", {position}");
        }
        let cause = error.cause.to_string();
        let line = error.excerpt.as_ref().map(|text| Line {
            name: error.partition.clone(),
            number: line_number(error.position.as_deref()),
            text: text.clone(),
        });
        let (mut column, mut label) = (0, cause.clone());
        if let Some(json) = json_error(error.cause.as_ref()) {
            // The record is one line, so the column says it all, and the caret shows the column.
            column = json.column().saturating_sub(1);
            let text = json.to_string();
            label = text.replace(&format!(" at line 1 column {}", json.column()), "");
        }
        if line.is_none() {
            message += &format!(": {cause}");
        }
        BadRecord {
            message,
            help: [error.help(), Some(error.safe.to_string()), error.hint()]
                .into_iter()
                .flatten()
                .collect::<Vec<String>>()
                .join("\n"),
            line,
            label,
            column,
        }
    }
}

/// The parser's error, if that is what a record failed with.
fn json_error<'a>(mut cause: &'a (dyn Error + 'static)) -> Option<&'a serde_json::Error> {
    loop {
        match cause.downcast_ref() {
            Some(json) => return Some(json),
            None => cause = cause.source()?,
        }
    }
}

fn line_number(position: Option<&str>) -> usize {
    let number = position.and_then(|position| position.strip_prefix("line "));
    number.and_then(|number| number.parse().ok()).unwrap_or(1)
}

impl fmt::Display for BadRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for BadRecord {}

impl Diagnostic for BadRecord {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.help))
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
