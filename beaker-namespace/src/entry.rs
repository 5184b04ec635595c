//! The entry: a value, and when it was made, is stale, and dies.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::{CodecId, Timestamp};

/// How far a stamp may lie in the future before its entry counts as expired.
///
/// An entry stamped ahead of the clock means that the clock was set back, or that another host's
/// clock is ahead. The tolerance is also bounded by the entry's own time to live. A clock that is
/// set back once adds at most the time to live and this tolerance to an entry's life.
pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(1);

/// A value as a store holds it.
#[derive(Clone)]
pub enum Payload {
    /// The live object, for stores in this process.
    Object(Arc<dyn Any + Send + Sync>),
    /// The object as bytes, and the codec that made them.
    Bytes {
        /// The codec that made the bytes.
        codec: CodecId,
        /// The encoded value.
        bytes: Bytes,
    },
}

impl Payload {
    /// Bytes that are not encoded by any codec.
    pub fn raw(bytes: impl Into<Bytes>) -> Self {
        Self::Bytes { codec: CodecId::RAW, bytes: bytes.into() }
    }

    /// The number of bytes, if it is bytes.
    pub fn len_bytes(&self) -> Option<usize> {
        match self {
            Self::Object(_) => None,
            Self::Bytes { bytes, .. } => Some(bytes.len()),
        }
    }
}

impl fmt::Debug for Payload {
    /// Prints the kind and the length, never the value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(_) => f.write_str("Object(..)"),
            Self::Bytes { codec, bytes } => write!(f, "Bytes({codec:?}, {} bytes)", bytes.len()),
        }
    }
}

/// A value with its times, as a [`Namespace`](crate::Namespace) keeps it.
///
/// - `began`: when its creation began. An invalidation after that moment wins over it.
/// - `expires`: when it is to be made anew (logical).
/// - `dies`: when the store may drop it (physical); later than `expires` where stale values may
///   be served.
#[derive(Debug, Clone)]
pub struct Entry {
    payload: Payload,
    began: Timestamp,
    expires: Timestamp,
    dies: Timestamp,
    generation: u64,
    cost: u32,
    labels: Option<Arc<Labels>>,
}

/// What few entries have, kept apart so that a plain entry stays small.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Labels {
    pub(crate) tags: Vec<String>,
    pub(crate) etag: Option<String>,
}

/// The tags of an [`Entry`], shared with it.
#[derive(Clone)]
pub struct Tags(Arc<Labels>);

impl std::ops::Deref for Tags {
    type Target = [String];

    fn deref(&self) -> &[String] {
        &self.0.tags
    }
}

impl fmt::Debug for Tags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Entry {
    /// An entry that never expires, of cost 1, without tags.
    pub fn new(payload: Payload, began: Timestamp) -> Self {
        Self {
            payload,
            began,
            expires: Timestamp::NEVER,
            dies: Timestamp::NEVER,
            generation: 0,
            cost: 1,
            labels: None,
        }
    }

    /// Expires, and dies, `ttl` after it began; `None` is never.
    #[must_use]
    pub fn ttl(mut self, ttl: Option<Duration>) -> Self {
        self.expires = ttl.map_or(Timestamp::NEVER, |ttl| self.began.saturating_add(ttl));
        self.dies = self.expires;
        self
    }

