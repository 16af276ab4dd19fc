//! Where tests interfere with a running store. Without its feature a hook does nothing.

pub(crate) mod fail_point;
pub(crate) mod unfolded;
