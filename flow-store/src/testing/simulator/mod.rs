//! A disk that crashes and fails, and the store on it: what is on the disk after any crash is the
//! store at one epoch between the last that was acknowledged and the last that was attempted.
//!
//! A disk writes down what it is told (`disk`). From that tape the crash at any of its calls is
//! made afterwards (`crash`): what was not synced is there or not, in any order, torn by sectors.
//! Each is looked at as a start does it, on a real file, and compared with what was possible at
//! that call (`life`).
//!
//! A run is its seed. `FLOW_SIM_SEED` is the first of them, and the number of crash points to
//! reach is `FLOW_SIM_POINTS`:
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

/// Numbers that look random; the same for the same seed (splitmix64).
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

/// Where an image is put to be looked at as any store is.
struct Desk(tempfile::TempDir);

impl Desk {
    /// In memory where there is a place for that: nothing here has to outlive the test.
    fn new() -> Desk {
        let memory = tempfile::tempdir_in("/dev/shm");
        Desk(memory.or_else(|_| tempfile::tempdir()).unwrap())
    }

    fn part(&self) -> PathBuf {
        self.0.path().join(crate::file::directory::PART)
    }

    /// Puts it in the place of the one before.
    fn look(&self, image: &[u8]) -> Result<Look, StoreError> {
        fs::write(self.part(), image).unwrap();
        Look::at(self.0.path())
    }

    /// I14: whether it is as it was put there.
    fn is_untouched(&self, image: &[u8]) -> bool {
        fs::read(self.part()).unwrap() == image
    }
}

/// What is not as it must be, in words.
type Wrong = String;

fn expect<T: PartialEq + Debug>(found: T, expected: T, what: &str) -> Result<(), Wrong> {
    match found == expected {
        true => Ok(()),
        false => Err(format!("{what}: {found:?} and not {expected:?}")),
    }
}
