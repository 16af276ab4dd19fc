//! Sources: where records come from, and how to go on reading where a run ended.
//!
//! A source has partitions, which are read independently. The framework owns the position: it asks
//! a reader for a token whenever an epoch ends, stores it with the state of that epoch, and hands
//! it back when the flow starts again. A record that a later step skips, drops or fails on has
//! still been read.

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
/// The flow keeps one token for each partition. Partitions are listed once for each run, before
/// anything else happens, and dealt to the workers in sorted order.
///
/// ```
/// use std::task::Waker;
/// use flow::source::{At, Next, Reader, Source, SourceError};
///
/// /// Counts up to a limit.
/// struct Count { to: u64 }
/// struct CountReader { next: u64, to: u64, run: u64 }
///
/// impl Source for Count {
///     type Item = u64;
///     type Token = u64;
///     type Reader = CountReader;
///     fn partitions(&self) -> Result<Vec<String>, SourceError> { Ok(vec!["numbers".into()]) }
///     fn open(&self, _partition: &str, at: At<u64>) -> Result<CountReader, SourceError> {
///         Ok(CountReader { next: at.token().unwrap_or(0), to: self.to, run: 0 })
///     }
/// }
///
/// impl Reader for CountReader {
///     type Item = u64;
///     type Token = u64;
///     fn read(&mut self, out: &mut Vec<u64>, _waker: &Waker) -> Result<Next, SourceError> {
///         self.run = (self.to - self.next).min(100);
///         out.extend(self.next..self.next + self.run);
///         self.next += self.run;
///         Ok(if self.next == self.to { Next::End } else { Next::Ready })
///     }
///     fn token(&self, index: usize) -> u64 { self.next - self.run + index as u64 }
/// }
/// # use flow::prelude::*;
/// # let (out, seen) = flow::sink::collect();
/// # Runner::new(move |flow| { flow.source(Count { to: 3 }).sink(out.clone()); }).run().unwrap();
/// # assert_eq!(seen.take(), [0, 1, 2]);
/// ```
pub trait Source: 'static {
    /// The records.
    type Item: 'static;
    /// Where a reader stands: what it needs to go on. [`NoResume`] where it can't.
    type Token: State + Clone;
    /// Reads one partition.
    type Reader: Reader<Item = Self::Item, Token = Self::Token>;

    /// What this kind of source is called in ids and messages. By default the name of the type:
    /// `OrderFeed` is `order_feed`.
    fn kind(&self) -> String {
        crate::names::kind_of::<Self>()
    }

    /// The names of the partitions: short, and the same in each run, for tokens are kept by them.
    ///
    /// # Errors
    /// Whatever keeps the partitions from being listed. The run ends before anything has been
    /// changed.
    fn partitions(&self) -> Result<Vec<String>, SourceError>;

    /// The files that are read, if the source reads files: a flow that would write to one of them
    /// is refused before anything is opened. They need not be there. By default there are none.
    fn files(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    /// Opens one partition where `at` says; see [`At`] for what the three openings mean.
    ///
    /// With a store, the first token of the reader is stored with the commit that starts the run.
    /// From then on the partition is opened at a token, even if nothing of it was read, and the
    /// flow notices when it is gone.
    ///
    /// # Errors
    /// When it can't be opened, or when its content no longer fits the token. The message names the
    /// partition. The run ends before anything has been changed.
    fn open(&self, partition: &str, at: At<Self::Token>) -> Result<Self::Reader, SourceError>;

    /// Where the partitions are that the store knows. Asked once at each start from a store, with
    /// all of them.
    ///
    /// Partitions can get other names, as files do that are moved or rotated: what was read under
    /// one name must neither be read again under another one nor be missed. By default a partition
    /// is what it was if it is [listed](Source::partitions), and otherwise gone.
    ///
    /// `listed` is sorted. Returns one answer for each of `known`, in their order.
    ///
    /// ```
    /// use flow::source::{Found, Known};
    ///
    /// /// Topics that begin with the number of a version go on in the next one.
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
    /// Whatever keeps it from being found out. The run ends before anything has been changed.
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

    /// [`find`](Source::find), with what tells the files apart that the flow itself writes.
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

    /// Whether a partition that a user gives up may be one of the missed ones of [`Found::Moved`].
    #[doc(hidden)]
    fn may_be_missed(&self, partition: &str) -> bool {
        let _ = partition;
        false
    }

    /// The token of a partition of which a person says that it has another name: without what tells
    /// it from others of the same content.
    #[doc(hidden)]
    fn renamed(&self, token: Self::Token) -> Self::Token {
        token
    }

    /// What makes records of lines that were read on another worker, where the source reads lines
    /// of files.
    #[doc(hidden)]
    fn line_parser(&self) -> Option<LineParser<Self::Item>> {
        None
    }

    /// The token behind the rest of a line that was read before it was finished, where the source
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

    /// Agrees that a source which can't resume loses what was read and is not durable when the flow
    /// crashes, and what nobody has read when it stops.
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

/// Where a partition is to be opened.
///
/// A source that simply begins at the beginning treats [`Start`](At::Start) and [`New`](At::New)
/// alike, with [`token`](At::token). The difference matters where a source begins elsewhere. "From
/// the latest message on" is for `Start` only: a partition that is `New` appeared while the flow
/// was responsible for the source, perhaps while it was stopped, and what it holds would be lost.
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
    /// The flow begins with this source: it has no store, or a store that does not know the source.
    Start,
    /// The store knows the source, but not this partition: it appeared after the last start, or was
    /// given up with `--drop-partition` and is back.
    New,
    /// Where it stood.
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
    /// Where its reader stood.
    pub token: T,
    /// Whether it had been read to its end.
    pub finished: bool,
}

