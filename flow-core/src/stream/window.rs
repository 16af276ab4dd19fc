//! Windows of event time.

use std::{
    any::{TypeId, type_name},
    fmt,
    panic::Location,
    time::Duration,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Stream, dead::second_step};
use crate::{
    chain::{Port, Shuffle},
    graph::{self, Keeps, Trace, Types},
    record::{Key, KeyKind, NoKey, Record, State, StateCodec, StepKey, StepState},
    resume::Conversion,
    state::{Panes, WindowedStep, window_head},
    time::{HasTime, NoTime, timestamp},
};

/// How time is divided into windows.
///
/// Windows are aligned to 1970-01-01T00:00:00Z: a day begins at midnight in UTC.
///
/// ```
/// use std::time::Duration;
/// use flow::Windows;
///
/// let minutes = Windows::tumbling(Duration::from_secs(60));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// In microseconds, at least 1.
    length: i64,
}

impl Windows {
    /// One window after the other, each of this length. Its microseconds are rounded down, to at
    /// least one.
    #[must_use]
    pub fn tumbling(length: Duration) -> Self {
        let micros = i64::try_from(length.as_micros()).unwrap_or(i64::MAX);
        Windows {
            // No timestamp is further from another one than this.
            length: micros.clamp(1, 1 << 60),
        }
    }

    /// When the window of a time opens.
    pub(crate) fn open(self, at: i64) -> i64 {
        at.div_euclid(self.length).saturating_mul(self.length)
    }

    /// When the window closes that opens then.
    pub(crate) fn close(self, open: i64) -> i64 {
        open.saturating_add(self.length)
    }
}

impl fmt::Display for Windows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = Duration::from_micros(self.length.unsigned_abs());
        write!(f, "tumbling({length:?})")
    }
}

/// A span of time: from `open` up to, and without, `close`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Window {
    /// Its first instant.
    pub open: Timestamp,
    /// The first instant after it.
    pub close: Timestamp,
}

impl Window {
    pub(crate) fn of(open: i64, close: i64) -> Self {
        Window {
            open: timestamp(open),
            close: timestamp(close),
        }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.open, self.close)
    }
}

/// The result of a window.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Windowed<S> {
    /// The window.
    pub window: Window,
    /// What its records were folded to.
    pub value: S,
}

/// A record that came after its window had closed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Late<T> {
    /// The record.
    pub value: T,
    /// The window that it missed.
    pub window: Window,
}

/// The streams of a windowed step.
///
/// Both must be used: late records go into a sink, or are dropped with
/// [`drop_late`](WindowedStreams::drop_late).
#[must_use = "the results go into a sink, and so do late records, or call `.drop_late()`"]
pub struct WindowedStreams<T, S, Key = NoKey, Time = NoTime> {
    /// The results, each when its window closes.
    pub values: Stream<Windowed<S>, Key, Time>,
    /// The records that came after their window had closed.
    pub late: Stream<Late<T>, Key, Time>,
}

impl<T: 'static, S, Key: 'static, Time: 'static> WindowedStreams<T, S, Key, Time> {
    /// Gives the step an id of its own, as [`Stream::named`] does.
    pub fn named(self, id: impl Into<String>) -> Self {
        WindowedStreams {
            values: self.values.named(id),
            late: self.late,
        }
    }

    /// Says which id the step had before, as [`Stream::renamed_from`] does.
    pub fn renamed_from(self, id: impl Into<String>) -> Self {
        WindowedStreams {
            values: self.values.renamed_from(id),
            late: self.late,
        }
    }

    /// Converts windows whose values an earlier version of this step stored as `Old`, as
    /// [`Stream::migrate_from`] converts states.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use flow::{EventTime, Windows, prelude::*};
    /// #[derive(Default, Serialize, Deserialize)]
    /// struct Sum { cents: u64 }
    ///
    /// #[dataflow]
    /// fn sums(cents: KeyedStream<String, u64, EventTime>) -> KeyedStream<String, u64, EventTime> {
    ///     let hours = Windows::tumbling(Duration::from_secs(3600));
    ///     let sums = cents.fold_window(hours, Sum::default, |sum: &mut Sum, cents| {
    ///         sum.cents += cents;
    ///     });
    ///     // It was a number of whole euros once.
    ///     let sums = sums.named("hours").migrate_from(|euros: u32| Sum {
    ///         cents: u64::from(euros) * 100,
    ///     });
    ///     sums.drop_late().map_values(|hour| hour.value.cents)
    /// }
    /// ```
    pub fn migrate_from<Old: State>(self, convert: impl Fn(Old) -> S + 'static) -> Self
    where
        S: 'static,
    {
        let (flow, index) = (&self.values.flow, self.values.step);
        let old = graph::Old {
            name: type_name::<Old>(),
            trace: Trace(Panes::<Old>::schema),
            to: TypeId::of::<Panes<S>>(),
            to_name: type_name::<S>(),
        };
        flow.change_step(index, |step| step.types.old_states.push(old));
        let conversion =
            Conversion::new(move |bytes: &[u8]| Ok(Panes::decode(bytes)?.map(&convert)));
        flow.change_head(index, |head| head.conversions.states.push(conversion));
        self
    }

    /// Returns the results alone, and drops records that are late.
    pub fn drop_late(self) -> Stream<Windowed<S>, Key, Time> {
        let late = &self.late;
        late.flow
            .change_step(late.step, |step| step.facts.may_be_unused = true);
        self.values
    }
}

