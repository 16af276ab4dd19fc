//! The operator of a source: it reads within the budget, follows the epoch counter, and ends
//! epochs.

mod blocks;

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

use flow_store::Epoch;
use timely::{
    dataflow::{
        Scope,
        operators::{Capability, generic::builder_rc::OperatorBuilder},
    },
    scheduling::Activator,
};

pub(crate) use self::blocks::{
    Block, BlockTime, Blocks, FailedLine, Offer, Processed, Queues, Receipt,
};
use self::blocks::{Outstanding, Sharing};
use super::{
    AbortReason, EpochEvent, EpochRows, Filled, RunHandle, RunState, SourceBell, SourceFault,
    SourceTask,
    frontier::{END, Time},
    in_order::PARCEL,
    ledger::SharedFlight,
    open_epoch::{Course, course},
    outputs::{Outputs, Wires},
    worker::Traced,
};
use crate::{
    chain::{Fault, FaultOrigin, OutletRef, Stop},
    graph::StepIndex,
};

/// An activation ends after this many records or epochs, or after this time, so that other
/// operators have their turn.
const RECORDS: u64 = 2048;
const EPOCHS: u32 = 64;
const TURN: Duration = Duration::from_millis(10);

/// A timer is set for at most this long, and then set again.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// A source on one worker.
pub(super) struct Parts {
    pub(super) step: StepIndex,
    pub(super) task: Box<dyn SourceTask>,
    pub(super) outlets: Vec<OutletRef>,
}

pub(super) fn build<'scope>(
    scope: &Scope<'scope, Time>,
    wires: &mut Wires<'scope>,
    state: &Arc<RunState>,
    queues: &Arc<Queues>,
    name: &str,
    parts: Parts,
    flight: SharedFlight,
) {
    let Parts {
        step,
        mut task,
        outlets,
    } = parts;
    let mut builder = OperatorBuilder::new(name.to_owned(), *scope);
    let place = (scope.index(), scope.peers());
    let outputs = Outputs::new(&mut builder, step, place, outlets, wires);
    let address = builder.operator_info().address;
    let bell = state.add_source(scope.worker().sync_activator_for(address.to_vec()));
    task.attach(&bell, &RunHandle::of(state));
    let queue = queues.of(step).filter(|_| task.blocks().is_some());
    let mut driver = Driver {
        worker: scope.index(),
        outstanding: queue
            .map(|queue| Outstanding::new(queue, scope.index(), &bell, queues.fixed())),
        queues: queues.clone(),
        busy: false,
        activator: scope.activator_for(address),
        bell,
        state: state.clone(),
        task,
        outputs,
        flight,
        open: None,
        ended: false,
        read_in_epoch: false,
        timer: None,
        unfinished: false,
        stops: false,
        at_a_time: 1,
    };
    builder.build(move |mut capabilities| {
        let first = driver.state.epoch();
        for capability in &mut capabilities {
            capability.downgrade(&first.to_u64());
        }
        driver.open = Some(capabilities);
        move |_| {
            if let Err(fault) = driver.run() {
                let worker = driver.worker;
                driver.state.abort(AbortReason::Step { worker, fault });
            }
        }
    });
}

struct Driver {
    worker: usize,
    activator: Activator,
    bell: Arc<SourceBell>,
    state: Arc<RunState>,
    task: Box<dyn SourceTask>,
    outputs: Outputs,
    flight: SharedFlight,
    queues: Arc<Queues>,
    /// The blocks that are out, if other workers may process lines of this source.
    outstanding: Option<Outstanding>,
    /// Whether it counts as a source with something to read.
    busy: bool,
    /// The capabilities of the open epoch; `None` when the source is done.
    open: Option<Vec<Capability<Time>>>,
    /// Whether all partitions have ended.
    ended: bool,
    /// Whether records of the open epoch were read here.
    read_in_epoch: bool,
    /// When the next timer goes off. A later one need not be set.
    timer: Option<Instant>,
    /// Whether the last push may have paused before its end.
    unfinished: bool,
    /// Whether it has seen that the run stops.
    stops: bool,
    /// How many records are pushed at a time. It is less if the steps up to the next shuffle are
    /// slow, so that a push takes at most about a turn. It begins with one record, because that may
    /// take minutes and a stop has to wait for it.
    at_a_time: u64,
}

/// Calls user code of a source. A panic is passed on with the origin of the records in hand. This
/// costs something for each batch, and nothing for each record.
fn traced<R>(
    task: &mut dyn SourceTask,
    block: Option<&Block>,
    run: impl FnOnce(&mut dyn SourceTask) -> R,
) -> R {
    catch_unwind(AssertUnwindSafe(|| run(task))).unwrap_or_else(|panic| {
        let origin = origin(task, block);
        resume_unwind(Box::new(Traced { panic, origin }))
    })
}

/// The origin of the records that a source was processing. The reader that knows it is user code;
/// if that panics, the origin is not known.
fn origin(task: &mut dyn SourceTask, block: Option<&Block>) -> Option<FaultOrigin> {
    catch_unwind(AssertUnwindSafe(|| task.origin(block))).unwrap_or_default()
}

