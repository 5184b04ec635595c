//! `why`: what is under a key, and what a reader would do with it.

use beaker_container::{Invalidation, Invalidator, REGIONS, Why};
use beaker_namespace::{Entry, Inspection, Payload, Timestamp};
use serde::Serialize;

use crate::args::{StoreArgs, WhyArgs};
use crate::commands::{open, parse_key};
use crate::exit::{ABSENT, OK, Outcome};
use crate::output;
use crate::report::{Life, date, json_line};
use crate::size;
use crate::store::Store;

pub(super) fn why(args: &WhyArgs, store: &StoreArgs) -> Outcome {
    let key = parse_key(&args.key)?;
    let namespace = open(store)?;
    let inspection = namespace.inspect(&key)?;
    let now = namespace.clock().now();
    let regions = match args.region {
        Some(_) => Some(Store::from_args(store)?.open(REGIONS)?),
        None => None,
    };
    let region = args.region.as_deref().zip(regions.as_deref());
    let why = Why::of_inspection(&*namespace, &inspection, region, now)?;
    let finding = Finding::new(&inspection, &why, now);
    let text = if args.json { json_line(&finding) } else { finding.to_string() + "\n" };
    output::print(text.as_bytes())?;
    Ok(if finding.state == State::Fresh { OK } else { ABSENT })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Fresh,
    Expired,
    Invalidated,
    Outdated,
    Corrupt,
    Foreign,
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
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    invalidated_by: Option<By>,
    reason: String,
}

/// What invalidated it, and when, in seconds since 1970.
#[derive(Debug, Serialize)]
struct By {
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    at: f64,
    soft: bool,
}

impl Finding {
    /// `why` is of `inspection` at `now`.
    fn new(inspection: &Inspection, why: &Why, now: Timestamp) -> Self {
        let state = state(why);
        let entry = match inspection {
            Inspection::Present(entry) | Inspection::Dead(entry) => Some(entry),
            _ => None,
        };
        let life = entry.map(|entry| Life::new(entry.began(), entry.expires(), now));
        Self {
            state,
            life: if state == State::Invalidated { life.map(Life::invalidated) } else { life },
            size_bytes: entry.and_then(|entry| entry.payload().len_bytes()),
            codec: entry.and_then(codec),
            tags: entry.map(|entry| entry.tag_list().to_vec()).unwrap_or_default(),
            etag: entry.and_then(Entry::entity_tag).map(str::to_owned),
            invalidated_by: invalidated_by(why, now),
            reason: reason(why, now),
        }
    }
}

fn codec(entry: &Entry) -> Option<String> {
    match entry.payload() {
        Payload::Bytes { codec, .. } => Some(format!("{codec:?}")),
        Payload::Object(_) => None,
    }
}

fn state(why: &Why) -> State {
    match why {
        Why::Fresh { .. } => State::Fresh,
        Why::Invalidated { .. } => State::Invalidated,
        Why::Outdated => State::Outdated,
        Why::Corrupt { .. } => State::Corrupt,
        Why::Foreign { .. } => State::Foreign,
        Why::Absent | Why::Cleared { .. } | Why::Left { .. } | Why::NotSeen { .. } => State::Absent,
        // What was made in the future, and what later versions find.
        _ => State::Expired,
    }
}

fn invalidated_by(why: &Why, now: Timestamp) -> Option<By> {
    let Why::Invalidated { by, kind, since } = why else { return None };
    let (tag, region) = match by {
        Invalidator::Tag(name) => (Some(name.clone()), None),
        Invalidator::Region(name) => (None, Some(name.clone())),
        _ => (None, None),
    };
    let at = now.saturating_sub(*since).as_secs_f64();
    Some(By { tag, region, at, soft: *kind == Invalidation::Soft })
}

/// The library's reason, with dates where it has durations, which count from `now`.
fn reason(why: &Why, now: Timestamp) -> String {
    let ago = |since| date(now.saturating_sub(since));
    let later = |left| date(now.saturating_add(left));
    match why {
        Why::Fresh { left: None, .. } => "it never expires".to_owned(),
        Why::Fresh { left: Some(left), .. } => format!("until {}", later(*left)),
        Why::Expired { since, kept: None } => {
            format!("since {}; it may be served stale", ago(*since))
        }
        Why::Expired { since, kept: Some(kept) } if kept.is_zero() => {
            format!("since {}; the next sweep drops it", ago(*since))
        }
        Why::Expired { since, kept: Some(kept) } => {
            format!("since {}; it may be served stale until {}", ago(*since), later(*kept))
        }
        Why::Invalidated { by, kind, since } => {
            format!("{} at {}; {}", invalidator(by), ago(*since), effect(*kind))
        }
        Why::Outdated => "it was made before the cache's start time".to_owned(),
        Why::FromTheFuture { ahead } => {
            format!("it was made in the future, at {}: the clock was set back", later(*ahead))
        }
        Why::Corrupt { reason } => format!("{reason}; a reader takes it for absent and drops it"),
        Why::Cleared { since } => {
            format!("there is no entry; the namespace was cleared at {}", ago(*since))
        }
        Why::Absent => "there is no entry".to_owned(),
        other => other.to_string(),
    }
}

fn invalidator(by: &Invalidator) -> String {
    match by {
        Invalidator::Tag(name) => format!("by the tag {name:?}"),
        Invalidator::Region(name) => format!("by the region {name:?}"),
        _ => "by a mark".to_owned(),
    }
}

fn effect(kind: Invalidation) -> &'static str {
    match kind {
        Invalidation::Hard => "a reader takes it for absent",
        Invalidation::Soft => "it may be served stale",
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = match self.state {
            State::Fresh => "fresh",
            State::Expired => "expired",
            State::Invalidated => "invalidated",
            State::Outdated => "outdated",
            State::Corrupt => "corrupt",
            State::Foreign => "foreign",
            State::Absent => "absent",
        };
        write!(f, "{state}: {}", self.reason)?;
        if let Some(life) = &self.life {
            write!(f, "; made {} ago", life.age())?;
        }
        if let Some(bytes) = self.size_bytes {
            write!(f, "; {}", size::display(bytes as u64))?;
        }
        if let Some(codec) = &self.codec {
            write!(f, " of {codec}")?;
        }
        if !self.tags.is_empty() {
            write!(f, "; tagged {}", self.tags.join(", "))?;
        }
        Ok(())
    }
}
