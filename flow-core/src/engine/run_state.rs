//! What the threads of a run share: the epoch counter, the budget, and how the run ends.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
        mpsc::Sender,
    },
    task::Waker,
    time::{Duration, Instant},
};

use flow_store::{Epoch, StoreError};
use timely::scheduling::SyncActivator;

use super::{
    Budget, Clock, EpochEvent, Epochs, Limits, RecordFailure, UnfinishedLine, budget::Wake,
    frontier::END, open_epoch::OpenEpoch,
};
use crate::{
    chain::{Fault, FaultOrigin, Stop, StopFlag},
    error::SinkError,
    graph::StepIndex,
    lock::Mutex,
};

/// Why an execution was given up.
#[derive(Debug)]
pub(crate) enum AbortReason {
    Step {
        worker: usize,
        fault: Fault,
    },
    Panicked {
        worker: usize,
        step: Option<StepIndex>,
        message: String,
        origin: Option<Box<FaultOrigin>>,
    },
    Sync {
        step: StepIndex,
        error: SinkError,
    },
    Commit(Box<StoreError>),
    CutShort,
    /// The run was stopping, and the open epochs could not be completed. Everything before them is
    /// durable.
    GaveUp(Fault),
    TimedOut,
    Workers(String),
}

#[derive(Default)]
struct Failures {
    aborted: Option<AbortReason>,
    record: Option<RecordFailure>,
    gave_up: Option<Fault>,
}

/// Messages to the thread that waits for a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// A worker has built its part of the flow, or has failed to.
    Built,
    /// The sources are to stop.
    Stopping,
    /// The execution has been given up.
    Aborted,
    /// The workers are done.
    Done,
}

/// What the threads of a run share.
pub(crate) struct RunState {
    pub(crate) budget: Budget,
    pub(crate) clock: Clock,
    pub(crate) open: OpenEpoch,
    pub(crate) stopping: StopFlag,
    /// Set when half of the time is over in which a stopping run must come to rest. From then on no
    /// record is begun, even if it has been taken.
    pub(crate) late: StopFlag,
    /// The number of records that were taken and could not be processed in time.
    unprocessed: AtomicU64,
    abort: AtomicBool,
    /// This epoch and later ones will not be complete.
    given_up: AtomicU64,
    failures: Mutex<Failures>,
    unfinished: Mutex<Vec<UnfinishedLine>>,
    /// Every epoch below is durable in this process.
    acknowledged: AtomicU64,
    /// The last epoch in the store.
    durable: AtomicU64,
    sources: Mutex<Vec<Arc<SourceBell>>>,
    ledgers: Mutex<Vec<LedgerBell>>,
    /// The wakers that wait for epochs to land.
    waiting: Mutex<Vec<Waker>>,
    waits: AtomicBool,
    end_claimed: AtomicBool,
    news: Mutex<Sender<News>>,
}

/// The ledger of a worker as other threads see it.
struct LedgerBell {
    activator: SyncActivator,
    landed: Arc<Landed>,
}

/// How far the epochs of a worker have landed: they are durable, and their part of the budget has
/// been given back.
#[derive(Default)]
pub(crate) struct Landed(AtomicU64);

impl Landed {
    /// Notes that every epoch below `upto` has landed.
    pub(crate) fn note(&self, upto: Epoch) {
        self.0.store(upto.to_u64(), SeqCst);
    }

    fn has(&self, below: Epoch) -> bool {
        Epoch::from_u64(self.0.load(SeqCst)) >= below
    }
}

/// Wakes the operator of a source.
pub(crate) struct SourceBell {
    /// The number of the source in this process, for the budget.
    number: usize,
    activator: SyncActivator,
    /// Whether the operator is at rest and is to be woken by any change.
    waiting: AtomicBool,
}

impl SourceBell {
    pub(crate) fn wait(&self) {
        self.waiting.store(true, SeqCst);
    }

    pub(crate) fn go_on(&self) {
        self.waiting.store(false, SeqCst);
    }

