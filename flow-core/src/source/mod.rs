//! Sources: where records come from, and how to resume reading where a run ended.
//!
//! A source has partitions, which are read independently. Flow keeps the position. It asks a reader
//! for a token whenever an epoch ends, stores the token with the state of that epoch, and hands it
//! back when the flow resumes. A record that a later step skips, drops or fails on has still been
//! read.

mod file;
mod from_channel;
mod from_fn;
mod from_fn_with_token;
mod from_iter;
mod lines;
mod poll;
mod reading;

use std::{
    any::TypeId,
    collections::VecDeque,
    path::{Path, PathBuf},
    task::Waker,
    time::Instant,
};

pub use crate::engine::UnfinishedLine;
pub use file::{Compressed, FileNumber, FileToken, OtherEncoding};
pub use from_channel::{ChannelReader, ChannelSource, Sender, from_channel};
pub use from_fn::{FnReader, FnSource, TryFnSource, from_fn, try_from_fn};
pub use from_fn_with_token::{FnToken, FnTokenReader, FnTokenSource, from_fn_with_token};
pub use from_iter::{IterReader, IterSource, from_iter};
pub use lines::{
    ByteLinesSource, Bytes, Json, JsonLinesSource, LineError, LineFormat, LinesReader, LinesSource,
    Looks, OrDead, RawLine, StdinReader, StdinSource, Text, TextLinesSource,
};
pub use poll::{PollReader, PollSource, poll, poll_with_token};
pub(crate) use reading::{forget, head};

use self::lines::{LineParser, Lines};
pub use crate::error::SourceError;
pub use crate::record::NoResume;
use crate::{engine::RunHandle, record::State};

