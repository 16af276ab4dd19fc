//! The power fails: at random calls, at every call, and at every call of the resume after that.

use super::crash::{Kept, Left, Moment};
use super::disk::{Call, Disk};
use super::history::{Found, History, Store};
use super::life::{self, Plan};
use super::seen::{Seen, kept};
use super::{Desk, Random, Wrong, expect};
use crate::error::{GoBackError, StoreError};
use crate::look::Look;
use crate::manifest::Agreed;
use crate::retain::Retain;
use std::env;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// Counts of the checked crashes.
#[derive(Clone, Copy, Default, Debug)]
struct Points {
    all: u64,
    /// An unsynced write was lost.
    lost: u64,
    /// A part of a write was there.
    torn: u64,
    /// Unsynced writes were reordered.
    reordered: u64,
    /// An unacknowledged commit was there.
    ahead: u64,
    /// An attempted commit was not there.
    behind: u64,
    /// The crash hit a start.
    in_start: u64,
    /// The crash hit a start after another crash.
    in_start_after_crash: u64,
    /// The store could go back to an earlier epoch.
    back: u64,
}

impl Points {
    fn add(&mut self, other: Points) {
        self.all += other.all;
        self.lost += other.lost;
        self.torn += other.torn;
        self.reordered += other.reordered;
        self.ahead += other.ahead;
        self.behind += other.behind;
        self.in_start += other.in_start;
        self.in_start_after_crash += other.in_start_after_crash;
        self.back += other.back;
    }
}

/// Checks one crash.
fn check(
    desk: &Desk,
    history: &History,
    at: usize,
    left: &Left,
    points: &mut Points,
) -> Result<Seen, Wrong> {
    let wrong = |wrong| format!("a crash after call {at}: {wrong}");
    let look = desk.look(&left.image);
    let look = look.map_err(|error| wrong(format!("it is refused: {error}")))?;
    let seen = Seen::in_store(&look).map_err(wrong)?;
    let Found { ahead, behind } = history.check(at, &seen).map_err(wrong)?;
    let refused = look.reconcile(&[], &Agreed::default()).is_err();
    expect(
        refused,
        !seen.steps.is_empty(),
        "the refusal of a flow without steps",
    )?;
    let back = go_back(look, history, &seen).map_err(wrong)?;
    expect(desk.is_untouched(&left.image), true, "untouched by a look").map_err(wrong)?;
    points.add(Points {
        all: 1,
        lost: left.lost.into(),
        torn: left.torn.into(),
        reordered: left.reordered.into(),
        ahead: ahead.into(),
        behind: behind.into(),
        in_start: (at <= history.started).into(),
        in_start_after_crash: 0,
        back: back.into(),
    });
    Ok(seen)
}

/// Checks one of the retained epochs, a different one each time. Returns whether there was one.
fn go_back(look: Look, history: &History, seen: &Seen) -> Result<bool, Wrong> {
    let Some(to) = seen
        .retained
        .get(seen.rows.len() % seen.retained.len().max(1))
    else {
        return Ok(false);
    };
    let look = match look.go_back(*to) {
        Ok(look) => look,
        Err(StoreError::GoBack(GoBackError::WentBack { .. })) => return Ok(false),
        Err(error) => return Err(format!("the way back to {to}: {error}")),
    };
    let kept = kept(&look).map_err(|error| error.to_string())?;
    expect(kept, history.past(seen)[to].clone(), &format!("epoch {to}"))?;
    Ok(true)
}

