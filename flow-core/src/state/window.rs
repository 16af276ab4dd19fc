//! The step behind a shuffle that folds the records of each key and window.
//!
//! A record is late if its window has closed, by the watermark of its own partition alone, or
//! because the window was closed for good before this run began. So a record that is not late finds
//! its window open, whatever the other partitions do.

use std::{collections::BTreeMap, ops::Range, rc::Rc};

use flow_store::{Changes, CodecError, Epoch, OWN_KEY, group, groups_of, hash};
use serde::{Deserialize, Serialize};

use super::{
    Table,
    panes::{Pane, Panes},
    restore::restore,
    step::clock_of_step,
    table::{AT_A_TIME, SlotId},
};
use crate::{
    chain::{Batch, BoxConsumer, Fault, InletId, Keyed, Parcel, Port, StepContext, recycle},
    engine::{EpochRows, Head, HeadContext, Operator, Task},
    error::{Kept, NotKept, ResumeError},
    graph::StepIndex,
    record::{Key, Record, StateCodec},
    stream::{Late, Window, Windowed, Windows},
    time::{ClockRef, END, HasTime, Mark, NEVER},
};

/// The key group of the row that a windowed step has for itself.
fn own_group() -> u16 {
    group(hash(OWN_KEY))
}

/// A windowed step in its graph.
pub(crate) struct WindowedStep {
    pub(crate) index: StepIndex,
    pub(crate) inlet: InletId,
    pub(crate) windows: Windows,
}

/// The output of a windowed step.
pub(crate) type Results<Time, K, T> = Rc<Port<(Time, (K, T))>>;

/// The head of a windowed step.
pub(crate) fn window_head<K, V, S, Time, I, F>(
    step: WindowedStep,
    codec: StateCodec<Panes<S>>,
    init: I,
    fold: F,
    values: Results<Time, K, Windowed<S>>,
    late: Results<Time, K, Late<V>>,
) -> Head
where
    K: Key,
    V: Record,
    S: 'static,
    Time: HasTime,
    I: Fn() -> S + 'static,
    F: FnMut(&mut S, V) + 'static,
{
    let WindowedStep {
        index,
        inlet,
        windows,
    } = step;
    Head::new(index, move |context| {
        let stored = OwnRow::read(context)?;
        let closed = stored.as_ref().map_or(NEVER, |stored| stored.closed);
        let mut table = restore(&codec, context)?;
        let number = context.store_number();
        if number.is_none() {
            table.write_nothing();
        }
        let own = OwnRow {
            windows: windows.to_string(),
            closed,
        };
        if let Some(stored) = stored.filter(|stored| stored.windows != own.windows)
            && !table.is_empty()
        {
            return Err(ResumeError::WindowsChanged {
                step: context.id(),
                stored_id: context.stored_id(),
                stored: stored.windows,
                now: own.windows,
            }
            .into());
        }
        let mut due: BTreeMap<i64, Vec<SlotId>> = BTreeMap::new();
        for (slot, panes) in table.states() {
            for pane in &panes.0 {
                let close = windows.close(pane.open);
                due.entry(close).or_default().push(slot);
            }
        }
        let groups = groups_of(context.wiring.worker, context.wiring.workers);
        let owns_row = groups.contains(&own_group());
        if let (true, Some(number)) = (owns_row, number) {
            own.put(number, context.opening)
                .map_err(|error| ResumeError::NotKept {
                    step: context.id(),
                    error: NotKept::new::<OwnRow>(Kept::State, None, error).into(),
                })?;
        }
        let clock = clock_of_step(index, &mut context.wiring);
        // In reverse, as branches are built.
        let late = late.build(&mut context.wiring);
        let values = values.build(&mut context.wiring);
        let task = Box::new(Windowing {
            at: context.wiring.whereabouts.of(index),
            number,
            table,
            codec,
            windows,
            own,
            init,
            fold,
            due,
            watermark: NEVER,
            closed,
            closed_before: closed,
            owns_row,
            clock,
            slots: Vec::new(),
            results: Vec::new(),
            missed: Vec::new(),
            values,
            late,
        });
        Ok(Operator::Step { inlet, task })
    })
}

/// The row that a windowed step has for itself.
#[derive(Serialize, Deserialize)]
struct OwnRow {
    /// How time is divided.
    windows: String,
    /// Up to here the windows are closed for good, in microseconds since 1970.
    closed: i64,
}

