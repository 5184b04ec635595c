//! Tables and JSON lines for people and for programs.

use std::time::{Duration, UNIX_EPOCH};

use beaker_namespace::Timestamp;
use serde::Serialize;

use crate::duration;

/// When an entry was made and when it expires, as seen at one moment. Times are in seconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Life {
    /// Since it was made.
    age: f64,
    /// Since 1970.
    made: f64,
    /// Since 1970; absent if it never expires.
    expires: Option<f64>,
    /// Or invalidated.
    expired: bool,
    /// By a tag or a region.
    invalidated: bool,
}

impl Life {
    pub(crate) fn new(began: Timestamp, expires: Timestamp, now: Timestamp) -> Self {
        Self {
            age: now.saturating_duration_since(began).as_secs_f64(),
            made: began.as_secs_f64(),
            expires: (!expires.is_never()).then(|| expires.as_secs_f64()),
            expired: now >= expires,
            invalidated: false,
        }
    }

    /// The same of an entry that a mark ended.
    pub(crate) fn invalidated(self) -> Self {
        Self { expired: true, invalidated: true, ..self }
    }

    /// `5m`.
    pub(crate) fn age(&self) -> String {
        duration::display(seconds(self.age))
    }

    /// `never`, `in 55m`, `5m ago` or `invalidated`.
    pub(crate) fn expiry(&self) -> String {
        if self.invalidated {
            return "invalidated".to_owned();
        }
        let Some(expires) = self.expires else { return "never".to_owned() };
        let left = expires - (self.made + self.age);
        match self.expired {
            true => format!("{} ago", duration::display(seconds(-left))),
            false => format!("in {}", duration::display(seconds(left))),
        }
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)
}

/// `2026-01-31T12:00:00Z`, or seconds where a calendar has no such day.
pub(crate) fn date(time: Timestamp) -> String {
    let micros = u64::try_from(time.as_micros()).ok();
    let time_of_day =
        micros.and_then(|micros| UNIX_EPOCH.checked_add(Duration::from_micros(micros)));
    // The last year that four digits hold; humantime refuses to print later ones.
    const YEAR_10_000: i64 = 253_402_300_800_000_000;
    match time_of_day.filter(|_| time.as_micros() < YEAR_10_000) {
        Some(moment) => humantime::format_rfc3339_seconds(moment).to_string(),
        None => format!("{:.0} seconds after 1970", time.as_secs_f64()),
    }
}

/// One JSON object and a line end.
pub(crate) fn json_line(value: &impl Serialize) -> String {
    // Strings, numbers and options of these always have a JSON form.
    serde_json::to_string(value).map(|json| json + "\n").unwrap_or_default()
}

/// Aligned columns: all but the last to the right, the last as it is.
pub(crate) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([head[column].len()]).max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = line(&head, &widths);
    for row in rows {
        text += &line(&row.each_ref().map(String::as_str), &widths);
    }
    text
}

fn line<const N: usize>(cells: &[&str; N], widths: &[usize; N]) -> String {
    let mut text = String::new();
    for (index, (cell, width)) in cells.iter().zip(widths).enumerate() {
        if index + 1 == N {
            text.push_str(cell);
        } else {
            text.push_str(&format!("{cell:>width$}  "));
        }
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn a_life_is_told_from_now() {
        let life = Life::new(at(1_000), at(4_600), at(1_300));
        assert_eq!((life.age(), life.expiry()), ("5m".to_owned(), "in 55m".to_owned()));
        let life = Life::new(at(1_000), at(4_600), at(4_601));
        assert_eq!(life.expiry(), "1s ago");
        assert!(life.expired);
        assert_eq!(Life::new(at(1), Timestamp::NEVER, at(2)).expiry(), "never");
        let life = Life::new(at(1_000), at(4_600), at(1_300)).invalidated();
        assert_eq!((life.expiry(), life.expired), ("invalidated".to_owned(), true));
    }

    #[test]
    fn columns_are_aligned() {
        let row = |a: &str, b: &str| [a.to_owned(), b.to_owned()];
        assert_eq!(
            table(["SIZE", "KEY"], &[row("1 B", "a"), row("10.0 KiB", "bc")]),
            "    SIZE  KEY\n     1 B  a\n10.0 KiB  bc\n"
        );
    }

    #[test]
    fn dates_are_utc() {
        assert_eq!(date(at(0)), "1970-01-01T00:00:00Z");
        assert_eq!(date(at(300_000_000_000)), "300000000000 seconds after 1970");
        assert_eq!(date(at(-1)), "-1 seconds after 1970");
    }
}
