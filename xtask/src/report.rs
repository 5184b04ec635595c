//! What a person reads: sections with their time, tables, and what was not verified.

use std::time::{Duration, Instant};

/// Something that a gate could not check, and why.
///
/// A gap fails nothing, but it is printed when it is met and again at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gap(String);

impl Gap {
    /// Makes a gap and prints it.
    pub(crate) fn say(text: impl Into<String>) -> Self {
        let gap = Self(text.into());
        println!("\n{}\n", gap.line());
        gap
    }

    fn line(&self) -> String {
        format!("!!! NOT VERIFIED: {}", self.0)
    }
}

/// Prints the gaps of a whole run; prints nothing when there are none.
pub(crate) fn print_gaps(gaps: &[Gap]) {
    for gap in gaps {
        println!("{}", gap.line());
    }
}

/// A titled part of the output, which prints the time it took when dropped.
#[must_use = "the section ends when the value is dropped"]
#[derive(Debug)]
pub(crate) struct Section {
    title: String,
    started: Instant,
}

impl Section {
    pub(crate) fn open(title: impl Into<String>) -> Self {
        let title = title.into();
        println!("\n== {title} ==");
        Self { title, started: Instant::now() }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

impl Drop for Section {
    fn drop(&mut self) {
        println!("-- {}: {}", self.title, seconds(self.elapsed()));
    }
}

/// A time for people: `0.4 s`, `59.9 s`, `2 min 03 s`.
pub(crate) fn seconds(time: Duration) -> String {
    if time < Duration::from_secs(60) {
        return format!("{:.1} s", time.as_secs_f64());
    }
    format!("{} min {:02} s", time.as_secs() / 60, time.as_secs() % 60)
}

/// Lays rows out in columns two spaces apart, under a header and a rule.
///
/// A row shorter than the header is filled with empty cells; no line ends in spaces.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let widths: Vec<usize> = (0..header.len())
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
            widest.max(header[column].chars().count())
        })
        .collect();
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    let mut text = line(header, &widths);
    text.push_str(&line(&rule, &widths));
    for row in rows {
        text.push_str(&line(row, &widths));
    }
    text
}

fn line<S: AsRef<str>>(cells: &[S], widths: &[usize]) -> String {
    let padded: Vec<String> = widths
        .iter()
        .enumerate()
        .map(|(column, width)| {
            let cell = cells.get(column).map_or("", AsRef::as_ref);
            format!("{cell:<width$}")
        })
        .collect();
    format!("{}\n", padded.join("  ").trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_above_a_minute_are_minutes_and_seconds() {
        assert_eq!(seconds(Duration::from_millis(440)), "0.4 s");
        assert_eq!(seconds(Duration::from_secs(59)), "59.0 s");
        assert_eq!(seconds(Duration::from_secs(123)), "2 min 03 s");
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = vec![
            vec!["fmt".to_owned(), "ok".to_owned()],
            vec!["features".to_owned(), "failed".to_owned()],
        ];
        assert_eq!(
            table(&["step", "result"], &rows),
            "step      result\n--------  ------\nfmt       ok\nfeatures  failed\n"
        );
    }

    #[test]
    fn a_short_row_is_filled_and_lines_do_not_end_in_spaces() {
        let rows = vec![vec!["é".to_owned()]];
        assert_eq!(table(&["a", "b"], &rows), "a  b\n-  -\né\n");
    }
}
