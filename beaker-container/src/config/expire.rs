use std::time::Duration;

use super::OptionValue;

/// What to write, told to whoever wrote something else.
pub(super) const FIX: &str =
    "write whole seconds (3600), a duration (\"90s\", \"10m\", \"1h30m\") or \"never\"";

/// Reads an expiry as Beaker's configuration holds it: whole seconds, or none for never.
///
/// A bool, though Python takes it for a number, and a negative number are no expiry.
pub(super) fn from_seconds(value: &OptionValue) -> Option<Option<Duration>> {
    match value {
        OptionValue::None => Some(None),
        OptionValue::Int(seconds) => {
            u64::try_from(*seconds).ok().map(|seconds| Some(Duration::from_secs(seconds)))
        }
        _ => None,
    }
}

/// Reads an expiry as people write it: seconds, a duration with units, or `never`.
pub(super) fn from_seconds_or_text(value: &OptionValue) -> Option<Option<Duration>> {
    let OptionValue::Text(text) = value else {
        return from_seconds(value);
    };
    match text.trim() {
        "never" => Some(None),
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().ok().map(|seconds| Some(Duration::from_secs(seconds)))
        }
        duration => humantime::parse_duration(duration).ok().map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(value: impl Into<OptionValue>) -> Option<Option<f64>> {
        let expire = from_seconds_or_text(&value.into())?;
        Some(expire.map(|duration| duration.as_secs_f64()))
    }

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, expected) in [
            ("0", 0.0),
            ("90", 90.0),
            ("90s", 90.0),
            ("10m", 600.0),
            ("1h30m", 5400.0),
            (" 1h 30m ", 5400.0),
            ("2d", 172_800.0),
            ("250ms", 0.25),
        ] {
            assert_eq!(seconds(text), Some(Some(expected)), "{text}");
        }
        assert_eq!(seconds(90), Some(Some(90.0)));
        assert_eq!(seconds("never"), Some(None));
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", " ", "-1", "-1s", "+1", "1x", "s", "1h-30m", "１", "99999999999999999999"]
        {
            assert_eq!(seconds(text), None, "{text}");
        }
        assert_eq!(seconds(-1), None);
        assert_eq!(seconds(true), None);
        assert_eq!(seconds(1.5), None);
    }
}
