//! The plain loop: one thread, one hash map. Nothing that processes these events can do less.

use hashbrown::HashMap;

use crate::{
    Result,
    cart::{Cart, Event, Summary, Tally},
    events,
    json::JsonEvents,
    side::{Join, Report, Scratch, timed},
};

pub(crate) fn run(join: &Join, scratch: &Scratch) -> Result<Report> {
    if join.json {
        let path = scratch.json(join);
        return timed(|| {
            let mut carts = Carts::default();
            let mut events = JsonEvents::open(&path)?;
            while let Some(event) = events.next()? {
                carts.take(event);
            }
            Ok(carts.tally)
        });
    }
    let packed = events::partition(join.users, join.events, 0, 1);
    timed(|| {
        let mut carts = Carts::default();
        for packed in packed {
            carts.take(packed.event());
        }
        Ok(carts.tally)
    })
}

#[derive(Default)]
struct Carts {
    carts: HashMap<String, Cart>,
    tally: Tally,
}

impl Carts {
    fn take(&mut self, event: Event) {
        let cart = self.carts.entry_ref(&event.user_id).or_default();
        let totals = cart.join(event.kind, event.order_id);
        self.tally.add(Summary {
            user_id: event.user_id,
            totals,
        });
    }
}
