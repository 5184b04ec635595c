//! Why a key gives what it gives.

use std::fmt;
use std::time::Duration;

use beaker_namespace::{
    Capability, Codec, CodecId, Entry, Inspection, Mark, Namespace, Payload, Timestamp,
};

use crate::{Error, RemovalCause};

/// What is under a key, and what a reader does with it; made by [`Cache::why`](crate::Cache::why).
///
/// Its text is for people and says no key and no value.
///
/// # Examples
///
/// ```
/// use beaker_container::{Cache, Created, Why};
///
/// let pages = Cache::<String, String>::open("memory:", "why pages")?;
/// assert!(matches!(pages.why("home")?, Why::Absent));
/// pages.store("home", Created::new("<h1>Hello</h1>".to_owned()).tag("layout"))?;
/// assert!(matches!(pages.why("home")?, Why::Fresh { .. }));
/// pages.invalidate_tag("layout")?;
/// let why = pages.why("home")?;
/// assert!(why.to_string().starts_with("invalidated by the tag \"layout\""), "{why}");
/// # Ok::<(), beaker_container::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// A reader gets it.
    Fresh {
        /// How long ago its creation began.
        age: Duration,
        /// How long it stays fresh; `None` for ever.
        left: Option<Duration>,
    },
    /// Its time to live is over.
    Expired {
        /// How long ago it expired.
        since: Duration,
        /// How long the store keeps it for those who may be served something stale; `None` for
        /// ever, zero if it is only not swept yet.
        kept: Option<Duration>,
    },
    /// Its creation began before a mark of one of its tags or of its region.
    Invalidated {
        /// By what.
        by: Invalidator,
        /// Whether it may still be served stale.
        kind: Invalidation,
        /// How long ago.
        since: Duration,
    },
    /// Its creation began before the cache's start time.
    Outdated,
    /// It was made in the future: the clock was set back.
    FromTheFuture {
        /// How far.
        ahead: Duration,
    },
    /// The bytes cannot be read back; a reader takes it for absent.
    Corrupt {
        /// What is wrong with them.
        reason: String,
    },
    /// It was written with a codec, or is of a type, that this cache does not read.
    Foreign {
        /// The codec of its bytes; `None` for a live object.
        codec: Option<CodecId>,
    },
    /// There is nothing, and the namespace was cleared: all that was there before is gone. Whether this was
    /// among it nobody keeps.
    Cleared {
        /// How long ago.
        since: Duration,
    },
    /// There is nothing: it left, and this cache remembers how.
    Left {
        /// How it left last, as far as this process was told.
        cause: RemovalCause,
        /// How long ago.
        since: Duration,
    },
    /// There is nothing, and nothing left under the key since this cache began to remember.
    NotSeen {
        /// How long ago it began.
        since: Duration,
    },
    /// There is nothing: it was never made, or was removed, evicted or swept. Stores keep nothing of what has
    /// left, so these cannot be told apart, but by a cache that
    /// [remembers](crate::Cache::with_remembered_removals) what it is told of.
    Absent,
}

/// What invalidated an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Invalidator {
    /// This tag.
    Tag(String),
    /// This region.
    Region(String),
}

/// What an invalidation allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invalidation {
    /// It is as if the entry were not there.
    Hard,
    /// It is as if the entry had expired.
    Soft,
}