    pub(crate) fn ring(&self) {
        // An operator that is gone need not be woken.
        let _ = self.activator.activate();
    }

    /// Wakes the operator if it is at rest.
    pub(crate) fn ring_if_waiting(&self) {
        if self.waiting.swap(false, SeqCst) {
            self.ring();
        }
    }
}

/// Behind the waker of one partition. It wakes the operator, which then asks only this partition.
#[derive(Default)]
pub(crate) struct PartitionBell {
    source: OnceLock<Arc<SourceBell>>,
    woken: AtomicBool,
}

impl PartitionBell {
    pub(crate) fn attach(&self, source: Arc<SourceBell>) {
        // There is one operator for each partition, so it is set once.
        let _ = self.source.set(source);
    }

    /// Whether the waker was woken since the last call. This is called before a read, so a wake
    /// during the read counts for the next one.
    pub(crate) fn woken(&self) -> bool {
        self.woken.load(SeqCst) && self.woken.swap(false, SeqCst)
    }
}

impl std::task::Wake for PartitionBell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, SeqCst);
        if let Some(source) = self.source.get() {
            source.ring();
        }
    }
}

impl RunState {
    pub(crate) fn new(
        first: Epoch,
        limits: Limits,
        epochs: Epochs,
        clock: Clock,
        news: Sender<News>,
    ) -> Arc<Self> {
        let now = clock.now();
        let state = Arc::new(RunState {
            budget: Budget::new(limits, epochs.max_age()),
            open: OpenEpoch::new(first, epochs, now),
            clock,
            stopping: StopFlag::default(),
            late: StopFlag::default(),
            unprocessed: 0.into(),
            abort: false.into(),
            given_up: END.to_u64().into(),
            failures: Mutex::default(),
            unfinished: Mutex::default(),
            acknowledged: 0.into(),
            durable: 0.into(),
            sources: Mutex::default(),
            ledgers: Mutex::default(),
            waiting: Mutex::default(),
            waits: false.into(),
            end_claimed: false.into(),
            news: Mutex::new(news),
        });
        let weak = Arc::downgrade(&state);
        state.clock.on_advance(move || {
            let state: Option<Arc<RunState>> = weak.upgrade();
            state.map(|state| state.ring_all()).is_some()
        });
        state
    }

    /// That of a run with room for 100 records, of which nobody wants to hear.
    #[cfg(test)]
    pub(super) fn of_test() -> Arc<Self> {
        let limits = Limits {
            records: 100,
            bytes: 100,
            cautious: (0, 0),
            follow: true,
            least: 16,
        };
        let (epochs, clock) = (Epochs::default(), Clock::system());
        let (news, _) = std::sync::mpsc::channel();
        RunState::new(Epoch::from_u64(1), limits, epochs, clock, news)
    }

    // ---- epochs

    pub(crate) fn epoch(&self) -> Epoch {
        self.open.number()
    }

    /// Ends the epoch `open` if `event` ends it. Returns whether it does, even if another source
    /// has ended the epoch first.
    pub(crate) fn end_epoch(&self, open: Epoch, event: EpochEvent) -> bool {
        let Some(reason) = self.open.decide(event) else {
            return false;
        };
        if self.open.end(open, || self.clock.now()) {
            tracing::trace!(epoch = %open, ?reason, "an epoch ends");
            self.budget.ended(open, Instant::now());
            self.ring_waiting();
        }
        true
    }

    /// Notes that records of the epoch `open` have been read.
    pub(crate) fn add_read(&self, open: Epoch, records: u64) {
        self.open.add(records);
        self.end_epoch(open, EpochEvent::Read);
    }

    pub(crate) fn records_read(&self) -> u64 {
        self.open.records_read()
    }

    /// Records last lines that were left unread.
    pub(crate) fn add_unfinished(&self, mut lines: Vec<UnfinishedLine>) {
        self.unfinished.lock().append(&mut lines);
    }

