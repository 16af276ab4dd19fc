//! Reading values that were stored as another type.

use std::any::Any;

use flow_store::CodecError;

/// Reads a value of another type as a `T`.
pub(crate) type Read<T> = Box<dyn Fn(&[u8]) -> Result<T, CodecError>>;

/// Reads the bytes of an old type and makes a value of the present type.
pub(crate) struct Conversion(Box<dyn Any>);

impl Conversion {
    pub(crate) fn new<T: 'static>(read: impl Fn(&[u8]) -> Result<T, CodecError> + 'static) -> Self {
        let read: Read<T> = Box::new(read);
        Conversion(Box::new(read))
    }

    /// The function, if it makes a `T`. The check of the graph makes sure that it does.
    pub(crate) fn reader<T: 'static>(&self) -> Option<&Read<T>> {
        self.0.downcast_ref()
    }
}

/// The conversions of a step, in the order of its old types.
#[derive(Default)]
pub(crate) struct Conversions {
    pub(crate) states: Vec<Conversion>,
    pub(crate) keys: Vec<Conversion>,
}
