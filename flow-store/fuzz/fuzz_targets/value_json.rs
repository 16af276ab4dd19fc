//! Values and keys as the command shows and reads them.
#![no_main]

#[path = "../../src/bin/flow-store/json.rs"]
mod json;

use flow_store_fuzz::Memory;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    Value(&'a [u8]),
    Key(&'a str),
}

/// Exactly the bytes that are one MessagePack value are shown.
fn value(bytes: &[u8]) {
    let shown = json::of(bytes);
    let whole = flow_store::fuzzing::message_pack(bytes);
    assert_eq!(shown.is_ok(), whole.is_ok(), "{shown:?}, {whole:?}");
    if let Ok(shown) = shown {
        let text = shown.to_string();
        // Deeper than JSON can be read, it counts as text.
        if let Ok(read) = serde_json::from_str::<serde_json::Value>(&text) {
            assert_eq!(read, shown);
        }
    }
}

/// A key on the command line is a value each time.
fn key(text: &str) {
    for key in json::keys(text) {
        json::of(&key).expect("a value");
    }
}

fuzz_target!(
    init: flow_store_fuzz::init(),
    |input: Input<'_>| {
        flow_store_fuzz::run(Memory::Most(4 << 20), || match input {
            Input::Value(bytes) => value(bytes),
            Input::Key(text) => key(text),
        });
    }
);
