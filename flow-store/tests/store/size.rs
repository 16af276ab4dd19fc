//! The file size of a store that keeps writing the same keys.

use crate::support::*;
use flow_store::{Changes, Retain, StepKind, StoreError};
use std::os::unix::fs::MetadataExt;

const KEYS: u32 = 20_000;
const PER_EPOCH: u32 = 2000;
const VALUE: usize = 400;
/// Room for unfolded deltas, for a commit, and for redb's own data.
const BESIDE: u64 = 16 << 20;

/// Deltas are folded as they come, and folded rows replace older ones.
#[test]
fn a_store_of_the_same_keys_does_not_grow() {
    let home = Home::new();
    let flow = [step("a")];
    let live = u64::from(KEYS) * (VALUE as u64 + 5);
    let mut written = 0;
    for (execution, retain) in [
        (1, Retain::Nothing),
        (2, Retain::Epochs(2)),
        (3, Retain::Nothing),
    ] {
        let look = home.look().retaining(retain);
        let manifest = look.reconcile(&flow, &agree(&[])).unwrap();
        let mut running = start(look, &manifest);
        for n in 0..40 {
            let mut changes = Changes::new();
            for row in 0..PER_EPOCH {
                let row = (n * PER_EPOCH + row * 7) % KEYS;
                let key = row.to_be_bytes();
                let group = StepKind::State.group(&key);
                let put = changes.put(0, group, &key, |bytes| {
                    bytes.resize(VALUE, (n + execution) as u8);
                    Ok::<(), StoreError>(())
                });
                put.unwrap();
            }
            written += changes.byte_len() as u64;
            running.commit(running.epoch().next(), [&changes]).unwrap();
            let taken = std::fs::metadata(home.part()).unwrap().blocks() * 512;
            assert!(
                taken < 3 * live + BESIDE,
                "{taken} bytes of {live}, after {written}"
            );
        }
    }
    assert!(written > 10 * live);
}

/// Keys need not be spread over the groups: all may be in one group, by chance or on purpose.
#[test]
fn an_estimate_is_no_more_than_the_store_has_bytes_for() {
    let home = Home::new();
    let look = home.look();
    let manifest = look.reconcile(&[step("a")], &agree(&[])).unwrap();
    let mut running = start(look, &manifest);
    let mut changes = Changes::new();
    for row in 0..KEYS {
        let put = changes.put(0, 3, &row.to_be_bytes(), |bytes| {
            bytes.extend_from_slice(&[7; 8]);
            Ok::<(), StoreError>(())
        });
        put.unwrap();
    }
    running.commit(running.epoch().next(), [&changes]).unwrap();
    drop(running);
    let look = home.look();
    let mut rows = look.rows(0, 0..flow_store::KEY_GROUPS).unwrap();
    rows.advance().unwrap();
    let (keys, estimate) = (KEYS as usize, rows.estimate());
    assert!((keys - 1..=2 * keys).contains(&estimate), "{estimate}");
}
