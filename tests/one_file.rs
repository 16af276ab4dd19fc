//! One file and many workers: all of them process its lines, and the results are those of one
//! worker.
#![cfg(test)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    thread::{self, ThreadId},
    time::{Duration, Instant},
};

use flow::{Ended, OnError, Outcome, Retain, prelude::*, sink};
use tempfile::TempDir;

/// The number of keys.
const KEYS: usize = 5;

#[derive(Clone, Serialize, Deserialize)]
struct Order {
    user: String,
    n: u64,
}

/// A file of orders, with the paths of its results and its store.
struct Shop {
    directory: TempDir,
    workers: usize,
    epochs: Epochs,
    /// How many lines workers give each other at a time.
    block: Option<usize>,
    on_error: OnError,
    /// Whether a last line without a newline is read.
    take_unfinished: bool,
}

fn order(n: usize) -> String {
    format!(r#"{{"user":"u{}","n":{n}}}"#, n % KEYS)
}

/// The lines of orders, each with its end.
fn orders(numbers: impl IntoIterator<Item = usize>) -> String {
    numbers.into_iter().map(|n| order(n) + "\n").collect()
}

impl Shop {
    fn with(input: impl AsRef<[u8]>) -> Self {
        let shop = Shop {
            // In memory where that is possible: the store syncs each of its commits.
            directory: tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| TempDir::new().unwrap()),
            workers: 2,
            epochs: Epochs::every(Duration::from_secs(3600)),
            block: Some(5),
            on_error: OnError::Fail,
            take_unfinished: true,
        };
        fs::write(shop.input(), input).unwrap();
        shop
    }

    fn input(&self) -> PathBuf {
        self.directory.path().join("orders.json")
    }

    fn output(&self) -> PathBuf {
        self.directory.path().join("out")
    }

    fn runner(&self, build: impl Fn(&Flow) + Send + Sync + 'static) -> Runner {
        let runner = Runner::new(build).workers(self.workers);
        let runner = runner.epochs(self.epochs);
        match self.block {
            Some(lines) => runner.blocks_of(lines),
            None => runner,
        }
    }

    fn recovery(&self) -> Recovery {
        Recovery::at(self.directory.path().join("state"))
    }

    /// Numbers the orders of each user, and fails on those that `is_bad` says.
    fn numbered(&self, is_bad: fn(u64) -> bool, skip: fn(u64) -> bool) -> Runner {
        let (input, output, on_error) = (self.input(), self.output(), self.on_error);
        self.runner(move |flow| {
            let source = JsonLines::open::<Order>(&input).on_error(on_error);
            let orders = flow.source(source).named("orders");
            let good = move |order: Order| match is_bad(order.n) {
                true => Err(format!("order {} is bad", order.n)),
                false => Ok(order),
            };
            let wanted = move |order: Order| match skip(order.n) {
                true => Err("not wanted"),
                false => Ok(order),
            };
            let orders = orders.try_map_with(wanted, OnError::Skip).named("wanted");
            let users = orders.try_map(good).key_on(|order| order.user.clone());
            let number = |seen: &mut u64, order: Order| {
                *seen += 1;
                format!("{} {}", order.n, *seen)
            };
            let numbered = users.stateful_map(number).named("number");
            let lines = numbered.map(|(user, line)| format!("{user} {line}"));
            lines.sink(TextLines::write_to(&output)).named("out");
        })
    }

    fn run(&self) -> Result<Outcome, RunError> {
        let mut runner = self.numbered(|_| false, |_| false);
        if self.take_unfinished {
            runner = runner.take_unfinished_lines();
        }
        runner.recover(self.recovery()).run()
    }

    /// The results of each user, in their order.
    fn results(&self) -> BTreeMap<String, Vec<String>> {
        let mut results: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in fs::read_to_string(self.output())
            .unwrap_or_default()
            .lines()
        {
            let (user, rest) = line.split_once(' ').unwrap();
            results
                .entry(user.to_owned())
                .or_default()
                .push(rest.to_owned());
        }
        results
    }
}

/// The expected results for these orders.
fn expected(numbers: impl IntoIterator<Item = usize>) -> BTreeMap<String, Vec<String>> {
    let mut results: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for n in numbers {
        let of_user = results.entry(format!("u{}", n % KEYS)).or_default();
        let line = format!("{n} {}", of_user.len() + 1);
        of_user.push(line);
    }
    results
}

fn append(path: &Path, text: &str) {
    let file = fs::File::options().append(true).open(path);
    file.unwrap().write_all(text.as_bytes()).unwrap();
}

// ---- that it happens