/// Where a partition is that the store knows: the answer of [`Source::find`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found<T> {
    /// It is what it was, under its name; or it is no partition any more, and need not be: it had
    /// been finished.
    Same,
    /// It is not there, or something else has its name. The start is refused unless it had been
    /// finished, or the user gives it up.
    Lost,
    /// It has another name now, for certain.
    Moved {
        /// The name that it has now, which need not be [listed](Source::partitions): it is read all
        /// the same.
        to: String,
        /// The token to go on from.
        token: T,
        /// A partition that must not be read before this one has come to its end: the one that has
        /// its name now.
        before: Option<String>,
        /// What would be left unread though it came between the two: the start is refused until it
        /// is listed or given up.
        missed: Vec<String>,
    },
    /// Something else has its name, which begins with the little that was read, and is read on as
    /// it. What the one that was read had behind that can't be read any more: the start says so.
    Replaced {
        /// The token to go on from.
        token: T,
    },
    /// It looks like a listed partition that the store does not know. The start is refused until
    /// the user says what it is.
    Perhaps {
        /// The name of that one.
        to: String,
    },
    /// What became of it can't be told. The start is refused unless the user gives it up or says
    /// what it is called now.
    Unclear {
        /// The reason, with the name of the partition.
        why: String,
        /// What to do about it.
        help: String,
    },
    /// It had been read to its end, was not listed then, and will not come back: what is kept of it
    /// can go.
    Forgotten,
}

