//! A store on a simulated disk that crashes and fails. After any crash the disk must have the store
//! at one epoch between the last acknowledged and the last attempted one.
//!
//! A disk records its calls on a tape (`disk`). From the tape a crash at any call can be made
//! afterwards (`crash`): unsynced writes are there or not, in any order, torn by sectors. The
//! result is put into a real file, read as a start reads it, and compared with what was possible at
//! that call (`history`).
//!
//! A seed determines a run. `FLOW_SIM_SEED` is the first seed, and `FLOW_SIM_POINTS` the number of
//! crash points to reach:
//!
//! ```sh
//! FLOW_SIM_POINTS=1000000 cargo test -p flow-store --lib crashes::at_random -- --nocapture
//! ```

mod crash;
mod crashes;
mod disk;
mod errors;
mod flow;
mod history;
mod life;
mod maintenance;
mod seen;

use crate::error::StoreError;
use crate::look::Look;
use std::fmt::Debug;
use std::fs;
use std::path::PathBuf;

/// Pseudo-random numbers, determined by the seed (splitmix64).
#[derive(Clone)]
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Random {
        Random(seed)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// A directory for an image, which is then looked at like any store.
struct Desk(tempfile::TempDir);

impl Desk {
    /// The directory is in memory if possible: nothing here needs to outlive the test.
    fn new() -> Desk {
        let memory = tempfile::tempdir_in("/dev/shm");
        Desk(memory.or_else(|_| tempfile::tempdir()).unwrap())
    }

    fn part(&self) -> PathBuf {
        self.0.path().join(crate::file::directory::PART)
    }

    /// Replaces the image before, and looks at the new one.
    fn look(&self, image: &[u8]) -> Result<Look, StoreError> {
        fs::write(self.part(), image).unwrap();
        Look::at(self.0.path())
    }

    /// Invariant I14: whether the image was not modified.
    fn is_untouched(&self, image: &[u8]) -> bool {
        fs::read(self.part()).unwrap() == image
    }
}

/// What is wrong, in words.
type Wrong = String;

fn expect<T: PartialEq + Debug>(found: T, expected: T, what: &str) -> Result<(), Wrong> {
    match found == expected {
        true => Ok(()),
        false => Err(format!("{what}: {found:?} and not {expected:?}")),
    }
}
