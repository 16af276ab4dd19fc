//! A well-behaved process: signals at any time, readers that are gone or slow, limits of the
//! system.
#![cfg(unix)]
#![cfg(test)]

mod limits;
mod messages;
mod signals;
mod stdout;
#[path = "../support/mod.rs"]
mod support;

use std::{path::PathBuf, sync::LazyLock};

use support::program;

static SLOW: LazyLock<PathBuf> = LazyLock::new(|| program("slow"));
static WORDS: LazyLock<PathBuf> = LazyLock::new(|| program("words"));
