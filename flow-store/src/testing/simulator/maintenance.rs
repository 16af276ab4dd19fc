//! The power fails while a step is dropped or renamed. The change is made as a whole or not at all,
//! and an execution can resume after either.

use super::crash::{Kept, Moment};
use super::disk::Disk;
use super::life::{self, Plan};
use super::seen::Seen;
use super::{Desk, Random};
use crate::maintenance::steps::Change;

#[test]
fn at_every_call() {
    let (desk, mut random) = (Desk::new(), Random::new(17));
    let plan = Plan {
        ends: true,
        ..Plan::of(4)
    };
    let made = life::made();
    let disk = Disk::new(&made.image);
    let look = desk.look(&made.image).unwrap();
    let history = life::execute(look, &made, &disk, plan, &mut random).unwrap();
    let store = history.left(disk.now(), disk.live(), history.last().clone());
    let of_a = |seen: &Seen| seen.rows.keys().filter(|(step, ..)| *step == 0).count();
    assert!(of_a(&store.seen) > 10, "{}", of_a(&store.seen));
    for renamed in [false, true] {
        let disk = Disk::new(&store.image);
        let look = desk.look(&store.image).unwrap();
        let step = look.step("a").unwrap().clone();
        let change = match renamed {
            false => Change::Drop(step),
            true => Change::Rename(step, "another".to_owned()),
        };
        let history = life::change_steps(look, &store, &disk, &change).unwrap();
        let tape = disk.tape();
        let mut moment = Moment::new(&store.image, &tape);
        let (mut old, mut new) = (0, 0);
        for at in 0..=tape.len() {
            moment.go_on_to(at, &mut random);
            for _ in 0..12 {
                let left = moment.crash(Kept::any(&mut random), &mut random);
                let look = desk.look(&left.image).unwrap();
                let seen = Seen::in_store(&look).unwrap();
                let found = history.check(at, &seen);
                found.unwrap_or_else(|wrong| panic!("call {at}: {wrong}"));
                match seen == store.seen {
                    true => old += 1,
                    false => new += 1,
                }
                let store = history.left(at, left.image, seen);
                let disk = Disk::new(&store.image);
                let plan = Plan {
                    steps_change: true,
                    ..Plan::of(1)
                };
                let history = life::execute(look, &store, &disk, plan, &mut random).unwrap();
                let look = desk.look(&disk.live()).unwrap();
                assert_eq!(Seen::in_store(&look).unwrap(), *history.last(), "call {at}");
            }
        }
        assert!(old > 50 && new > 20, "{old} {new}");
    }
}
