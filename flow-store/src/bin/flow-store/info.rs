//! `info`, `epochs` and `steps`: facts about the store, without its rows.

use crate::Failure;
use crate::terminal::{Bar, Out, rows};
use flow_store::{
    About, End, ExecutionRecord, FailureRecord, KEY_GROUPS, Look, StoreError, StoredStep,
};
use indicatif::{HumanBytes, HumanCount};
use serde::Serialize;
use serde_json::{Value, json};

/// A step and its size.
#[derive(Serialize)]
struct Step<'a> {
    number: u16,
    id: &'a str,
    kind: String,
    operator: &'a str,
    key_type: &'a str,
    state_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_schema: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state_schema: Option<String>,
    rows: u64,
    /// The total length of keys and values.
    bytes: u64,
}

fn measured(look: &Look) -> Result<Vec<Step<'_>>, StoreError> {
    let mut count = Bar::counting("counting");
    let mut measure = |step: &StoredStep| {
        let (mut rows, mut bytes) = (0, 0);
        for row in look.rows(step.number, 0..KEY_GROUPS)? {
            let row = row?;
            rows += 1;
            bytes += (row.key.len() + row.value.len()) as u64;
            count();
        }
        Ok::<_, StoreError>((rows, bytes))
    };
    let steps = look.steps().iter();
    steps
        .map(|step| {
            let (rows, bytes) = measure(step)?;
            Ok(Step {
                number: step.number,
                id: &step.id,
                kind: step.kind.to_string(),
                operator: &step.operator,
                key_type: &step.key_type,
                state_type: &step.state_type,
                key_schema: step.key_schema.as_ref().map(ToString::to_string),
                state_schema: step.state_schema.as_ref().map(ToString::to_string),
                rows,
                bytes,
            })
        })
        .collect()
}

pub(crate) fn info(
    look: &Look,
    executions: usize,
    json: bool,
    out: &mut Out,
) -> Result<bool, Failure> {
    let Some(about) = look.about() else {
        return Err(look.no_store().into());
    };
    let records = look.executions()?;
    let last = records.split_at(records.len().saturating_sub(executions)).1;
    let file_bytes = std::fs::metadata(&about.path)
        .map_err(|cause| StoreError::Io {
            attempt: "look at",
            path: about.path.clone(),
            cause,
        })?
        .len();
    let steps = measured(look)?;
    if json {
        out.json("", &object(look, &about, file_bytes, &steps, last))?;
    } else {
        text(look, &about, file_bytes, &steps, last, out)?;
    }
    Ok(true)
}

