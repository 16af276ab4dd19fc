//! `kill -9`, for real: flows are killed again and again, and the results are the same as without
//! kills.
//!
//! `cargo test --test kill` kills at least 200 times at random, and once or more at each fail point
//! (`flow-store/src/hooks/fail_point.rs`) of each flow. `FLOW_KILLS=2000` sets another number of
//! random kills (`just kills`); `FLOW_KILL_SEED=..`, which a failed run prints, repeats its
//! choices.
#![cfg(test)]

mod compare;
mod fail_points;
mod fence;
mod flows;
mod holder;
mod random;
mod random_kills;
mod starts;
#[path = "../support/mod.rs"]
mod support;
