//! Traces a type through its `Deserialize`: feeds it values, and records what it asks for.
//!
//! One pass shows little: an `Option` takes `Some` or `None`, and an enum one variant. So the
//! tracer makes passes until everything is known. Each pass aims at something unknown.
//!
//! The idea is that of [serde-reflection](https://docs.rs/serde-reflection), with these
//! differences:
//!
//! - It keeps a tree, not a registry by name. So generic structs, and structs of the same name, are
//!   no problem.
//! - It feeds each field by itself. So a field that refuses all samples hides no other.
//! - It finds the aliases of fields.

mod book;
mod samples;
mod tracer;

use self::book::{Book, ROOT};
use self::tracer::Tracer;
use super::Schema;
use serde::de::DeserializeOwned;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The schema of a type, traced through its `Deserialize`.
///
/// A type, or a part of a type, that can't be traced is [`Schema::Any`].
#[must_use]
pub fn trace<T: DeserializeOwned>() -> Schema {
    let mut book = Book {
        nodes: Vec::new(),
        progress: false,
        target: ROOT,
        inside: 0,
        sampled: None,
    };
    book.add(None, 0);
    while !book.is_done(ROOT) {
        book.progress = false;
        book.target = ROOT;
        book.inside = 0;
        book.sampled = None;
        // A handwritten `Deserialize` may panic at an unexpected value.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            let tracer = Tracer {
                book: &mut book,
                at: ROOT,
            };
            T::deserialize(tracer).map(drop)
        }));
        if !book.progress && !book.try_another_sample() {
            book.give_up();
        }
    }
    book.schema(ROOT)
}

#[cfg(test)]
mod tests;
