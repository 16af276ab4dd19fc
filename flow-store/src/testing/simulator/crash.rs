//! The content of a disk after a power failure.

use super::Random;
use super::disk::{Call, SECTOR, apply};

/// A disk at a point of its tape.
///
/// Synced writes are there. Each unsynced write is there, missing, or there in some of its sectors,
/// and the order of unsynced writes is arbitrary.
pub(super) struct Moment<'a> {
    tape: &'a [Call],
    at: usize,
    durable: Vec<u8>,
    unsynced: Vec<&'a Call>,
}

/// The result of a crash, and what happened to unsynced writes.
pub(super) struct Left {
    pub(super) image: Vec<u8>,
    /// A write was lost.
    pub(super) lost: bool,
    /// A part of a write is there.
    pub(super) torn: bool,
    /// Writes were reordered.
    pub(super) reordered: bool,
}

/// How many of the unsynced writes survive.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kept {
    Nothing,
    All,
    /// All but one of them.
    AllButOne,
    /// Each with this chance in percent.
    Some(u64),
}

impl Kept {
    pub(super) fn any(random: &mut Random) -> Kept {
        match random.below(8) {
            0 => Kept::Nothing,
            1 => Kept::All,
            2 | 3 => Kept::AllButOne,
            _ => Kept::Some(random.below(101)),
        }
    }
}

impl<'a> Moment<'a> {
    /// The point before the first call of the tape.
    pub(super) fn new(image: &[u8], tape: &'a [Call]) -> Moment<'a> {
        Moment {
            tape,
            at: 0,
            durable: image.to_vec(),
            unsynced: Vec::new(),
        }
    }

    /// Advances until `at` calls are done.
    pub(super) fn go_on_to(&mut self, at: usize, random: &mut Random) {
        for call in &self.tape[self.at..at] {
            match call {
                Call::Write(..) | Call::SetLen(_) => self.unsynced.push(call),
                Call::Sync => {
                    for call in self.unsynced.drain(..) {
                        whole(&mut self.durable, call);
                    }
                }
                Call::FailedSync => {
                    let left = self.crash(Kept::any(random), random);
                    self.durable = left.image;
                    self.unsynced.clear();
                }
            }
        }
        self.at = at;
    }

    /// The power fails at this point.
    pub(super) fn crash(&self, kept: Kept, random: &mut Random) -> Left {
        let mut calls = self.unsynced.clone();
        let reordered = random.below(2) == 0 && calls.len() > 1;
        if reordered {
            for at in (1..calls.len()).rev() {
                calls.swap(at, random.below(at as u64 + 1) as usize);
            }
        }
        let except = random.below(calls.len() as u64 + 1) as usize;
        let mut left = Left {
            image: self.durable.clone(),
            lost: false,
            torn: false,
            reordered,
        };
        for (n, call) in calls.into_iter().enumerate() {
            let (stays, may_tear) = match kept {
                Kept::Nothing => (false, false),
                Kept::All => (true, false),
                Kept::AllButOne => (n != except, false),
                Kept::Some(percent) => (random.below(100) < percent, true),
            };
            match call {
                _ if !stays => left.lost = true,
                Call::Write(from, data) if may_tear && random.below(4) == 0 => {
                    left.torn |= torn(&mut left.image, *from, data, random);
                }
                call => whole(&mut left.image, call),
            }
        }
        left
    }
}

fn whole(image: &mut Vec<u8>, call: &Call) {
    match call {
        Call::Write(from, data) => apply(image, *from, data),
        Call::SetLen(len) => image.resize(*len, 0),
        Call::Sync | Call::FailedSync => {}
    }
}

/// Writes some of the sectors. Returns whether any is missing.
fn torn(image: &mut Vec<u8>, from: usize, data: &[u8], random: &mut Random) -> bool {
    let mut missing = false;
    let mut done = 0;
    while done < data.len() {
        let at = from + done;
        let len = (SECTOR - at % SECTOR).min(data.len() - done);
        match random.below(2) {
            0 => apply(image, at, &data[done..done + len]),
            _ => missing = true,
        }
        done += len;
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_synced_stays_and_the_rest_may_not() {
        let tape = [
            Call::Write(0, vec![1; 1024]),
            Call::Sync,
            Call::Write(0, vec![2; 1024]),
            Call::Write(512, vec![3; 1024]),
        ];
        let mut random = Random::new(1);
        let mut moment = Moment::new(&[0; 1024], &tape);
        assert_eq!(moment.crash(Kept::Nothing, &mut random).image, [0; 1024]);
        moment.go_on_to(4, &mut random);
        assert_eq!(moment.crash(Kept::Nothing, &mut random).image, [1; 1024]);
        let (mut sectors, mut lengths) = ([const { [false; 4] }; 2], [false; 2]);
        for _ in 0..200 {
            let image = moment.crash(Kept::any(&mut random), &mut random).image;
            assert!(
                image
                    .chunks(512)
                    .all(|sector| sector.iter().all(|b| *b == sector[0]))
            );
            sectors[0][usize::from(image[0])] = true;
            sectors[1][usize::from(image[512])] = true;
            lengths[usize::from(image.len() > 1024)] = true;
        }
        // The first sector is from the first two writes, the second from any of the three.
        assert_eq!(
            sectors,
            [[false, true, true, false], [false, true, true, true]]
        );
        assert_eq!(lengths, [true, true]);
    }

    #[test]
    fn what_a_sync_could_not_write_is_not_in_the_next() {
        let tape = [Call::Write(0, vec![1; 512]), Call::FailedSync, Call::Sync];
        let mut found = [false; 2];
        for seed in 0..50 {
            let mut random = Random::new(seed);
            let mut moment = Moment::new(&[0; 512], &tape);
            moment.go_on_to(3, &mut random);
            let image = moment.crash(Kept::All, &mut random).image;
            found[usize::from(image[0])] = true;
        }
        assert_eq!(found, [true, true]);
    }
}
