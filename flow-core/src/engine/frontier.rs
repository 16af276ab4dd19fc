//! Epochs as timely's timestamps, and the lowest one that is open.

use flow_store::Epoch;
use timely::progress::frontier::MutableAntichain;

/// An epoch as a timestamp: [`Epoch::to_u64`].
pub(super) type Time = u64;

/// A time after every epoch: the frontier when nothing more can come.
pub(super) const END: Epoch = Epoch::from_u64(Time::MAX);

/// The lowest epoch of which more may come on one of the inputs. [`END`] if nothing more can come.
pub(super) fn lowest(frontiers: &[MutableAntichain<Time>]) -> Epoch {
    let open = frontiers
        .iter()
        .filter_map(|frontier| frontier.frontier().first().copied());
    open.min().map_or(END, Epoch::from_u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_epoch_is_that_of_the_input_furthest_behind() {
        let at = |epoch: Epoch| MutableAntichain::from_elem(epoch.to_u64());
        let done = MutableAntichain::new();
        let (first, next) = (Epoch::first(3), Epoch::first(3).next());
        assert_eq!(lowest(&[at(next), done.clone(), at(first)]), first);
        assert_eq!(lowest(&[at(next)]), next);
        assert_eq!(lowest(&[done]), END);
        assert_eq!(lowest(&[]), END);
        assert!(END > next);
    }
}