/// Runs a flow of slow steps, and returns the threads on which they ran.
fn threads(
    source: impl Fn(&Path) -> flow::source::TextLinesSource + Send + Sync + 'static,
) -> usize {
    let shop = Shop {
        block: None,
        ..Shop::with(orders(0..20_000))
    };
    let input = shop.input();
    let seen: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let threads = seen.clone();
    let runner = shop.runner(move |flow| {
        let threads = threads.clone();
        let lines = flow.source(source(&input)).named("lines");
        let lines = lines.filter(move |_| {
            let mut threads = threads.lock().unwrap();
            let id: ThreadId = thread::current().id();
            threads.insert(format!("{id:?}"));
            if threads.len() < 2 {
                // The others may need a while to get a processor.
                drop(threads);
                thread::sleep(Duration::from_micros(100));
            }
            false
        });
        lines.sink(TextLines::stdout());
    });
    assert_eq!(runner.run().unwrap().records, 20_000);
    let seen = seen.lock().unwrap();
    seen.len()
}

#[test]
fn workers_without_a_file_of_their_own_help_with_one_that_is_large() {
    assert_eq!(threads(|path| TextLines::open(path)), 2);
}

#[test]
fn a_file_can_be_left_to_one_worker() {
    assert_eq!(threads(|path| TextLines::open(path).on_one_worker()), 1);
}

// ---- that nothing else shows it

#[test]
fn the_results_and_their_order_are_those_of_one_worker() {
    const LINES: usize = 3000;
    // Every kind of line that there is: blank ones, either end, and a last one without.
    let line = |n| match n % 7 {
        3 => format!("\n  \n{}\r\n", order(n)),
        _ => order(n) + "\n",
    };
    let input: String = (0..LINES - 1).map(line).collect();
    for (workers, block, epochs) in [
        (2, None, Epochs::every(Duration::from_secs(3600))),
        (2, Some(1), Epochs::every_record()),
        (2, Some(64), Epochs::records(1000)),
        (3, Some(7), Epochs::records(10)),
        (4, None, Epochs::records(1000)),
        (4, Some(50), Epochs::every(Duration::from_millis(1))),
    ] {
        let shop = Shop {
            workers,
            block,
            epochs,
            ..Shop::with(input.clone() + &order(LINES - 1))
        };
        let outcome = shop.run().unwrap();
        let context = format!("{workers} workers, {block:?}, {epochs:?}");
        assert_eq!(outcome.records, LINES as u64, "{context}");
        assert_eq!(shop.results(), expected(0..LINES), "{context}");
        let again = shop.run().unwrap();
        assert_eq!((again.ended, again.records), (Ended::Finished, 0));
    }
}

/// An output on each worker gets the records of the file's owner in order, whichever worker
/// processed them.
#[test]
fn a_sink_on_each_worker_sees_the_order_of_the_file() {
    let shop = Shop::with(orders(0..2000));
    let input = shop.input();
    let seen: Arc<Mutex<Vec<u64>>> = Arc::default();
    let written = seen.clone();
    let runner = shop.runner(move |flow| {
        let orders = flow
            .source(JsonLines::open::<Order>(&input))
            .named("orders");
        let written = written.clone();
        let write = move |n: u64| written.lock().unwrap().push(n);
        orders.map(|order| order.n).sink(sink::from_fn(write));
    });
    runner.run().unwrap();
    assert!(seen.lock().unwrap().iter().copied().eq(0..2000));
}

#[test]
fn records_that_are_left_out_are_counted_once_however_the_runs_end() {
    /// More than what is left of a block, and the records of another one up to one that is left
    /// out.
    const AHEAD: u64 = 15;
    let line = |n| match n % 10 {
        4 => "no order\n".to_owned(),
        9 => format!("{:>2000}\n", order(n)),
        _ => order(n) + "\n",
    };
    let input: String = (0..2000).map(line).collect();
    for workers in [1, 2, 4] {
        let shop = Shop {
            workers,
            on_error: OnError::Skip,
            ..Shop::with(&input)
        };
        let (mut skipped, mut records) = ([0, 0], 0);
        for stop_at in [300, 1000, u64::MAX] {
            let (input, output) = (shop.input(), shop.output());
            let handle: Arc<Mutex<Option<flow::RunHandle>>> = Arc::default();
            let stop = handle.clone();
            let furthest: Arc<AtomicU64> = Arc::default();
            let runner = shop.runner(move |flow| {
                let source = JsonLines::open::<Order>(&input).max_line(1000);
                let orders = flow.source(source.on_error(OnError::Skip)).named("orders");
                let (stop, furthest) = (stop.clone(), furthest.clone());
                let orders = orders.inspect(move |order| {
                    furthest.fetch_max(order.n, SeqCst);
                    if order.n == stop_at {
                        // Where a block behind this one is under way on another worker, it has left
                        // out some of its own.
                        let deadline = Instant::now() + Duration::from_secs(1);
                        let is_ahead = || furthest.load(SeqCst) > stop_at + AHEAD;
                        while workers > 1 && !is_ahead() && Instant::now() < deadline {
                            thread::yield_now();
                        }
                        stop.lock().unwrap().as_ref().unwrap().stop();
                    }
                });
                let wanted = |order: Order| match order.n % 10 {
                    2 => Err("not wanted"),
                    _ => Ok(order.n),
                };
                let orders = orders.try_map_with(wanted, OnError::Skip).named("wanted");
                orders.sink(JsonLines::write_to(&output));
            });
            *handle.lock().unwrap() = Some(runner.handle());
            let outcome = runner.recover(shop.recovery()).run().unwrap();
            records += outcome.records;
            for (count, step) in skipped.iter_mut().zip(["orders", "wanted"]) {
                let of_step = outcome.skipped.iter().find(|(id, _)| id == step);
                *count += of_step.map_or(0, |(_, count)| *count);
            }
        }
        assert_eq!((records, skipped), (2000, [400, 200]), "{workers} workers");
        let written = fs::read_to_string(shop.output()).unwrap();
        let expected = (0..2000).filter(|n| ![2, 4, 9].contains(&(n % 10)));
        assert!(
            written
                .lines()
                .map(|n| n.parse::<u64>().unwrap())
                .eq(expected)
        );
    }
}

