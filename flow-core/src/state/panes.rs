//! The open windows of a key, as the store keeps them: a list of `[open, shown, value]`.

use flow_store::{Checked, CodecError, Primitive, Schema};

use crate::record::State;

/// The open windows of a key, in the order in which they open. Never empty.
#[doc(hidden)]
pub struct Panes<S>(pub(super) Vec<Pane<S>>);

/// An open window of a key.
pub(super) struct Pane<S> {
    /// When it opens, in microseconds since 1970.
    pub(super) open: i64,
    /// Whether its result was emitted at the end of the input, and nothing has come since.
    pub(super) shown: bool,
    pub(super) value: S,
}

impl<S> Panes<S> {
    /// The same windows with other values.
    pub(crate) fn map<New>(self, convert: impl Fn(S) -> New) -> Panes<New> {
        let panes = self.0.into_iter().map(|pane| Pane {
            open: pane.open,
            shown: pane.shown,
            value: convert(pane.value),
        });
        Panes(panes.collect())
    }
}

/// The number of parts of a pane.
const PARTS: u32 = 3;

impl<S: State> Panes<S> {
    pub(crate) fn encode(
        &self,
        checked: &mut Checked,
        into: &mut Vec<u8>,
    ) -> Result<(), CodecError> {
        let before = into.len();
        let encoded = self.encode_or(checked, into);
        if encoded.is_err() {
            into.truncate(before);
        }
        encoded
    }

    fn encode_or(&self, checked: &mut Checked, into: &mut Vec<u8>) -> Result<(), CodecError> {
        let len = u32::try_from(self.0.len());
        let len = len.map_err(|_| CodecError::Encode("a key has 2^32 windows".to_owned()))?;
        flow_store::begin_list(len, into);
        for pane in &self.0 {
            flow_store::begin_list(PARTS, into);
            flow_store::encode(&pane.open, into)?;
            flow_store::encode(&pane.shown, into)?;
            pane.value.encode(checked, into)?;
        }
        Ok(())
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut rest = bytes;
        let len = flow_store::list_front(&mut rest)?;
        let mut panes = Vec::new();
        for _ in 0..len {
            let parts = flow_store::list_front(&mut rest)?;
            if parts != PARTS {
                return Err(CodecError::Decode(format!("a window has {parts} parts")));
            }
            panes.push(Pane {
                open: flow_store::decode_front(&mut rest)?,
                shown: flow_store::decode_front(&mut rest)?,
                value: S::decode_front(&mut rest)?,
            });
        }
        match rest.len() {
            0 => Ok(Panes(panes)),
            left => Err(CodecError::TrailingBytes {
                left,
                all: bytes.len(),
            }),
        }
    }

    pub(crate) fn schema() -> Schema {
        let open = Schema::Primitive(Primitive::I64);
        let shown = Schema::Primitive(Primitive::Bool);
        let pane = Schema::Tuple(vec![open, shown, S::schema()]);
        Schema::List(Box::new(pane))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panes_are_read_back_as_they_were() {
        let pane = |open, shown, value: &str| Pane {
            open,
            shown,
            value: value.to_owned(),
        };
        let panes = Panes(vec![pane(-60, true, "a"), pane(i64::MAX, false, "")]);
        let mut bytes = Vec::new();
        panes.encode(&mut Checked::default(), &mut bytes).unwrap();
        let read = Panes::<String>::decode(&bytes).unwrap().0;
        let read = read
            .iter()
            .map(|pane| (pane.open, pane.shown, &*pane.value));
        let read: Vec<_> = read.collect();
        assert_eq!(read, [(-60, true, "a"), (i64::MAX, false, "")]);
        // It is what the codec would write, so the store's tools can show it.
        let shown: Vec<(i64, bool, String)> = flow_store::decode(&bytes).unwrap();
        assert_eq!(shown.len(), 2);
        assert_eq!(
            Panes::<String>::schema(),
            flow_store::trace::<Vec<(i64, bool, String)>>()
        );
        bytes.push(0);
        assert!(Panes::<String>::decode(&bytes).is_err());
        assert!(Panes::<String>::decode(&[0x91, 0x92, 1, 0xc3]).is_err());
        assert!(Panes::<String>::decode(&[7]).is_err());
    }
}
