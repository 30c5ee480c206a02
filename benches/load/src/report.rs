//! What was measured: every value as a line of JSON, medians as Markdown.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use crate::goals::GOALS;
use crate::scenario::Values;

/// One measurement.
struct Sample {
    scenario: &'static str,
    contender: &'static str,
    round: usize,
    values: Values,
}

/// All measurements of a run.
pub(crate) struct Report {
    samples: Vec<Sample>,
    file: File,
}

/// The measurements of one round.
pub(crate) struct Round<'a>(&'a [Sample], usize);

impl Round<'_> {
    /// What a contender was measured at.
    pub(crate) fn value(&self, scenario: &str, contender: &str, name: &str) -> Option<f64> {
        let of =
            |sample: &&Sample| sample.round == self.1 && sample.scenario == scenario && sample.contender == contender;
        self.0.iter().find(of)?.values.iter().find(|(other, _)| *other == name).map(|(_, value)| *value)
    }
}

impl Report {
    /// Appends to the file at `path`.
    pub(crate) fn new(path: &Path) -> Result<Self> {
        let file = File::options().create(true).append(true).open(path);
        Ok(Self { samples: Vec::new(), file: file.with_context(|| format!("cannot write {}", path.display()))? })
    }

    /// Takes note of a measurement, in the file too.
    pub(crate) fn add(
        &mut self,
        scenario: &'static str,
        contender: &'static str,
        round: usize,
        values: Values,
    ) -> Result<()> {
        let named: Map<String, Value> = values.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let line = json!({
            "scenario": scenario, "contender": contender, "round": round, "load": load(), "values": named,
        });
        writeln!(self.file, "{line}")?;
        self.samples.push(Sample { scenario, contender, round, values });
        Ok(())
    }

    /// A table for a scenario: the median of each value, and the lowest and the highest.
    pub(crate) fn table(&self, scenario: &str) -> String {
        let of_scenario = || self.samples.iter().filter(|sample| sample.scenario == scenario);
        let (mut names, mut contenders) = (Vec::new(), Vec::new());
        for sample in of_scenario() {
            names.extend(
                sample.values.iter().map(|(name, _)| *name).filter(|name| !names.contains(name)).collect::<Vec<_>>(),
            );
            if !contenders.contains(&sample.contender) {
                contenders.push(sample.contender);
            }
        }
        contenders.sort_unstable();
        let mut table =
            format!("\n### `{scenario}`\n\n| | {} |\n|---|{}\n", names.join(" | "), "---|".repeat(names.len()));
        for contender in contenders {
            let cells = names.iter().map(|name| {
                let mut values: Vec<f64> = of_scenario()
                    .filter(|sample| sample.contender == contender)
                    .filter_map(|sample| sample.values.iter().find(|(other, _)| other == name))
                    .map(|(_, value)| *value)
                    .collect();
                match median(&mut values) {
                    None => "–".to_owned(),
                    Some(median) if values.len() == 1 => number(median),
                    Some(median) => {
                        format!("{} ({}–{})", number(median), number(values[0]), number(values[values.len() - 1]))
                    }
                }
            });
            let cells = cells.collect::<Vec<_>>().join(" | ");
            // Writing into a string does not fail.
            let _ = writeln!(table, "| {contender} | {cells} |");
        }
        table
    }

    /// A table of the goals that could be looked at: medians of what was measured in each round.
    pub(crate) fn goals(&self) -> String {
        let rounds = self.samples.iter().map(|sample| sample.round + 1).max().unwrap_or_default();
        let mut table =
            "\n### Goals\n\n| | what | goal | here (lowest–highest) | |\n|---|---|---|---|---|\n".to_owned();
        for goal in &GOALS {
            let numbers = (0..rounds).filter_map(|round| goal.number(&Round(&self.samples, round)));
            let mut numbers: Vec<f64> = numbers.collect();
            let Some(median) = median(&mut numbers) else { continue };
            let verdict = match goal.bound.holds(median) {
                true => "reached".to_owned(),
                false => format!("**missed** by a factor of {:.2}", goal.bound.missed_by(median)),
            };
            let (lowest, highest) = (number(numbers[0]), number(numbers[numbers.len() - 1]));
            let _ = writeln!(
                table,
                "| {} | `{}`: {} | {} | {} ({lowest}–{highest}) | {verdict} |",
                goal.id,
                goal.scenario,
                goal.text,
                goal.bound,
                number(median)
            );
        }
        table
    }
}

/// How many processes wanted to run in the last minute, as the system says.
pub(crate) fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().unwrap_or_default().to_owned()
}

/// The one in the middle; sorts.
fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        length if length % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

/// Three digits that matter.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
