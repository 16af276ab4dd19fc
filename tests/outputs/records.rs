//! Records that a sink of lines can't write as one line.

use std::{collections::BTreeMap, fs};

use flow::{
    JsonLines, RecordError, Recovery, RunError, Runner, TextLines, prelude::Serialize, source,
};

use crate::support::Workdir;

/// The failure of a record. Everything before it is in the output.
#[track_caller]
fn failure(result: Result<flow::Outcome, RunError>) -> RecordError {
    match result {
        Err(RunError::Record(error)) => *error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_text_with_a_line_end_stops_the_flow_at_its_record() {
    let work = Workdir::new();
    fs::write(work.path("in"), "one\ntwo\nthree\n").unwrap();
    let run = |multi_line: bool| {
        let (input, output) = (work.path("in"), work.path("out"));
        let runner = Runner::new(move |flow| {
            let lines = flow.source(TextLines::open(&input)).named("lines");
            let texts = lines.map(|line| match &*line {
                "two" => "two\nlines".to_owned(),
                _ => line,
            });
            let sink = TextLines::write_to(&output);
            match multi_line {
                true => texts.sink(sink.multi_line()).named("out"),
                false => texts.sink(sink).named("out"),
            };
        });
        runner.recover(Recovery::at(work.path("state"))).run()
    };
    for _ in 0..2 {
        let error = failure(run(false));
        assert_eq!(
            (&*error.step, error.position.as_deref()),
            ("out", Some("line 2"))
        );
        let text = error.to_string();
        assert!(
            text.contains(r#""two\nlines""#) && text.contains(".multi_line()"),
            "{text}"
        );
        assert_eq!(work.text("out"), "one\n");
    }
    run(true).unwrap();
    assert_eq!(work.text("out"), "one\ntwo\nlines\nthree\n");
}

#[derive(Clone, Serialize)]
struct Mean {
    sensor: String,
    mean: f64,
}

#[test]
fn a_number_that_json_has_no_form_for_stops_the_flow_at_its_record() {
    let work = Workdir::new();
    fs::write(work.path("in"), "1.5\nNaN\ninf\n").unwrap();
    let run = |null: bool| {
        let (input, output) = (work.path("in"), work.path("out"));
        let runner = Runner::new(move |flow| {
            let lines = flow.source(TextLines::open(&input)).named("lines");
            let means = lines.map(|line| Mean {
                sensor: "roof".to_owned(),
                mean: line.parse().unwrap(),
            });
            let sink = JsonLines::write_to(&output);
            match null {
                true => means.sink(sink.nan_as_null()).named("out"),
                false => means.sink(sink).named("out"),
            };
        });
        runner.recover(Recovery::at(work.path("state"))).run()
    };
    let error = failure(run(false));
    assert_eq!(
        (&*error.step, error.position.as_deref()),
        ("out", Some("line 2"))
    );
    let text = error.to_string();
    for says in [
        r#"it begins with `{"sensor":"roof","mean":`"#,
        "NaN has no form in JSON",
        ".nan_as_null()",
    ] {
        assert!(text.contains(says), "{text}");
    }
    let first = "{\"sensor\":\"roof\",\"mean\":1.5}\n";
    assert_eq!(work.text("out"), first);
    run(true).unwrap();
    let null = "{\"sensor\":\"roof\",\"mean\":null}\n";
    assert_eq!(work.text("out"), format!("{first}{null}{null}"));
}

/// Behind a shuffle the source of a record is unknown, so the message shows the beginning of the
/// record.
#[test]
fn a_record_that_is_no_json_is_named_by_its_beginning() {
    let runner = Runner::new(|flow| {
        let numbers = flow.source(source::from_iter(0..3u8)).named("numbers");
        let keyed = numbers.key_on(|n| u64::from(*n) + 40);
        let maps = keyed.stateful_map(|_: &mut u8, n: u8| BTreeMap::from([((n, n), n)]));
        let maps = maps.named("maps");
        maps.map(|pair| pair).sink(JsonLines::stdout()).named("out");
    });
    let error = runner.run().unwrap_err();
    let text = error.to_string();
    assert!(
        matches!(&error, RunError::Step { step, .. } if step == "out"),
        "{text}"
    );
    let says = "the record can't be written as JSON (it begins with `[40,{`): key must be a \
        string\nhelp: the keys of an object are texts";
    assert!(text.contains(says), "{text}");
}