/// Runs some lives, each on the result of a crash in the life before.
fn lives(seed: u64, made: &Store, desk: &Desk) -> Result<Points, Wrong> {
    const LIVES: u64 = 5;
    const CRASHES: usize = 20;
    let mut random = Random::new(seed);
    let mut points = Points::default();
    let mut store = made.clone();
    for life in 0..LIVES {
        let look = desk.look(&store.image).map_err(|error| error.to_string())?;
        let disk = Disk::new(&store.image);
        let history = life::any(look, &store, &disk, &mut random)?;
        let tape = disk.tape();
        if tape.is_empty() {
            continue; // The start was refused.
        }
        let calls = |upto: usize, random: &mut Random| 1 + random.below(upto as u64) as usize;
        // Every other time the next life resumes after a crash in a start.
        let next = match (history.started, random.below(2)) {
            (started @ 1.., 0) => calls(started, &mut random),
            _ => calls(tape.len(), &mut random),
        };
        let mut at: Vec<usize> = (1..CRASHES)
            .map(|_| calls(tape.len(), &mut random))
            .collect();
        at.push(next);
        at.sort_unstable();
        let mut moment = Moment::new(&store.image, &tape);
        let mut left_by_next = None;
        let mut here = Points::default();
        for at in at {
            moment.go_on_to(at, &mut random);
            let left = moment.crash(Kept::any(&mut random), &mut random);
            let seen = check(desk, &history, at, &left, &mut here)
                .map_err(|wrong| format!("life {life}: {wrong}"))?;
            if at == next {
                left_by_next = Some(history.left(at, left.image, seen));
            }
        }
        if life > 0 {
            here.in_start_after_crash = here.in_start;
        }
        points.add(here);
        store = left_by_next.unwrap_or(store);
    }
    Ok(points)
}

/// A number from the environment.
fn number(name: &str, default: u64) -> u64 {
    match env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name}={text} is no number")),
        Err(_) => default,
    }
}