    pub(crate) fn take_unfinished(&self) -> Vec<UnfinishedLine> {
        let mut lines = std::mem::take(&mut *self.unfinished.lock());
        lines.sort_by(|one, other| {
            (&one.step, &one.partition).cmp(&(&other.step, &other.partition))
        });
        lines
    }

    // ---- budget

    /// Takes as many of `records` as the budget has for this source.
    pub(crate) fn reserve(&self, source: &SourceBell, records: u64, bytes_each: u64) -> u64 {
        let read = self.records_read();
        let grant = self
            .budget
            .reserve(source.number, read, records, bytes_each);
        match grant.wake {
            Wake::Nobody => {}
            Wake::Waiting => self.ring_waiting(),
            Wake::Source(number) => {
                if let Some(bell) = self.sources.lock().get(number) {
                    bell.ring_if_waiting();
                }
            }
        }
        grant.records
    }

    /// Gives back records that a source has reserved and did not need.
    pub(crate) fn refund(&self, source: &SourceBell, records: u64, bytes_each: u64) {
        self.budget
            .refund(source.number, records, records * bytes_each);
        // Another source may have waited for this room.
        self.ring_waiting();
    }

    /// Whether the budget has room for a record of this size. Turns do not count here.
    pub(crate) fn has_room(&self, bytes_each: u64) -> bool {
        self.budget.has_room(self.records_read(), bytes_each)
    }

    /// Whether `reserve` might give this source a record now.
    pub(crate) fn has_turn(&self, source: &SourceBell, bytes_each: u64) -> bool {
        let read = self.records_read();
        self.budget.has_turn(source.number, read, bytes_each)
    }

    /// Notes that a source has nothing to read at present.
    pub(crate) fn withdraw(&self, source: &SourceBell) {
        if self.budget.withdraw(source.number) {
            self.ring_waiting();
        }
    }

    // ---- durability

    /// Notes that every epoch below `upto` is durable. `durable` is the last of them in the store.
    pub(crate) fn acknowledge(&self, upto: Epoch, durable: Option<Epoch>) {
        if let Some(durable) = durable {
            self.durable.store(durable.to_u64(), SeqCst);
        }
        self.acknowledged.store(upto.to_u64(), SeqCst);
        self.ring_ledgers();
    }

    pub(crate) fn acknowledged(&self) -> Epoch {
        Epoch::from_u64(self.acknowledged.load(SeqCst))
    }

    /// The last epoch of this run that is in the store.
    pub(crate) fn durable(&self) -> Option<Epoch> {
        let durable = Epoch::from_u64(self.durable.load(SeqCst));
        Some(durable).filter(|epoch| *epoch > Epoch::default())
    }

    /// Wakes those who wait for epochs to land. Called when a ledger has noted some.
    pub(crate) fn landed(&self) {
        if self.waits.load(SeqCst) && self.waits.swap(false, SeqCst) {
            let waiting = std::mem::take(&mut *self.waiting.lock());
            waiting.into_iter().for_each(Waker::wake);
        }
        self.end_if_given_up();
    }

    /// Whether every epoch below `epoch` has landed: it is durable, and each worker has given back
    /// its part of the budget. If not, `waker` is woken when more epochs have landed.
    pub(crate) fn has_landed(&self, epoch: Epoch, waker: &Waker) -> bool {
        self.waiting.lock().push(waker.clone());
        self.waits.store(true, SeqCst);
        let ledgers = self.ledgers.lock();
        ledgers.iter().all(|ledger| ledger.landed.has(epoch))
    }

    // ---- the end

    /// Returns true once, to the first event of a test that ends this run.
    pub(crate) fn claim_end(&self) -> bool {
        !self.end_claimed.swap(true, SeqCst)
    }

    pub(crate) fn stop(&self) -> Stop {
        self.stopping.get()
    }

    /// Makes all sources stop at their next record.
    pub(crate) fn ask_to_stop(&self) {
        self.stopping.ask();
        self.tell(News::Stopping);
        self.ring_all();
    }

