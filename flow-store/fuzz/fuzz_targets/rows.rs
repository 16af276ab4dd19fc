//! All parsers of a record's bytes, and stores whose tables have arbitrary rows.
#![no_main]

use flow_store::fuzzing::{self, RawRow, whole_chunk, whole_delta};
use flow_store::{Agreed, CodecError, Schema, StepKind, StoredStep, decode};
use flow_store_fuzz::{Chain, Chunk, Content, FIRST, Memory};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    Bytes(&'a [u8]),
    Chunk {
        key: (u16, u16, u64, u32),
        value: &'a [u8],
    },
    WholeChunk(Content<'a>),
    Delta {
        key: (u64, u32),
        value: &'a [u8],
    },
    WholeDelta(Content<'a>),
    Schema {
        text: &'a str,
        other: &'a str,
    },
    Tables(Chain<'a>, Vec<Table<'a>>),
}

#[derive(Arbitrary, Debug)]
enum Table<'a> {
    Meta(Name<'a>, &'a [u8]),
    Number(Name<'a>, u64),
    Manifest(u64, &'a [u8]),
    WholeManifest(u8, Vec<Step<'a>>),
    Chunk((u16, u16, u64, u32), &'a [u8]),
    WholeChunk(Chunk<'a>),
    Delta((u64, u32), &'a [u8]),
    Execution(u64, &'a [u8]),
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

const KINDS: [StepKind; 4] = [
    StepKind::Source,
    StepKind::State,
    StepKind::Sink,
    StepKind::Time,
];

const NAMES: [&str; 15] = [
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
    "oldest",
    "runs",
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
            Table::Manifest(epoch, value) => RawRow::Manifest(*epoch, value.to_vec()),
            Table::WholeManifest(epoch, steps) => {
                let steps: Vec<_> = steps.iter().map(Step::stored).collect();
                RawRow::Manifest(FIRST + u64::from(*epoch) % 8, encoded(&steps))
            }
            Table::Chunk(key, value) => RawRow::Chunk(*key, value.to_vec()),
            Table::WholeChunk(chunk) => chunk.row(),
            Table::Delta(key, value) => RawRow::Delta(*key, value.to_vec()),
            Table::Execution(number, value) => RawRow::Execution(*number, value.to_vec()),
        }
    }
}

/// As it is stored.
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

impl Step<'_> {
    fn stored(&self) -> Stored<'_> {
        Stored {
            number: self.number,
            id: self.id,
            kind: KINDS[usize::from(self.kind) % KINDS.len()],
            operator: "",
            key_type: "",
            state_type: "",
            state_schema: self.schema,
        }
    }
}

fn encoded(value: &impl serde::Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    flow_store::encode(value, &mut bytes).expect("bytes");
    bytes
}

/// The rows of a store that was just started. The rows of the input are added to them.
fn valid() -> Vec<RawRow> {
    let number =
        |name: &str, value: u64| RawRow::Meta(name.to_owned(), value.to_be_bytes().to_vec());
    let mut rows = vec![
        RawRow::Meta("store_uuid".to_owned(), vec![7; 16]),
        RawRow::Meta("flow_name".to_owned(), b"fuzzed".to_vec()),
    ];
    let numbers = [
        ("format_version", 6),
        ("part_index", 0),
        ("part_count", 1),
        ("key_groups", 1024),
        ("execution", 1),
        ("epoch", FIRST),
        ("durable_seen", 0),
        ("base_epoch", FIRST),
        ("clean", 0),
        ("next_step", KINDS.len() as u64),
        ("maintained", 0),
        ("oldest", FIRST),
        ("runs", 3),
        ("chunk_bytes", 0),
    ];
    rows.extend(numbers.map(|(name, value)| number(name, value)));
    let steps: [_; KINDS.len()] = std::array::from_fn(|n| Stored {
        number: n as u16,
        id: ["lines", "counts", "out", "times"][n],
        kind: KINDS[n],
        operator: "",
        key_type: "",
        state_type: "",
        state_schema: None,
    });
    rows.push(RawRow::Manifest(FIRST, encoded(&steps)));
    rows
}

fn parse(bytes: &[u8]) {
    let value = fuzzing::message_pack(bytes);
    match decode::<serde::de::IgnoredAny>(bytes) {
        Err(CodecError::TooDeep) => {}
        decoded => assert_eq!(value.is_ok(), decoded.is_ok()),
    }
    if let Ok(step) = decode::<StoredStep>(bytes) {
        let mut again = Vec::new();
        flow_store::encode(&step, &mut again).expect("a step");
        assert_eq!(decode::<StoredStep>(&again).expect("the same step"), step);
    }
    for kind in KINDS {
        assert!(kind.group(bytes) < flow_store::KEY_GROUPS);
        if let Ok((row, value)) = kind.split(bytes) {
            assert!(bytes.ends_with(value) && row.is_none_or(|row| row.token == value));
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

fn tables(mut rows: Vec<RawRow>, tables: &[Table<'_>]) {
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
            Input::Chunk { key, value } => drop(fuzzing::chunk(*key, value)),
            Input::WholeChunk(content) => {
                let (step, group, rows) = content.of_chunk();
                if let RawRow::Chunk(key, value) = whole_chunk((step, group, 1, 0), 0, 0, &rows) {
                    let read = fuzzing::chunk(key, &value);
                    assert!(read.is_ok() || matches!(content, Content::Bytes(_)));
                }
            }
            Input::Delta { key, value } => drop(fuzzing::delta(*key, value)),
            Input::WholeDelta(content) => {
                let whole = whole_delta((1, 0), true, 0, &content.of_delta());
                if let RawRow::Delta(key, value) = whole {
                    let read = fuzzing::delta(key, &value);
                    assert!(read.is_ok() || matches!(content, Content::Bytes(_)));
                }
            }
            Input::Schema { text, other } => schema(text, other),
            Input::Tables(chain, rows) => tables([valid(), chain.rows()].concat(), rows),
        });
    }
);
