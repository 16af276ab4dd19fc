//! The same by hand on timely, as one would write it with care: a source, an exchange by user, a
//! hash map behind it, a sink. Nothing is kept, and a line that can't be parsed ends the input.

use std::{
    hash::BuildHasher,
    sync::{Arc, Mutex, PoisonError},
    vec,
};

use hashbrown::{DefaultHashBuilder, HashMap};
use timely::{
    CommunicationConfig, Config, WorkerConfig,
    container::CapacityContainerBuilder,
    dataflow::{
        Scope, Stream,
        channels::pact::{Exchange, Pipeline},
        operators::{
            Capability,
            generic::operator::{Operator, source},
        },
    },
};

use crate::{
    Result,
    cart::{Cart, Event, SharedTally, Summary},
    events::{self, Packed},
    json::JsonEvents,
    side::{Join, Report, Scratch, timed},
};

type Vectors<T> = CapacityContainerBuilder<Vec<T>>;

/// How many events an activation of the source brings.
const TURN: u64 = 1024;

/// What a worker reads.
enum Input {
    Memory(vec::IntoIter<Packed>),
    Json(JsonEvents),
    Nothing,
}

impl Input {
    fn next(&mut self) -> Option<Event> {
        match self {
            Input::Memory(packed) => packed.next().map(Packed::event),
            Input::Json(events) => events.next().ok()?,
            Input::Nothing => None,
        }
    }
}

pub(crate) fn run(join: &Join, scratch: &Scratch) -> Result<Report> {
    let mut inputs = Vec::new();
    for worker in 0..join.workers {
        inputs.push(Mutex::new(if !join.json {
            let packed = events::partition(join.users, join.events, worker, join.workers);
            Input::Memory(packed.into_iter())
        } else if worker == 0 {
            Input::Json(JsonEvents::open(&scratch.json(join))?)
        } else {
            Input::Nothing
        }));
    }
    let inputs = Arc::new(inputs);
    let config = Config {
        communication: match join.workers {
            1 => CommunicationConfig::Thread,
            workers => CommunicationConfig::Process(workers as usize),
        },
        worker: WorkerConfig::default(),
    };
    let epoch = join.epoch.unwrap_or(u64::MAX);
    // All workers must agree on it, and the hash maps must not use its lower bits.
    let hasher = DefaultHashBuilder::default();
    timed(|| {
        let tally = SharedTally::default();
        let workers = tally.clone();
        let guards = timely::execute(config, move |worker| {
            let input = inputs.get(worker.index()).map_or(Input::Nothing, |input| {
                let mut input = input.lock().unwrap_or_else(PoisonError::into_inner);
                std::mem::replace(&mut *input, Input::Nothing)
            });
            let (hasher, mut tally) = (hasher.clone(), workers.part());
            worker.dataflow::<u64, _, _>(|scope| {
                let events = read(scope, input, epoch);
                let by_user = move |event: &Event| hasher.hash_one(&event.user_id);
                carts(events, by_user).sink(Pipeline, "count", move |(input, _)| {
                    input.for_each(|_, summaries| {
                        summaries.drain(..).for_each(|summary| tally.add(summary));
                    });
                });
            });
        })?;
        for result in guards.join() {
            result?;
        }
        Ok(tally.get())
    })
}

/// The events of this worker, in epochs of so many.
fn read<'scope>(
    scope: Scope<'scope, u64>,
    mut input: Input,
    epoch: u64,
) -> Stream<'scope, u64, Vec<Event>> {
    source::<_, Vectors<Event>, _, _>(scope, "events", |capability, info| {
        let activator = scope.activator_for(info.address);
        let (mut open, mut left) = (Some(capability), epoch);
        move |output| {
            let Some(capability) = &mut open else { return };
            let mut turn = TURN;
            while turn > 0 {
                let run = turn.min(left);
                let mut session = output.session_with_builder(&*capability);
                let mut read = 0;
                while read < run
                    && let Some(event) = input.next()
                {
                    session.give(event);
                    read += 1;
                }
                drop(session);
                if read < run {
                    open = None;
                    return;
                }
                turn -= run;
                left -= run;
                if left == 0 {
                    left = epoch;
                    let next = capability.time() + 1;
                    capability.downgrade(&next);
                }
            }
            activator.activate();
        }
    })
}

/// The join. It is told when an epoch is complete, which is where a program would make it durable.
fn carts<'scope>(
    events: Stream<'scope, u64, Vec<Event>>,
    by_user: impl FnMut(&Event) -> u64 + 'static,
) -> Stream<'scope, u64, Vec<Summary>> {
    events.unary_frontier::<Vectors<Summary>, _, _, _>(Exchange::new(by_user), "join", |_, _| {
        let mut carts: HashMap<String, Cart> = HashMap::new();
        let mut open: Vec<Capability<u64>> = Vec::new();
        move |(input, frontier), output| {
            input.for_each(|capability, events| {
                let mut session = output.session_with_builder(&capability);
                for event in events.drain(..) {
                    let cart = carts.entry_ref(&event.user_id).or_default();
                    session.give(Summary {
                        totals: cart.join(event.kind, event.order_id),
                        user_id: event.user_id,
                    });
                }
                drop(session);
                if !open
                    .iter()
                    .any(|open| Some(open.time()) == capability.least())
                {
                    open.extend(capability.retain_least(0));
                }
            });
            open.retain(|capability| frontier.less_equal(capability.time()));
        }
    })
}
