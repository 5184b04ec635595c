//! `why`: what is under a key, and what a reader would do with it.

use beaker_namespace::{Entry, Inspection, Payload, Timestamp};
use serde::Serialize;

use crate::args::{StoreArgs, WhyArgs};
use crate::commands::{open, parse_key};
use crate::exit::{ABSENT, OK, Outcome};
use crate::output;
use crate::report::{Life, date, json_line};
use crate::size;

pub(super) fn why(args: &WhyArgs, store: &StoreArgs) -> Outcome {
    let key = parse_key(&args.key)?;
    let namespace = open(store)?;
    let inspection = namespace.inspect(&key)?;
    let finding = Finding::new(&inspection, namespace.clock().now());
    let text = if args.json { json_line(&finding) } else { finding.to_string() + "\n" };
    output::print(text.as_bytes())?;
    Ok(if finding.state == State::Fresh { OK } else { ABSENT })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Fresh,
    Expired,
    Corrupt,
    Absent,
}

/// What was found.
#[derive(Debug, Serialize)]
struct Finding {
    state: State,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    life: Option<Life>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size_bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    codec: Option<String>,
    reason: String,
}

impl Finding {
    fn new(inspection: &Inspection, now: Timestamp) -> Self {
        match inspection {
            Inspection::Present(entry) | Inspection::Dead(entry) => Self::of_entry(entry, now),
            Inspection::Corrupt(reason) => Self::without_entry(
                State::Corrupt,
                format!("{reason}; a reader takes it for absent and drops it"),
            ),
            _ => Self::without_entry(State::Absent, "there is no entry".to_owned()),
        }
    }

    fn without_entry(state: State, reason: String) -> Self {
        Self { state, life: None, size_bytes: None, codec: None, reason }
    }

    fn of_entry(entry: &Entry, now: Timestamp) -> Self {
        let codec = match entry.payload() {
            Payload::Bytes { codec, .. } => Some(format!("{codec:?}")),
            Payload::Object(_) => None,
        };
        Self {
            state: if entry.is_fresh(now) { State::Fresh } else { State::Expired },
            life: Some(Life::new(entry.began(), entry.expires(), now)),
            size_bytes: entry.payload().len_bytes(),
            codec,
            reason: reason(entry, now),
        }
    }
}

fn reason(entry: &Entry, now: Timestamp) -> String {
    let expires = entry.expires();
    if entry.is_fresh(now) {
        return match expires.is_never() {
            true => "it never expires".to_owned(),
            false => format!("until {}", date(expires)),
        };
    }
    if now < expires {
        return format!(
            "it was made in the future, at {}: the clock was set back",
            date(entry.began())
        );
    }
    match entry.staleness(now) {
        Some(_) if entry.dies().is_never() => {
            format!("since {}; it may be served stale", date(expires))
        }
        Some(_) => {
            format!("since {}; it may be served stale until {}", date(expires), date(entry.dies()))
        }
        None => format!("since {}; the next sweep drops it", date(expires)),
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = match self.state {
            State::Fresh => "fresh",
            State::Expired => "expired",
            State::Corrupt => "corrupt",
            State::Absent => "absent",
        };
        write!(f, "{state}: {}", self.reason)?;
        if let Some(life) = &self.life {
            write!(f, "; made {} ago", life.age())?;
        }
        if let Some(bytes) = self.size_bytes {
            write!(f, "; {}", size::display(bytes as u64))?;
        }
        match &self.codec {
            Some(codec) => write!(f, " of {codec}"),
            None => Ok(()),
        }
    }
}
