//! The full content of a store, as text.

use flow_store::{KEY_GROUPS, Look, OWN_KEY, decode};
use serde_json::Value;
use std::fmt::Write;

/// The full content, and that at each retained epoch.
pub(crate) fn contents(mut look: Look) -> String {
    let mut text = now(&look);
    for retained in look.retained().into_iter().rev() {
        look = look.see(retained.epoch).unwrap();
        let (epoch, until) = (retained.epoch, retained.until);
        writeln!(text, "\nuntil {until} at {epoch}").unwrap();
        for step in look.steps() {
            let rows = look.rows(step.number, 0..KEY_GROUPS).unwrap();
            let mut bytes = Vec::new();
            for row in rows {
                let row = row.unwrap();
                bytes.extend_from_slice(&row.key);
                bytes.extend_from_slice(&row.value);
            }
            let hash = flow_store::hash(&bytes);
            writeln!(text, "  step {} `{}`: {hash:016x}", step.number, step.id).unwrap();
        }
    }
    text
}

fn now(look: &Look) -> String {
    let mut text = String::new();
    let out = &mut text;
    let about = look.about().unwrap();
    writeln!(out, "store {} (format {})", about.store, about.format).unwrap();
    writeln!(out, "flow {}", about.flow_name).unwrap();
    writeln!(
        out,
        "epoch {}, next execution {}",
        look.epoch(),
        look.next_execution()
    )
    .unwrap();
    writeln!(out, "ended: {}, closed: {}", about.ended, about.closed).unwrap();
    for record in look.executions().unwrap() {
        let (number, from) = (record.number, record.resumed_from);
        let back = match record.went_back_from {
            Some(last) => format!(", back from {last}"),
            None => String::new(),
        };
        writeln!(out, "\nexecution {number}, from {from}{back}").unwrap();
        let (started, host, pid) = (record.started, &record.host, record.pid);
        writeln!(out, "  started {started} on {host}, process {pid}").unwrap();
        writeln!(
            out,
            "  {} workers, build {:?}",
            record.workers, record.build
        )
        .unwrap();
        match &record.ended {
            Some((at, how)) => writeln!(out, "  ended {at}: {how:?}").unwrap(),
            None => writeln!(out, "  did not end").unwrap(),
        }
    }
    for step in look.steps() {
        let (number, id, kind) = (step.number, &step.id, step.kind);
        let (operator, key, state) = (&step.operator, &step.key_type, &step.state_type);
        writeln!(
            out,
            "\nstep {number} `{id}`: {kind}, {operator}, {key} -> {state}"
        )
        .unwrap();
        for (what, schema) in [("keys", &step.key_schema), ("values", &step.state_schema)] {
            if let Some(schema) = schema {
                writeln!(out, "  {what} {schema}").unwrap();
            }
        }
        for row in look.rows(number, 0..KEY_GROUPS).unwrap() {
            let row = row.unwrap();
            let key = match row.key.as_slice() {
                OWN_KEY => "itself".to_owned(),
                key => decode::<Value>(key).unwrap().to_string(),
            };
            let (token, value) = kind.split(&row.value).unwrap();
            let value: Value = decode(value).unwrap();
            let token = token.map_or(String::new(), |token| {
                format!(" done: {}, times: {:?},", token.finished, token.times)
            });
            writeln!(out, "  {}: {key} ->{token} {}", row.group, short(&value)).unwrap();
        }
    }
    text
}

/// A long value by its length.
fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.len() {
        0..=200 => text,
        len => format!("{len} bytes of JSON"),
    }
}