    /// Makes all sources stop at their next record, because a record fails.
    pub(crate) fn fail(&self, failure: RecordFailure) {
        self.failures.lock().record.get_or_insert(failure);
        self.stopping.fail();
        self.tell(News::Stopping);
        self.ring_all();
    }

    /// Keeps the sources from beginning more records, so that those begun can become durable in the
    /// time that is left.
    pub(crate) fn be_late(&self) {
        self.late.ask();
        self.ring_all();
    }

    /// Notes that a source has left this many of the records that it had taken.
    pub(crate) fn leave(&self, records: u64) {
        self.unprocessed.fetch_add(records, SeqCst);
    }

    pub(crate) fn unprocessed(&self) -> u64 {
        self.unprocessed.load(SeqCst)
    }

    /// Sends a message to the thread that waits for the run.
    pub(crate) fn tell(&self, news: News) {
        // When the run is over, nobody listens any more.
        let _ = self.news.lock().send(news);
    }

    pub(crate) fn aborted(&self) -> bool {
        self.abort.load(SeqCst)
    }

    /// Gives up the execution. From now on no operator does anything.
    pub(crate) fn abort(&self, why: AbortReason) {
        self.failures.lock().aborted.get_or_insert(why);
        self.abort.store(true, SeqCst);
        self.tell(News::Aborted);
        self.ring_all();
        self.ring_ledgers();
    }

    /// Whether the run has been told to stop, or is told within this time.
    pub(crate) fn stops_within(&self, time: Duration) -> bool {
        const LOOK: Duration = Duration::from_millis(5);
        let deadline = Instant::now() + time;
        while self.stop() == Stop::No && !self.aborted() && Instant::now() < deadline {
            std::thread::sleep(LOOK);
        }
        self.stop() == Stop::Asked && !self.aborted()
    }

    /// Gives up this epoch and later ones. The caller keeps them from becoming complete. Earlier
    /// epochs become durable, then the run ends.
    pub(crate) fn give_up_from(&self, epoch: Epoch, why: Fault) {
        self.failures.lock().gave_up.get_or_insert(why);
        self.given_up.fetch_min(epoch.to_u64(), SeqCst);
        self.end_if_given_up();
    }

    /// Ends the run if only epochs that have been given up are open.
    fn end_if_given_up(&self) {
        let from = Epoch::from_u64(self.given_up.load(SeqCst));
        if from == END {
            return;
        }
        let all = self
            .ledgers
            .lock()
            .iter()
            .all(|ledger| ledger.landed.has(from));
        if all {
            let why = self.failures.lock().gave_up.take();
            if let Some(why) = why {
                self.abort(AbortReason::GaveUp(why));
            }
        }
    }

    /// Takes out the failures: the reason of an abort, and the record for which the run was
    /// stopping.
    pub(crate) fn take_failures(&self) -> (Option<AbortReason>, Option<RecordFailure>) {
        let mut failures = self.failures.lock();
        (failures.aborted.take(), failures.record.take())
    }

    // ---- waking

    pub(crate) fn add_source(&self, activator: SyncActivator) -> Arc<SourceBell> {
        let mut sources = self.sources.lock();
        let bell = Arc::new(SourceBell {
            number: sources.len(),
            activator,
            waiting: AtomicBool::new(false),
        });
        sources.push(bell.clone());
        bell
    }

    /// Adds the ledger of a worker, which notes what has landed there.
    pub(crate) fn add_ledger(&self, activator: SyncActivator) -> Arc<Landed> {
        let landed: Arc<Landed> = Arc::default();
        self.ledgers.lock().push(LedgerBell {
            activator,
            landed: landed.clone(),
        });
        landed
    }

    fn ring_ledgers(&self) {
        for ledger in self.ledgers.lock().iter() {
            let _ = ledger.activator.activate();
        }
    }

    fn ring_all(&self) {
        for bell in self.sources.lock().iter() {
            bell.ring();
        }
    }

    pub(crate) fn ring_waiting(&self) {
        for bell in self.sources.lock().iter() {
            bell.ring_if_waiting();
        }
    }
}