// ---- failures

/// An invalid line at any place: first, last or in between, in the first block, the last or
/// another.
#[test]
fn a_failure_stops_exactly_there_and_the_next_run_starts_at_it() {
    const LINES: usize = 33;
    for bad in [0, 1, 4, 5, 7, 9, 10, 24, 29, 30, 31, 32] {
        let (workers, then) = [(2, 3), (4, 1)][bad % 2];
        let mut lines: Vec<_> = (0..LINES).map(order).collect();
        lines[bad] = lines[bad].replace(r#""n":"#, r#""m":"#);
        let mut shop = Shop {
            workers,
            ..Shop::with(lines.join("\n") + "\n")
        };
        for _ in 0..2 {
            stops_at(bad, shop.run(), "missing field `n`", &shop);
        }
        fs::write(shop.input(), orders(0..LINES)).unwrap();
        shop.workers = then;
        assert_eq!(shop.run().unwrap().records, (LINES - bad) as u64);
        assert_eq!(shop.results(), expected(0..LINES));
    }
}

#[track_caller]
fn stops_at(bad: usize, result: Result<Outcome, RunError>, cause: &str, shop: &Shop) {
    let Err(RunError::Record(error)) = result else {
        panic!("it ended in {result:?}");
    };
    assert_eq!(error.position, Some(format!("line {}", bad + 1)));
    assert!(
        error
            .excerpt
            .as_ref()
            .unwrap()
            .contains(&format!("{bad}}}"))
    );
    assert!(error.to_string().contains(cause), "{error}");
    assert!(error.safe.exact);
    assert_eq!(
        shop.results(),
        expected(0..bad),
        "what comes before is safe"
    );
}

#[test]
fn so_does_one_in_a_step() {
    const LINES: usize = 40;
    for block in [1, 4, 100] {
        for epochs in [
            Epochs::every_record(),
            Epochs::records(7),
            Epochs::records(1000),
        ] {
            let mut shop = Shop {
                block: Some(block),
                epochs,
                ..Shop::with(orders(0..LINES))
            };
            let failing = |shop: &Shop| {
                let runner = shop.numbered(|n| n == 23, |_| false);
                runner.recover(shop.recovery()).run()
            };
            for workers in [2, 3] {
                shop.workers = workers;
                stops_at(23, failing(&shop), "order 23 is bad", &shop);
            }
            shop.workers = 2;
            assert_eq!(shop.run().unwrap().records, 17);
            assert_eq!(shop.results(), expected(0..LINES));
        }
    }
}

#[test]
fn a_line_that_is_too_long_is_named_wherever_it_stands() {
    for bad in [0, 4, 5, 19] {
        let lines = (0..20).map(|n| match n == bad {
            true => "x".repeat(200) + "\n",
            false => format!("{n}\n"),
        });
        let shop = Shop::with(lines.collect::<String>());
        let (input, output) = (shop.input(), shop.output());
        let runner = shop.runner(move |flow| {
            let lines = flow
                .source(TextLines::open(&input).max_line(100))
                .named("lines");
            lines.sink(TextLines::write_to(&output));
        });
        let error = runner.recover(shop.recovery()).run().unwrap_err();
        let error = error.to_string();
        assert!(error.contains(&format!("line {}", bad + 1)), "{error}");
        assert!(error.contains("longer than 100 bytes"), "{error}");
        let written = fs::read_to_string(shop.output()).unwrap();
        assert_eq!(written.lines().count(), bad);
    }
}

#[test]
fn a_panic_on_a_worker_that_helps_names_the_step_and_hangs_nobody() {
    for n in [0, 77, 499] {
        let shop = Shop::with(orders(0..500));
        let input = shop.input();
        let panics = |is: bool| {
            let input = input.clone();
            let output = shop.output();
            let runner = shop.runner(move |flow| {
                let orders = flow
                    .source(JsonLines::open::<Order>(&input))
                    .named("orders");
                let numbers = orders.map(move |order| {
                    assert!(!is || order.n != n, "planned");
                    order.n
                });
                numbers.named("careful").sink(JsonLines::write_to(&output));
            });
            runner.recover(shop.recovery()).run()
        };
        let error = panics(true).unwrap_err();
        let RunError::Panicked { step, message, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!((&**step, &**message), ("careful", "planned"));
        // The next runs are careful, so good records before it become durable.
        for _ in 0..3 {
            panics(true).unwrap_err();
        }
        let written = fs::read_to_string(shop.output()).unwrap();
        assert_eq!(written.lines().count() as u64, n);
        panics(false).unwrap();
        let written = fs::read_to_string(shop.output()).unwrap();
        assert!(
            written
                .lines()
                .map(|n| n.parse::<u64>().unwrap())
                .eq(0..500)
        );
    }
}

// ---- files that change, and going back

#[test]
fn a_file_that_has_grown_is_read_on() {
    let mut shop = Shop::with(orders(0..33) + &order(33));
    shop.take_unfinished = false;
    let outcome = shop.run().unwrap();
    assert_eq!((outcome.records, outcome.unfinished[0].line), (33, 34));
    shop.take_unfinished = true;
    assert_eq!(shop.run().unwrap().records, 1);
    append(&shop.input(), &("\n".to_owned() + &orders(34..70)));
    shop.workers = 3;
    assert_eq!(shop.run().unwrap().records, 36);
    append(&shop.input(), &orders(70..75));
    assert_eq!(shop.run().unwrap().records, 5);
    assert_eq!(shop.results(), expected(0..75));
    // A line that grows behind its end has been read without it.
    append(&shop.input(), &order(75));
    assert_eq!(shop.run().unwrap().records, 1);
    append(&shop.input(), "x\n");
    let error = shop.run().unwrap_err().to_string();
    assert!(
        error.contains("line 76") && error.contains("has grown"),
        "{error}"
    );
}

#[test]
fn one_can_go_back_to_an_epoch_in_the_middle() {
    let mut shop = Shop {
        epochs: Epochs::records(20),
        ..Shop::with(orders(0..200))
    };
    let retaining = |shop: &Shop| shop.recovery().retain(Retain::Epochs(1000));
    // With little in flight there are commits on the way.
    let run = |shop: &Shop, recovery| {
        let runner = shop
            .numbered(|_| false, |_| false)
            .records_in_flight(40)
            .bytes_in_flight(1 << 20);
        runner.recover(recovery).run()
    };
    assert_eq!(run(&shop, retaining(&shop)).unwrap().records, 200);
    let epochs: Vec<_> = {
        let state = shop.directory.path().join("state");
        let look = flow_store::Look::read(&state).unwrap();
        look.retained().iter().map(|it| it.epoch).collect()
    };
    let middle = epochs[epochs.len() / 2];
    shop.workers = 3;
    let outcome = run(&shop, retaining(&shop).from_epoch(middle)).unwrap();
    assert!(outcome.records < 200);
    assert_eq!(shop.results(), expected(0..200));
}

#[test]
fn several_files_are_read_by_all_workers_until_the_last_one_has_ended() {
    let shop = Shop::with(orders((0..2000).filter(|n| n % KEYS != 0)));
    let small = shop.directory.path().join("small.json");
    fs::write(&small, orders((0..50).map(|n| n * KEYS))).unwrap();
    let (files, output) = ([shop.input(), small], shop.output());
    let runner = shop.runner(move |flow| {
        let orders = flow.source(JsonLines::open_all::<Order>(&files));
        let users = orders.key_on(|order| order.user.clone());
        let number = |seen: &mut u64, order: Order| {
            *seen += 1;
            format!("{} {}", order.n, *seen)
        };
        let numbered = users.stateful_map(number).named("number");
        let lines = numbered.map(|(user, line)| format!("{user} {line}"));
        lines.sink(TextLines::write_to(&output));
    });
    assert_eq!(runner.recover(shop.recovery()).run().unwrap().records, 1650);
    let numbers = (0..2000).filter(|n| n % KEYS != 0 || *n < 50 * KEYS);
    assert_eq!(shop.results(), expected(numbers));
}
