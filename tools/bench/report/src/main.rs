// SPDX-License-Identifier: GPL-2.0

//! `report TARGETS OUT RAW...`: turns what tools/bench measured into a table on stdout, `OUT/bench.tsv` and plots.
//!
//! RAW has lines of metric, unit, file system, run and value. TARGETS has lines of name, metric, file system and metric
//! that it is compared with, and the greatest ratio allowed.

mod plot;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::Path, //
};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The file system that all others are compared with.
const OURS: &str = "snapmapfs";

/// The values of all runs, for one metric on one file system.
#[derive(Default)]
struct Runs(Vec<f64>);

impl Runs {
    fn median(&self) -> f64 {
        let mut values = self.0.clone();
        values.sort_by(f64::total_cmp);
        let n = values.len();
        (values[(n - 1) / 2] + values[n / 2]) / 2.0
    }

    /// How far the runs lie apart, as a part of the median.
    fn spread(&self) -> f64 {
        let min = self.0.iter().copied().fold(f64::INFINITY, f64::min);
        let max = self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if max == min {
            0.0
        } else {
            (max - min) / self.median().abs()
        }
    }
}

/// A metric on all file systems.
struct Metric {
    name: String,
    unit: String,
    runs: BTreeMap<String, Runs>,
}

/// All metrics, in the order in which they were measured.
#[derive(Default)]
pub(crate) struct Results {
    metrics: Vec<Metric>,
    systems: Vec<String>,
}

impl Results {
    fn read(&mut self, text: &str) -> Result<()> {
        for line in text.lines() {
            let fields: Vec<_> = line.split('\t').collect();
            let &[name, unit, system, run, value] = fields.as_slice() else {
                return Err(format!("not a measurement: {line}").into());
            };
            // The run before the first warms up.
            if run.parse::<i32>()? < 0 {
                continue;
            }
            let at = match self.metrics.iter().position(|m| m.name == name) {
                Some(at) => at,
                None => {
                    self.metrics.push(Metric {
                        name: name.into(),
                        unit: unit.into(),
                        runs: BTreeMap::new(),
                    });
                    self.metrics.len() - 1
                }
            };
            if !self.systems.iter().any(|s| s == system) {
                self.systems.push(system.into());
            }
            let runs = self.metrics[at].runs.entry(system.into()).or_default();
            runs.0.push(value.parse()?);
        }
        Ok(())
    }

    /// The median of `metric` on `system`.
    pub(crate) fn get(&self, metric: &str, system: &str) -> Option<f64> {
        let metric = self.metrics.iter().find(|m| m.name == metric)?;
        Some(metric.runs.get(system)?.median())
    }

    /// The medians of `metric` on all file systems, or by all methods.
    pub(crate) fn on_all(&self, metric: &str) -> impl Iterator<Item = (&str, f64)> {
        let metric = self.metrics.iter().find(|m| m.name == metric);
        self.systems
            .iter()
            .filter_map(move |system| Some((system.as_str(), metric?.runs.get(system)?.median())))
    }

    fn peers(&self) -> impl Iterator<Item = &String> {
        self.systems.iter().filter(|s| *s != OURS)
    }

    fn tsv(&self) -> String {
        let mut out = String::from("metric\tunit\tsnapmapfs\tpeer\tpeer value\tratio\n");
        for metric in &self.metrics {
            let Some(ours) = metric.runs.get(OURS).map(Runs::median) else {
                continue;
            };
            for peer in self.peers() {
                if let Some(theirs) = metric.runs.get(peer).map(Runs::median) {
                    let _ = writeln!(
                        out,
                        "{}\t{}\t{ours:.2}\t{peer}\t{theirs:.2}\t{}",
                        metric.name,
                        metric.unit,
                        ratio(ours, theirs)
                    );
                }
            }
        }
        out
    }

    /// A table for each group of metrics that were measured on the same file systems.
    fn tables(&self) -> String {
        let systems = |metric: &Metric| -> Vec<String> {
            self.peers()
                .filter(|peer| metric.runs.contains_key(*peer))
                .cloned()
                .collect()
        };
        let mut out = String::new();
        let mut rest = self.metrics.as_slice();
        while let Some(first) = rest.first() {
            let peers = systems(first);
            let same = rest.iter().take_while(|m| systems(m) == peers).count();
            let (group, after) = rest.split_at(same);
            out.push_str(&Self::table(group, &peers));
            out.push('\n');
            rest = after;
        }
        out
    }

    fn table(metrics: &[Metric], peers: &[String]) -> String {
        let mut rows = vec![["metric", "unit", OURS, "spread"]
            .map(String::from)
            .to_vec()];
        for peer in peers {
            rows[0].extend([peer.clone(), "ratio".into(), "spread".into()]);
        }
        for metric in metrics {
            let ours = metric.runs.get(OURS);
            let mut row = vec![metric.name.clone(), metric.unit.clone()];
            row.extend(cells(ours));
            for peer in peers {
                let theirs = metric.runs.get(peer);
                let [value, spread] = cells(theirs);
                let by = match (ours, theirs) {
                    (Some(ours), Some(theirs)) => ratio(ours.median(), theirs.median()),
                    _ => String::new(),
                };
                row.extend([value, by, spread]);
            }
            rows.push(row);
        }
        format(&rows, 2)
    }