fn object(
    look: &Look,
    about: &About,
    file_bytes: u64,
    steps: &[Step<'_>],
    executions: &[ExecutionRecord],
) -> Value {
    let execution = |record: &ExecutionRecord| {
        json!({
            "number": record.number,
            "started": record.started.to_string(),
            "host": record.host,
            "pid": record.pid,
            "workers": record.workers,
            "build": record.build,
            "resumed_from": record.resumed_from.to_string(),
            "went_back_from": record.went_back_from.map(|epoch| epoch.to_string()),
            "ended": record.ended.as_ref().map(|(at, how)| {
                json!({ "at": at.to_string(), "how": how })
            }),
        })
    };
    json!({
        "format": about.format,
        "store": about.store,
        "flow": about.flow_name,
        "epoch": look.epoch().to_string(),
        "retained": look.retained().len(),
        "next_execution": look.next_execution(),
        "killed": !about.ended,
        // If another process held the store, the look would have failed.
        "held_by": null,
        "file": { "path": about.path, "bytes": file_bytes, "closed": about.closed },
        "steps": steps,
        "executions": executions.iter().map(execution).collect::<Vec<_>>(),
    })
}

fn text(
    look: &Look,
    about: &About,
    file_bytes: u64,
    steps: &[Step<'_>],
    executions: &[ExecutionRecord],
    out: &mut Out,
) -> Result<(), Failure> {
    let line = |name: &str, text: String| vec![name.to_owned(), text];
    let state = match about.ended {
        true => "clean: the last execution recorded how it ended",
        false => "killed: the last execution recorded no end; the next resumes from here",
    };
    let epoch = match look.retained().as_slice() {
        [] => look.epoch().to_string(),
        [first, rest @ ..] => format!(
            "{}, and {} retained from {} on",
            look.epoch(),
            rest.len() + 1,
            first.epoch
        ),
    };
    let file = match about.closed {
        true => "closed",
        false => "not closed, which the next start repairs",
    };
    out.columns(
        "",
        &[
            line(
                "store",
                format!("{} (format {})", about.store, about.format),
            ),
            line("flow", about.flow_name.clone()),
            line("epoch", epoch),
            line("state", state.to_owned()),
            line("held by", "nobody".to_owned()),
            line(
                "file",
                format!(
                    "{}, {}, {file}",
                    about.path.display(),
                    HumanBytes(file_bytes)
                ),
            ),
        ],
    )?;
    out.line("")?;
    out.line("steps")?;
    let row = |step: &Step<'_>| {
        vec![
            step.id.to_owned(),
            step.kind.clone(),
            rows(step.rows),
            HumanBytes(step.bytes).to_string(),
        ]
    };
    out.columns("  ", &steps.iter().map(row).collect::<Vec<_>>())?;
    out.line("")?;
    out.line("executions")?;
    let row = |record: &ExecutionRecord| {
        vec![
            record.number.to_string(),
            record.started.to_string(),
            format!("{}, process {}", record.host, record.pid),
            match record.workers {
                1 => "1 worker".to_owned(),
                workers => format!("{workers} workers"),
            },
            how_it_ended(record),
        ]
    };
    out.columns("  ", &executions.iter().map(row).collect::<Vec<_>>())?;
    Ok(())
}

/// The step and the place of a failure, as far as they are known.
fn step_and_place(failure: &FailureRecord) -> String {
    let step = failure.step.as_ref();
    let step = step.map_or_else(String::new, |step| format!(" in step `{step}`"));
    let place = failure.place();
    let place = place.map_or_else(String::new, |place| format!(" at {place}"));
    format!("{step}{place}")
}

fn how_it_ended(record: &ExecutionRecord) -> String {
    let began = match record.went_back_from {
        Some(last) => format!("went back from {last} to {}; ", record.resumed_from),
        None => String::new(),
    };
    let Some((at, how)) = &record.ended else {
        return format!("{began}was killed");
    };
    // The text of an error may have several lines.
    let how = match how {
        End::Finished => "read all its input".to_owned(),
        End::Stopped => "was stopped".to_owned(),
        End::Failed(failure) => format!("failed{}: {}", step_and_place(failure), failure.error),
        End::Aborted {
            failure, in_flight, ..
        } => format!(
            "broke off{} with {in_flight} records in flight: {}",
            step_and_place(failure),
            failure.error
        ),
    };
    format!("{began}{at}: {}", how.replace(['\n', '\r'], " "))
}

pub(crate) fn epochs(look: &Look, json: bool, out: &mut Out) -> Result<bool, Failure> {
    let retained = look.retained();
    if json {
        for it in &retained {
            let (epoch, until) = (it.epoch.to_string(), it.until.to_string());
            out.json("", &json!({ "epoch": epoch, "until": until }))?;
        }
        out.json(
            "",
            &json!({ "epoch": look.epoch().to_string(), "until": null }),
        )?;
        return Ok(true);
    }
    let mut lines: Vec<_> = retained
        .iter()
        .map(|it| vec![it.epoch.to_string(), format!("until {}", it.until)])
        .collect();
    lines.push(vec![look.epoch().to_string(), "the last".to_owned()]);
    out.columns("", &lines)?;
    Ok(true)
}

pub(crate) fn steps(
    look: &Look,
    schemas: bool,
    json: bool,
    out: &mut Out,
) -> Result<bool, Failure> {
    let steps = measured(look)?;
    if json {
        for step in &steps {
            out.json("", step)?;
        }
        return Ok(true);
    }
    if schemas {
        return write_schemas(look.steps(), out);
    }
    let names = ["number", "id", "kind", "operator", "keys", "state", "rows"];
    let mut lines = vec![names.map(str::to_owned).to_vec()];
    lines.extend(steps.iter().map(|step| {
        vec![
            step.number.to_string(),
            step.id.to_owned(),
            step.kind.clone(),
            step.operator.to_owned(),
            step.key_type.to_owned(),
            step.state_type.to_owned(),
            HumanCount(step.rows).to_string(),
        ]
    }));
    out.columns("", &lines)?;
    Ok(true)
}

/// Writes the schemas of each step's keys and values.
fn write_schemas(steps: &[StoredStep], out: &mut Out) -> Result<bool, Failure> {
    for step in steps {
        out.line(&format!("{} ({}, {})", step.id, step.kind, step.operator))?;
        let schemas = [
            ("key", &step.key_schema),
            (step.kind.keeps(), &step.state_schema),
        ];
        for (what, schema) in schemas {
            let Some(schema) = schema else { continue };
            let text = format!("{what}: {schema:#}");
            for line in text.lines() {
                out.line(&format!("    {line}"))?;
            }
        }
    }
    Ok(true)
}