/// Where records come from.
///
/// Flow keeps one token for each partition. It lists the partitions once for each run, before
/// anything else happens, and deals them to the workers in sorted order.
///
/// ```
/// use std::task::Waker;
/// use flow::source::{At, Next, Reader, Source, SourceError};
///
/// /// Counts up to a limit.
/// struct Count { to: u64 }
/// struct CountReader { next: u64, to: u64, batch: u64 }
///
/// impl Source for Count {
///     type Item = u64;
///     type Token = u64;
///     type Reader = CountReader;
///     fn partitions(&self) -> Result<Vec<String>, SourceError> { Ok(vec!["numbers".into()]) }
///     fn open(&self, _partition: &str, at: At<u64>) -> Result<CountReader, SourceError> {
///         Ok(CountReader { next: at.token().unwrap_or(0), to: self.to, batch: 0 })
///     }
/// }
///
/// impl Reader for CountReader {
///     type Item = u64;
///     type Token = u64;
///     fn read(&mut self, out: &mut Vec<u64>, _waker: &Waker) -> Result<Next, SourceError> {
///         self.batch = (self.to - self.next).min(100);
///         out.extend(self.next..self.next + self.batch);
///         self.next += self.batch;
///         Ok(if self.next == self.to { Next::End } else { Next::Ready })
///     }
///     fn token(&self, index: usize) -> u64 { self.next - self.batch + index as u64 }
/// }
/// # use flow::prelude::*;
/// # let (out, seen) = flow::sink::collect();
/// # Runner::new(move |flow| { flow.source(Count { to: 3 }).sink(out.clone()); }).run().unwrap();
/// # assert_eq!(seen.take(), [0, 1, 2]);
/// ```
pub trait Source: 'static {
    /// The records.
    type Item: 'static;
    /// The place of a reader: what it needs to resume. [`NoResume`] if it can't.
    type Token: State + Clone;
    /// Reads one partition.
    type Reader: Reader<Item = Self::Item, Token = Self::Token>;

    /// The name of this kind of source in ids and messages. By default the name of the type:
    /// `OrderFeed` is `order_feed`.
    fn kind(&self) -> String {
        crate::names::kind_of::<Self>()
    }

    /// The names of the partitions. They are short, and the same in each run, because they identify
    /// the tokens.
    ///
    /// # Errors
    /// If the partitions can't be listed. The run ends before anything has been changed.
    fn partitions(&self) -> Result<Vec<String>, SourceError>;

    /// The files that are read, if the source reads files. By default there are none.
    ///
    /// A flow that would write to one of them is refused before anything is opened. They need not
    /// exist.
    fn files(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    /// Opens one partition at the place `at`; see [`At`] for the three cases.
    ///
    /// With a store, the first token of the reader is stored by the commit that starts the run.
    /// From then on the partition is opened at a token, even if nothing of it was read, and a start
    /// notices when it is gone.
    ///
    /// # Errors
    /// If it can't be opened, or if its content does not match the token any more. The message
    /// names the partition. The run ends before anything has been changed.
    fn open(&self, partition: &str, at: At<Self::Token>) -> Result<Self::Reader, SourceError>;

    /// Finds the partitions that the store knows. It is called once at each start from a store,
    /// with all of them.
    ///
    /// Partitions can get other names: files are moved or rotated. Records that were read under one
    /// name must be neither read again under another name nor missed. By default a partition is the
    /// same if it is [listed](Source::partitions), and otherwise gone.
    ///
    /// `listed` is sorted. The result has one answer for each of `known`, in the same order.
    ///
    /// ```
    /// use flow::source::{Found, Known};
    ///
    /// /// Topics whose names begin with a version continue in the next version.
    /// fn find(known: &[Known<u64>], listed: &[String]) -> Vec<Found<u64>> {
    ///     let found = known.iter().map(|known| {
    ///         let next = known.partition.replacen("v1-", "v2-", 1);
    ///         match listed.contains(&known.partition) {
    ///             true => Found::Same,
    ///             false if listed.contains(&next) => Found::Moved {
    ///                 to: next,
    ///                 token: known.token,
    ///                 before: None,
    ///                 missed: Vec::new(),
    ///             },
    ///             false => Found::Lost,
    ///         }
    ///     });
    ///     found.collect()
    /// }
    /// # let known = |name: &str| Known { partition: name.to_owned(), token: 7, finished: false };
    /// # let found = find(&[known("v1-a"), known("b"), known("c")], &["b".into(), "v2-a".into()]);
    /// # assert!(matches!(&found[0], Found::Moved { to, .. } if to == "v2-a"));
    /// # assert_eq!(found[1..], [Found::Same, Found::Lost]);
    /// ```
    ///
    /// # Errors
    /// If that can't be found out. The run ends before anything has been changed.
    fn find(
        &self,
        known: &[Known<Self::Token>],
        listed: &[String],
    ) -> Result<Vec<Found<Self::Token>>, SourceError> {
        let is_listed = |known: &Known<_>| listed.binary_search(&known.partition).is_ok();
        let places = known.iter().map(|known| match is_listed(known) {
            true => Found::Same,
            false => Found::Lost,
        });
        Ok(places.collect())
    }

    /// [`find`](Source::find) that can recognize the files that the flow itself writes.
    #[doc(hidden)]
    fn find_apart(
        &self,
        known: &[Known<Self::Token>],
        listed: &[String],
        is_output: &dyn Fn(&Path) -> bool,
    ) -> Result<Vec<Found<Self::Token>>, SourceError> {
        let _ = is_output;
        self.find(known, listed)
    }

    /// Whether the user may give up a partition of this name as one of the missed ones of
    /// [`Found::Moved`].
    #[doc(hidden)]
    fn may_be_missed(&self, partition: &str) -> bool {
        let _ = partition;
        false
    }

    /// The token of a partition that the user has renamed, without its identity, because the new
    /// one may be a copy.
    #[doc(hidden)]
    fn renamed(&self, token: Self::Token) -> Self::Token {
        token
    }

    /// Makes records of lines that were read on another worker, if the source reads lines of files.
    #[doc(hidden)]
    fn line_parser(&self) -> Option<LineParser<Self::Item>> {
        None
    }

    /// The token behind the rest of a line that was read before it was finished, if the source
    /// reads lines of files.
    #[doc(hidden)]
    fn skip_rest_of_line(
        &self,
        partition: &str,
        token: &Self::Token,
    ) -> Result<Self::Token, SourceError> {
        let _ = token;
        Err(SourceError::new(format!(
            "{partition} has no lines whose rest could be skipped"
        )))
    }

    /// Agrees that a source which can't resume loses records: in a crash those that were read and
    /// are not durable, and when the flow stops those that nobody has read.
    #[must_use]
    fn lossy(self) -> Lossy<Self>
    where
        Self: Sized,
    {
        Lossy(self)
    }

    /// Whether [`lossy`](Source::lossy) has been called.
    #[doc(hidden)]
    fn is_lossy(&self) -> bool {
        false
    }
}

