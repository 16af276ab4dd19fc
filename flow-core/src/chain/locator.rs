//! The positions of a source's records, for the steps of its chain that pass on failed records.

use std::{cell::RefCell, rc::Rc};

use super::Parent;
use crate::error::RecordPosition;

/// Finds the position of a record by its place within the source's push.
type Find = Box<dyn FnMut(u32) -> Option<RecordPosition>>;

/// Finds the positions of the records that a worker's source is pushing.
///
/// A worker runs one chain at a time, so all of its sources and steps share one.
#[derive(Clone, Default)]
pub(crate) struct Locator(Rc<RefCell<Option<Find>>>);

impl Locator {
    /// The position of the source record that a record came from.
    pub(crate) fn find(&self, parent: Parent) -> Option<RecordPosition> {
        let place = parent.place()?;
        self.0.borrow_mut().as_mut()?(place)
    }

    /// Begins a push of a source, whose positions `find` knows.
    pub(crate) fn begin(&self, find: impl FnMut(u32) -> Option<RecordPosition> + 'static) {
        *self.0.borrow_mut() = Some(Box::new(find));
    }
}
