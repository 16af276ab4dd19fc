//! `get` and `export`: rows as JSON.

use crate::Failure;
use crate::json;
use crate::terminal::{Bar, Out};
use flow_store::{
    CodecError, FileError, KEY_GROUPS, Look, OWN_KEY, Row, StoreError, StoredStep, TokenRow,
};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// A row as JSON shows it.
#[derive(Serialize)]
pub(crate) struct Shown<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) step: Option<&'a str>,
    /// Null for the row that a step has for itself.
    pub(crate) key: Value,
    #[serde(flatten)]
    pub(crate) value: ShownValue,
}

/// The value of a row as JSON shows it.
#[derive(Serialize)]
pub(crate) struct ShownValue {
    /// For a partition of a source: whether it was read to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    done: Option<bool>,
    /// For a partition of a source: the latest time read from it, in microseconds since 1970, for
    /// each step that gives its records a time: by its id, or its number if it was dropped.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    times: BTreeMap<String, i64>,
    /// The state, the token of a source's partition, or the position of a sink.
    state: Value,
}

impl ShownValue {
    fn new(look: &Look, row: Option<TokenRow<'_>>, state: Value) -> Self {
        let id = |number: u16| {
            let step = look.steps().iter().find(|step| step.number == number);
            step.map_or_else(|| number.to_string(), |step| step.id.clone())
        };
        let done = row.as_ref().map(|row| row.finished);
        let times = row.map(|row| row.times).unwrap_or_default();
        let times = times.into_iter().map(|(number, time)| (id(number), time));
        ShownValue {
            done,
            times: times.collect(),
            state,
        }
    }
}

impl<'a> Shown<'a> {
    pub(crate) fn new(look: &Look, step: &'a StoredStep, row: &Row) -> Result<Self, StoreError> {
        let damaged = |what: &str, error: CodecError| {
            StoreError::File(FileError::Damaged {
                path: look.about().map(|about| about.path).unwrap_or_default(),
                what: format!("{}: its {what}: {error}", row.name(step)),
            })
        };
        let value = step
            .kind
            .split(&row.value)
            .and_then(|(row, state)| Ok(ShownValue::new(look, row, json::of(state)?)))
            .map_err(|error| damaged("value", error))?;
        let key = match row.key.as_slice() {
            OWN_KEY => Value::Null,
            key => json::of(key).map_err(|error| damaged("key", error))?,
        };
        Ok(Shown {
            step: None,
            key,
            value,
        })
    }
}

pub(crate) fn get(look: &Look, step: &str, key: &str, out: &mut Out) -> Result<bool, Failure> {
    let step = look.step(step)?;
    if let Some(shown) = find(look, step, key)? {
        out.json("", &shown)?;
        return Ok(true);
    }
    let id = &step.id;
    let mut message = format!("step `{id}` has no row with the key {key}");
    let is_own = |row: &Row| row.key == OWN_KEY;
    let rows = look.rows(step.number, 0..KEY_GROUPS)?;
    let some: Vec<String> = rows
        .filter(|row| !row.as_ref().is_ok_and(is_own))
        .take(2)
        .map(|row| Ok(flow_store::text_of(&row?.key)))
        .collect::<Result<_, StoreError>>()?;
    if !some.is_empty() {
        message += &format!("; its keys are written like {}", some.join(" and "));
    }
    Err(Failure::Missing(message))
}

/// The row with this key, given as `export` shows it, or in its usual form.
fn find<'a>(look: &Look, step: &'a StoredStep, asked: &str) -> Result<Option<Shown<'a>>, Failure> {
    let json = serde_json::from_str(asked).ok();
    if let Some(json) = &json
        && let Some(row) = look.row(step, &json::encoded(json))?
        && json::of(&row.key).is_ok_and(|key| key == *json)
    {
        return Ok(Some(Shown::new(look, step, &row)?));
    }
    if json == Some(Value::Null)
        && let Some(row) = look.row(step, OWN_KEY)?
    {
        return Ok(Some(Shown::new(look, step, &row)?));
    }
    for key in json::keys(asked) {
        if let Some(row) = look.row(step, &key)? {
            return Ok(Some(Shown::new(look, step, &row)?));
        }
    }
    // JSON does not determine the bytes of a key: the order of fields and the width of a float are
    // open. So all keys are compared as JSON.
    let json = match json {
        None | Some(Value::String(_) | Value::Bool(_) | Value::Null) => return Ok(None),
        Some(json) => json,
    };
    let mut count = Bar::counting("looking for the key,");
    for row in look.rows(step.number, 0..KEY_GROUPS)? {
        let row = row?;
        count();
        if json::of(&row.key).is_ok_and(|key| key == json) {
            return Ok(Some(Shown::new(look, step, &row)?));
        }
    }
    Ok(None)
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
