//! The lines of the report, and how long a storm lasts.

use std::time::Duration;

/// `BEAKER_STORM_SECS` seconds; one and a half if it is not set.
pub(crate) fn storm_time() -> Duration {
    let seconds = std::env::var("BEAKER_STORM_SECS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs_f64(seconds.unwrap_or(1.5))
}

/// Whether there is time for the long form.
pub(crate) fn is_long() -> bool {
    storm_time() >= Duration::from_secs(10)
}

/// Prints a line of the report; `cargo xtask storm` makes a table of them.
pub(crate) fn report(row: &str, store: &str, measured: &str, holds: bool) {
    let verdict = if holds { "ok" } else { "FAILED" };
    println!("STORM|{row}|{store}|{measured}|{verdict}");
}