    /// The targets beside what was reached.
    fn targets(&self, text: &str) -> Result<String> {
        let head = ["target", "metric", "to", "ratio", "at most", ""];
        let mut rows = vec![head.map(String::from).to_vec()];
        for line in text
            .lines()
            .filter(|l| !l.is_empty() && !l.starts_with('#'))
        {
            let fields: Vec<_> = line.split('\t').collect();
            let &[name, metric, system, other, limit] = fields.as_slice() else {
                return Err(format!("not a target: {line}").into());
            };
            let limit: f64 = limit.parse()?;
            let to = match (system, other) {
                ("", other) => other.to_string(),
                (system, "") => system.to_string(),
                (system, other) => format!("{system}: {other}"),
            };
            let value = self.get(metric, OURS);
            // Without a file system the other field is the number itself that the value is compared with.
            let base = if system.is_empty() {
                Some(1.0)
            } else {
                self.get(if other.is_empty() { metric } else { other }, system)
            };
            let (ratio, verdict) = match (value, base) {
                (Some(value), Some(base)) => {
                    let met = value / base <= limit;
                    (
                        significant(value / base),
                        if met { "met" } else { "missed" },
                    )
                }
                _ => (String::new(), "not measured"),
            };
            rows.push(vec![
                name.into(),
                metric.into(),
                to,
                ratio,
                significant(limit),
                verdict.into(),
            ]);
        }
        Ok(format(&rows, 3))
    }
}

fn cells(runs: Option<&Runs>) -> [String; 2] {
    match runs {
        Some(runs) => [
            significant(runs.median()),
            format!("{:.1}%", runs.spread() * 100.0),
        ],
        None => [String::new(), String::new()],
    }
}

fn ratio(ours: f64, theirs: f64) -> String {
    if theirs == 0.0 {
        if ours == 0.0 { "1.000" } else { "inf" }.into()
    } else {
        significant(ours / theirs)
    }
}

/// A number with as many digits as it deserves.
fn significant(value: f64) -> String {
    match value.abs() {
        v if v >= 1000.0 => format!("{value:.0}"),
        v if v >= 100.0 => format!("{value:.1}"),
        v if v >= 0.01 || v == 0.0 => format!("{value:.3}"),
        _ => format!("{value:.6}"),
    }
}

/// Rows as a table, the first of which is the head. The columns before `left` are text.
fn format(rows: &[Vec<String>], left: usize) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<_> = (0..columns)
        .map(|c| rows.iter().filter_map(|r| r.get(c)).map(String::len).max())
        .collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let width = widths[column].unwrap_or(0);
            if column < left {
                let _ = write!(line, "{cell:<width$}  ");
            } else {
                let _ = write!(line, "{cell:>width$}  ");
            }
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

fn main() -> Result<()> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let [targets, out, raw @ ..] = args.as_slice() else {
        return Err("usage: report TARGETS OUT RAW...".into());
    };
    let mut results = Results::default();
    for file in raw {
        results.read(&fs::read_to_string(file)?)?;
    }
    let out = Path::new(out);
    fs::write(out.join("bench.tsv"), results.tsv())?;
    plot::all(&results, out)?;
    print!("{}", results.tables());
    println!("{}", results.targets(&fs::read_to_string(targets)?)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAW: &str = "\
w\tns\tsnapmapfs\t-1\t1000\n\
w\tns\tsnapmapfs\t0\t3\n\
w\tns\tsnapmapfs\t1\t2\n\
w\tns\tsnapmapfs\t2\t4\n\
w\tns\ttmpfs\t0\t2\n\
r\tns\tsnapmapfs\t0\t5\n";

    fn results() -> Results {
        let mut results = Results::default();
        results.read(RAW).unwrap();
        results
    }

    #[test]
    fn median_leaves_the_warm_up_out() {
        assert_eq!(results().get("w", OURS), Some(3.0));
        assert_eq!(results().metrics[0].runs[OURS].spread(), 2.0 / 3.0);
    }

    #[test]
    fn tsv_has_a_line_for_each_peer_that_was_measured() {
        assert_eq!(
            results().tsv(),
            "metric\tunit\tsnapmapfs\tpeer\tpeer value\tratio\nw\tns\t3.00\ttmpfs\t2.00\t1.500\n"
        );
    }

    #[test]
    fn targets_are_met_or_missed_or_not_measured() {
        let text = results()
            .targets("a\tw\ttmpfs\t\t1.5\nb\tw\ttmpfs\t\t1.4\nc\tx\ttmpfs\t\t1\nd\tw\t\tns\t3\n")
            .unwrap();
        let verdicts: Vec<_> = text
            .lines()
            .skip(1)
            .map(|l| l.split_whitespace().last())
            .collect();
        assert_eq!(
            verdicts,
            [Some("met"), Some("missed"), Some("measured"), Some("met")]
        );
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(Results::default().read("a b c").is_err());
    }
}
