//! The events: the same ones each time, for any number of users.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use crate::cart::{Event, Kind};

/// A user has no more open orders than this.
const OPEN_ORDERS: u32 = 8;

/// An event as it waits in memory; what reads it makes an [`Event`] of it, which owns its text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packed {
    user: u32,
    /// The number of the order among those of its user.
    order: u32,
    kind: Kind,
}

impl Packed {
    #[inline]
    pub(crate) fn event(self) -> Event {
        Event {
            user_id: user_id(self.user),
            kind: self.kind,
            order_id: u64::from(self.order),
        }
    }
}

/// Two digits each.
const DIGITS: &str = "\
    0001020304050607080910111213141516171819202122232425262728293031323334353637383940\
    4142434445464748495051525354555657585960616263646566676869707172737475767778798081\
    828384858687888990919293949596979899";

/// `user00000042`. It costs hardly more than a clone of that text.
#[inline]
fn user_id(user: u32) -> String {
    let mut text = String::with_capacity(12);
    text.push_str("user");
    for place in [1_000_000, 10_000, 100, 1] {
        let digits = 2 * (user / place % 100) as usize;
        text.push_str(DIGITS.get(digits..digits + 2).unwrap_or_default());
    }
    text
}

/// Those of the first `events` events that are of one partition: the users are dealt to the
/// partitions.
pub(crate) fn partition(users: u32, events: u32, partition: u32, partitions: u32) -> Vec<Packed> {
    let own = |event: &Packed| event.user % partitions == partition;
    Generator::new(users, events).filter(own).collect()
}

/// One order of each user.
pub(crate) fn one_each(users: u32) -> Vec<Packed> {
    let order = |user| Packed {
        user,
        order: 0,
        kind: Kind::Order,
    };
    (0..users).map(order).collect()
}

/// Writes the events to a file, as JSON lines.
pub(crate) fn write_json(path: &Path, users: u32, events: u32) -> io::Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    for packed in Generator::new(users, events) {
        serde_json::to_writer(&mut file, &packed.event())?;
        file.write_all(b"\n")?;
    }
    file.flush()
}

struct Generator {
    left: u32,
    random: u64,
    /// For each user, how many orders there were and how many of them have been paid.
    users: Vec<(u32, u32)>,
}

impl Generator {
    fn new(users: u32, events: u32) -> Self {
        Generator {
            left: events,
            random: 0x2545_f491_4f6c_dd1d,
            users: vec![(0, 0); users as usize],
        }
    }
}

impl Iterator for Generator {
    type Item = Packed;

    fn next(&mut self) -> Option<Packed> {
        self.left = self.left.checked_sub(1)?;
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        #[allow(clippy::cast_possible_truncation)] // less than the number of users, which is a u32
        let user = (((self.random >> 32) * self.users.len() as u64) >> 32) as u32;
        let (orders, paid) = self.users.get_mut(user as usize)?;
        let open = *orders - *paid;
        let pays = open == OPEN_ORDERS || (open > 0 && self.random & 1 == 1);
        let (counter, kind) = if pays {
            (paid, Kind::Payment)
        } else {
            (orders, Kind::Order)
        };
        let order = *counter;
        *counter += 1;
        Some(Packed { user, order, kind })
    }
}
