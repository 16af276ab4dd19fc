//! Runs many cases, each from its own seed, and shrinks a case that fails.

use std::{
    env,
    hash::{BuildHasher, RandomState},
    panic,
    sync::{
        Once,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use proptest::{
    strategy::Strategy,
    test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner},
};

use crate::{
    case::{Size, cases},
    faults::PLANNED,
    statistics::Statistics,
    world::check,
};

/// How long a failed case is shrunk.
const SHRINK: Duration = Duration::from_secs(60);

/// The default number of small cases, and the number of small cases for each large one.
const NUMBER: u64 = 2_000;
const SMALL_FOR_EACH_LARGE: u64 = 50;

/// The variable that sets the number of small cases.
const CASES: &str = "FLOW_RANDOM_CASES";

/// The variable that sets a seed. Then all cases are the same one.
const SEED: &str = "FLOW_RANDOM_SEED";

/// Checks many cases of a size.
pub(crate) fn campaign(size: Size) -> Statistics {
    hide_planned_panics();
    let given = |name| env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let (seed, number) = (given(SEED), given(CASES).unwrap_or(NUMBER));
    let number = match (size, seed) {
        (Size::Large, None) => number.div_ceil(SMALL_FOR_EACH_LARGE),
        _ => number,
    };
    let first = RandomState::new().hash_one(0) >> 16;
    let (statistics, next, start) = (Statistics::default(), AtomicU64::new(0), Instant::now());
    let test = thread::current().name().unwrap_or_default().to_owned();
    let work = || -> Result<(), String> {
        loop {
            let case = next.fetch_add(1, SeqCst);
            if case >= number {
                return Ok(());
            }
            let seed = seed.unwrap_or(first + case);
            one(seed, size, &statistics).map_err(|failure| {
                next.store(number, SeqCst);
                format!(
                    "case {case}, {failure}\nto make it a hundred times again: \
                     {SEED}={seed} {CASES}=100 cargo test --test random {test}"
                )
            })?;
        }
    };
    let failed = thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let results: Vec<_> = threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect();
        results.into_iter().find_map(Result::err)
    });
    println!(
        "{number} cases, {size:?}, {:.0?}: {statistics}",
        start.elapsed()
    );
    if let Some(failure) = failed {
        panic!("{failure}");
    }
    statistics
}

/// Checks the case of a seed.
fn one(seed: u64, size: Size, statistics: &Statistics) -> Result<(), String> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config {
        failure_persistence: None,
        max_shrink_time: u32::try_from(SHRINK.as_millis()).unwrap(),
        max_shrink_iters: u32::MAX,
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let case = cases(size).new_tree(&mut runner).unwrap();
    let checked = runner.run_one(case, |case| {
        check(&case, statistics).map_err(TestCaseError::fail)
    });
    match checked {
        Ok(_) => Ok(()),
        Err(TestError::Fail(reason, case)) => Err(format!(
            "{reason}\nthe smallest case found in which something like it happens:{case:?}"
        )),
        Err(error) => Err(error.to_string()),
    }
}

/// Suppresses the output of planned panics.
fn hide_planned_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let show = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            let text = panic.payload_as_str().unwrap_or_default();
            if !text.starts_with(PLANNED) {
                show(panic);
            }
        }));
    });
}