/// Where to open a partition.
///
/// A source that always begins at the beginning treats [`Start`](At::Start) and [`New`](At::New)
/// alike, with [`token`](At::token).
///
/// The difference matters if a source begins elsewhere. Beginning at the latest message is right
/// only for `Start`. A partition that is `New` appeared while the flow was responsible for the
/// source, perhaps while it was stopped. Its earlier messages would be lost.
///
/// ```
/// use flow::source::At;
///
/// fn offset(at: At<u64>, earliest: u64, latest: u64) -> u64 {
///     match at {
///         At::Start => latest,
///         At::New => earliest,
///         At::Token(offset) => offset,
///     }
/// }
/// # assert_eq!([At::Start, At::New, At::Token(5)].map(|at| offset(at, 2, 9)), [9, 2, 5]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At<T> {
    /// The flow begins with this source: it has no store, or its store does not know the source.
    Start,
    /// The store knows the source, but not this partition. It appeared after the last start, or is
    /// back after it was given up with `--drop-partition`.
    New,
    /// The partition resumes at this token.
    Token(T),
}

impl<T> At<T> {
    /// The token, if there is one.
    #[must_use]
    pub fn token(self) -> Option<T> {
        match self {
            At::Token(token) => Some(token),
            At::Start | At::New => None,
        }
    }

    /// The same opening, by reference.
    #[must_use]
    pub fn as_ref(&self) -> At<&T> {
        match self {
            At::Start => At::Start,
            At::New => At::New,
            At::Token(token) => At::Token(token),
        }
    }
}

/// A partition that the store knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known<T> {
    /// Its name.
    pub partition: String,
    /// The stored token.
    pub token: T,
    /// Whether it has been read to its end.
    pub finished: bool,
}

/// What has become of a partition that the store knows: the answer of [`Source::find`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found<T> {
    /// It is the same, under its name. Or it is gone, and need not be there, because it had been
    /// finished.
    Same,
    /// It is gone, or something else has its name. The start is refused, unless it had been
    /// finished or the user gives it up.
    Lost,
    /// It certainly has another name now.
    Moved {
        /// Its present name. It is read even if that is not [listed](Source::partitions).
        to: String,
        /// The token to resume from.
        token: T,
        /// The partition that has its old name now. That is read only after this one has come to
        /// its end.
        before: Option<String>,
        /// Partitions that came between the two and would be left unread. The start is refused
        /// until they are listed or given up.
        missed: Vec<String>,
    },
    /// Something else has its name and begins with the little that was read. Reading continues in
    /// it. The unread rest of the old one can't be read any more, and the start says so.
    Replaced {
        /// The token to resume from.
        token: T,
    },
    /// It looks like a listed partition that the store does not know. The start is refused until
    /// the user says what it is.
    Perhaps {
        /// The name of the listed partition.
        to: String,
    },
    /// It is not clear what has become of it. The start is refused, unless the user gives it up or
    /// renames it.
    Unclear {
        /// The reason, with the name of the partition.
        why: String,
        /// What to do about it.
        help: String,
    },
    /// It had been read to its end, was not listed then, and will not come back. Its row is removed
    /// from the store.
    Forgotten,
}

