//! The options that make up a policy.

use std::time::Duration;

use super::{ConfigError, OptionValue, expire};
use crate::policy::{OnCancel, OnTimeout, Policy, Stale};

/// Their names. The time to live is Beaker's own option, `expire`.
pub(super) const NAMES: [&str; 14] = [
    "back_off",
    "early_refresh",
    "error_expire",
    "hard_timeout",
    "idle",
    "jitter",
    "keep_old",
    "negative_expire",
    "on_cancel",
    "on_timeout",
    "refresh_at",
    "soft_timeout",
    "stale",
    "wait",
];

const STALE: &str =
    "write \"never\", or \"while-refreshing 10m\", \"on-error 10m\" or \"both 10m\"";
const PART: &str = "write the part of the time to live, such as 0.8, or \"never\"";
const FACTOR: &str = "write a number, such as 1.0; 0 is never";

/// Sets the option called `name`, or says that there is none.
pub(super) fn assign(
    policy: &mut Policy,
    name: &str,
    value: &OptionValue,
) -> Option<Result<(), ConfigError>> {
    if !NAMES.contains(&name) {
        return None;
    }
    Some(set(policy, name, value).ok_or_else(|| {
        let what = match name {
            "stale" => ("says which expired values may be served, and for how long", STALE),
            "refresh_at" => ("must be a number from 0 to 1", PART),
            "early_refresh" => ("must be a number of at least 0", FACTOR),
            "on_timeout" => ("must be a word", "write \"finish\" or \"drop\""),
            "on_cancel" => ("must be a word", "write \"hand-over\" or \"detach\""),
            _ => ("must be a duration", expire::FIX),
        };
        ConfigError::invalid(format!("{name} {}", what.0)).at(name).fix(what.1)
    }))
}

fn set(policy: &mut Policy, name: &str, value: &OptionValue) -> Option<()> {
    // None is not set.
    if *value == OptionValue::None {
        return Some(());
    }
    let time = || expire::from_seconds_or_text(value);
    let bounded = || time().map(|time| time.unwrap_or(Duration::MAX));
    *policy = match name {
        "back_off" => policy.back_off(bounded()?),
        "early_refresh" => policy.early_refresh(number(value).filter(|beta| *beta >= 0.0)?),
        "error_expire" => policy.error_ttl(bounded()?),
        "hard_timeout" => policy.hard_timeout(time()?),
        "idle" => policy.idle(time()?),
        "jitter" => policy.jitter(bounded()?),
        "keep_old" => policy.keep_old(bounded()?),
        "negative_expire" => policy.negative_ttl(time()?),
        "on_cancel" => policy.on_cancel(match word(value)? {
            "hand-over" => OnCancel::HandOver,
            "detach" => OnCancel::Detach,
            _ => return None,
        }),
        "on_timeout" => policy.on_timeout(match word(value)? {
            "finish" => OnTimeout::Finish,
            "drop" => OnTimeout::Drop,
            _ => return None,
        }),
        "refresh_at" => policy.refresh_at(match word(value) {
            Some("never") => 1.0,
            _ => number(value).filter(|part| (0.0..=1.0).contains(part))?,
        }),
        "soft_timeout" => policy.soft_timeout(time()?),
        "stale" => policy.stale(stale(word(value)?)?),
        "wait" => policy.wait(bounded()?),
        _ => return None,
    };
    Some(())
}

fn stale(text: &str) -> Option<Stale> {
    if text == "never" {
        return Some(Stale::Never);
    }
    let (kind, age) = text.split_once(char::is_whitespace)?;
    let age = OptionValue::Text(age.to_owned());
    let max_age = expire::from_seconds_or_text(&age)?.unwrap_or(Duration::MAX);
    Some(match kind {
        "while-refreshing" => Stale::WhileRefreshing { max_age },
        "on-error" => Stale::OnError { max_age },
        "both" => Stale::Both { max_age },
        _ => return None,
    })
}

fn word(value: &OptionValue) -> Option<&str> {
    match value {
        OptionValue::Text(text) => Some(text.trim()),
        _ => None,
    }
}

fn number(value: &OptionValue) -> Option<f64> {
    let number = match value {
        OptionValue::Float(number) => *number,
        // Exact for every number that makes sense here.
        OptionValue::Int(number) => f64::from(i32::try_from(*number).ok()?),
        OptionValue::Text(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    number.is_finite().then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, value: impl Into<OptionValue>) -> Result<Policy, String> {
        let mut policy = Policy::new();
        let assigned = assign(&mut policy, name, &value.into()).expect("it is known");
        assigned.map(|()| policy).map_err(|error| error.to_string())
    }

    #[test]
    fn each_option_sets_its_part_of_the_policy() {
        let minute = Duration::from_secs(60);
        let new = Policy::new;
        for (name, text, policy) in [
            ("back_off", "1m", new().back_off(minute)),
            ("early_refresh", "1.5", new().early_refresh(1.5)),
            ("error_expire", "60", new().error_ttl(minute)),
            ("hard_timeout", "1m", new().hard_timeout(minute)),
            ("idle", "never", new()),
            ("jitter", "60s", new().jitter(minute)),
            ("keep_old", "1m", new().keep_old(minute)),
            ("negative_expire", "1m", new().negative_ttl(minute)),
            ("negative_expire", "never", new().negative_ttl(None)),
            ("on_cancel", "detach", new().on_cancel(OnCancel::Detach)),
            ("on_timeout", "drop", new().on_timeout(OnTimeout::Drop)),
            ("refresh_at", "0.8", new().refresh_at(0.8)),
            ("soft_timeout", "1m", new().soft_timeout(minute)),
            ("stale", "both 1m", new().stale(Stale::Both { max_age: minute })),
            ("stale", "on-error never", new().stale(Stale::OnError { max_age: Duration::MAX })),
            ("wait", "1m", new().wait(minute)),
        ] {
            assert_eq!(read(name, text), Ok(policy), "{name} = {text}");
        }
        assert_eq!(read("refresh_at", 1), Ok(new()), "one is never");
    }

    #[test]
    fn a_wrong_value_is_told_what_to_write() {
        for (name, text) in [
            ("stale", "both"),
            ("stale", "sometimes 1m"),
            ("refresh_at", "1.5"),
            ("early_refresh", "-1"),
            ("early_refresh", "inf"),
            ("on_timeout", "stop"),
            ("jitter", "soon"),
        ] {
            let error = read(name, text).unwrap_err();
            assert!(error.contains(name) && error.contains("write "), "{error}");
        }
    }
}
