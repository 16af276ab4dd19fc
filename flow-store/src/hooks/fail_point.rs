//! Named places where a test can kill the process, as `kill -9` would.
//!
//! They need the feature `fail-points`, which only the tests and examples of this workspace turn
//! on. Without it [`FailPoint::pass`] is empty. The environment variable `FLOW_FAIL_POINT` names a
//! place:
//!
//! - `after-commit` kills the process when it first passes `after-commit`,
//! - `after-commit:3` kills it when it passes there for the third time,
//! - `after-commit:3:stop` stops it there, as `kill -STOP` does, until it gets a SIGCONT.
//!
//! | point | the process dies |
//! |---|---|
//! | `looked` | at a start, when the store has been looked at and fits the flow |
//! | `restored` | at a start, when all workers have their states back and their inputs and outputs open |
//! | `before-start-commit` | when the transaction of the start is written and not committed |
//! | `after-start-commit` | when the start is committed and nothing else is done |
//! | `store-made` | when a new store is whole under its temporary name |
//! | `store-named` | when a new store has its name and the lock file does not say which one it is |
//! | `output-made` | when a file sink has created its file, whose name is not yet durable |
//! | `sinks-started` | when a worker has brought its outputs back to their positions, before its first record |
//! | `sink-flushed` | when a file sink has handed an epoch's bytes to the system, before they are synced |
//! | `sink-synced` | when an output has been synced, before the epoch is committed |
//! | `folded` | when older epochs are folded in the transaction of an epoch |
//! | `before-commit` | when the transaction of an epoch is written and not committed |
//! | `after-commit` | when an epoch is committed and nobody has been told |
//! | `acknowledged` | when the workers have been told |
//! | `before-end` | when the transaction of the end is written and not committed |
//! | `after-end` | when the end is committed and the store is not closed |
//! | `closed` | when the store is closed |

/// A place where a test can kill the process.
#[allow(missing_docs)] // see the table
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailPoint {
    Looked,
    Restored,
    BeforeStartCommit,
    AfterStartCommit,
    StoreMade,
    StoreNamed,
    OutputMade,
    SinksStarted,
    SinkFlushed,
    SinkSynced,
    Folded,
    BeforeCommit,
    AfterCommit,
    Acknowledged,
    BeforeEnd,
    AfterEnd,
    Closed,
}

impl FailPoint {
    /// All points with their names, in the order in which a run passes them.
    pub const ALL: [(FailPoint, &str); 17] = [
        (FailPoint::Looked, "looked"),
        (FailPoint::Restored, "restored"),
        (FailPoint::BeforeStartCommit, "before-start-commit"),
        (FailPoint::AfterStartCommit, "after-start-commit"),
        (FailPoint::StoreMade, "store-made"),
        (FailPoint::StoreNamed, "store-named"),
        (FailPoint::OutputMade, "output-made"),
        (FailPoint::SinksStarted, "sinks-started"),
        (FailPoint::SinkFlushed, "sink-flushed"),
        (FailPoint::SinkSynced, "sink-synced"),
        (FailPoint::Folded, "folded"),
        (FailPoint::BeforeCommit, "before-commit"),
        (FailPoint::AfterCommit, "after-commit"),
        (FailPoint::Acknowledged, "acknowledged"),
        (FailPoint::BeforeEnd, "before-end"),
        (FailPoint::AfterEnd, "after-end"),
        (FailPoint::Closed, "closed"),
    ];

    /// Kills or stops the process if the test has chosen this place and passing.
    #[inline]
    pub fn pass(self) {
        #[cfg(feature = "fail-points")]
        armed::pass(self);
    }
}

#[cfg(feature = "fail-points")]
mod armed {
    use super::FailPoint;
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

    const VARIABLE: &str = "FLOW_FAIL_POINT";

