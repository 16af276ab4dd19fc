//! `verify`: finds damage.

use crate::Failure;
use crate::terminal::{Bar, Out, rows};
use flow_store::{FileError, Look, StoreError};
use indicatif::{HumanBytes, HumanCount};

pub(crate) fn verify(look: &Look, out: &mut Out) -> Result<bool, Failure> {
    let verified = look.verify(&mut Bar::of_rows("verifying"))?;
    for what in &verified.damage {
        out.line(what)?;
    }
    let rows = rows(verified.rows);
    if verified.damaged == 0 {
        let bytes = HumanBytes(verified.bytes);
        out.line(&format!("all pages and {rows} ({bytes}) are intact"))?;
        return Ok(true);
    }
    out.flush()?;
    let damaged = HumanCount(verified.damaged);
    Err(Failure::Store(StoreError::File(FileError::Damaged {
        path: look.about().map(|about| about.path).unwrap_or_default(),
        what: format!("{damaged} of its records, chunks, deltas and rows are wrong"),
    })))
}