impl Why {
    /// What is under `key` in `namespace`, for a reader of any type, in no region.
    ///
    /// [`Foreign`](Self::Foreign) are bytes of a codec that this program has not, or that are no such thing.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub fn of_key(namespace: &dyn Namespace, key: &beaker_namespace::Key) -> Result<Self, Error> {
        let now = namespace.clock().now();
        Self::of_inspection(namespace, &namespace.inspect(key)?, None, now)
    }

    /// The same of what was found, for who wants to say more of it, as it is at `now`: what is said
    /// in durations counts from there.
    ///
    /// `region` is the region of the reader, and the namespace with the marks of regions, which is
    /// called [`REGIONS`](crate::REGIONS) in the region's store.
    ///
    /// # Errors
    ///
    /// Those of the store, and of the region's.
    pub fn of_inspection(
        namespace: &dyn Namespace,
        inspection: &Inspection,
        region: Option<(&str, &dyn Namespace)>,
        now: Timestamp,
    ) -> Result<Self, Error> {
        Self::of(namespace, inspection, region, now, is_readable)
    }

    pub(crate) fn of(
        namespace: &dyn Namespace,
        inspection: &Inspection,
        region: Option<(&str, &dyn Namespace)>,
        now: Timestamp,
        reads: impl FnOnce(&Entry) -> bool,
    ) -> Result<Self, Error> {
        let keeps_marks = namespace.capabilities().has(Capability::Marks);
        let mut marks = Vec::new();
        for asked in Asked::about(inspection, region.map(|(name, _)| name), keeps_marks) {
            let of = match (&asked, region) {
                (Asked::Region(_), Some((_, marks))) => marks,
                _ => namespace,
            };
            let mark = of.marks(&mut std::iter::once(asked.name()))?;
            marks.push((asked, mark));
        }
        Ok(Self::judge(inspection, &marks, now, reads))
    }

    /// What was found, held against the marks that were asked for.
    pub(crate) fn judge(
        inspection: &Inspection,
        marks: &[(Asked, Mark)],
        now: Timestamp,
        reads: impl FnOnce(&Entry) -> bool,
    ) -> Self {
        let entry = match inspection {
            Inspection::Present(entry) => entry,
            Inspection::Dead(entry) => return Self::by_time(entry, now),
            Inspection::Corrupt(reason) => return Self::Corrupt { reason: reason.clone() },
            _ => return Self::without_entry(marks, now),
        };
        if let Some(invalidated) = Self::by_marks(entry, marks, now) {
            return invalidated;
        }
        match Self::by_time(entry, now) {
            Self::Fresh { .. } if !reads(entry) => Self::Foreign { codec: codec_of(entry) },
            why => why,
        }
    }

    fn without_entry(marks: &[(Asked, Mark)], now: Timestamp) -> Self {
        let cleared = marks.iter().find_map(|(asked, mark)| match asked {
            Asked::Cleared => mark.gone_until(),
            Asked::Region(_) | Asked::Tag(_) => None,
        });
        match cleared {
            Some(at) => Self::Cleared { since: now.saturating_duration_since(at) },
            None => Self::Absent,
        }
    }

    fn by_time(entry: &Entry, now: Timestamp) -> Self {
        let left =
            |until: Timestamp| (!until.is_never()).then(|| until.saturating_duration_since(now));
        if entry.is_fresh(now) {
            return Self::Fresh { age: entry.age(now), left: left(entry.expires()) };
        }
        if now < entry.expires() {
            return Self::FromTheFuture { ahead: entry.began().saturating_duration_since(now) };
        }
        let since = now.saturating_duration_since(entry.expires());
        Self::Expired { since, kept: left(entry.dies()) }
    }

    /// The latest invalidation that the entry began before; a hard one goes before a soft one.
    fn by_marks(entry: &Entry, marks: &[(Asked, Mark)], now: Timestamp) -> Option<Self> {
        let found = marks.iter().fold(None, |found, (asked, mark)| match asked {
            Asked::Region(name) => {
                latest(found, *mark, entry, || Invalidator::Region(name.clone()))
            }
            Asked::Tag(name) => latest(found, *mark, entry, || Invalidator::Tag(name.clone())),
            Asked::Cleared => found,
        });
        let Found { by, kind, at } = found?;
        Some(Self::Invalidated { by, kind, since: now.saturating_duration_since(at) })
    }
}

/// The name of the mark that [`Cache::clear`](crate::Cache::clear) leaves in its namespace, for
/// [`Why::Cleared`]. Nothing else asks for it.
pub const CLEARED: &str = "beaker cleared";

/// Whose mark is asked for.
#[derive(Debug, Clone)]
pub(crate) enum Asked {
    Region(String),
    Tag(String),
    /// That of the last clearing.
    Cleared,
}

