//! Parcels and rows as timely's containers.

use std::io::Write;

use timely::{
    Accountable,
    bytes::arc::Bytes,
    communication::Push,
    dataflow::channels::{ContainerBytes, Message, Stamp, pushers::exchange::Distributor},
};

use super::EpochRows;
use crate::chain::Parcel;

impl Accountable for Parcel {
    // Progress counts parcels, so a parcel counts the same before and after it is packed.
    fn record_count(&self) -> i64 {
        i64::from(!self.is_empty())
    }
}

impl ContainerBytes for Parcel {
    fn from_bytes(bytes: Bytes) -> Self {
        let Some((length, rest)) = bytes.split_first_chunk::<8>() else {
            return Parcel::from_wire(&[]);
        };
        let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
        Parcel::from_wire(&rest[..length.min(rest.len())])
    }

    fn length_in_bytes(&self) -> usize {
        8 + self.wire().len().next_multiple_of(8)
    }

    fn into_bytes<W: Write>(&self, writer: &mut W) {
        let wire = self.wire();
        let padding = wire.len().next_multiple_of(8) - wire.len();
        // timely provides memory of the size that `length_in_bytes` returns, so writing can't fail.
        let _ = writer
            .write_all(&(wire.len() as u64).to_le_bytes())
            .and_then(|()| writer.write_all(wire))
            .and_then(|()| writer.write_all(&[0; 8][..padding]));
    }
}

/// Sends each parcel to its worker.
pub(super) struct ByAddress;

impl Distributor<Parcel> for ByAddress {
    fn partition<T: Clone, P: Push<Message<T, Parcel>>>(
        &mut self,
        parcel: &mut Parcel,
        stamp: &Stamp<T>,
        pushers: &mut [P],
    ) {
        debug_assert!(parcel.to() < pushers.len());
        if let Some(pusher) = pushers.get_mut(parcel.to()) {
            Message::push_at(parcel, stamp.clone(), pusher);
        }
    }

    fn flush<T: Clone, P: Push<Message<T, Parcel>>>(&mut self, _: &Stamp<T>, _: &mut [P]) {}
}

/// Rows on their way to the ledger of their worker.
#[derive(Default)]
pub(super) struct RowsParcel(pub(super) EpochRows);

impl Accountable for RowsParcel {
    fn record_count(&self) -> i64 {
        i64::from(!self.0.is_empty())
    }
}
