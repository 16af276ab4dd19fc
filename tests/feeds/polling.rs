//! `source::poll`: polls on time by the clock of the run, retries, and resumes after the last
//! durable record.

use std::{
    iter,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use flow::{
    BuildError, Clock, Epochs, Recovery, RunError, RunHandle, Runner, sink,
    source::{self, NoResume, PollSource, Source, SourceError},
    testing::{Event, TestSink, TestSource},
};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A poll: how many seconds it takes, and its result.
type Poll = (u64, Result<u64, &'static str>);

type Set = fn(PollSource<u64, NoResume>) -> PollSource<u64, NoResume>;

/// The second of each poll, and its result or error.
type Polled = (Vec<u64>, Result<Vec<u64>, String>);

/// Polls each minute for some seconds of a manual clock. After the end of the script all polls
/// return 0. Returns the second of each poll, and its result or error.
fn polls(clock: &Clock, lasts: usize, script: &[Poll], set: Set) -> Polled {
    polls_each(seconds(60), clock, lasts, script, set)
}

fn polls_each(
    interval: Duration,
    clock: &Clock,
    lasts: usize,
    script: &[Poll],
    set: Set,
) -> Polled {
    let start = clock.now();
    let (times, out, ticks) = (
        Arc::<Mutex<Vec<u64>>>::default(),
        TestSink::new(),
        TestSource::new(),
    );
    let passing = iter::repeat_n(Event::Pause(seconds(1)), lasts);
    ticks.feed_events("ticks", passing.chain([Event::Stop]));
    let (noted, output, time, script) =
        (times.clone(), out.clone(), clock.clone(), script.to_vec());
    let runner = Runner::new(move |flow| {
        let (clock, noted) = (time.clone(), noted.clone());
        let mut script = script.clone().into_iter();
        let poll = source::poll(interval, move || {
            noted.lock().unwrap().push((clock.now() - start).as_secs());
            let (takes, result) = script.next().unwrap_or((0, Ok(0)));
            clock.advance(seconds(takes));
            result.map(Some).map_err(SourceError::new)
        });
        let polled = flow.source(set(poll)).named("polled");
        let ticks = flow.source(ticks.clone()).named("ticks");
        polled.merge(ticks).sink(output.clone());
    });
    let ended = runner.clock(clock.clone()).run();
    let times = times.lock().unwrap().clone();
    (
        times,
        ended
            .map(|_| out.items())
            .map_err(|error| error.to_string()),
    )
}

#[test]
fn polls_come_at_the_start_and_then_at_the_interval() {
    let (times, seen) = polls(&Clock::manual(), 190, &[(0, Ok(1)), (0, Ok(2))], |poll| {
        poll
    });
    assert_eq!(times, [0, 60, 120, 180]);
    assert_eq!(seen.unwrap(), [1, 2, 0, 0]);
    // One that takes long does not have the next ones come in a burst.
    let (times, _) = polls(
        &Clock::manual(),
        150,
        &[(10, Ok(1)), (200, Ok(2))],
        |poll| poll,
    );
    // The ticks had their turn once in between.
    assert_eq!(times, [0, 60, 261, 321]);
}

#[test]
fn aligned_polls_come_at_full_multiples_of_the_interval() {
    let clock = || Clock::manual_at("2026-11-26T12:00:25Z".parse().unwrap());
    let (times, _) = polls(
        &clock(),
        160,
        &[(10, Ok(1)), (0, Ok(2))],
        PollSource::aligned,
    );
    assert_eq!(times, [35, 95, 155]);
    // One that takes longer than the interval misses some.
    let (times, _) = polls(
        &clock(),
        90,
        &[(70, Ok(1)), (0, Ok(2))],
        PollSource::aligned,
    );
    assert_eq!(times, [35, 155]);
    let (times, _) = polls(&clock(), 160, &[], |poll| {
        poll.aligned_to("2030-01-01T00:00:30Z".parse().unwrap())
    });
    assert_eq!(times, [5, 65, 125]);
    // A poll that comes at such a time comes at once, and once.
    let clock = Clock::manual_at("2026-11-26T12:00:00Z".parse().unwrap());
    let (times, _) = polls(&clock, 70, &[], PollSource::aligned);
    assert_eq!(times, [0, 60]);
}

#[test]
fn a_poll_that_fails_is_tried_again_with_longer_and_longer_waits() {
    let twice = [
        (0, Ok(1)),
        (0, Err("no answer")),
        (1, Err("no answer")),
        (0, Ok(2)),
    ];
    let (times, seen) = polls(&Clock::manual(), 190, &twice, |poll| {
        poll.retry(2, seconds(10))
    });
    assert_eq!(times, [0, 60, 70, 90, 150]);
    assert_eq!(seen.unwrap(), [1, 2, 0]);
    // Waits are not longer than the interval, and what is aligned is so again afterwards.
    let four = [(0, Err("no answer")); 4];
    let (times, seen) = polls(&Clock::manual(), 250, &four, |poll| {
        poll.retry(4, seconds(20)).aligned()
    });
    assert_eq!(times, [0, 20, 60, 120, 180, 240]);
    assert_eq!(seen.unwrap(), [0, 0]);
    // The retries are those in a row.
    let (times, seen) = polls(&Clock::manual(), 250, &four, |poll| {
        poll.retry(2, seconds(20))
    });
    assert_eq!(times, [0, 20, 60]);
    let error = seen.unwrap_err();
    assert!(
        error.contains("no answer\nhelp: 2 retries have failed too"),
        "{error}"
    );
}

#[test]
fn without_retries_an_error_fails_the_flow() {
    let script = [(0, Ok(1)), (0, Err("no answer"))];
    let (times, seen) = polls(&Clock::manual(), 100, &script, |poll| poll);
    assert_eq!(times, [0, 60]);
    let error = seen.unwrap_err();
    assert!(
        error.contains("step `polled` failed") && error.contains("no answer"),
        "{error}"
    );
    assert!(!error.contains("retries"), "{error}");
}

#[test]
fn what_is_polled_without_a_token_can_not_resume() {
    let home = tempfile::tempdir().unwrap();
    let run = |lossy: bool| {
        let runner = Runner::new(move |flow| {
            let poll = source::poll(seconds(1), || -> Result<Vec<u64>, _> {
                Err(SourceError::new("polled"))
            });
            let stream = match lossy {
                true => flow.source(poll.lossy()),
                false => flow.source(poll),
            };
            stream.sink(sink::from_fn(|_: u64| ()));
        });
        runner
            .recover(Recovery::at(home.path().join("state")))
            .run()
            .unwrap_err()
    };
    let error = run(false);
    assert!(
        matches!(error, RunError::Build(BuildError::CannotResume { .. })),
        "{error}"
    );
    assert!(matches!(run(true), RunError::Record(_)));
}

/// A growing table of rows. Each poll gets the rows after the last one that was read. Every few
/// records the run is aborted.
#[test]
fn a_poll_with_a_token_goes_on_behind_the_last_durable_record() {
    for epochs in [
        Epochs::every_record(),
        Epochs::records(3),
        Epochs::records(1000),
    ] {
        let home = tempfile::tempdir().unwrap();
        let (out, clock) = (TestSink::new(), Clock::manual());
        let rows = Arc::new(Mutex::new(Vec::<u64>::new()));
        let ticks = TestSource::new();
        for _ in 0..5 {
            let passing = iter::repeat_n(Event::Pause(seconds(1)), 7);
            ticks.feed_events("ticks", passing.chain([Event::Kill]));
            let (feed, table, output, time) =
                (ticks.clone(), rows.clone(), out.clone(), clock.clone());
            let runner = Runner::new(move |flow| {
                let (table, clock) = (table.clone(), time.clone());
                let poll = source::poll_with_token(seconds(2), move |last: Option<&u64>| {
                    let mut table = table.lock().unwrap();
                    // Three rows in each second so far, with gaps.
                    let last_row = clock.timestamp().as_second().unsigned_abs() * 30;
                    let from = table.last().copied().unwrap_or(0);
                    table.extend((from + 1..=last_row).filter(|id| id % 10 == 7));
                    let unread = table.iter().filter(|id| Some(*id) > last).copied();
                    let unread: Vec<_> = unread.collect();
                    Ok(unread.into_iter().map(|id| (id, id)))
                });
                let polled = flow.source(poll).named("polled");
                let ticks = flow.source(feed.clone()).named("ticks");
                polled.merge(ticks).sink(output.clone()).named("out");
            });
            let recovery = Recovery::at(home.path().join("state"));
            let runner = runner.epochs(epochs).clock(clock.clone());
            let error = runner.recover(recovery).run().unwrap_err();
            assert!(matches!(error, RunError::CutShort { .. }), "{error}");
        }
        let rows = rows.lock().unwrap().clone();
        let seen = out.items();
        assert!(seen.len() > 20, "{seen:?}");
        assert_eq!(seen, rows[..seen.len()], "{epochs:?}");
    }
}

/// More records than the budget has room for at a time.
#[test]
fn what_was_polled_before_a_stop_comes_out() {
    let stop: Arc<OnceLock<RunHandle>> = Arc::default();
    let (out, seen) = sink::collect();
    let stops = stop.clone();
    let runner = Runner::new(move |flow| {
        let stop = stops.clone();
        let poll = source::poll(Duration::ZERO, || Ok(0..250_000u32));
        let polled = flow.source(poll).named("polled");
        polled
            .inspect(move |_| stop.get().unwrap().stop())
            .sink(out.clone());
    });
    stop.set(runner.handle()).unwrap();
    assert_eq!(runner.run().unwrap().records, 250_000);
    assert!(seen.take().into_iter().eq(0..250_000));
}

/// The next time is too far away to be represented.
#[test]
fn polls_that_are_for_ever_apart_come_once() {
    let (times, seen) = polls_each(
        Duration::MAX,
        &Clock::manual(),
        100,
        &[(0, Ok(1))],
        |poll| poll,
    );
    assert_eq!(times, [0]);
    assert_eq!(seen.unwrap(), [1]);
}

/// Records that can't be polled again are processed before a stop, as far as time allows. Processed
/// records are kept, and the others are counted.
#[test]
fn a_stop_that_can_not_process_all_that_was_taken_says_how_much_it_was() {
    const ALL: u64 = 10_000;
    for fallible in [false, true] {
        let stop: Arc<OnceLock<RunHandle>> = Arc::default();
        let home = tempfile::tempdir().unwrap();
        let (stops, (out, seen)) = (stop.clone(), sink::collect());
        let runner = Runner::new(move |flow| {
            let polled = source::poll(Duration::MAX, || Ok(0..ALL));
            let polled = flow.source(polled.lossy()).named("polled");
            let stop = stops.clone();
            let slow = move |n: &u64| {
                std::thread::sleep(Duration::from_millis(5));
                if *n == 3 {
                    stop.get().unwrap().stop();
                }
            };
            let slow = match fallible {
                false => polled.inspect(slow),
                true => polled.try_map(move |n| {
                    slow(&n);
                    Ok::<_, &str>(n)
                }),
            };
            slow.sink(out.clone()).named("out");
        });
        let runner = runner.recover(Recovery::at(home.path().join("state")));
        let runner = runner.drain_within(seconds(4));
        stop.set(runner.handle()).unwrap();
        let outcome = runner.run().unwrap();
        let seen = seen.take();
        assert!(seen.len() >= 4 && seen.len() < 10_000);
        assert_eq!(seen, (0..outcome.records).collect::<Vec<_>>());
        assert_eq!(outcome.unprocessed, ALL - outcome.records);
        let text = format!(
            "{} more taken and not processed in time",
            outcome.unprocessed
        );
        assert!(outcome.to_string().contains(&text), "{outcome}");
    }
}
