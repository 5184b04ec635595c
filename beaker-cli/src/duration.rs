//! Durations on the command line and in listings.

use std::time::Duration;

/// How long a result is fresh; `None` is for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ttl(pub(crate) Option<Duration>);

/// Reads `90s`, `10m`, `1h30m`, `2days`, `500ms`.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|_| "write a duration with units, such as 90s, 10m or 1h30m".to_owned())
}

/// Reads a duration, or `forever`.
pub(crate) fn parse_ttl(text: &str) -> Result<Ttl, String> {
    match text {
        "forever" => Ok(Ttl(None)),
        _ => parse(text).map(|ttl| Ttl(Some(ttl))).map_err(|fix| format!("{fix}, or `forever`")),
    }
}

/// The units of [`display`], in seconds.
const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];

/// The two largest units of `duration`: `2d3h`, `1h30m`, `5m`, `12s`, `0s`.
pub(crate) fn display(duration: Duration) -> String {
    let mut seconds = duration.as_secs();
    let Some(first) = UNITS.iter().position(|&(unit, _)| seconds >= unit) else {
        return format!("{}ms", duration.as_millis());
    };
    let mut text = String::new();
    for (unit, name) in UNITS.iter().skip(first).take(2) {
        if seconds >= *unit {
            text.push_str(&format!("{}{name}", seconds / unit));
            seconds %= unit;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compound_durations_are_read() {
        assert_eq!(parse("1h30m"), Ok(Duration::from_secs(5_400)));
        assert_eq!(parse("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_ttl("forever"), Ok(Ttl(None)));
    }

    #[test]
    fn a_wrong_duration_says_how_to_write_one() {
        for wrong in ["", "10", "-1s", "1 fortnight", "99999999999999999999s"] {
            assert!(parse_ttl(wrong).unwrap_err().contains("1h30m"), "{wrong}");
        }
    }

    #[test]
    fn two_units_are_shown() {
        let shown = |seconds| display(Duration::from_secs(seconds));
        assert_eq!(shown(93_784), "1d2h");
        assert_eq!(shown(5_400), "1h30m");
        assert_eq!(shown(3_601), "1h");
        assert_eq!(shown(12), "12s");
        assert_eq!(display(Duration::from_millis(7)), "7ms");
    }
}