impl<T, K, Time> Stream<T, K, Time> {
    /// Folds the records of each key and window: `init()` makes the first value of a window, and
    /// `fold(&mut value, record)` adds a record to it.
    ///
    /// A window's result comes when the watermark has passed its end, and all windows' results come
    /// at the end of the input. If the input has grown by the next run, a window that the watermark
    /// has not closed gets the new records, and its result comes again if it has changed. A run
    /// that is stopped closes nothing.
    ///
    /// The time of a result is the last instant of its window. The order in which the records of a
    /// window are folded is not specified between partitions.
    ///
    /// ```
    /// use std::time::Duration;
    /// use flow::{EventTime, Windows, prelude::*};
    ///
    /// #[dataflow]
    /// fn sums(cents: KeyedStream<String, u64, EventTime>) -> KeyedStream<String, u64, EventTime> {
    ///     let hours = Windows::tumbling(Duration::from_secs(3600));
    ///     let sums = cents.fold_window(hours, || 0, |sum: &mut u64, cents| *sum += cents);
    ///     sums.named("hours").drop_late().map_values(|hour| hour.value)
    /// }
    /// ```
    #[track_caller]
    pub fn fold_window<S, I, F>(
        self,
        windows: Windows,
        init: I,
        fold: F,
    ) -> WindowedStreams<T, S, K, Time>
    where
        Time: HasTime,
        K: Key + KeyKind + StepKey<K::Kind>,
        T: Record,
        S: 'static,
        I: Fn() -> S + 'static,
        F: FnMut(&mut S, T) + StepState<S> + 'static,
    {
        let place = Location::caller();
        let codec: StateCodec<Panes<S>> = <F as StepState<S>>::panes();
        let mut step = self.follow("fold_window", Keeps::States, place);
        step.item = type_name::<Windowed<S>>();
        step.key = Some(type_name::<K>());
        step.state = Some(type_name::<S>());
        step.types = Types {
            key: Some(Trace(<K as Key>::schema)),
            state: Some(Trace(codec.schema)),
            state_type: Some(TypeId::of::<Panes<S>>()),
            ..Types::default()
        };
        let index = self.flow.add_step(step);
        let late_index = second_step::<Late<T>>(&self.flow, "late", index, place);
        let key = Some(type_name::<K>());
        self.flow.change_step(late_index, |step| {
            step.key = key;
            step.facts.drop = Some("drop_late");
        });
        let inlet = self.flow.new_inlet();
        self.port.attach(move |wiring| {
            let at = wiring.whereabouts.of(index);
            Shuffle::attach(inlet, at, wiring)
        });
        let (values, late) = (Port::new(), Port::new());
        let step = WindowedStep {
            index,
            inlet,
            windows,
        };
        let head = window_head(step, codec, init, fold, values.clone(), late.clone());
        self.flow.add_head(head);
        WindowedStreams {
            values: Stream::new(self.flow.clone(), index, values),
            late: Stream::new(self.flow, late_index, late),
        }
    }
}
