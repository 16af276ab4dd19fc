//! Compares outputs with the expected ones, with or without their order.

use std::collections::BTreeMap;

use crate::description::Item;

/// Checks that `least` is a prefix of `got`, and `got` a prefix of `most`. Lanes are compared one
/// by one and in order, or, if there is no order, as subsets.
pub(crate) fn within(
    in_order: bool,
    least: &[Item],
    got: &[Item],
    most: &[Item],
) -> Result<(), String> {
    let begins = if in_order { begins_by_lane } else { is_part };
    if !begins(least, got) {
        return Err(format!("{got:?}\n    has not all of {least:?}"));
    }
    if !begins(got, most) {
        return Err(format!("{got:?}\n    is more than {most:?}"));
    }
    Ok(())
}

fn begins_by_lane(part: &[Item], whole: &[Item]) -> bool {
    let whole = by_lane(whole);
    let lanes = by_lane(part);
    let mut lanes = lanes.iter();
    lanes.all(|(lane, part)| whole.get(lane).is_some_and(|whole| whole.starts_with(part)))
}

fn by_lane(items: &[Item]) -> BTreeMap<&str, Vec<u64>> {
    let mut lanes: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for item in items {
        lanes.entry(&item.lane).or_default().push(item.n);
    }
    lanes
}

fn is_part(part: &[Item], whole: &[Item]) -> bool {
    let whole = counts(whole);
    let mut part = counts(part).into_iter();
    part.all(|(item, count)| whole.get(item).is_some_and(|there| *there >= count))
}

fn counts(items: &[Item]) -> BTreeMap<&Item, usize> {
    let mut counts = BTreeMap::new();
    for item in items {
        *counts.entry(item).or_default() += 1;
    }
    counts
}
