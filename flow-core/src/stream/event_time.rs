//! Times of records.

use std::{panic::Location, rc::Rc, time::Duration};

use jiff::Timestamp;

use super::Stream;
use crate::{
    chain::{Batch, BoxConsumer, Consumer, Fault, Port, StepContext},
    graph::Keeps,
    time::{Clock, ClockRef, EventTime, IsUntimed, MayGetTime, add_clocks, micros},
};

impl<T, Key, Time> Stream<T, Key, Time> {
    /// Gives each record the time at which it happened, which `at` returns.
    ///
    /// The *watermark* of a source's partition is the latest time of its records so far, less
    /// `wait`. A record whose window has ended by then, as seen from its own partition, is late.
    /// So which records are late depends on the content of each partition alone: not on the number
    /// of workers, on how partitions interleave, or on restarts.
    ///
    /// The step belongs before the first shuffle. It keeps the latest time of each partition, so
    /// it has an id: `event_time`, unless it is [`named`](Stream::named).
    ///
    /// ```
    /// use std::time::Duration;
    /// use flow::{Timestamp, Windows, prelude::*};
    /// # use flow::{sink, source};
    ///
    /// # let (out, seen) = sink::collect();
    /// # Runner::new(move |flow| {
    /// // Seconds since 1970, and a name.
    /// let visits = flow.source(source::from_iter([(1, "a"), (62, "b"), (59, "a"), (130, "a")]));
    /// let visits = visits.map(|(second, name)| (second, name.to_string()));
    /// let at = |visit: &(i64, String)| Timestamp::from_second(visit.0).unwrap();
    /// let minutes = visits
    ///     .event_time(at, Duration::from_secs(10))
    ///     .key_on(|visit| visit.1.clone())
    ///     .fold_window(Windows::tumbling(Duration::from_secs(60)), || 0, |count: &mut u64, _| {
    ///         *count += 1;
    ///     })
    ///     .named("minutes")
    ///     .drop_late();
    /// minutes
    ///     .map(|(name, minute)| (minute.window.open.as_second(), name, minute.value))
    ///     .sink(out.clone());
    /// # }).run().unwrap();
    /// # let mut seen = seen.take();
    /// # seen.sort();
    /// # assert_eq!(seen, [(0, "a".into(), 2), (60, "b".into(), 1), (120, "a".into(), 1)]);
    /// ```
    #[track_caller]
    pub fn event_time<F>(self, at: F, wait: Duration) -> Stream<T, Key, EventTime>
    where
        Key: MayGetTime,
        Time: IsUntimed + 'static,
        T: 'static,
        F: FnMut(&T) -> Timestamp + 'static,
    {
        let wait = i64::try_from(wait.as_micros()).unwrap_or(i64::MAX);
        let mut step = self.follow("event_time", Keeps::Times, Location::caller());
        step.item = std::any::type_name::<T>();
        step.state = Some("Timestamp");
        let index = self.flow.add_step(step);
        let port: Rc<Port<(EventTime, (Key, T))>> = Port::new();
        let next = port.clone();
        self.port.attach(move |wiring| {
            let clock = Clock::new(index, wait);
            add_clocks(&mut wiring.clocks.all, std::slice::from_ref(&clock));
            let before = std::mem::replace(&mut wiring.clocks.leading, vec![clock.clone()]);
            let next = next.build(wiring);
            wiring.clocks.leading = before;
            wiring
                .others
                .push(Rc::new(std::cell::RefCell::new(clock.clone())));
            Box::new(Timing {
                step: wiring.whereabouts.of(index),
                at,
                clock,
                out: Batch::new(),
                next,
            })
        });
        Stream::new(self.flow, index, port)
    }
}

struct Timing<T, Key, F> {
    step: StepContext,
    at: F,
    clock: ClockRef,
    out: Batch<(EventTime, (Key, T))>,
    next: BoxConsumer<(EventTime, (Key, T))>,
}

impl<T, Key, Time, F> Consumer<(Time, (Key, T))> for Timing<T, Key, F>
where
    F: FnMut(&T) -> Timestamp,
{
    fn push_batch(&mut self, batch: &mut Batch<(Time, (Key, T))>) -> Result<(), Fault> {
        let mut ticking = self.clock.ticking();
        batch.map_with_parents(&self.step, &mut self.out, |(_, (key, record)), parent| {
            let time = ticking.tick(micros((self.at)(&record)), parent);
            (time, (key, record))
        });
        drop(ticking);
        self.next.push_batch(&mut self.out)
    }

    fn resume(&mut self) -> Result<bool, Fault> {
        self.next.resume()
    }
}