impl OwnRow {
    fn read(context: &HeadContext<'_>) -> Result<Option<Self>, ResumeError> {
        let group = own_group();
        let mut rows = context.rows(group..group + 1)?;
        while let Some(rows) = &mut rows {
            let Some(row) = rows.advance()? else { break };
            if row.key == OWN_KEY {
                let own = flow_store::decode(row.value);
                return own.map(Some).map_err(|error| context.damaged(row, &error));
            }
        }
        Ok(None)
    }

    fn put(&self, step: u16, changes: &mut Changes) -> Result<(), CodecError> {
        changes.put(step, own_group(), OWN_KEY, |into| {
            flow_store::encode(self, into)
        })
    }
}

struct Windowing<K, V, S, Time, I, F> {
    at: StepContext,
    number: Option<u16>,
    table: Table<K, Panes<S>>,
    codec: StateCodec<Panes<S>>,
    windows: Windows,
    /// The row in the store.
    own: OwnRow,
    init: I,
    fold: F,
    /// The keys with a window that closes at each time.
    due: BTreeMap<i64, Vec<SlotId>>,
    /// How far the input has come.
    watermark: i64,
    /// The windows up to here are closed for good.
    closed: i64,
    /// The same when the run began.
    closed_before: i64,
    /// Whether this worker writes it.
    owns_row: bool,
    clock: ClockRef,
    /// The slots of the records in hand.
    slots: Vec<SlotId>,
    results: Vec<(Time, (K, Windowed<S>))>,
    missed: Vec<(Time, (K, Late<V>))>,
    values: BoxConsumer<(Time, (K, Windowed<S>))>,
    late: BoxConsumer<(Time, (K, Late<V>))>,
}

impl<K, V, S, Time, I, F> Windowing<K, V, S, Time, I, F>
where
    K: Key,
    V: Record,
    Time: HasTime,
    I: Fn() -> S,
    F: FnMut(&mut S, V),
{
    /// Folds a record into its window, or puts it with those that are late.
    fn take(&mut self, slot: SlotId, key: K, time: Time, value: V) -> Result<(), Fault> {
        let at = time.get();
        let open = self.windows.open(at.at);
        let close = self.windows.close(open);
        // By its own partition alone.
        let is_late = at.watermark().is_some_and(|watermark| close <= watermark);
        // Or by what was read before its partition grew, or came.
        if is_late || close <= self.closed_before {
            // A new key is forgotten again.
            self.table.update(slot, |_| ());
            let window = Window::of(open, close);
            self.missed.push((time, (key, Late { value, window })));
            return Ok(());
        }
        if close <= self.watermark {
            // A mark has overtaken a record for which it speaks.
            let window = Window::of(open, close);
            let cause = format!("the window {window} was closed too early: a bug of flow");
            return Err(self.at.fault(cause));
        }
        let (init, fold) = (&self.init, &mut self.fold);
        let is_new = self.table.update(slot, |panes| {
            let panes = &mut panes.get_or_insert_with(|| Panes(Vec::with_capacity(1))).0;
            let place = panes.partition_point(|pane| pane.open < open);
            match panes.get_mut(place).filter(|pane| pane.open == open) {
                Some(pane) => {
                    pane.shown = false;
                    fold(&mut pane.value, value);
                    false
                }
                None => {
                    let mut pane = Pane {
                        open,
                        shown: false,
                        value: init(),
                    };
                    fold(&mut pane.value, value);
                    panes.insert(place, pane);
                    true
                }
            }
        });
        if is_new {
            self.due.entry(close).or_default().push(slot);
        }
        Ok(())
    }

    /// Emits the windows that close up to `watermark`, and forgets them.
    fn close_windows(&mut self, watermark: i64) {
        while let Some(first) = self.due.first_entry() {
            let close = *first.key();
            if close > watermark {
                break;
            }
            let open = self.windows.open(close - 1);
            for slot in first.remove() {
                let pane = self.table.update(slot, |state| {
                    let panes = &mut state.as_mut()?.0;
                    let place = panes.iter().position(|pane| pane.open == open)?;
                    let pane = panes.remove(place);
                    if panes.is_empty() {
                        *state = None;
                    }
                    Some(pane)
                });
                if let Some(pane) = pane.filter(|pane| !pane.shown) {
                    self.emit(slot, open..close, pane.value);
                }
            }
        }
    }

    /// Emits all windows, and keeps them, because the input may grow.
    fn show_windows(&mut self) -> Result<(), Fault> {
        let mut bytes = Vec::new();
        let due = std::mem::take(&mut self.due);
        for (close, slots) in &due {
            let open = self.windows.open(close - 1);
            for slot in slots {
                let (codec, checked) = (&self.codec, &mut flow_store::Checked::default());
                let shown = self.table.update(*slot, |state| {
                    let panes = &mut state.as_mut()?.0;
                    let place = panes.iter().position(|pane| pane.open == open)?;
                    if panes[place].shown {
                        return None;
                    }
                    panes[place].shown = true;
                    // The value is copied by way of its bytes, so that it need not be `Clone`.
                    let one = Panes(vec![panes.remove(place)]);
                    bytes.clear();
                    let copy = (codec.encode)(&one, checked, &mut bytes)
                        .and_then(|()| (codec.decode)(&bytes));
                    panes.splice(place..place, one.0);
                    Some(copy)
                });
                let Some(copy) = shown else { continue };
                let copy = copy.map_err(|error| {
                    let key = Some(self.table.key_text(*slot));
                    self.at.fault(NotKept::new::<S>(Kept::State, key, error))
                })?;
                for pane in copy.0 {
                    self.emit(*slot, open..*close, pane.value);
                }
            }
        }
        self.due = due;
        Ok(())
    }

    /// Emits the result of a window. Its time is the last instant of the window.
    fn emit(&mut self, slot: SlotId, window: Range<i64>, value: S) {
        let key = self.table.key(slot).clone();
        let time = Time::of_result(window.end - 1);
        let window = Window::of(window.start, window.end);
        self.results.push((time, (key, Windowed { window, value })));
    }
}

