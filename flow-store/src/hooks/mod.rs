//! Where tests reach into a running store: nothing here does anything without its feature.

pub(crate) mod fail_point;
pub(crate) mod unfolded;
