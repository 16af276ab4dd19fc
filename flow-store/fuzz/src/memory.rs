//! Measures the memory in use and its peak, and limits single allocations.

use std::alloc::{GlobalAlloc, Layout, System, set_alloc_error_hook};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
/// The limit of a single allocation.
static MOST: AtomicUsize = AtomicUsize::new(usize::MAX);

/// Makes a failed allocation panic. By default it aborts.
pub(crate) fn init() {
    set_alloc_error_hook(|layout| panic!("{} bytes at once are not given", layout.size()));
}

/// Begins to measure the peak, and returns the bytes in use.
pub(crate) fn start(most_at_once: usize) -> usize {
    MOST.store(most_at_once, Relaxed);
    let now = NOW.load(Relaxed);
    PEAK.store(now, Relaxed);
    now
}

/// The most bytes in use since the start.
pub(crate) fn peak() -> usize {
    MOST.store(usize::MAX, Relaxed);
    PEAK.load(Relaxed)
}

fn take(bytes: usize) -> bool {
    if bytes > MOST.load(Relaxed) {
        return false;
    }
    let now = NOW.fetch_add(bytes, Relaxed) + bytes;
    PEAK.fetch_max(now, Relaxed);
    true
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: what is given is given by the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match take(layout.size()) {
            true => unsafe { System.alloc(layout) },
            false => ptr::null_mut(),
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match take(layout.size()) {
            true => unsafe { System.alloc_zeroed(layout) },
            false => ptr::null_mut(),
        }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        match take(size) {
            true => {
                NOW.fetch_sub(layout.size(), Relaxed);
                unsafe { System.realloc(at, layout, size) }
            }
            false => ptr::null_mut(),
        }
    }
}
