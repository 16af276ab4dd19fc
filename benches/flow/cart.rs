//! The work that all programs do: the cart join. Each event changes the cart of its user, and gives
//! a summary of it.

use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Event {
    pub(crate) user_id: String,
    #[serde(rename = "type")]
    pub(crate) kind: Kind,
    pub(crate) order_id: u64,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Order,
    Payment,
}

/// The state of a user.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Cart {
    paid: u64,
    unpaid_order_ids: Vec<u64>,
}

/// What a cart has come to.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Totals {
    paid: u64,
    unpaid: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Summary {
    pub(crate) user_id: String,
    pub(crate) totals: Totals,
}

impl Cart {
    pub(crate) fn join(&mut self, kind: Kind, order_id: u64) -> Totals {
        match kind {
            Kind::Order => self.unpaid_order_ids.push(order_id),
            Kind::Payment => {
                self.unpaid_order_ids.retain(|id| *id != order_id);
                self.paid += 1;
            }
        }
        Totals {
            paid: self.paid,
            unpaid: self.unpaid_order_ids.len() as u64,
        }
    }
}

/// The number of summaries and a checksum of them that does not depend on their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) count: u64,
    pub(crate) sum: u64,
}

const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

impl Tally {
    /// Takes a summary in, as the last step of every program.
    #[allow(clippy::needless_pass_by_value)] // where a summary ends, in all programs
    pub(crate) fn add(&mut self, summary: Summary) {
        let bytes = summary.user_id.as_bytes();
        let first = bytes.first_chunk().copied().unwrap_or_default();
        let last = bytes.last_chunk().copied().unwrap_or_default();
        let mut hash = u64::from_le_bytes(first).wrapping_mul(ODD) ^ u64::from_le_bytes(last);
        for part in [summary.totals.paid, summary.totals.unpaid] {
            hash = (hash ^ part).wrapping_mul(ODD).rotate_left(29);
        }
        self.count += 1;
        self.sum = self.sum.wrapping_add(hash);
    }

    pub(crate) fn plus(self, other: Tally) -> Tally {
        Tally {
            count: self.count + other.count,
            sum: self.sum.wrapping_add(other.sum),
        }
    }
}

/// The tally of all workers.
#[derive(Clone, Default)]
pub(crate) struct SharedTally(Arc<Mutex<Tally>>);

impl SharedTally {
    pub(crate) fn get(&self) -> Tally {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The part of one worker, which is added when it is dropped.
    pub(crate) fn part(&self) -> TallyPart {
        TallyPart {
            own: Tally::default(),
            shared: self.clone(),
        }
    }
}

pub(crate) struct TallyPart {
    own: Tally,
    shared: SharedTally,
}

impl TallyPart {
    pub(crate) fn add(&mut self, summary: Summary) {
        self.own.add(summary);
    }
}

impl Drop for TallyPart {
    fn drop(&mut self) {
        let mut shared = self.shared.0.lock().unwrap_or_else(PoisonError::into_inner);
        *shared = shared.plus(self.own);
    }
}