    /// Dies only `grace` after it expires, so that a stale value can be served meanwhile.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.dies = self.expires.saturating_add(grace);
        self
    }

    /// Sets both moments as they are. `dies` is at least `expires`.
    #[must_use]
    pub fn times(mut self, expires: Timestamp, dies: Timestamp) -> Self {
        self.expires = expires;
        self.dies = dies.max(expires);
        self
    }

    /// Sets the weight that a store bounded by weight counts. Default: 1.
    #[must_use]
    pub fn cost(mut self, cost: u32) -> Self {
        self.cost = cost;
        self
    }

    /// Sets the tags by which the entry can be removed.
    #[must_use]
    pub fn tags(mut self, tags: Vec<String>) -> Self {
        let etag = self.labels.take().and_then(|labels| labels.etag.clone());
        self.set_labels(Labels { tags, etag });
        self
    }

    /// Sets the entity tag that the origin gave the value.
    #[must_use]
    pub fn etag(mut self, etag: Option<String>) -> Self {
        let tags = self.labels.take().map(|labels| labels.tags.clone()).unwrap_or_default();
        self.set_labels(Labels { tags, etag });
        self
    }

    /// Sets the version number. Stores do this at each write; see [`Self::generation`].
    #[must_use]
    pub fn with_generation(mut self, generation: u64) -> Self {
        self.generation = generation;
        self
    }

    /// Sets the value and keeps the rest: for a proxy that stores values in another form.
    #[must_use]
    pub fn with_payload(mut self, payload: Payload) -> Self {
        self.payload = payload;
        self
    }

    /// The live object, to be changed in its place.
    pub(crate) fn object_mut(&mut self) -> Option<&mut Arc<dyn Any + Send + Sync>> {
        match &mut self.payload {
            Payload::Object(object) => Some(object),
            Payload::Bytes { .. } => None,
        }
    }

    /// Sets the times, `dies` at least `expires`, and the version number.
    pub(crate) fn live_on(&mut self, expires: Timestamp, dies: Timestamp, generation: u64) {
        (self.expires, self.dies, self.generation) = (expires, dies, generation);
    }

    /// The value.
    #[inline]
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// The value, without the rest.
    pub fn into_payload(self) -> Payload {
        self.payload
    }

    /// When the creation of the value began.
    #[inline]
    pub fn began(&self) -> Timestamp {
        self.began
    }

    /// When the value is to be made anew; [`Timestamp::NEVER`] if never.
    #[inline]
    pub fn expires(&self) -> Timestamp {
        self.expires
    }

    /// When a store may drop it; [`Timestamp::NEVER`] if never.
    #[inline]
    pub fn dies(&self) -> Timestamp {
        self.dies
    }

    /// The version that the store gave this entry when it was written. Two writes of a key never
    /// have the same one; it has no order.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The weight in a store bounded by weight.
    pub fn weight(&self) -> u32 {
        self.cost
    }

    /// The tags.
    pub fn tag_list(&self) -> &[String] {
        self.labels.as_ref().map_or(&[], |labels| &labels.tags)
    }

    /// Whether it may have tags or an entity tag: cheaper to ask than for these.
    #[inline]
    pub fn has_labels(&self) -> bool {
        self.labels.is_some()
    }

    /// The tags, to be kept beyond the entry without a copy; `None` if there are none.
    #[inline]
    pub fn shared_tags(&self) -> Option<Tags> {
        let labels = self.labels.as_ref()?;
        (!labels.tags.is_empty()).then(|| Tags(Arc::clone(labels)))
    }

    /// The entity tag, if there is one.
    pub fn entity_tag(&self) -> Option<&str> {
        self.labels.as_ref()?.etag.as_deref()
    }

    /// Whether the value needs no re-creation at `now`.
    ///
    /// The moment of expiry itself counts as expired. A stamp further in the future than
    /// [`CLOCK_TOLERANCE`] counts as expired: the clock was set back.
    #[inline]
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        self.expires.is_never() || self.lives(now, self.expires)
    }

    /// Whether a store may drop it at `now`.
    #[inline]
    pub fn is_dead(&self, now: Timestamp) -> bool {
        !self.dies.is_never() && now >= self.dies
    }

    /// How long ago it expired, if it did and is not dead; `None` for fresh and for dead entries.
    pub fn staleness(&self, now: Timestamp) -> Option<Duration> {
        let stale = !self.is_fresh(now) && (self.dies.is_never() || self.lives(now, self.dies));
        stale.then(|| now.saturating_duration_since(self.expires))
    }

    /// The time since its creation began; zero for a stamp in the future.
    pub fn age(&self, now: Timestamp) -> Duration {
        now.saturating_duration_since(self.began)
    }

    /// From when on its stamp is none of the future: before that, the clock was set back.
    #[inline]
    pub(crate) fn believed_from(&self) -> Timestamp {
        self.believed_until(self.expires)
    }

    #[inline]
    fn believed_until(&self, until: Timestamp) -> Timestamp {
        let tolerance = until.micros_since(self.began).min(CLOCK_TOLERANCE.as_micros() as i64);
        Timestamp::from_micros(self.began.as_micros().saturating_sub(tolerance))
    }

    #[inline]
    fn lives(&self, now: Timestamp, until: Timestamp) -> bool {
        now < until && now >= self.believed_until(until)
    }

    /// Whether it is the same value of the same creation, if with other times.
    pub(crate) fn is_same_value(&self, other: &Self) -> bool {
        self.began == other.began
            && match (&self.payload, &other.payload) {
                (Payload::Object(a), Payload::Object(b)) => {
                    std::ptr::addr_eq(Arc::as_ptr(a), Arc::as_ptr(b))
                }
                (Payload::Bytes { bytes: a, .. }, Payload::Bytes { bytes: b, .. }) => {
                    std::ptr::eq(&a[..], &b[..])
                }
                _ => false,
            }
    }

    pub(crate) fn labels(&self) -> Option<&Labels> {
        self.labels.as_deref()
    }

    pub(crate) fn set_labels(&mut self, labels: Labels) {
        self.labels = (labels != Labels::default()).then(|| Arc::new(labels));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(ttl: u64) -> Entry {
        let began = Timestamp::from_micros(1_000_000_000);
        Entry::new(Payload::raw("v"), began).ttl(Some(Duration::from_secs(ttl)))
    }

    fn at(entry: &Entry, seconds: i64) -> Timestamp {
        Timestamp::from_micros(entry.began().as_micros() + seconds * 1_000_000)
    }

    #[test]
    fn the_moment_of_expiry_is_expired() {
        let entry = entry(10);
        assert!(entry.is_fresh(at(&entry, 9)));
        assert!(!entry.is_fresh(at(&entry, 10)));
    }

    #[test]
    fn a_zero_time_to_live_is_never_fresh() {
        let entry = entry(0);
        assert!(!entry.is_fresh(entry.began()));
        assert!(!entry.is_fresh(at(&entry, -1)));
    }

    #[test]
    fn a_clock_set_back_expires_the_entry() {
        let entry = entry(3600);
        assert!(entry.is_fresh(at(&entry, -1)), "within the tolerance");
        assert!(!entry.is_fresh(at(&entry, -2)));
        assert_eq!(entry.staleness(at(&entry, -2)), None, "nor is it served stale");
    }

    #[test]
    fn a_stale_entry_says_for_how_long() {
        let entry = entry(10).grace(Duration::from_secs(5));
        assert_eq!(entry.staleness(at(&entry, 9)), None);
        assert_eq!(entry.staleness(at(&entry, 12)), Some(Duration::from_secs(2)));
        assert_eq!(entry.staleness(at(&entry, 15)), None);
        assert!(entry.is_dead(at(&entry, 15)));
    }

    #[test]
    fn an_endless_time_to_live_saturates() {
        let entry = entry(1).ttl(Some(Duration::MAX)).grace(Duration::MAX);
        assert!(entry.expires().is_never() && entry.dies().is_never());
    }

    #[test]
    fn another_payload_changes_nothing_else() {
        let entry = entry(10).cost(3).tags(vec!["t".into()]).etag(Some("e".into()));
        let other = entry.clone().with_generation(7).with_payload(Payload::raw("longer"));
        assert_eq!(other.payload().len_bytes(), Some(6));
        assert_eq!((other.began(), other.expires()), (entry.began(), entry.expires()));
        assert_eq!((other.dies(), other.generation(), other.weight()), (entry.dies(), 7, 3));
        assert_eq!((other.tag_list(), other.entity_tag()), (&["t".into()][..], Some("e")));
    }

    #[test]
    fn debug_does_not_print_the_value() {
        let entry = Entry::new(Payload::raw("secret"), Timestamp::default());
        assert!(!format!("{entry:?}").contains("secret"));
    }
}
