//! Tables, and one line for each target.

use std::fmt::Write as _;

/// What is printed, and what came of the targets.
#[derive(Debug)]
pub(crate) struct Report {
    markdown: bool,
    targets: Vec<Target>,
}

#[derive(Debug)]
struct Target {
    name: String,
    bound: String,
    measured: String,
    met: bool,
}

impl Report {
    pub(crate) fn new(markdown: bool) -> Self {
        Self { markdown, targets: Vec::new() }
    }

    pub(crate) fn missed(&self) -> usize {
        self.targets.iter().filter(|target| !target.met).count()
    }

    pub(crate) fn heading(&self, text: &str) {
        println!("\n## {text}\n");
    }

    pub(crate) fn note(&self, text: &str) {
        println!("{text}");
    }

    /// Something that was to be measured and was not.
    pub(crate) fn skipped(&self, text: &str) {
        let rule = "!".repeat(78);
        println!("\n{rule}\n!! SKIPPED: {}\n{rule}", text.replace('\n', "\n!! "));
    }

    pub(crate) fn table(&self, table: &Table) {
        print!("{}", if self.markdown { table.markdown() } else { table.aligned() });
    }

    /// `measured` must not be above `limit`.
    pub(crate) fn at_most(
        &mut self,
        name: &str,
        measured: f64,
        limit: f64,
        unit: &str,
        aside: &str,
    ) {
        self.judge(name, ("<=", limit), measured, measured <= limit, unit, aside);
    }

    /// `measured` must not be below `limit`.
    pub(crate) fn at_least(
        &mut self,
        name: &str,
        measured: f64,
        limit: f64,
        unit: &str,
        aside: &str,
    ) {
        self.judge(name, (">=", limit), measured, measured >= limit, unit, aside);
    }

    fn judge(
        &mut self,
        name: &str,
        (relation, limit): (&str, f64),
        measured: f64,
        met: bool,
        unit: &str,
        aside: &str,
    ) {
        let aside = if aside.is_empty() { String::new() } else { format!(" ({aside})") };
        let target = Target {
            name: name.to_owned(),
            bound: format!("{relation} {limit}{unit}"),
            measured: format!("{}{unit}{aside}", figure(measured)),
            met,
        };
        self.targets.push(target);
    }

    pub(crate) fn print_targets(&self) {
        self.heading("Targets");
        if self.markdown {
            let mut table = Table::new(&["target", "bound", "measured", "verdict"]);
            for target in &self.targets {
                table.row([
                    target.name.clone(),
                    target.bound.clone(),
                    target.measured.clone(),
                    target.verdict().to_owned(),
                ]);
            }
            self.table(&table);
        } else {
            self.targets.iter().for_each(|target| println!("{}", target.line()));
        }
        let (all, missed) = (self.targets.len(), self.missed());
        println!("\n{} of {all} targets met, {missed} missed", all - missed);
    }
}

impl Target {
    fn verdict(&self) -> &'static str {
        if self.met { "ok" } else { "MISSED" }
    }

    fn line(&self) -> String {
        let Self { name, bound, measured, .. } = self;
        format!("target: {name} {bound}: measured {measured}: {}", self.verdict())
    }
}

/// Rows of cells under a heading; the first column is text, the others are numbers.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(columns: &[impl AsRef<str>]) -> Self {
        Self { rows: vec![columns.iter().map(|name| name.as_ref().to_owned()).collect()] }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    fn aligned(&self) -> String {
        let columns = self.rows[0].len();
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            for (column, cell) in row.iter().enumerate() {
                let width = widths[column];
                let _never_fails = match column {
                    0 => write!(text, "{cell:<width$}"),
                    _ => write!(text, "  {cell:>width$}"),
                };
            }
            text.truncate(text.trim_end().len());
            text.push('\n');
        }
        text
    }

    fn markdown(&self) -> String {
        let mut text = String::new();
        for (number, row) in self.rows.iter().enumerate() {
            let _never_fails = writeln!(text, "| {} |", row.join(" | "));
            if number == 0 {
                let _never_fails = writeln!(text, "|{}", " --- |".repeat(row.len()));
            }
        }
        text
    }
}

/// Three digits that count.
pub(crate) fn figure(value: f64) -> String {
    match value.abs() {
        _ if !value.is_finite() => "-".to_owned(),
        0.0..9.995 => format!("{value:.2}"),
        0.0..99.95 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits() {
        assert_eq!(
            [0.123, 9.994, 9.996, 99.94, 99.96, 1234.5].map(figure).join(" "),
            "0.12 9.99 10.0 99.9 100 1234"
        );
    }

    #[test]
    fn a_table_is_aligned_or_markdown() {
        let mut table = Table::new(&["peer", "ns"]);
        table.row(["a".to_owned(), "100".to_owned()]);
        assert_eq!(table.aligned(), "peer   ns\na     100\n");
        assert_eq!(table.markdown(), "| peer | ns |\n| --- | --- |\n| a | 100 |\n");
    }

    #[test]
    fn a_missed_target_is_counted() {
        let mut report = Report::new(false);
        report.at_most("a", 1.0, 1.5, "x", "");
        assert_eq!(report.missed(), 0);
        report.at_most("b", 2.0, 1.5, "x", "min 1.4");
        report.at_least("c", 0.5, 0.4, "", "");
        assert_eq!(report.missed(), 1);
        assert_eq!(report.targets[1].line(), "target: b <= 1.5x: measured 2.00x (min 1.4): MISSED");
    }
}
