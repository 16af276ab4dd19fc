//! Makes outputs durable.

use std::io;

use crate::error::SinkError;

/// Makes an output durable. It runs on the committer's thread, before the epoch is committed.
///
/// If several epochs are committed together, only the `SyncOutput` of the last one runs. So it must
/// also cover the epochs before.
pub struct SyncOutput(Box<dyn FnOnce() -> Result<(), SinkError> + Send>);

impl SyncOutput {
    /// Calls `sync`, such as `move || file.sync_data()`.
    pub fn new(sync: impl FnOnce() -> io::Result<()> + Send + 'static) -> Self {
        SyncOutput::checked(|| sync().map_err(SinkError::from))
    }

    /// Calls `sync`, which can find more errors than those of the system.
    pub(crate) fn checked(sync: impl FnOnce() -> Result<(), SinkError> + Send + 'static) -> Self {
        SyncOutput(Box::new(sync))
    }

    pub(crate) fn run(self) -> Result<(), SinkError> {
        (self.0)()
    }
}