    /// Where the process dies or stops, and at which passing.
    #[derive(Debug, PartialEq, Eq)]
    pub(super) struct Fatal {
        pub(super) point: FailPoint,
        pub(super) passing: u64,
        pub(super) stops: bool,
    }

    static FATAL: LazyLock<Option<Fatal>> = LazyLock::new(|| {
        let text = std::env::var_os(VARIABLE)?;
        match parse(&text.to_string_lossy()) {
            Ok(fatal) => Some(fatal),
            Err(error) => {
                eprintln!("error: {VARIABLE}: {error}");
                std::process::exit(2)
            }
        }
    });
    static PASSED: AtomicU64 = AtomicU64::new(0);

    pub(super) fn pass(point: FailPoint) {
        let Some(fatal) = &*FATAL else { return };
        if point == fatal.point && PASSED.fetch_add(1, SeqCst) + 1 == fatal.passing {
            let name = FailPoint::ALL.iter().find(|(known, _)| *known == point);
            eprintln!("fail point {}", name.map_or("", |(_, name)| name));
            if fatal.stops {
                stop();
            } else {
                die();
            }
        }
    }

    pub(super) fn parse(text: &str) -> Result<Fatal, String> {
        let (text, stops) = match text.strip_suffix(":stop") {
            Some(text) => (text, true),
            None => (text, false),
        };
        let (name, passing) = text.split_once(':').unwrap_or((text, "1"));
        let passing: Option<u64> = passing.parse().ok().filter(|passing| *passing > 0);
        let passing = passing.ok_or("at which passing it happens is a number from 1 on")?;
        match FailPoint::ALL.iter().find(|(_, known)| *known == name) {
            Some((point, _)) => Ok(Fatal {
                point: *point,
                passing,
                stops,
            }),
            None => {
                let known: Vec<_> = FailPoint::ALL.iter().map(|(_, name)| *name).collect();
                let known = known.join(", ");
                Err(format!(
                    "there is no fail point `{name}`, only these: {known}"
                ))
            }
        }
    }

    /// Dies without running destructors, and without giving other threads time.
    fn die() -> ! {
        #[cfg(unix)]
        let _ = signal_hook::low_level::raise(signal_hook::consts::SIGKILL);
        std::process::abort()
    }

    fn stop() {
        #[cfg(unix)]
        let _ = signal_hook::low_level::raise(signal_hook::consts::SIGSTOP);
    }
}

#[cfg(test)]
mod tests {
    use super::FailPoint;

    #[test]
    fn the_table_has_every_point_once() {
        let source = include_str!("fail_point.rs");
        for (_, name) in FailPoint::ALL {
            let row = format!("//! | `{name}` | ");
            assert_eq!(source.matches(&row).count(), 1, "{name}");
        }
        let rows = source
            .lines()
            .filter(|line| line.starts_with("//! | `"))
            .count();
        assert_eq!(rows, FailPoint::ALL.len());
    }

    #[cfg(feature = "fail-points")]
    #[test]
    fn a_misspelled_point_is_an_error() {
        use super::armed::{Fatal, parse};

        let fatal = |point, passing, stops| {
            Ok(Fatal {
                point,
                passing,
                stops,
            })
        };
        for (text, fatal) in [
            ("before-end", fatal(FailPoint::BeforeEnd, 1, false)),
            (
                "before-commit:12",
                fatal(FailPoint::BeforeCommit, 12, false),
            ),
            ("before-end:stop", fatal(FailPoint::BeforeEnd, 1, true)),
            ("looked:2:stop", fatal(FailPoint::Looked, 2, true)),
        ] {
            assert_eq!(parse(text), fatal);
        }
        let error = parse("before-comit:12").unwrap_err();
        assert!(
            error.starts_with("there is no fail point `before-comit`, only these: looked, "),
            "{error}"
        );
        for passing in [
            "before-end:",
            "before-end:0",
            "before-end:-1",
            "before-end:x",
        ] {
            assert!(parse(passing).is_err(), "{passing}");
        }
    }
}
