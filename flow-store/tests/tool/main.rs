//! The command `flow-store`, as users run it.

#[cfg(test)]
mod damage;
#[cfg(test)]
mod docs;
#[cfg(test)]
mod killed;
#[cfg(test)]
mod reading;
#[cfg(test)]
mod support;
#[cfg(target_os = "linux")]
#[cfg(test)]
mod syncs;
#[cfg(test)]
mod times;
#[cfg(test)]
mod writing;
