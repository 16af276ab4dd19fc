//! Access to the inside of the store, for tests and fuzz targets.

#[cfg(feature = "fuzzing")]
pub mod fuzzing;
#[cfg(test)]
mod simulator;
