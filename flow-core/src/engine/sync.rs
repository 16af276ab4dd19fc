//! What makes an output durable.

use std::io;

use crate::error::SinkError;

/// Makes an output durable; run on the committer's thread before the epoch is committed.
///
/// When several epochs are committed together, only the `Sync` of the last one is run: it stands
/// for those before it.
pub struct Sync(Box<dyn FnOnce() -> Result<(), SinkError> + Send>);

impl Sync {
    /// What is to be done, such as `move || file.sync_data()`.
    pub fn new(sync: impl FnOnce() -> io::Result<()> + Send + 'static) -> Self {
        Sync::checked(|| sync().map_err(SinkError::from))
    }

    /// What is to be done, where more can be wrong than the system says.
    pub(crate) fn checked(sync: impl FnOnce() -> Result<(), SinkError> + Send + 'static) -> Self {
        Sync(Box::new(sync))
    }

    pub(crate) fn run(self) -> Result<(), SinkError> {
        (self.0)()
    }
}
