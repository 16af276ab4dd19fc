//! Traces a type through its `Deserialize`: plays a value to it, and notes what it asks for.
//!
//! One pass shows little: an `Option` takes `Some` or `None`, an enum one variant. So the type is
//! asked again and again, each time for something that is not known yet, until nothing is left. The
//! idea is that of [serde-reflection](https://docs.rs/serde-reflection). This one keeps a tree and
//! no registry by name, so that two structs of one name and generic ones are no trouble; it asks
//! each field by itself, so that one that refuses all samples hides no other; and it knows the
//! aliases of fields.

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
/// A type that can't be traced is [`Schema::Any`], and so is a part of a type.
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
        // A `Deserialize` written by hand may not be ready for what it is given here.
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