/// Reads one partition of a source.
pub trait Reader: 'static {
    /// The records.
    type Item;
    /// The place of the reader.
    type Token;

    /// Appends a batch of records to `out`, which is empty: a few hundred at most, or about 64 KiB.
    ///
    /// It never blocks. If there is nothing to read now, it returns [`Next::Idle`] and wakes
    /// `waker` from another thread later, or it returns [`Next::IdleUntil`]. [`Next::Ready`]
    /// without new records means that the reader wants to be called again. It is called again only
    /// when all records of the last batch have been processed.
    ///
    /// Each partition has its own waker, the same one in each call. A wake counts from the
    /// beginning of the call. A wake before `read` has returned `Idle` is not lost, and a wake
    /// while nobody waits does nothing. So a reader first hands on the waker, and then looks for
    /// records.
    ///
    /// # Errors
    /// If the next record can't be read. The records appended before are valid, and
    /// `token(out.len())` is where the bad one starts. The flow stops exactly there.
    fn read(&mut self, out: &mut Vec<Self::Item>, waker: &Waker) -> Result<Next, SourceError>;

    /// Gives the reader a handle to its run, once, before the first `read`. A reader that returns
    /// [`Next::IdleUntil`] takes the time from [`RunHandle::clock`], so that a test can control it.
    fn set_run(&mut self, run: &RunHandle) {
        let _ = run;
    }

    /// The place where record `index` of the last batch starts.
    ///
    /// If `index` is the number of records in the batch, it is where the next unread record starts,
    /// behind skipped ones. Before the first batch, `token(0)` is called and stored: it is where
    /// the reader was opened.
    fn token(&self, index: usize) -> Self::Token;

    /// Checks that the source still holds what was read. It fails, for example, if a file was
    /// overwritten. By default it does nothing.
    ///
    /// It is called when an epoch ends in which the partition was read, before its token is stored.
    /// If it fails, nothing of the epoch becomes durable.
    ///
    /// # Errors
    /// What has happened, with the name of the partition.
    fn check(&mut self) -> Result<(), SourceError> {
        Ok(())
    }

    /// Whether the reader has taken records from its input that it has not appended to a batch yet.
    /// By default it has none.
    ///
    /// It is called on a reader that can't resume ([`NoResume`]) when the flow stops, and again
    /// after each read that follows. The reader is read as long as it returns true, so that a stop
    /// loses no record that was taken. Records of its last batch are processed in any case. From
    /// the first call on, the reader takes no more records.
    ///
    /// When half the time of [`Runner::drain_within`](crate::Runner::drain_within) is over, the
    /// records that have not been processed are left, and counted in
    /// [`Outcome::unprocessed`](crate::Outcome::unprocessed).
    fn has_taken(&mut self) -> bool {
        false
    }

    /// The number of those records, as far as it is known.
    #[doc(hidden)]
    fn taken(&mut self) -> u64 {
        u64::from(self.has_taken())
    }

    /// Takes back the rest of the last batch, if it can wait for another run. Returns the records
    /// that can't wait. These are processed before the flow stops.
    #[doc(hidden)]
    fn take_back(&mut self, rest: VecDeque<Self::Item>) -> VecDeque<Self::Item> {
        rest
    }

    /// The bytes that the records of the last batch hold beyond their own size, for the budget of
    /// bytes in flight.
    fn batch_bytes(&self) -> usize {
        0
    }

    /// The number of records that the last batch skipped before its record `index`, or before
    /// `token(index)`, because they could not be read.
    fn skipped_before(&self, index: usize) -> u64 {
        let _ = index;
        0
    }

    /// A last line that `read` has left unread, because its writer may not have finished it. By
    /// default there is none.
    ///
    /// The partition is then not finished, and a later start notices if it is gone. A reader that
    /// wraps the one of [`TextLines`](crate::TextLines) or its like returns the line of that
    /// reader.
    fn unfinished(&mut self) -> Option<UnfinishedLine> {
        None
    }

    /// The lines of the partition, for a source that has a [`line_parser`](Source::line_parser).
    #[doc(hidden)]
    fn file_lines(&mut self) -> Option<&mut Lines> {
        None
    }

    /// Record `index` of the last batch, for the message about its failure.
    #[doc(hidden)]
    fn excerpt_of(&mut self, index: usize) -> Option<Excerpt> {
        let token = self.token(index);
        self.excerpt(&token)
    }

    /// Where record `index` of the last batch stands, without what it says.
    #[doc(hidden)]
    fn position_of(&mut self, index: usize) -> Option<Excerpt> {
        self.excerpt_of(index)
    }

    /// The record at a token, for the message about its failure, and for the position of a dead
    /// letter. Called only then.
    fn excerpt(&mut self, at: &Self::Token) -> Option<Excerpt> {
        let _ = at;
        None
    }
}