impl<K, V, S, Time, I, F> Task for Windowing<K, V, S, Time, I, F>
where
    K: Key,
    V: Record,
    Time: HasTime,
    I: Fn() -> S,
    F: FnMut(&mut S, V),
{
    fn receive(&mut self, parcel: Parcel) -> Result<(), Fault> {
        self.at.enter();
        let batch = parcel.open::<Keyed<K, V, Time>>();
        let mut batch = batch.map_err(|error| self.at.fault(error))?;
        let Keyed {
            hashes, records, ..
        } = &mut *batch;
        let mut records = records.drain(..);
        for hashes in hashes.chunks(AT_A_TIME) {
            let mut slots = std::mem::take(&mut self.slots);
            let keys = records.as_slice().iter().map(|(_, (key, _))| key);
            let found = self.table.find(hashes, keys, &mut slots);
            found.map_err(|error| self.at.fault(error.into_cause()))?;
            for (slot, (time, (key, value))) in slots.iter().zip(&mut records) {
                self.take(*slot, key, time, value)?;
            }
            self.slots = slots;
        }
        drop(records);
        recycle(batch);
        push(&mut self.late, &mut self.missed)
    }

    fn advance(&mut self, mark: Mark) -> Result<(), Fault> {
        self.at.enter();
        self.watermark = mark.at;
        self.closed = self.closed.max(mark.closed());
        match mark.at {
            END => {
                // No later record is taken into these, so they need not be kept.
                self.close_windows(self.closed);
                self.show_windows()?;
            }
            watermark => self.close_windows(watermark),
        }
        push(&mut self.values, &mut self.results)?;
        // The results are staged, so they leave before the mark.
        self.clock.set_mark(self.at.step(), mark);
        Ok(())
    }

    fn close(&mut self, _: Epoch, rows: &mut EpochRows) -> Result<(), Fault> {
        self.at.enter();
        if let (true, Some(number)) = (self.owns_row && self.closed > self.own.closed, self.number)
        {
            self.own.closed = self.closed;
            let put = self.own.put(number, &mut rows.changes);
            put.map_err(|error| {
                self.at
                    .fault(NotKept::new::<OwnRow>(Kept::State, None, error))
            })?;
        }
        self.table
            .snapshot(self.number, &self.codec, &mut rows.changes)
            .map_err(|error| self.at.fault(error))
    }
}

/// Pushes records, if there are any, and keeps the emptied vector.
fn push<T>(next: &mut BoxConsumer<T>, records: &mut Vec<T>) -> Result<(), Fault> {
    if records.is_empty() {
        return Ok(());
    }
    let mut batch = Batch::untracked(std::mem::take(records));
    next.push_batch(&mut batch)?;
    *records = batch.into_records();
    Ok(())
}
