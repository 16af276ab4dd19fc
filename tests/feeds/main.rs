//! Sources that are fed while the flow runs: a channel, and polling.
#![cfg(test)]

mod channel;
mod polling;
