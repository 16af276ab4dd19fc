//! Decides at a start where the stored partitions resume, among those that the source has now.

use std::collections::{BTreeMap, BTreeSet};

use flow_store::{Checked, Row, TokenRow};

use super::{
    open::not_kept,
    token::{decode_token, token_row},
};
use crate::{
    error::{ResumeError, TypeChange},
    resume::{NO_GROUP, Settled, Unsettled},
    source::{Found, Known, Source, SourceError},
};

/// Settles where each partition of a source resumes. Changes nothing.
pub(super) fn settle<S: Source>(
    source: &S,
    unsettled: &Unsettled<'_>,
) -> Result<Settled, ResumeError> {
    let Unsettled {
        listed, dropped, ..
    } = unsettled;
    let step = || unsettled.step.to_owned();
    let is_listed = |name: &String| listed.binary_search(name).is_ok();
    let mut settled = Settled {
        partitions: listed.to_vec(),
        ..Settled::default()
    };
    let (mut known, mut times) = (Vec::new(), Vec::new());
    for row in &unsettled.rows {
        let (partition, row) = unsettled.stored(row)?;
        settled.known.push(partition.clone());
        // The row of a partition that is not read any more need not be readable.
        if dropped.contains(&partition) && !is_listed(&partition) {
            settled.given_up.insert(partition);
            continue;
        }
        let is_gone = !is_listed(&partition);
        let token = decode_token(&row);
        times.push(row.times);
        known.push(Known {
            token: token.map_err(|cause| unsettled.unreadable::<S>(&partition, is_gone, cause))?,
            partition,
            finished: row.finished,
        });
    }
    // If the same start is repeated, nothing shows which partitions were missed before.
    let missed = dropped.iter().filter(|name| source.may_be_missed(name));
    settled.known.extend(missed.cloned());
    let found = source.find_apart(&known, listed, unsettled.is_output);
    let found = found.map_err(|error| ResumeError::Source {
        step: step(),
        error,
    })?;
    let mut gone = Vec::new();
    // Finished partitions that are gone. Others may have their names now.
    let mut done: BTreeSet<String> = BTreeSet::new();
    let mut moves: Vec<(usize, String, S::Token)> = Vec::new();
    for (index, (known, found)) in known.iter().zip(found).enumerate() {
        let name = &known.partition;
        let is_there = is_listed(name) && matches!(found, Found::Same);
        if dropped.contains(name) {
            if is_there {
                let partition = name.clone();
                return Err(ResumeError::PartitionThere { partition });
            }
            settled.given_up.insert(name.clone());
            continue;
        }
        if let Some(to) = unsettled.renames.of(name, listed) {
            // If the same start is repeated, the partition has resumed under its new name, and
            // another one has its old name.
            if is_there && settled.known.contains(&to) {
                continue;
            }
            if is_there {
                let partition = name.clone();
                return Err(ResumeError::PartitionThere { partition });
            }
            if !is_listed(&to) {
                return Err(ResumeError::RenamedToNothing {
                    step: step(),
                    old: name.clone(),
                    new: to,
                });
            }
            if is_listed(name) {
                settled.after.push((name.clone(), to.clone()));
            }
            moves.push((index, to, source.renamed(known.token.clone())));
            continue;
        }
        match found {
            Found::Same if is_listed(name) => {}
            Found::Lost if known.finished => {
                done.insert(name.clone());
            }
            Found::Same if known.finished => {}
            // Opening it gives the error.
            Found::Lost if is_listed(name) => {}
            Found::Same | Found::Lost => gone.push(name.clone()),
            Found::Replaced { token } => {
                // It is other content, so its times begin anew.
                times[index].clear();
                settled.replaced.push(name.clone());
                moves.push((index, name.clone(), token));
            }
            Found::Forgotten => {
                settled.given_up.insert(name.clone());
            }
            Found::Unclear { why, help } => {
                return Err(ResumeError::Source {
                    step: step(),
                    error: SourceError::new(why).and_help(&help),
                });
            }
            Found::Perhaps { to } => {
                return Err(ResumeError::PartitionRenamed {
                    step: step(),
                    old: name.clone(),
                    new: to,
                });
            }
            Found::Moved {
                to,
                token,
                before,
                mut missed,
            } => {
                settled.known.extend(missed.iter().cloned());
                missed.retain(|name| !dropped.contains(name));
                if !missed.is_empty() {
                    return Err(ResumeError::PartitionsMissed {
                        step: step(),
                        old: name.clone(),
                        new: to,
                        missed,
                    });
                }
                settled
                    .after
                    .extend(before.map(|before| (before, to.clone())));
                moves.push((index, to, token));
            }
        }
    }
    if !gone.is_empty() {
        return Err(ResumeError::PartitionGone {
            step: step(),
            partitions: gone,
        });
    }
    for (index, to, _) in &moves {
        settled.given_up.insert(known[*index].partition.clone());
        settled.given_up.extend(done.take(to));
    }
    let kept: BTreeSet<&String> = known.iter().map(|known| &known.partition).collect();
    let mut checked = Checked::default();
    for (index, to, token) in moves {
        let known = &known[index];
        let is_taken = settled.moved.contains_key(&to)
            || kept.contains(&to) && !settled.given_up.contains(&to);
        if is_taken {
            return Err(ResumeError::PartitionsMeet {
                step: step(),
                old: known.partition.clone(),
                new: to,
            });
        }
        let row = token_row(known.finished, &times[index], &token, &mut checked)
            .map_err(|error| not_kept::<S>(unsettled.step, &to, error))?;
        if known.partition != to {
            settled.moves.push((known.partition.clone(), to.clone()));
        }
        settled.moved.insert(to, row);
    }
    let others = settled
        .moved
        .keys()
        .filter(|name| !is_listed(name))
        .cloned();
    settled.partitions.extend(others.collect::<Vec<_>>());
    settled.partitions.sort();
    settled.after = in_order(settled.after, &settled.partitions);
    Ok(settled)
}

