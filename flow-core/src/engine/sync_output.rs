//! What makes an output durable.

use std::io;

use crate::error::SinkError;

/// Makes an output durable; run on the committer's thread before the epoch is committed.
///
/// When several epochs are committed together, only the `SyncOutput` of the last one is run: it
/// stands for those before it.
pub struct SyncOutput(Box<dyn FnOnce() -> Result<(), SinkError> + Send>);

impl SyncOutput {
    /// What is to be done, such as `move || file.sync_data()`.
    pub fn new(sync: impl FnOnce() -> io::Result<()> + Send + 'static) -> Self {
        SyncOutput::checked(|| sync().map_err(SinkError::from))
    }

    /// What is to be done, where more can be wrong than the system says.
    pub(crate) fn checked(sync: impl FnOnce() -> Result<(), SinkError> + Send + 'static) -> Self {
        SyncOutput(Box::new(sync))
    }

    pub(crate) fn run(self) -> Result<(), SinkError> {
        (self.0)()
    }
}