impl Asked {
    /// All that have something to say about what was found.
    pub(crate) fn about(
        inspection: &Inspection,
        region: Option<&str>,
        keeps_marks: bool,
    ) -> Vec<Self> {
        match inspection {
            Inspection::Present(entry) => {
                let region = region.map(|name| Self::Region(name.to_owned()));
                region.into_iter().chain(entry.tag_list().iter().cloned().map(Self::Tag)).collect()
            }
            Inspection::Absent if keeps_marks => vec![Self::Cleared],
            _ => Vec::new(),
        }
    }

    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Region(name) | Self::Tag(name) => name,
            Self::Cleared => CLEARED,
        }
    }
}

/// Whether some reader in this program can make sense of the bytes.
fn is_readable(entry: &Entry) -> bool {
    match entry.payload() {
        Payload::Bytes { codec: CodecId::RAW, .. } | Payload::Object(_) => true,
        Payload::Bytes { codec, bytes } => {
            Codec::decode::<serde::de::IgnoredAny>(*codec, bytes).is_ok()
        }
    }
}

struct Found {
    by: Invalidator,
    kind: Invalidation,
    at: Timestamp,
}

fn latest(
    found: Option<Found>,
    mark: Mark,
    entry: &Entry,
    by: impl Fn() -> Invalidator,
) -> Option<Found> {
    let hit = |at: &Timestamp| entry.began() <= *at;
    let here = match (mark.gone_until().filter(hit), mark.expired_until().filter(hit)) {
        (Some(at), _) => Found { by: by(), kind: Invalidation::Hard, at },
        (None, Some(at)) => Found { by: by(), kind: Invalidation::Soft, at },
        (None, None) => return found,
    };
    match found {
        Some(found) if rank(&found) >= rank(&here) => Some(found),
        _ => Some(here),
    }
}

fn rank(found: &Found) -> (bool, Timestamp) {
    (found.kind == Invalidation::Hard, found.at)
}

fn codec_of(entry: &Entry) -> Option<CodecId> {
    match entry.payload() {
        Payload::Bytes { codec, .. } => Some(*codec),
        Payload::Object(_) => None,
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fresh { age, left: None } => write!(f, "fresh for ever; made {} ago", of(*age)),
            Self::Fresh { age, left: Some(left) } => {
                write!(f, "fresh for another {}; made {} ago", of(*left), of(*age))
            }
            Self::Expired { since, kept } => {
                write!(f, "expired {} ago; ", of(*since))?;
                match kept {
                    None => f.write_str("it may be served stale"),
                    Some(Duration::ZERO) => f.write_str("the next sweep drops it"),
                    Some(kept) => write!(f, "it may be served stale for another {}", of(*kept)),
                }
            }
            Self::Invalidated { by, kind, since } => {
                let (what, name) = match by {
                    Invalidator::Tag(name) => ("tag", name),
                    Invalidator::Region(name) => ("region", name),
                };
                write!(f, "invalidated by the {what} {name:?} {} ago", of(*since))?;
                match kind {
                    Invalidation::Hard => Ok(()),
                    Invalidation::Soft => f.write_str("; it may be served stale"),
                }
            }
            Self::Outdated => f.write_str("made before the cache's start time"),
            Self::FromTheFuture { ahead } => {
                write!(f, "made {} in the future: the clock was set back", of(*ahead))
            }
            Self::Corrupt { reason } => {
                write!(f, "corrupt: {reason}; a reader takes it for absent and drops it")
            }
            Self::Foreign { codec: Some(codec) } => {
                write!(f, "of another type, or of a codec that is not read here: {codec:?}")
            }
            Self::Foreign { codec: None } => f.write_str("a live object of another type"),
            Self::Cleared { since } => {
                write!(f, "absent: the namespace was cleared {} ago", of(*since))
            }
            Self::Left { cause, since } => write!(f, "absent: {cause} {} ago", of(*since)),
            Self::NotSeen { since } => {
                write!(f, "absent: not seen since removals are remembered, for {}", of(*since))
            }
            Self::Absent => f.write_str("absent: never made, removed, evicted or swept"),
        }
    }
}

/// Whole seconds from ten seconds on, else as it is.
fn of(time: Duration) -> humantime::FormattedDuration {
    let whole = Duration::from_secs(time.as_secs());
    humantime::format_duration(if time.as_secs() < 10 { time } else { whole })
}
