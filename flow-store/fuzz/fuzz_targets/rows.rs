//! Whatever parses the bytes of a record, and a store whose tables have any rows.
#![no_main]

use flow_store::fuzzing::{self, RawRow};
use flow_store::{Agreed, Schema, StepKind, StoredStep, decode};
use flow_store_fuzz::Memory;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    Bytes(&'a [u8]),
    Row {
        key: &'a [u8],
        stored: &'a [u8],
    },
    Undo {
        epoch: u64,
        index: u32,
        value: &'a [u8],
    },
    Schema {
        text: &'a str,
        other: &'a str,
    },
    Tables(Vec<Table<'a>>),
}

#[derive(Arbitrary, Debug)]
enum Table<'a> {
    Meta(Name<'a>, &'a [u8]),
    Number(Name<'a>, u64),
    Step(u16, &'a [u8]),
    WholeStep(u16, Step<'a>),
    Base(&'a [u8], &'a [u8]),
    WholeRow {
        step: u16,
        group: u16,
        key: &'a [u8],
        value: &'a [u8],
    },
    Execution(u64, &'a [u8]),
    Undo(u64, u32, &'a [u8]),
    WholeUndo {
        number: u8,
        index: u32,
        last: bool,
        before: u8,
        records: &'a [u8],
    },
}

#[derive(Arbitrary, Debug)]
enum Name<'a> {
    Known(u8),
    Any(&'a str),
}

#[derive(Arbitrary, Debug)]
struct Step<'a> {
    number: u16,
    id: &'a str,
    kind: u8,
    schema: Option<&'a str>,
}

const NAMES: [&str; 13] = [
    "format_version",
    "store_uuid",
    "flow_name",
    "part_index",
    "part_count",
    "key_groups",
    "execution",
    "epoch",
    "durable_seen",
    "base_epoch",
    "clean",
    "next_step",
    "maintained",
];

impl Name<'_> {
    fn text(&self) -> String {
        match self {
            Name::Known(at) => NAMES[usize::from(*at) % NAMES.len()].to_owned(),
            Name::Any(text) => (*text).to_owned(),
        }
    }
}

impl Table<'_> {
    fn row(&self) -> RawRow {
        match self {
            Table::Meta(name, value) => RawRow::Meta(name.text(), value.to_vec()),
            Table::Number(name, value) => RawRow::Meta(name.text(), value.to_be_bytes().to_vec()),
            Table::Step(number, value) => RawRow::Step(*number, value.to_vec()),
            Table::WholeStep(number, step) => RawRow::Step(*number, step.bytes()),
            Table::Base(key, value) => RawRow::Base(key.to_vec(), value.to_vec()),
            Table::WholeRow {
                step,
                group,
                key,
                value,
            } => fuzzing::whole_row(*step, *group, key, value),
            Table::Execution(number, value) => RawRow::Execution(*number, value.to_vec()),
            Table::Undo(epoch, index, value) => RawRow::Undo((*epoch, *index), value.to_vec()),
            Table::WholeUndo {
                number,
                index,
                last,
                before,
                records,
            } => {
                // around the epoch that the store is at
                let epoch = |number: &u8| (1 << 40) - 4 + u64::from(*number) % 8;
                fuzzing::whole_undo((epoch(number), *index), *last, epoch(before), records)
            }
        }
    }
}

impl Step<'_> {
    fn bytes(&self) -> Vec<u8> {
        #[derive(serde::Serialize)]
        struct Stored<'a> {
            number: u16,
            id: &'a str,
            kind: StepKind,
            operator: &'a str,
            key_type: &'a str,
            state_type: &'a str,
            state_schema: Option<&'a str>,
        }
        let kinds = [StepKind::Source, StepKind::State, StepKind::Sink];
        let stored = Stored {
            number: self.number,
            id: self.id,
            kind: kinds[usize::from(self.kind) % 3],
            operator: "",
            key_type: "",
            state_type: "",
            state_schema: self.schema,
        };
        let mut bytes = Vec::new();
        flow_store::encode(&stored, &mut bytes).expect("a step");
        bytes
    }
}

/// What a store just started has; what the input says comes on top.
fn valid() -> Vec<RawRow> {
    let number =
        |name: &str, value: u64| RawRow::Meta(name.to_owned(), value.to_be_bytes().to_vec());
    let mut rows = vec![
        RawRow::Meta("store_uuid".to_owned(), vec![7; 16]),
        RawRow::Meta("flow_name".to_owned(), b"fuzzed".to_vec()),
    ];
    let numbers = [
        ("format_version", 1),
        ("part_index", 0),
        ("part_count", 1),
        ("key_groups", 1024),
        ("execution", 1),
        ("epoch", 1 << 40),
        ("durable_seen", 0),
        ("base_epoch", 1 << 40),
        ("clean", 0),
        ("next_step", 3),
    ];
    rows.extend(numbers.map(|(name, value)| number(name, value)));
    rows
}

fn parse(bytes: &[u8]) {
    let value = fuzzing::message_pack(bytes);
    assert_eq!(
        value.is_ok(),
        decode::<serde::de::IgnoredAny>(bytes).is_ok()
    );
    if let Ok(step) = decode::<StoredStep>(bytes) {
        let mut again = Vec::new();
        flow_store::encode(&step, &mut again).expect("a step");
        assert_eq!(decode::<StoredStep>(&again).expect("the same step"), step);
    }
    for kind in [StepKind::Source, StepKind::State, StepKind::Sink] {
        assert!(kind.group(bytes) < flow_store::KEY_GROUPS);
        if let Ok((done, value)) = kind.split(bytes) {
            assert_eq!(value.len() + usize::from(done.is_some()), bytes.len());
        }
    }
}

fn schema(text: &str, other: &str) {
    let Ok(schema) = text.parse::<Schema>() else {
        return;
    };
    for text in [format!("{schema}"), format!("{schema:#}")] {
        assert_eq!(text.parse::<Schema>().as_ref(), Ok(&schema), "{text}");
    }
    assert!(schema.differences(&schema).is_empty(), "{schema}");
    let _ = (schema.ambiguous(), schema.has_any(), schema.fingerprint());
    if let Ok(other) = other.parse::<Schema>() {
        for difference in schema.differences(&other) {
            let _ = difference.to_string();
        }
        let _ = schema.has_bytes_of(&other);
    }
}

fn tables(tables: &[Table<'_>]) {
    let mut rows = valid();
    rows.extend(tables.iter().map(Table::row));
    let look = match fuzzing::look(&rows) {
        Ok(look) => look,
        Err(error) => return drop(error.to_string()),
    };
    if let Err(error) = flow_store_fuzz::read_all(&look) {
        drop(error.to_string());
    }
    if let Err(error) = look.reconcile(&[], &Agreed::default()) {
        drop(error.to_string());
    }
    for step in look.steps() {
        let _ = look.row(step, &[0xa0]).map_err(|error| error.to_string());
    }
    flow_store_fuzz::see_all(look);
}

fuzz_target!(
    init: flow_store_fuzz::init(),
    |input: Input<'_>| {
        flow_store_fuzz::run(Memory::Most(4 << 20), || match &input {
            Input::Bytes(bytes) => parse(bytes),
            Input::Row { key, stored } => {
                if let Ok(RawRow::Base(same_key, same)) = fuzzing::row(key, stored) {
                    assert_eq!((&same_key[..], &same[..]), (*key, *stored));
                }
            }
            Input::Undo { epoch, index, value } => drop(fuzzing::undo((*epoch, *index), value)),
            Input::Schema { text, other } => schema(text, other),
            Input::Tables(rows) => tables(rows),
        });
    }
);
