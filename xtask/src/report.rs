//! What a person reads: sections with their time, tables, and what was not verified.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

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

/// What gaps mean for the outcome of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gaps {
    /// They are told, and fail nothing: a machine without some tool can be worked on.
    Tell,
    /// One fails the command, once all of it was run: for a proof, and for a release.
    Refuse,
}

impl Gaps {
    /// The outcome of a command that went well but for `gaps`.
    ///
    /// # Errors
    ///
    /// Fails if there are gaps and they are refused.
    pub(crate) fn judge(self, gaps: &[Gap]) -> Result<()> {
        match (self, gaps) {
            (Self::Refuse, [_, ..]) => Err(Error::failed(format!(
                "not verified, though `--no-gaps` was asked for: {} of what is listed above",
                gaps.len()
            ))),
            _ => Ok(()),
        }
    }
}

/// What a test says in `line` that it could not check here: `SKIPPED`, and which one and why.
pub(crate) fn skipped(line: &str) -> Option<&str> {
    line.find("SKIPPED").and_then(|at| line.get(at..))
}

/// A gap for each of the texts that tests said, once.
pub(crate) fn gaps_of(skipped: &BTreeSet<String>) -> Vec<Gap> {
    skipped.iter().map(|text| Gap::say(format!("a test, {text}"))).collect()
}

/// Prints the gaps of a whole run; prints nothing when there are none.
pub(crate) fn print_gaps(gaps: &[Gap]) {
    for gap in gaps {
        println!("{}", gap.line());
    }
}

/// A titled part of the output, which prints what it took when dropped.
#[must_use = "the section ends when the value is dropped"]
#[derive(Debug)]
pub(crate) struct Section {
    title: String,
    started: Instant,
    /// The processor time of the programs that had ended by then.
    before: Option<Duration>,
}

impl Section {
    pub(crate) fn open(title: impl Into<String>) -> Self {
        let title = title.into();
        println!("\n== {title} ==");
        Self { title, started: Instant::now(), before: processor_time() }
    }

    pub(crate) fn spent(&self) -> Spent {
        let processor = processor_time().zip(self.before);
        Spent {
            time: self.started.elapsed(),
            processor: processor.map(|(now, before)| now.saturating_sub(before)),
        }
    }
}

impl Drop for Section {
    fn drop(&mut self) {
        let [time, processor] = self.spent().cells();
        println!("-- {}: {time}, of processors {processor}", self.title);
    }
}

/// What something took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spent {
    pub(crate) time: Duration,
    /// The time of all processors together, which other work on the machine changes little;
    /// `None` where the system does not tell.
    pub(crate) processor: Option<Duration>,
}

impl Spent {
    /// Both for people.
    pub(crate) fn cells(self) -> [String; 2] {
        [seconds(self.time), self.processor.map_or_else(|| "?".to_owned(), seconds)]
    }
}

/// The processor time of all programs that were run from here and have ended, as Linux counts it.
fn processor_time() -> Option<Duration> {
    spent_by_children(&std::fs::read_to_string("/proc/self/stat").ok()?)
}

/// Reads `cutime` and `cstime`, which are hundredths of a second: see proc(5).
fn spent_by_children(stat: &str) -> Option<Duration> {
    // The second field, the program's name, may have spaces and brackets in it.
    let (_, fields) = stat.rsplit_once(") ")?;
    let ticks = fields.split(' ').skip(13).take(2).map(|field| field.parse::<u64>().ok());
    let ticks: u64 = ticks.sum::<Option<u64>>()?;
    Some(Duration::from_millis(ticks * 10))
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
    fn a_gap_fails_a_command_only_if_gaps_are_refused() {
        let gap = [Gap::say("the database")];
        assert_eq!([Gaps::Tell.judge(&gap), Gaps::Tell.judge(&[])], [Ok(()), Ok(())]);
        assert_eq!(Gaps::Refuse.judge(&[]), Ok(()));
        let error = Gaps::Refuse.judge(&gap).unwrap_err();
        assert_eq!(error.exit_code(), 1);
        assert!(
            error.to_string().ends_with("`--no-gaps` was asked for: 1 of what is listed above")
        );
    }

    #[test]
    fn what_a_test_skips_is_a_gap_wherever_it_stands_in_a_line() {
        let why = "SKIPPED F31: `unshare` does not work here";
        for line in [why.to_owned(), format!("test disk::f31 ... {why}")] {
            assert_eq!(skipped(&line), Some(why));
        }
        assert_eq!(skipped("test skipped_calls_are_counted ... ok"), None);
        let said: BTreeSet<String> = [why.to_owned(), why.to_owned()].into();
        assert_eq!(gaps_of(&said), [Gap(format!("a test, {why}"))]);
    }

    #[test]
    fn times_above_a_minute_are_minutes_and_seconds() {
        assert_eq!(seconds(Duration::from_millis(440)), "0.4 s");
        assert_eq!(seconds(Duration::from_secs(59)), "59.0 s");
        assert_eq!(seconds(Duration::from_secs(123)), "2 min 03 s");
    }

    #[test]
    fn the_time_of_processors_is_read_behind_a_name_with_brackets() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 90 0 0 0 11 12 1300 450 20 0 1 0";
        assert_eq!(spent_by_children(stat), Some(Duration::from_millis(17_500)));
        assert_eq!(spent_by_children("7 (a) S 1 7"), Some(Duration::ZERO));
        assert_eq!(spent_by_children("nothing"), None);
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
