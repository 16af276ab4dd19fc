//! What tests and fuzz targets need of the inside of the store.

#[cfg(feature = "fuzzing")]
pub mod fuzzing;
#[cfg(test)]
mod simulator;