/// The result of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Read again.
    Ready,
    /// There is nothing now. Read again at this time of the run's clock ([`RunHandle::clock`]), or
    /// when the waker is woken. A time that has passed is the same as [`Ready`](Next::Ready).
    IdleUntil(Instant),
    /// There is nothing now. Read again when the waker is woken. If nobody keeps a clone of the
    /// waker, the partition stays idle until the run is stopped.
    Idle,
    /// There will be no more records in this run.
    End,
}

/// A record as its source shows it in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    /// The place of the record: `line 6`.
    pub position: String,
    /// The line number, from 1, if the partition has lines.
    pub line: Option<u64>,
    /// The text of the record, cut to a readable length.
    pub text: Option<String>,
}

/// A source that can pass on records that it can't read; see
/// [`Flow::source_or_dead`](crate::Flow::source_or_dead).
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no records that can't be read",
    label = "a source whose every record can be read",
    note = "`flow.source(..)` is enough for it; sources of lines, such as `JsonLines::open`, have \
        lines that can't be read",
    note = "a step that may fail hands its bad records over with `try_map_or_dead`"
)]
pub trait SourceOrDead: Source {
    /// A record that can't be read, as the source has it.
    type Raw: 'static;
    /// The source of both kinds.
    #[doc(hidden)]
    type OrDead: Source<Item = Result<Self::Item, (Self::Raw, String)>>;

    #[doc(hidden)]
    fn or_dead(self) -> Self::OrDead;
}

impl<S: SourceOrDead> SourceOrDead for Lossy<S> {
    type Raw = S::Raw;
    type OrDead = Lossy<S::OrDead>;

    fn or_dead(self) -> Self::OrDead {
        Lossy(self.0.or_dead())
    }
}

/// A source that may lose records in a restart; see [`Source::lossy`].
#[derive(Clone, Debug)]
pub struct Lossy<S>(S);

impl<S: Source> Source for Lossy<S> {
    type Item = S::Item;
    type Token = S::Token;
    type Reader = S::Reader;

    fn kind(&self) -> String {
        self.0.kind()
    }

    fn partitions(&self) -> Result<Vec<String>, SourceError> {
        self.0.partitions()
    }

    fn files(&self) -> Vec<PathBuf> {
        self.0.files()
    }

    fn open(&self, partition: &str, at: At<S::Token>) -> Result<S::Reader, SourceError> {
        self.0.open(partition, at)
    }

    fn find(
        &self,
        known: &[Known<S::Token>],
        listed: &[String],
    ) -> Result<Vec<Found<S::Token>>, SourceError> {
        self.0.find(known, listed)
    }

    fn find_apart(
        &self,
        known: &[Known<S::Token>],
        listed: &[String],
        is_output: &dyn Fn(&Path) -> bool,
    ) -> Result<Vec<Found<S::Token>>, SourceError> {
        self.0.find_apart(known, listed, is_output)
    }

    fn may_be_missed(&self, partition: &str) -> bool {
        self.0.may_be_missed(partition)
    }

    fn renamed(&self, token: S::Token) -> S::Token {
        self.0.renamed(token)
    }

    fn skip_rest_of_line(
        &self,
        partition: &str,
        token: &S::Token,
    ) -> Result<S::Token, SourceError> {
        self.0.skip_rest_of_line(partition, token)
    }

    fn line_parser(&self) -> Option<LineParser<S::Item>> {
        self.0.line_parser()
    }

    fn is_lossy(&self) -> bool {
        true
    }
}

pub(crate) fn cannot_resume<S: Source>() -> bool {
    TypeId::of::<S::Token>() == TypeId::of::<NoResume>()
}