#[test]
fn at_random_calls() {
    let wanted = number("FLOW_SIM_POINTS", 10_000);
    let seeds = AtomicU64::new(number("FLOW_SIM_SEED", 1));
    let made = life::made();
    let (points, wrong) = (Mutex::new(Points::default()), Mutex::new(None));
    let work = || {
        let desk = Desk::new();
        while wrong.lock().unwrap().is_none() && points.lock().unwrap().all < wanted {
            let seed = seeds.fetch_add(1, Ordering::Relaxed);
            match lives(seed, &made, &desk) {
                Ok(more) => points.lock().unwrap().add(more),
                Err(what) => *wrong.lock().unwrap() = Some((seed, what)),
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    if let Some((seed, wrong)) = wrong.into_inner().unwrap() {
        panic!("seed {seed}: {wrong}\nagain with FLOW_SIM_SEED={seed} FLOW_SIM_POINTS=1");
    }
    let points = points.into_inner().unwrap();
    println!("{points:?}");
    assert!(points.all >= wanted);
    // The run of a single seed need not have everything.
    if wanted >= 1000 {
        let all = points.all;
        assert!(points.lost > all / 3 && points.torn > all / 20 && points.reordered > all / 10);
        assert!(points.ahead > all / 20 && points.behind > all / 3);
        assert!(points.in_start > all / 5 && points.in_start_after_crash > all / 10);
        assert!(points.back > all / 3);
    }
}

/// An execution of a few commits that ends, on a store after a crash.
fn short(desk: &Desk, random: &mut Random) -> (Store, Disk, History) {
    let mut store = life::made();
    let plan = Plan {
        retain: Retain::Epochs(3),
        ..Plan::of(2)
    };
    for plan in [
        plan,
        Plan {
            commits: 3,
            ends: true,
            ..plan
        },
    ] {
        let disk = Disk::new(&store.image);
        let look = desk.look(&store.image).unwrap();
        let history = life::execute(look, &store, &disk, plan, random).unwrap();
        if plan.ends {
            return (store, disk, history);
        }
        let tape = disk.tape();
        let mut moment = Moment::new(&store.image, &tape);
        let at = tape.len() - 1;
        moment.go_on_to(at, random);
        let left = moment.crash(Kept::All, random);
        let seen = check(desk, &history, at, &left, &mut Points::default()).unwrap();
        store = history.left(at, left.image, seen);
    }
    unreachable!("the last plan ends")
}

#[test]
fn at_every_call_of_a_short_life() {
    let (desk, mut random) = (Desk::new(), Random::new(7));
    let (store, disk, history) = short(&desk, &mut random);
    let tape = disk.tape();
    let mut points = Points::default();
    let mut moment = Moment::new(&store.image, &tape);
    for at in 0..=tape.len() {
        moment.go_on_to(at, &mut random);
        let one_missing = [Kept::AllButOne; 6];
        let some = [Kept::Some(50); 6];
        for kept in [Kept::Nothing, Kept::All]
            .into_iter()
            .chain(one_missing)
            .chain(some)
        {
            let left = moment.crash(kept, &mut random);
            let seen = check(&desk, &history, at, &left, &mut points).unwrap();
            // A resume without further crashes succeeds.
            if let Kept::All = kept {
                let store = history.left(at, left.image, seen);
                resume_in_peace(&desk, &store, &mut random);
            }
        }
    }
    println!("{} calls: {points:?}", tape.len());
    assert!(
        tape.len() > 60 && points.ahead > 20 && points.behind > 200,
        "{points:?}"
    );
}

fn resume_in_peace(desk: &Desk, store: &Store, random: &mut Random) {
    let plan = Plan {
        ends: true,
        ..Plan::of(1)
    };
    let disk = Disk::new(&store.image);
    let look = desk.look(&store.image).unwrap();
    let history = life::execute(look, store, &disk, plan, random).unwrap();
    let look = desk.look(&disk.live()).unwrap();
    assert_eq!(Seen::in_store(&look).unwrap(), *history.last());
}

/// Invariant I13: a crash at any call, and then a crash at any call of the resume.
#[test]
fn at_every_call_of_a_resume_after_a_crash_at_every_call() {
    let plan = Plan {
        retain: Retain::Epochs(3),
        goes_back: true,
        ..Plan::of(0)
    };
    let (desk, mut random) = (Desk::new(), Random::new(11));
    let (store, disk, history) = short(&desk, &mut random);
    let tape = disk.tape();
    let mut points = Points::default();
    let mut moment = Moment::new(&store.image, &tape);
    for at in 0..=tape.len() {
        moment.go_on_to(at, &mut random);
        let left = moment.crash(Kept::any(&mut random), &mut random);
        let seen = check(&desk, &history, at, &left, &mut Points::default()).unwrap();
        let store = history.left(at, left.image, seen);
        let disk = Disk::new(&store.image);
        let look = desk.look(&store.image).unwrap();
        let history = life::execute(look, &store, &disk, plan, &mut random).unwrap();
        let tape = disk.tape();
        let mut moment = Moment::new(&store.image, &tape);
        for at in 0..=tape.len() {
            moment.go_on_to(at, &mut random);
            let left = moment.crash(Kept::any(&mut random), &mut random);
            check(&desk, &history, at, &left, &mut points).unwrap();
        }
    }
    println!("{points:?}");
    assert!(
        points.all > 1000 && points.lost > 300 && points.in_start > 500,
        "{points:?}"
    );
}

/// Proves that the other tests can fail: if syncs did nothing, stores would be lost.
#[test]
fn a_disk_that_lies_about_its_syncs_is_found_out() {
    let (desk, mut random) = (Desk::new(), Random::new(13));
    let (store, disk, history) = short(&desk, &mut random);
    let nothing = Call::Write(0, Vec::new());
    let lie = |call| match call {
        Call::Sync => nothing.clone(),
        call => call,
    };
    let tape: Vec<Call> = disk.tape().into_iter().map(lie).collect();
    let mut moment = Moment::new(&store.image, &tape);
    let mut wrong = 0;
    for at in 0..=tape.len() {
        moment.go_on_to(at, &mut random);
        let left = moment.crash(Kept::any(&mut random), &mut random);
        wrong += u32::from(check(&desk, &history, at, &left, &mut Points::default()).is_err());
    }
    assert!(wrong > 10, "{wrong} of {}", tape.len());
}