/// Decides which partition is read behind which: the one that has a name now behind the one that
/// had it before. Two partitions that swapped names have no order.
fn in_order(after: Vec<(String, String)>, partitions: &[String]) -> Vec<(String, String)> {
    let is_read = |name: &String| partitions.binary_search(name).is_ok();
    let mut kept: BTreeMap<String, String> = BTreeMap::new();
    for (name, first) in after {
        // It goes behind the last one of those that it already waits for.
        let mut last = name;
        while let Some(next) = kept.get(&last) {
            last.clone_from(next);
        }
        let mut behind = Some(&first);
        while let Some(next) = behind.filter(|next| **next != last) {
            behind = kept.get(next);
        }
        if behind.is_none() && is_read(&last) && is_read(&first) {
            kept.insert(last, first);
        }
    }
    kept.into_iter().collect()
}

impl Unsettled<'_> {
    /// The name of the partition, and the value of its row.
    fn stored<'row>(&self, row: &'row Row) -> Result<(String, TokenRow<'row>), ResumeError> {
        let stored = TokenRow::partition(&row.key)
            .and_then(|partition| Ok((partition, TokenRow::read(&row.value)?)));
        stored.map_err(|cause| ResumeError::Token {
            step: self.step.to_owned(),
            gone: false,
            part: flow_store::text_of(&row.key),
            token: String::new(),
            cause: cause.to_string(),
            change: Box::new(TypeChange::unknown(self.change.stored_id.clone())),
        })
    }

    fn unreadable<S: Source>(&self, partition: &str, gone: bool, cause: String) -> ResumeError {
        ResumeError::Token {
            step: self.step.to_owned(),
            gone,
            part: partition.to_owned(),
            token: crate::names::short(std::any::type_name::<S::Token>()),
            cause,
            change: Box::new(self.change.clone()),
        }
    }
}

/// Removes the rows of partitions that no longer count from the store. Rows that are written again
/// stay.
pub(crate) fn forget(settled: &Settled, step: u16, changes: &mut flow_store::Changes) {
    for name in &settled.given_up {
        changes.remove(step, NO_GROUP, &TokenRow::key(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_partition_waits_for_itself() {
        let order = |after: &[(&str, &str)]| {
            let owned = |(name, first): &(&str, &str)| ((*name).to_owned(), (*first).to_owned());
            let partitions = ["a", "b", "c"].map(str::to_owned);
            let kept = in_order(after.iter().map(owned).collect(), &partitions);
            let text = kept.iter().map(|(name, first)| format!("{name}>{first}"));
            text.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(order(&[("a", "b"), ("b", "c")]), "a>b b>c");
        assert_eq!(order(&[("a", "b"), ("b", "a")]), "a>b");
        assert_eq!(order(&[("a", "b"), ("b", "c"), ("c", "a")]), "a>b b>c");
        // It waits for both.
        assert_eq!(order(&[("a", "b"), ("a", "c")]), "a>b b>c");
        assert_eq!(order(&[("a", "c"), ("b", "c"), ("a", "b")]), "a>c b>c");
        assert_eq!(order(&[("a", "a"), ("a", "gone")]), "");
    }
}