/// Why an activation ends.
enum Rest {
    /// The other operators have their turn, then it continues.
    Yield,
    /// There is nothing to do until it is woken, or until this time.
    Until(Option<Instant>),
    /// There is nothing to do until the budget has room for a record of this size in bytes, and it
    /// is this source's turn.
    Room(u64),
    /// There is nothing to do until a block returns.
    Block,
}

impl Driver {
    /// Runs one activation. What it has staged is sent at the end, because other sources may share
    /// the outlets.
    fn run(&mut self) -> Result<(), Fault> {
        self.turn()?;
        self.flush();
        Ok(())
    }

    /// Sends all that is staged, and says how far it has come.
    fn flush(&mut self) {
        let Some(capabilities) = &self.open else {
            return;
        };
        self.outputs.send(capabilities, 1);
        // A paused push has not sent all results of its records.
        if !self.unfinished && self.outputs.are_timed() {
            self.task.set_marks();
            self.outputs.send_marks(capabilities);
        }
    }

    fn turn(&mut self) -> Result<(), Fault> {
        let (mut records, mut epochs) = (RECORDS, EPOCHS);
        let began = self.state.clock.now();
        loop {
            if self.state.aborted() {
                return Ok(());
            }
            if self.open.is_none() {
                return self.help();
            }
            if self.unfinished {
                self.unfinished = self.task.resume()?;
                if let Some(capabilities) = &self.open {
                    self.outputs.send(capabilities, PARCEL);
                }
                if self.unfinished {
                    // The steps that get the results so far have their turn first.
                    self.activator.activate();
                    return Ok(());
                }
            }
            self.set_busy(true);
            self.bell.go_on();
            let (open, current) = (self.open_epoch(), self.state.epoch());
            self.stops = self.state.stop() != Stop::No;
            let stops = !self.ended && self.stops && !self.has_taken();
            let course = course(open, current, self.ended, stops);
            if course != Course::Stays {
                self.close(open, course)?;
                epochs -= 1;
                if epochs == 0 {
                    self.activator.activate();
                    return Ok(());
                }
                continue;
            }
            let now = self.state.clock.now();
            if self.state.end_epoch(open, EpochEvent::Turn { now }) {
                continue;
            }
            if records == 0 || self.since(began) > TURN {
                self.activator.activate();
                return Ok(());
            }
            if self.accept(open, &mut records) {
                continue;
            }
            match self.step(open, &mut records)? {
                None => {}
                Some(Rest::Yield) => {
                    self.activator.activate();
                    return Ok(());
                }
                Some(Rest::Room(bytes)) => {
                    self.bell.wait();
                    if !self.state.has_room(bytes) && self.state.end_epoch(open, EpochEvent::NoRoom)
                    {
                        continue;
                    }
                    if !self.changed(open) && !self.state.has_turn(&self.bell, bytes) {
                        self.set_timer(None);
                        return Ok(());
                    }
                }
                Some(Rest::Until(time)) => {
                    self.bell.wait();
                    if self.stops {
                        // The source is asked again whether it has taken records left.
                        self.activator.activate();
                        return Ok(());
                    }
                    if !self.changed(open) {
                        self.set_busy(false);
                        self.set_timer(time);
                        return Ok(());
                    }
                }
                Some(Rest::Block) => {
                    self.bell.wait();
                    if !self.changed(open) && !self.is_ready() {
                        self.set_timer(None);
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Whether the source has records to process although the run stops. When it is too late for
    /// them, it leaves them.
    fn has_taken(&mut self) -> bool {
        if !self.task.has_taken() {
            return false;
        }
        if !self.state.late.is_set() {
            return true;
        }
        let (records, failure) = self.task.leave();
        self.state.leave(records);
        if let Some(failure) = failure {
            self.state.fail(failure);
        }
        false
    }

    /// Reads and pushes some records of the open epoch.
    fn step(&mut self, open: Epoch, records: &mut u64) -> Result<Option<Rest>, Fault> {
        match self.share(open, records)? {
            Sharing::Done => return Ok(None),
            Sharing::Wait => return Ok(Some(Rest::Block)),
            Sharing::Alone => {}
        }
        let now = self.state.clock.now();
        let filled = traced(&mut *self.task, None, |task| task.fill(now));
        if !matches!(filled, Ok(Filled::Records { .. })) {
            self.state.withdraw(&self.bell);
        }
        let (count, bytes_each) = match filled {
            Ok(Filled::Records { count, bytes_each }) => (count as u64, bytes_each as u64),
            Ok(Filled::End) => {
                self.ended = true;
                let has_read = self.read_in_epoch;
                self.state
                    .end_epoch(open, EpochEvent::InputEnded { has_read });
                return Ok(None);
            }
            Ok(Filled::Again) => return Ok(Some(Rest::Yield)),
            Ok(Filled::Idle(time)) => return Ok(Some(Rest::Until(time))),
            Err(failure) => {
                self.state.fail(failure);
                return Ok(None);
            }
        };
        let wanted = count.min(*records).min(self.at_a_time);
        let wanted = wanted.min(self.state.open.room());
        let granted = self.state.reserve(&self.bell, wanted, bytes_each);
        if granted == 0 {
            return Ok(Some(Rest::Room(bytes_each)));
        }
        let began = self.state.clock.now();
        let stop = match self.stops {
            true => &self.state.late,
            false => &self.state.stopping,
        };
        #[allow(clippy::cast_possible_truncation)] // at most `count`, which is a usize
        let pushed = traced(&mut *self.task, None, |task| {
            task.push(granted as usize, stop)
        });
        self.adapt(granted, self.since(began));
        let pushed = match pushed {
            Ok(pushed) => {
                self.release(granted - pushed as u64, bytes_each);
                pushed as u64
            }
            Err(SourceFault::Step(mut fault)) => {
                fault.set_origin(origin(&mut *self.task, None));
                return Err(fault);
            }
            Err(SourceFault::Record { pushed, failure }) => {
                let pushed = pushed as u64;
                let unused = granted - pushed;
                self.state.budget.release(unused, unused * bytes_each);
                self.state.fail(failure);
                pushed
            }
        };
        self.unfinished = self.task.rests();
        self.count(open, pushed, bytes_each);
        if let Some(capabilities) = &self.open {
            self.outputs.send(capabilities, PARCEL);
        }
        *records = records.saturating_sub(granted);
        Ok(None)
    }

    /// Notes that records have been read in the open epoch.
    fn count(&mut self, open: Epoch, read: u64, bytes_each: u64) {
        if read > 0 {
            let mut bytes = read * bytes_each;
            if !std::mem::replace(&mut self.read_in_epoch, true) {
                bytes += self.state.budget.weigh_epoch();
            }
            self.flight.borrow_mut().add(open, read, bytes);
            self.state.add_read(open, read);
        }
    }

    /// The time since `began`. With a clock that stands still no turn is too long, so that a test
    /// does not depend on the speed of the machine.
    fn since(&self, began: Instant) -> Duration {
        self.state.clock.now().saturating_duration_since(began)
    }

    /// Adapts the size of the next push, so that it takes about a tenth of a turn.
    fn adapt(&mut self, pushed: u64, took: Duration) {
        if took > TURN / 5 {
            self.at_a_time = (pushed / 2).max(1);
        } else if pushed == self.at_a_time && took < TURN / 20 {
            self.at_a_time = (pushed * 2).min(RECORDS);
        }
    }

    /// Ends the open epoch in this source, which then continues in the next one or ends.
    fn close(&mut self, open: Epoch, course: Course) -> Result<(), Fault> {
        self.flush();
        let Some(capabilities) = &mut self.open else {
            return Ok(());
        };
        let mut rows = EpochRows::default();
        self.task.write_tokens(&mut rows)?;
        self.outputs.send_rows(capabilities, rows);
        self.read_in_epoch = false;
        match course {
            Course::Stays => {}
            Course::Follows(next) => {
                debug_assert!(next > open);
                capabilities
                    .iter_mut()
                    .for_each(|capability| capability.downgrade(&next.to_u64()));
            }
            Course::Leaves(reason) => {
                tracing::trace!(epoch = %open, ?reason, "a source ends its last epoch");
                self.give_up();
                self.state.add_unfinished(self.task.unfinished());
                self.open = None;
                self.set_busy(false);
            }
        }
        Ok(())
    }

    fn set_busy(&mut self, busy: bool) {
        if std::mem::replace(&mut self.busy, busy) != busy {
            self.queues.set_busy(self.worker, busy);
        }
    }

    fn is_ready(&self) -> bool {
        self.outstanding.as_ref().is_some_and(Outstanding::is_ready)
    }

    fn open_epoch(&self) -> Epoch {
        let capabilities = self.open.as_deref().unwrap_or_default();
        capabilities
            .first()
            .map_or(END, |capability| Epoch::from_u64(*capability.time()))
    }

    /// Whether something has happened that must wake an operator at rest.
    fn changed(&self, open: Epoch) -> bool {
        let stops = !self.stops && self.state.stop() != Stop::No;
        self.state.epoch() != open || stops || self.state.aborted()
    }

    /// Wakes the operator when its reader wants it, or when the open epoch is old enough.
    fn set_timer(&mut self, time: Option<Instant>) {
        if !self.state.clock.is_system() {
            return; // a manual clock rings when it is advanced
        }
        let now = self.state.clock.now();
        let until_read = time.map(|time| time.saturating_duration_since(now));
        let until_old = self.state.open.until_old(now);
        let Some(wait) = [until_read, until_old].into_iter().flatten().min() else {
            return;
        };
        let wait = wait.min(LONGEST_WAIT);
        let at = now + wait;
        if self.timer.is_none_or(|timer| timer <= now || at < timer) {
            self.timer = Some(at);
            self.activator.activate_after(wait);
        }
    }
}
