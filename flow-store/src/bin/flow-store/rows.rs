//! `get` and `export`: rows as JSON.

use crate::Failure;
use crate::json;
use crate::terminal::{Bar, Out};
use flow_store::{CodecError, KEY_GROUPS, Look, Row, StoreError, StoredStep};
use serde::Serialize;
use serde_json::Value;

/// A row as it is shown.
#[derive(Serialize)]
pub(crate) struct Shown<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) step: Option<&'a str>,
    pub(crate) key: Value,
    /// Of a partition of a source: whether it was read to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) done: Option<bool>,
    /// The state; the token of a source, the position of a sink.
    pub(crate) state: Value,
}

impl<'a> Shown<'a> {
    pub(crate) fn new(look: &Look, step: &'a StoredStep, row: &Row) -> Result<Self, StoreError> {
        let damaged = |what: &str, error: CodecError| StoreError::Damaged {
            path: look.about().map(|about| about.path).unwrap_or_default(),
            what: format!("{}: its {what}: {error}", row.name(step)),
        };
        let (done, state) = step
            .kind
            .split(&row.value)
            .and_then(|(done, state)| Ok((done, json::of(state)?)))
            .map_err(|error| damaged("value", error))?;
        Ok(Shown {
            step: None,
            key: json::of(&row.key).map_err(|error| damaged("key", error))?,
            done,
            state,
        })
    }
}

pub(crate) fn get(look: &Look, step: &str, key: &str, out: &mut Out) -> Result<bool, Failure> {
    let step = look.step(step)?;
    let asked = json::key(key);
    if let Some(shown) = find(look, step, &asked)? {
        out.json("", &shown)?;
        return Ok(true);
    }
    let id = &step.id;
    let mut message = format!("step `{id}` has no row with the key {asked}");
    // `get DIR STEP 7` where the keys are text
    let text = Value::String(key.to_owned());
    if asked != text && at(look, step, &text)?.is_some() {
        message += &format!(", and one with the key {text}: write it as '{text}'");
    }
    Err(Failure::Missing(message))
}

/// The row whose key is shown like this.
fn find<'a>(
    look: &Look,
    step: &'a StoredStep,
    asked: &Value,
) -> Result<Option<Shown<'a>>, Failure> {
    if let Some(shown) = at(look, step, asked)? {
        return Ok(Some(shown));
    }
    // JSON does not say all about the bytes of a key: the order of fields, how wide a float is
    if let Value::String(_) | Value::Bool(_) | Value::Null = asked {
        return Ok(None);
    }
    let mut count = Bar::counting("looking for the key,");
    for row in look.rows(step.number, 0..KEY_GROUPS)? {
        let row = row?;
        count();
        if json::of(&row.key).is_ok_and(|key| key == *asked) {
            return Ok(Some(Shown::new(look, step, &row)?));
        }
    }
    Ok(None)
}

/// The row whose key has the bytes that such a key most likely has.
fn at<'a>(look: &Look, step: &'a StoredStep, asked: &Value) -> Result<Option<Shown<'a>>, Failure> {
    let mut key = Vec::new();
    if flow_store::encode(asked, &mut key).is_err() {
        return Ok(None);
    }
    match look.row(step, &key)? {
        Some(row) if json::of(&row.key).is_ok_and(|key| key == *asked) => {
            Ok(Some(Shown::new(look, step, &row)?))
        }
        _ => Ok(None),
    }
}

pub(crate) fn export(look: &Look, step: Option<&str>, out: &mut Out) -> Result<bool, Failure> {
    let (steps, name) = match step {
        Some(step) => (std::slice::from_ref(look.step(step)?), false),
        None => (look.steps(), true),
    };
    let mut count = Bar::counting("exporting,");
    for step in steps {
        for row in look.rows(step.number, 0..KEY_GROUPS)? {
            let mut shown = Shown::new(look, step, &row?)?;
            shown.step = name.then_some(&step.id);
            out.json("", &shown)?;
            count();
        }
    }
    Ok(true)
}
