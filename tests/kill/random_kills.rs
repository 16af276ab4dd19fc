//! Kills at random times.

use std::{thread, time::Duration};

use flow_store::End;

use crate::{
    flows::{EPOCHS, FLOWS, Flow, Job},
    random::{self, Random},
    support,
};

/// The default number of kills.
const KILLS: usize = 200;

/// The number of concurrent series for each flow.
const LANES: usize = 2;

/// Counts of the kills.
#[derive(Clone, Copy, Debug, Default)]
struct Kills {
    all: usize,
    /// Those between the first and the last commit of an epoch of their execution.
    amid: usize,
    /// Those that left output after the committed part.
    tails: usize,
}

impl Kills {
    fn add(&mut self, other: Kills) {
        self.all += other.all;
        self.amid += other.amid;
        self.tails += other.tails;
    }
}

/// Kills a flow until it reaches the end of its input.
fn series(flow: &Flow, random: &mut Random, name: &str) -> Kills {
    let job = Job::new(flow);
    let mut kills = Kills::default();
    let mut before = job.stored();
    loop {
        let (workers, epochs) = (1 + random.below(4), random.one_of(&EPOCHS));
        let context = format!("{name}, kill {}, -w {workers} {epochs}", kills.all);
        let there = job.written();
        let workers = workers.to_string();
        let mut options = vec!["--workers", &workers, "--epoch", epochs];
        if random.below(2) == 0 {
            options.extend(["--retain", random.one_of(&["1", "20", "2s"])]);
        }
        let mut running = job.start(&options);
        // Mostly when it has committed something, so that a slow start is not all that is killed.
        let mut wait = |event: &str, has_come: &dyn Fn() -> bool| {
            let ended_or = || !running.is_running() || has_come();
            support::wait_until(format!("{context}: {event} or ends"), ended_or);
        };
        let place = random.below(16);
        if place > 0 {
            wait("it writes", &|| job.written() > there);
        }
        if place > 1 {
            let changed = job.store_changed();
            wait("it commits", &|| job.store_changed() != changed);
        }
        thread::sleep(Duration::from_micros(random.below(250_000)));
        if !running.kill() {
            job.check_end(running.wait(), &context);
            return kills;
        }
        kills.all += 1;
        let (stored, tail) = job.check(&before, &context);
        kills.tails += usize::from(tail);
        if let Some(last) = stored
            .last
            .as_ref()
            .filter(|last| last.number > before.executions())
        {
            match &last.ended {
                None => kills.amid += usize::from(stored.epoch.number() > 0),
                Some((_, ended)) => assert_eq!(*ended, End::Finished, "{context}"),
            }
        }
        before = stored;
    }
}

#[test]
fn no_kill_shows_in_what_comes_out() {
    let seed = random::seed();
    let wanted = std::env::var("FLOW_KILLS").ok();
    let wanted = wanted.map_or(KILLS, |kills| kills.parse().unwrap());
    let lanes = FLOWS.len() * LANES;
    let share = wanted.div_ceil(lanes);
    let mut sum = Kills::default();
    thread::scope(|scope| {
        let lane = |lane: usize| {
            let flow = &FLOWS[lane % FLOWS.len()];
            let mut random = Random::new(seed, lane);
            scope.spawn(move || {
                let mut kills = Kills::default();
                for number in 0.. {
                    let name = format!("{}, lane {lane}, series {number}", flow.name);
                    kills.add(series(flow, &mut random, &name));
                    if kills.all >= share {
                        break;
                    }
                }
                kills
            })
        };
        let running: Vec<_> = (0..lanes).map(lane).collect();
        for lane in running {
            sum.add(lane.join().expect("see above; FLOW_KILL_SEED is there too"));
        }
    });
    let Kills { all, amid, tails } = sum;
    println!("{all} kills, {amid} of them between two commits, {tails} left a tail");
    assert!(all >= wanted, "only {all} kills");
    assert!(
        amid * 5 >= all * 4,
        "only {amid} of {all} kills met a flow at work"
    );
}
