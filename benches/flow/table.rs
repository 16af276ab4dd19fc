//! The table.

use crate::harness::Measured;

const HEAD: [&str; 7] = ["name", "what", "against", "ratio", "floor", "goal", ""];

/// Prints the rows as a table that can also be pasted into the documentation.
pub(crate) fn print(rows: &[Measured]) {
    let lines: Vec<[String; 7]> = std::iter::once(HEAD.map(String::from))
        .chain(rows.iter().map(line))
        .collect();
    let mut widths = [0; 7];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for (number, line) in lines.iter().enumerate() {
        let cells = line.iter().zip(widths);
        let cells: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        println!("| {} |", cells.join(" | "));
        if number == 0 {
            let rules: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
            println!("|-{}-|", rules.join("-|-"));
        }
    }
}

fn line(measured: &Measured) -> [String; 7] {
    let Measured { row, ratios } = measured;
    let judged = if row.at_all_times {
        ratios.max()
    } else {
        ratios.median()
    };
    let within = |limit: Option<f64>| limit.is_some_and(|limit| judged <= limit);
    let met = match row.floor.or(row.goal) {
        None => "",
        Some(_) if within(row.goal) => "goal",
        Some(_) if within(row.floor) => "floor",
        Some(_) => "**missed**",
    };
    let limit = |limit: Option<f64>| limit.map(digits).unwrap_or_default();
    let (least, most) = (digits(ratios.min()), digits(ratios.max()));
    [
        format!("`{}`", row.name),
        row.what.to_owned(),
        row.against.to_owned(),
        format!("{} ({least} to {most})", digits(ratios.median())),
        limit(row.floor),
        limit(row.goal),
        met.to_owned(),
    ]
}

fn digits(ratio: f64) -> String {
    match ratio.abs() {
        0.1.. => format!("{ratio:.2}"),
        0.01.. => format!("{ratio:.3}"),
        _ => format!("{ratio:.4}"),
    }
}
