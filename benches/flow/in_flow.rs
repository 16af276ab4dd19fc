//! The same as a dataflow of flow, through what every user has.

use std::{hint::black_box, sync::Arc, task::Waker, time::Duration};

use flow::{
    Clock,
    prelude::*,
    sink,
    source::{At, Next, Reader, Source, SourceError},
};

use crate::{
    Result,
    cart::{Cart, Event, Kind, SharedTally, Summary, Totals},
    events::{self, Packed},
    side::{Join, Report, Scratch, timed},
};

/// How many events a read brings.
const BATCH: usize = 512;

/// Events in memory; each part is a partition.
#[derive(Clone)]
pub(crate) struct Events(Arc<[Vec<Packed>]>);

impl Events {
    pub(crate) fn new(parts: impl IntoIterator<Item = Vec<Packed>>) -> Self {
        Events(parts.into_iter().collect())
    }
}

impl Source for Events {
    type Item = Event;
    type Token = usize;
    type Reader = PartReader;

    fn partitions(&self) -> std::result::Result<Vec<String>, SourceError> {
        Ok((0..self.0.len()).map(|part| part.to_string()).collect())
    }

    fn open(&self, partition: &str, at: At<usize>) -> std::result::Result<PartReader, SourceError> {
        let part = partition.parse();
        Ok(PartReader {
            events: self.clone(),
            part: part.map_err(|error| SourceError::caused_by(partition, error))?,
            next: at.token().unwrap_or(0),
            batch: 0,
        })
    }
}

/// Reads a part.
pub(crate) struct PartReader {
    events: Events,
    part: usize,
    next: usize,
    batch: usize,
}

impl Reader for PartReader {
    type Item = Event;
    type Token = usize;

    fn read(&mut self, out: &mut Vec<Event>, _: &Waker) -> std::result::Result<Next, SourceError> {
        let part = self.events.0.get(self.part).map_or(&[][..], Vec::as_slice);
        let left = part.get(self.next..).unwrap_or_default();
        let batch = left.get(..BATCH).unwrap_or(left);
        out.extend(batch.iter().map(|packed| packed.event()));
        self.batch = batch.len();
        self.next += self.batch;
        Ok(if batch.len() == left.len() {
            Next::End
        } else {
            Next::Ready
        })
    }

    fn token(&self, index: usize) -> usize {
        self.next - self.batch + index
    }
}

fn user_id(event: &Event) -> String {
    event.user_id.clone()
}

fn joiner(cart: &mut Cart, event: Event) -> Totals {
    cart.join(event.kind, event.order_id)
}

fn by_user(event: Event) -> (String, (Kind, u64)) {
    (event.user_id, (event.kind, event.order_id))
}

fn join_by_user(cart: &mut Cart, (kind, order_id): (Kind, u64)) -> Totals {
    cart.join(kind, order_id)
}

fn summary((user_id, totals): (String, Totals)) -> Summary {
    Summary { user_id, totals }
}

/// A step that costs nothing but itself.
fn another_step(mut event: Event) -> Event {
    event.order_id = black_box(event.order_id);
    event
}

/// A step that might fail, so every record before the shuffle goes on its own.
fn check(event: Event) -> std::result::Result<Event, &'static str> {
    match event.user_id.is_empty() {
        true => Err("no user"),
        false => Ok(event),
    }
}

#[dataflow]
pub(crate) fn cart_join(mut events: Stream<Event>, join: &Join, tally: &SharedTally) {
    for _ in 0..join.more_steps {
        events = events.map(another_step);
    }
    if join.fallible {
        events = events.try_map(check);
    }
    let carts = match join.clones_key {
        true => events.key_on(user_id).stateful_map(joiner).named("carts"),
        false => events
            .into_keyed(by_user)
            .stateful_map(join_by_user)
            .named("carts"),
    };
    let mut part = tally.part();
    let count = sink::from_fn(move |summary| part.add(summary));
    carts.map(summary).sink(count);
}

pub(crate) fn run(join: &Join, scratch: &Scratch) -> Result<Report> {
    let (join, path, tally) = (*join, scratch.json(join), SharedTally::default());
    let part = |part| events::partition(join.users, join.events, part, join.workers);
    let parts = match join.json {
        true => Events::new([]),
        false => Events::new((0..join.workers).map(part)),
    };
    let counted = tally.clone();
    let runner = Runner::new(move |flow| {
        let events = match join.json {
            true => flow.source(JsonLines::open(&path)),
            false => flow.source(parts.clone()).named("events"),
        };
        cart_join(events, &join, &counted);
    });
    let mut runner = runner.workers(join.workers as usize);
    if let Some(items) = join.epoch {
        runner = runner.epochs(Epochs::records(items).or_after(Duration::from_secs(3600)));
        if join.repeatable {
            runner = runner
                .clock(Clock::manual())
                .records_in_flight(items)
                .bytes_in_flight(256 << 20);
        }
    }
    if join.store {
        runner = runner.recover(Recovery::at(scratch.fresh("state")?));
    }
    timed(|| {
        runner.run()?;
        Ok(tally.get())
    })
}
