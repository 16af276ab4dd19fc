//! Measures rows: the sides of a group take turns, round after round, so that a ratio is of two
//! runs that were next to each other, and holds on a machine whose speed changes.

use std::collections::BTreeMap;

use crate::{
    Result,
    cart::Tally,
    rows::{Group, Row, Value},
    side::{Report, Scratch, Side},
};

/// A row with what was measured for it.
pub(crate) struct Measured {
    pub(crate) row: Row,
    pub(crate) ratios: Ratios,
}

/// The ratios of all rounds, from small to large; at least one.
pub(crate) struct Ratios(Vec<f64>);

impl Ratios {
    fn new(mut ratios: Vec<f64>) -> Option<Self> {
        ratios.sort_by(f64::total_cmp);
        (!ratios.is_empty()).then_some(Ratios(ratios))
    }

    pub(crate) fn min(&self) -> f64 {
        self.0.first().copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn median(&self) -> f64 {
        self.0.get(self.0.len() / 2).copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn max(&self) -> f64 {
        self.0.last().copied().unwrap_or(f64::NAN)
    }
}

type Reports = BTreeMap<Side, Report>;

/// Runs the sides of a group and gives out its rows.
pub(crate) fn measure(group: Group, scratch: &Scratch, verbose: bool) -> Result<Vec<Measured>> {
    let mut sides: Vec<Side> = group
        .rows
        .iter()
        .flat_map(|row| row.value.sides())
        .collect();
    sides.sort();
    sides.dedup();
    let mut rounds: Vec<Reports> = Vec::new();
    for round in 0..group.rounds {
        eprintln!("{}: round {} of {}", group.name, round + 1, group.rounds);
        let mut reports = Reports::new();
        for side in &sides {
            let report = side.run(scratch)?;
            if verbose {
                eprintln!("  {side:?}: {report:?}");
            }
            reports.insert(*side, report);
        }
        check(&reports)?;
        rounds.push(reports);
        sides.rotate_left(1);
    }
    let mut measured = Vec::new();
    for row in group.rows {
        let ratios = rounds.iter().flat_map(|reports| row.value.ratios(reports));
        let Some(ratios) = Ratios::new(ratios.collect()) else {
            return Err(format!("nothing was measured for {}", row.name).into());
        };
        measured.push(Measured { row, ratios });
    }
    Ok(measured)
}

/// All that does the same work must have come to the same.
fn check(reports: &Reports) -> Result<()> {
    let mut tallies: BTreeMap<_, (&Side, Tally)> = BTreeMap::new();
    for (side, report) in reports {
        let Some(work) = side.same_work() else {
            continue;
        };
        let (first, tally) = *tallies.entry(work).or_insert((side, report.tally));
        if tally != report.tally || tally.count == 0 {
            return Err(format!(
                "the results are different: {tally:?} of {first:?}, {:?} of {side:?}",
                report.tally
            )
            .into());
        }
    }
    Ok(())
}

impl Value {
    fn sides(&self) -> Vec<Side> {
        match self {
            Value::Time(a, b) | Value::Memory(a, b) | Value::Each(a, b, _) => vec![*a, *b],
            Value::PerEvent(side, _) | Value::Own(side, _) => vec![*side],
        }
    }

    /// What one round says.
    fn ratios(&self, reports: &Reports) -> Vec<f64> {
        let time = |side| {
            reports
                .get(side)
                .map_or(f64::NAN, |report| report.nanoseconds)
        };
        let peak = |side| reports.get(side).map_or(f64::NAN, |report| report.peak);
        match self {
            Value::Time(a, b) => vec![time(a) / time(b)],
            Value::Memory(a, b) => vec![peak(a) / peak(b)],
            Value::Each(with, without, steps) => {
                vec![(time(with) - time(without)) / f64::from(*steps) / time(without)]
            }
            Value::PerEvent(side, nanoseconds) => {
                let count = reports.get(side).map_or(0, |report| report.tally.count);
                vec![time(side) / count as f64 / nanoseconds]
            }
            Value::Own(side, name) => {
                let own = reports.get(side).and_then(|report| report.own.get(*name));
                own.cloned().unwrap_or_default()
            }
        }
    }
}
