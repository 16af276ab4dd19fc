//! The store as it is used: through its public interface, on real files.

#[cfg(test)]
mod cycle;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod lock;
#[cfg(test)]
mod model;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod retain;
#[cfg(unix)]
#[cfg(test)]
mod size;
#[cfg(test)]
mod support;
