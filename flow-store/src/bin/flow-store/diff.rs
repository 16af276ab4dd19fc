//! `diff`: compares the rows of two stores, one step at a time.

use crate::rows::{Shown, ShownValue};
use crate::terminal::{Bar, Out, rows};
use crate::{Failure, Store, look};
use flow_store::{KEY_GROUPS, Look, Row, Rows, StoredStep};
use indicatif::HumanCount;
use serde::Serialize;
use std::cmp::Ordering;
use std::iter::Peekable;
use std::path::Path;

pub(crate) fn diff(
    store: &Store,
    other: &Path,
    count: bool,
    out: &mut Out,
) -> Result<bool, Failure> {
    let full = |path: &Path| path.canonicalize().ok();
    if full(&store.directory).is_some_and(|path| full(other) == Some(path)) {
        let (one, other) = (store.directory.display(), other.display());
        return Err(Failure::Usage(format!(
            "{one} and {other} are one directory"
        )));
    }
    let (before, after) = (store.look()?, look(other)?);
    let mut ids: Vec<&str> = [&before, &after]
        .into_iter()
        .flat_map(|look| look.steps().iter().map(|step| step.id.as_str()))
        .collect();
    ids.sort_unstable();
    ids.dedup();
    let mut bar = Bar::counting("comparing,");
    let mut same = true;
    for id in ids {
        let sides = [&before, &after].map(|look| Side {
            look,
            step: look.step(id).ok(),
        });
        let found = Step {
            id,
            sides,
            show: !count,
        }
        .compare(&mut bar, out)?;
        same &= found;
    }
    Ok(same)
}

/// A step in one of the stores, which may not have it.
struct Side<'a> {
    look: &'a Look,
    step: Option<&'a StoredStep>,
}

impl<'a> Side<'a> {
    /// The rows by key group and key, which is the same order in both stores.
    fn rows(&self) -> Result<Peekable<Either<Rows<'a>>>, Failure> {
        let rows = match self.step {
            Some(step) => Some(self.look.rows(step.number, 0..KEY_GROUPS)?),
            None => None,
        };
        Ok(Either(rows).peekable())
    }

    fn shown(&self, row: &Row) -> Result<Option<Shown<'a>>, Failure> {
        match self.step {
            Some(step) => Ok(Some(Shown::new(self.look, step, row)?)),
            None => Ok(None),
        }
    }
}

struct Either<I>(Option<I>);

impl<I: Iterator> Iterator for Either<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        self.0.as_mut()?.next()
    }
}

struct Step<'a> {
    id: &'a str,
    sides: [Side<'a>; 2],
    show: bool,
}

/// A row with another value in the second store.
#[derive(Serialize)]
struct Changed<'a> {
    step: &'a str,
    key: serde_json::Value,
    from: ShownValue,
    to: ShownValue,
}

impl Step<'_> {
    /// Shows the differences, row by row and then their number. Returns true if there are none.
    fn compare(&self, bar: &mut dyn FnMut(), out: &mut Out) -> Result<bool, Failure> {
        let [before, after] = &self.sides;
        let (mut old, mut new) = (before.rows()?, after.rows()?);
        let (mut added, mut removed, mut changed) = (0, 0, 0);
        loop {
            let order = match (old.peek(), new.peek()) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(Ok(old)), Some(Ok(new))) => (old.group, &old.key).cmp(&(new.group, &new.key)),
                // Taking it returns its error.
                (Some(Err(_)), _) => Ordering::Less,
                (_, Some(Err(_))) => Ordering::Greater,
            };
            bar();
            match order {
                Ordering::Less => {
                    if let Some(row) = old.next().transpose()? {
                        removed += 1;
                        self.show("- ", before, &row, out)?;
                    }
                }
                Ordering::Greater => {
                    if let Some(row) = new.next().transpose()? {
                        added += 1;
                        self.show("+ ", after, &row, out)?;
                    }
                }
                Ordering::Equal => {
                    let rows = (old.next().transpose()?, new.next().transpose()?);
                    if let (Some(old), Some(new)) = rows
                        && old.value != new.value
                    {
                        changed += 1;
                        self.show_change(&old, &new, out)?;
                    }
                }
            }
        }
        let id = self.id;
        let what = match (before.step, after.step) {
            (Some(_), None) => format!("step `{id}` is only in the first: {}", rows(removed)),
            (None, Some(_)) => format!("step `{id}` is only in the second: {}", rows(added)),
            (Some(one), Some(other)) if one.kind != other.kind => {
                format!(
                    "step `{id}` is a {} step, and then a {} step",
                    one.kind, other.kind
                )
            }
            _ if added + removed + changed == 0 => return Ok(true),
            _ => format!(
                "step `{id}`: {} added, {} removed, {} changed",
                HumanCount(added),
                HumanCount(removed),
                HumanCount(changed)
            ),
        };
        out.line(&what)?;
        Ok(false)
    }

    fn show(&self, mark: &str, side: &Side<'_>, row: &Row, out: &mut Out) -> Result<(), Failure> {
        if self.show
            && let Some(mut shown) = side.shown(row)?
        {
            shown.step = Some(self.id);
            out.json(mark, &shown)?;
        }
        Ok(())
    }

    fn show_change(&self, old: &Row, new: &Row, out: &mut Out) -> Result<(), Failure> {
        let [before, after] = &self.sides;
        if self.show
            && let (Some(old), Some(new)) = (before.shown(old)?, after.shown(new)?)
        {
            let changed = Changed {
                step: self.id,
                key: old.key,
                from: old.value,
                to: new.value,
            };
            out.json("~ ", &changed)?;
        }
        Ok(())
    }
}
