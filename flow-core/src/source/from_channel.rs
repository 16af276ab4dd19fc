//! Records that other threads send.

use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc,
        mpsc::{SendError, TrySendError},
    },
    task::Waker,
};

use super::{At, Next, NoResume, Reader, Source, SourceError};
use crate::lock::{Condvar, Mutex, MutexGuard};

/// The most records of one batch.
const BATCH: usize = 256;

/// Records that other threads send: a channel, with its source for the flow.
///
/// At most `capacity` records (at least 1) wait in the channel. When it is full,
/// [`send`](Sender::send) waits until the flow has read some. So a slow flow slows its senders. The
/// input ends when the last [`Sender`] has been dropped. If the run ends for another reason,
/// sending is an error that gives the record back.
///
/// A record can't be sent twice, so the source can't resume: a crash loses the records that had
/// been read and were not durable. Under a store, the flow has to agree to that with
/// [`lossy`](Source::lossy). Records that a stopped run has not processed stay in the channel, for
/// another run in the same process.
///
/// The source is a handle: clone it into the function that builds the flow, which runs several
/// times.
///
/// ```
/// use flow::prelude::*;
/// use flow::{sink, source};
///
/// let (orders, channel) = source::from_channel(100);
/// # let (out, seen) = sink::collect();
/// let shop = std::thread::spawn(move || {
///     for number in 1..=3u64 {
///         orders.send(number).unwrap();
///     }
/// });
/// Runner::new(move |flow| {
///     flow.source(channel.clone()).map(|n| n * 10).sink(out.clone());
/// }).run().unwrap();
/// # shop.join().unwrap();
/// # assert_eq!(seen.take(), [10, 20, 30]);
/// ```
///
/// A thread that must not wait, such as one of an async runtime, uses
/// [`try_send`](Sender::try_send). So does a step of the same flow, because it would wait for
/// itself.
#[must_use]
pub fn from_channel<T: Send + 'static>(capacity: usize) -> (Sender<T>, ChannelSource<T>) {
    let shared = Arc::new(Shared {
        state: Mutex::new(State {
            queue: VecDeque::new(),
            capacity: capacity.max(1),
            senders: 1,
            sources: 1,
            is_open: false,
            run: Run::Waited,
            waker: None,
        }),
        room: Condvar::new(),
    });
    (Sender(shared.clone()), ChannelSource(shared))
}

/// Sends records to a flow; made by [`from_channel`]. All clones send to the same flow.
pub struct Sender<T>(Arc<Shared<T>>);

/// The source of a channel; made by [`from_channel`]. All clones are one source, which only one run
/// can read.
pub struct ChannelSource<T>(Arc<Shared<T>>);

struct Shared<T> {
    state: Mutex<State<T>>,
    /// Signaled when there is room, or no reader any more.
    room: Condvar,
}

struct State<T> {
    queue: VecDeque<T>,
    capacity: usize,
    senders: usize,
    sources: usize,
    /// Whether there is a reader.
    is_open: bool,
    run: Run,
    /// The waker of the reader, while it waits.
    waker: Option<Waker>,
}

/// The state of the run that reads.
#[derive(PartialEq, Eq)]
enum Run {
    /// No run has read yet.
    Waited,
    Reads,
    Over,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock()
    }
}

impl<T> State<T> {
    /// Whether a record that is sent now can't be read.
    fn is_closed(&self) -> bool {
        self.run == Run::Over || (self.sources == 0 && !self.is_open)
    }

    fn push(&mut self, record: T) -> Option<Waker> {
        self.queue.push_back(record);
        self.waker.take()
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl<T> Sender<T> {
    /// Sends a record, and waits for room if the channel is full.
    ///
    /// # Errors
    /// If the run has ended, or there will be none. The error holds the record.
    pub fn send(&self, record: T) -> Result<(), SendError<T>> {
        let mut state = self.0.lock();
        while !state.is_closed() && state.queue.len() >= state.capacity {
            state = self.0.room.wait(state);
        }
        if state.is_closed() {
            return Err(SendError(record));
        }
        let waker = state.push(record);
        drop(state);
        wake(waker);
        Ok(())
    }

    /// Sends a record if there is room.
    ///
    /// # Errors
    /// If the channel is full, the run has ended, or there will be none. The error holds the
    /// record.
    pub fn try_send(&self, record: T) -> Result<(), TrySendError<T>> {
        let mut state = self.0.lock();
        if state.is_closed() {
            return Err(TrySendError::Disconnected(record));
        }
        if state.queue.len() >= state.capacity {
            return Err(TrySendError::Full(record));
        }
        let waker = state.push(record);
        drop(state);
        wake(waker);
        Ok(())
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.lock().senders += 1;
        Sender(self.0.clone())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.senders -= 1;
        let waker = match state.senders {
            0 => state.waker.take(),
            _ => None,
        };
        drop(state);
        wake(waker);
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl<T> Clone for ChannelSource<T> {
    fn clone(&self) -> Self {
        self.0.lock().sources += 1;
        ChannelSource(self.0.clone())
    }
}

impl<T> Drop for ChannelSource<T> {
    fn drop(&mut self) {
        self.0.lock().sources -= 1;
        self.0.room.notify_all();
    }
}

impl<T> fmt::Debug for ChannelSource<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelSource").finish_non_exhaustive()
    }
}

impl<T: Send + 'static> Source for ChannelSource<T> {
    type Item = T;
    type Token = NoResume;
    type Reader = ChannelReader<T>;

    fn kind(&self) -> String {
        "from_channel".to_owned()
    }

    fn partitions(&self) -> Result<Vec<String>, SourceError> {
        Ok(vec!["channel".to_owned()])
    }

    fn open(&self, _: &str, _: At<NoResume>) -> Result<ChannelReader<T>, SourceError> {
        let mut state = self.0.lock();
        if std::mem::replace(&mut state.is_open, true) {
            return Err(SourceError::new(
                "the channel is being read already, by another source or another run",
            )
            .and_help("a stream that is used twice is cloned behind its source"));
        }
        drop(state);
        Ok(ChannelReader(self.0.clone()))
    }
}

/// Reads a channel.
pub struct ChannelReader<T>(Arc<Shared<T>>);

impl<T: Send + 'static> Reader for ChannelReader<T> {
    type Item = T;
    type Token = NoResume;

    fn read(&mut self, out: &mut Vec<T>, waker: &Waker) -> Result<Next, SourceError> {
        let mut state = self.0.lock();
        state.run = Run::Reads;
        let count = state.queue.len().min(BATCH);
        out.extend(state.queue.drain(..count));
        let next = match (count, state.senders) {
            (0, 0) => Next::End,
            (0, _) => {
                state.waker = Some(waker.clone());
                Next::Idle
            }
            _ => Next::Ready,
        };
        drop(state);
        if count > 0 {
            self.0.room.notify_all();
        }
        Ok(next)
    }

    fn token(&self, _: usize) -> NoResume {
        NoResume
    }

    fn take_back(&mut self, rest: VecDeque<T>) -> VecDeque<T> {
        let mut state = self.0.lock();
        rest.into_iter()
            .rev()
            .for_each(|record| state.queue.push_front(record));
        VecDeque::new()
    }
}

impl<T> Drop for ChannelReader<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.is_open = false;
        state.waker = None;
        // If the start was refused, nothing has been read.
        if state.run == Run::Reads {
            state.run = Run::Over;
        }
        drop(state);
        self.0.room.notify_all();
    }
}
