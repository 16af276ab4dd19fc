//! Files that change while they are read.

use std::fs;

use flow::{Epochs, Runner, TextLines, sink};

use crate::{Place, long, read};

#[test]
fn a_file_that_changes_while_it_is_read_is_an_error() {
    let overwritten = ["overwritten while it was read", "not there any more"];
    let truncated = ["truncated while it was read", "had been read"];
    // What is there before, and what is there when so many lines have been read.
    let cases = [
        (long("old", 3000), 2000, long("old", 1000), truncated),
        (long("old", 3000), 2000, String::new(), truncated),
        (long("old", 3000), 100, long("new", 6000), overwritten),
        (
            long("old", 3000),
            100,
            "n".to_owned() + &long("old", 6000),
            overwritten,
        ),
        // The file has been read ahead to its end.
        (long("old", 10), 10, long("old", 9), truncated),
        (long("old", 10), 3, long("new", 10), overwritten),
        (long("old", 10), 10, long("new", 20), overwritten),
    ];
    for (before, at, after, says) in &cases {
        for (workers, stored) in [(1, true), (3, true), (1, false)] {
            let place = Place::new();
            place.write("in", before);
            let (path, (out, seen)) = (place.path("in"), sink::collect());
            let read = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
            let (at, content) = (*at, after.clone());
            let runner = Runner::new(move |flow| {
                let (path, content, read) = (path.clone(), content.clone(), read.clone());
                let lines = flow.source(TextLines::open(&path)).named("lines");
                let seen = lines.inspect(move |_| {
                    if read.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1 == at {
                        fs::write(&path, &content).unwrap();
                    }
                });
                seen.sink(out.clone());
            });
            let runner = runner
                .workers(workers)
                .blocks_of(10)
                .epochs(Epochs::records(64));
            let result = match stored {
                true => runner.recover(place.recovery()).run(),
                false => runner.run(),
            };
            match result {
                Err(error) => {
                    let error = error.to_string();
                    for says in says {
                        assert!(
                            error.contains(says),
                            "{workers}: `{says}` is not in: {error}"
                        );
                    }
                }
                // All of it had been read before it changed.
                Ok(outcome) => assert_eq!((outcome.records, before.lines().count()), (10, 10)),
            }
            // No record is put together of two contents, and none of the new one follows the old
            // ones.
            let mut seen = seen.take();
            seen.sort();
            let old: Vec<&str> = before.lines().collect();
            assert!(seen.iter().eq(&old[..seen.len()]), "{:?}", seen.last());
        }
    }
}

/// Log rotation that copies a file and empties it, while the flow reads.
#[test]
fn what_is_durable_of_a_file_that_was_cut_is_right() {
    let place = Place::new();
    place.write("app.log", &long("old", 5000));
    let mut all = Vec::new();
    for run in 0..2 {
        let (log, copy) = (place.path("app.log"), place.path("app.log.1"));
        let (out, output) = (place.path("out"), place.path("out"));
        let runner = Runner::new(move |flow| {
            let (log, copy) = (log.clone(), copy.clone());
            let lines = flow.source(TextLines::open(&log)).named("lines");
            let lines = lines.inspect(move |line| {
                if run == 0 && line.starts_with("old-003000") {
                    fs::copy(&log, &copy).unwrap();
                    fs::write(&log, long("new", 10)).unwrap();
                }
            });
            lines.sink(TextLines::write_to(&out)).named("out");
        });
        let runner = runner
            .epochs(Epochs::records(100))
            .recover(place.recovery());
        match (run, runner.run()) {
            (0, Err(error)) => assert!(error.to_string().contains("truncated"), "{error}"),
            (1, Ok(_)) => {
                all = fs::read_to_string(output)
                    .unwrap()
                    .lines()
                    .map(str::to_owned)
                    .collect()
            }
            (_, result) => panic!("{result:?}"),
        }
    }
    let expected = long("old", 5000) + &long("new", 10);
    assert!(
        all.iter().eq(&expected.lines().collect::<Vec<_>>()),
        "{}",
        all.len()
    );
}

/// The run has the file open, so its name does not matter.
#[test]
fn a_file_that_is_renamed_or_deleted_is_read_to_its_end() {
    for moves in [true, false] {
        let place = Place::new();
        place.write("app.log", &long("old", 3000));
        let (from, to) = (place.path("app.log"), place.path("app.log.1"));
        let (result, lines) = read(vec![place.path("app.log")], place.recovery(), move |line| {
            if line.starts_with("old-000100") {
                match moves {
                    true => fs::rename(&from, &to).unwrap(),
                    false => fs::remove_file(&from).unwrap(),
                }
                fs::write(&from, "new\n").unwrap();
            }
            Ok(())
        });
        assert_eq!(result.unwrap().records, 3000);
        assert!(
            lines
                .iter()
                .eq(&long("old", 3000).lines().collect::<Vec<_>>())
        );
        match moves {
            true => place.reads(&["app.log"], "new"),
            false => {
                place.refused(&["app.log"], place.recovery(), &["is shorter"]);
            }
        }
    }
}
