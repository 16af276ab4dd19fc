//! Emptied batches, kept for reuse.
//!
//! An outlet fills a batch, and the step that receives it empties it, often on another worker. With
//! the allocator alone, each batch would be allocated and grown on one thread and freed on another.
//! So the receiver returns it to the outlet.

use std::sync::Arc;

use crate::lock::Mutex;

/// A batch with room for more records than this is not kept. Otherwise a step that makes many
/// records of one would keep the memory of its largest batch.
const LARGEST: usize = 8192;

/// A batch that can be reused.
pub(crate) trait Reuse: Sized {
    /// The pool that it goes back to.
    fn home(&mut self) -> &mut Option<Pool<Self>>;

    /// Drops its records and keeps the memory.
    fn clear(&mut self);

    /// The number of records that it has memory for.
    fn room(&self) -> usize;
}

/// The emptied batches of one outlet.
pub(crate) struct Pool<B> {
    // Batches travel boxed. The pool keeps the boxes too, so a reused batch costs no allocation.
    #[allow(clippy::vec_box)]
    batches: Arc<Mutex<Vec<Box<B>>>>,
    most: usize,
}

impl<B> Clone for Pool<B> {
    fn clone(&self) -> Self {
        Pool {
            batches: self.batches.clone(),
            most: self.most,
        }
    }
}

impl<B: Reuse + Default> Pool<B> {
    /// A pool for an outlet that sends to `workers`.
    pub(crate) fn new(workers: usize) -> Self {
        Pool {
            batches: Arc::default(),
            // A few for each worker: one that is filled, one that is processed, and some on their
            // way.
            most: 4 * workers,
        }
    }

    /// An empty batch.
    pub(crate) fn take(&self) -> Box<B> {
        let kept = {
            let mut batches = self.batches.lock();
            batches.pop()
        };
        let mut batch = kept.unwrap_or_default();
        *batch.home() = Some(self.clone());
        batch
    }
}

/// Returns a batch to the pool that it came from, if it came from one.
pub(crate) fn recycle<B: Reuse>(mut batch: Box<B>) {
    // A batch in the pool does not refer to it: in such a cycle neither would ever be dropped.
    let Some(pool) = batch.home().take() else {
        return;
    };
    // Dropping the records may run user code, so it happens outside of the lock.
    batch.clear();
    if batch.room() > LARGEST {
        return;
    }
    let mut batches = pool.batches.lock();
    if batches.len() < pool.most {
        batches.push(batch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::Plain;

    fn waiting(pool: &Pool<Plain<u64>>) -> usize {
        pool.batches.lock().len()
    }

    #[test]
    fn an_emptied_batch_is_used_again() {
        let pool: Pool<Plain<u64>> = Pool::new(1);
        let mut batch = pool.take();
        batch.records.extend(0..1000);
        let memory = batch.records.as_ptr();
        // Also from another thread.
        std::thread::spawn(move || recycle(batch)).join().unwrap();
        let again = pool.take();
        assert!(again.records.is_empty());
        assert_eq!(again.records.as_ptr(), memory);
        assert_eq!(waiting(&pool), 0);
    }

    #[test]
    fn no_more_are_kept_than_are_of_use() {
        let pool: Pool<Plain<u64>> = Pool::new(1);
        let mut batches: Vec<_> = (0..9).map(|_| pool.take()).collect();
        batches[0].records.reserve(LARGEST + 1);
        recycle(batches.remove(0));
        assert_eq!(waiting(&pool), 0);
        batches.into_iter().for_each(recycle);
        assert_eq!(waiting(&pool), 4);
    }

    #[test]
    fn batches_and_pool_do_not_keep_each_other_alive() {
        let pool: Pool<Plain<u64>> = Pool::new(1);
        let alive = Arc::downgrade(&pool.batches);
        let (waits, travels) = (pool.take(), pool.take());
        recycle(waits);
        drop(pool);
        recycle(travels);
        assert!(alive.upgrade().is_none());
    }

    #[test]
    fn a_batch_without_a_pool_is_dropped() {
        recycle(Box::new(Plain::from(vec![1u64])));
    }
}