/// Reads one partition of a source.
pub trait Reader: 'static {
    /// The records.
    type Item;
    /// Where the reader stands.
    type Token;

    /// Appends a run of records to `out`, which comes in empty: a few hundred at most, or about 64
    /// KiB.
    ///
    /// It never blocks: when there is nothing to read now, it returns [`Next::Idle`] and wakes
    /// `waker` from another thread when there is, or [`Next::IdleUntil`]. [`Next::Ready`] with
    /// nothing appended means that the reader wants to be asked again. It is called again only when
    /// all records of the last run have been used.
    ///
    /// Each partition has a waker of its own, the same one in each call. A wake counts from the
    /// moment of the call on: one that comes before `read` has returned `Idle` is not lost, and one
    /// that comes when nobody waits does nothing. So a reader hands the waker on first and then
    /// looks whether there is something to read.
    ///
    /// # Errors
    /// When the next record can't be read. The records appended before are good, and
    /// `token(out.len())` is where the bad one starts: the flow stops exactly there.
    fn read(&mut self, out: &mut Vec<Self::Item>, waker: &Waker) -> Result<Next, SourceError>;

    /// Tells the reader of its run, once, before the first `read`. A reader that returns
    /// [`Next::IdleUntil`] takes the time from [`RunHandle::clock`], so that a test can move it by
    /// hand.
    fn set_run(&mut self, run: &RunHandle) {
        let _ = run;
    }

    /// Where record `index` of the last run starts. `index` equal to the run's length is where the
    /// next unread record starts, skipped ones counted; before the first run it is where the reader
    /// was opened: `token(0)` is asked then, and stored.
    fn token(&self, index: usize) -> Self::Token;

    /// Fails if what was read is not what the source holds any more: a file that was overwritten.
    /// Called when an epoch ends in which the partition was read, before its token is stored: then
    /// nothing of the epoch becomes durable. By default it does nothing.
    ///
    /// # Errors
    /// What has happened, with the name of the partition.
    fn check(&mut self) -> Result<(), SourceError> {
        Ok(())
    }

    /// Whether it has taken records, from wherever they come, that it has not appended to a run
    /// yet.
    ///
    /// A reader that can't resume ([`NoResume`]) is asked this when the flow stops, and again after
    /// each read that follows: it is read as long as it has some, so that a stop loses nothing that
    /// was taken. Records of its last run are processed in any case. From the first time on it
    /// takes no more. By default it has none.
    ///
    /// When half the time of [`Runner::drain_within`](crate::Runner::drain_within) is over, what
    /// has not been processed is left, and counted in
    /// [`Outcome::unprocessed`](crate::Outcome::unprocessed).
    fn has_taken(&mut self) -> bool {
        false
    }

    /// How many records those are, as far as it knows.
    #[doc(hidden)]
    fn taken(&mut self) -> u64 {
        u64::from(self.has_taken())
    }

    /// Takes back what is left of the last run, where that can wait for another run. Returns what
    /// can't: it is processed before the flow stops.
    #[doc(hidden)]
    fn take_back(&mut self, rest: VecDeque<Self::Item>) -> VecDeque<Self::Item> {
        rest
    }

    /// How many bytes the records of the last run hold beyond their own size, for the budget of
    /// what is in flight.
    fn run_bytes(&self) -> usize {
        0
    }

    /// How many records the last run left out before its record `index`, or `token(index)`, because
    /// they could not be read and the source was told to skip those.
    fn skipped_before(&self, index: usize) -> u64 {
        let _ = index;
        0
    }

    /// A last line that `read` has left unread at the end, because its writer may not have finished
    /// it. Then the partition is not finished either, and a later start misses it if it is gone. By
    /// default there is none. A reader that wraps the one of [`TextLines`](crate::TextLines) or its
    /// like returns what that one does.
    fn unfinished(&mut self) -> Option<UnfinishedLine> {
        None
    }

    /// The lines of the partition, for a source that has a [`line_parser`](Source::line_parser).
    #[doc(hidden)]
    fn file_lines(&mut self) -> Option<&mut Lines> {
        None
    }

    /// What record `index` of the last run is, for the message about its failure.
    #[doc(hidden)]
    fn excerpt_of(&mut self, index: usize) -> Option<Excerpt> {
        let token = self.token(index);
        self.excerpt(&token)
    }

    /// What stands at a token, for the message about a record that failed there. Called only then.
    fn excerpt(&mut self, at: &Self::Token) -> Option<Excerpt> {
        let _ = at;
        None
    }
}

/// What a reader has to say after a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Ask again.
    Ready,
    /// Nothing now; ask again at this time of the run's clock ([`RunHandle::clock`]), or when the
    /// waker is woken. A time that has passed is the same as [`Ready`](Next::Ready).
    IdleUntil(Instant),
    /// Nothing now; ask again when the waker is woken. If nobody keeps a clone of the waker, that
    /// never happens: the partition stays idle until the run is stopped.
    Idle,
    /// Nothing any more in this run.
    End,
}

/// A record as its source shows it in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    /// Where it stands: `line 6`.
    pub position: String,
    /// The number of the line, from 1, where the partition has lines.
    pub line: Option<u64>,
    /// What it says, cut to a length that can be read.
    pub text: Option<String>,
}

/// A source that can hand over what it can't read; see
/// [`Flow::source_or_dead`](crate::Flow::source_or_dead).
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no records that can't be read",
    label = "a source whose every record can be read",
    note = "`flow.source(..)` is enough for it; sources of lines, such as `JsonLines::open`, have \
        lines that can't be read",
    note = "a step that may fail hands its bad records over with `try_map_or_dead`"
)]
pub trait SourceOrDead: Source {
    /// What becomes of a record that can't be read.
    type Dead: 'static;
    /// The source of both.
    #[doc(hidden)]
    type OrDead: Source<Item = Result<Self::Item, Self::Dead>>;

    #[doc(hidden)]
    fn or_dead(self) -> Self::OrDead;
}

impl<S: SourceOrDead> SourceOrDead for Lossy<S> {
    type Dead = S::Dead;
    type OrDead = Lossy<S::OrDead>;

    fn or_dead(self) -> Self::OrDead {
        Lossy(self.0.or_dead())
    }
}

/// A source that may lose records over a restart; see [`Source::lossy`].
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
