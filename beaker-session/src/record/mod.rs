//! What a store keeps of a session.

mod encode;
mod own;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use beaker_namespace::Timestamp;

pub(crate) use self::encode::{decode, encode};
pub(crate) use self::own::{Fields, Own};
use crate::CookieLife;
use crate::data::{Data, Value, Values, largest};

/// How far another machine's clock may be ahead of this one's. What was used further in the future
/// than that counts as expired: the clock was set back, and nothing may live longer for it.
pub const CLOCK_SKEW: Duration = Duration::from_secs(60);

/// One session: its values, its times, and what its cookie has of its own.
///
/// `Debug` shows no value.
#[derive(Clone, PartialEq)]
pub struct Record {
    pub(crate) created: Timestamp,
    pub(crate) written: Timestamp,
    pub(crate) idle: Option<Duration>,
    pub(crate) absolute: Option<Timestamp>,
    pub(crate) own: Own,
    pub(crate) values: Values,
}

impl Record {
    /// An empty session of now, without time-outs.
    pub fn new(now: Timestamp) -> Self {
        Self {
            created: now,
            written: now,
            idle: None,
            absolute: None,
            own: Own::new(),
            values: Values::new(),
        }
    }

    /// Sets the values.
    #[must_use]
    pub fn with_data(mut self, data: Data) -> Self {
        self.values = data.into();
        self
    }

    /// Sets when the session was made, and when it was last written.
    #[must_use]
    pub fn with_times(mut self, created: Timestamp, written: Timestamp) -> Self {
        self.created = created;
        self.written = written;
        self
    }

    #[cfg(feature = "tower-sessions")]
    pub(crate) fn set_created(&mut self, created: Timestamp) {
        self.created = created;
    }

    /// Sets how long it lives without being used, and when it ends in any case; `None` is for ever.
    #[must_use]
    pub fn with_limits(mut self, idle: Option<Duration>, absolute: Option<Timestamp>) -> Self {
        self.idle = idle;
        self.absolute = absolute;
        self
    }

    /// Sets the path and the domain that its cookie has instead of the configured ones.
    #[must_use]
    pub fn with_cookie(mut self, path: Option<String>, domain: Option<String>) -> Self {
        if path.is_some() || domain.is_some() || self.own != Own::new() {
            let own = self.own.edit();
            (own.path, own.domain) = (path, domain);
        }
        self
    }

    /// The value under `name`.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    /// The values, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.values.iter()
    }

    /// A copy of the values.
    pub fn data(&self) -> Data {
        self.values.to_data()
    }

    /// When the session was made; a renewal keeps it.
    pub fn created(&self) -> Timestamp {
        self.created
    }

    /// When its values were last stored.
    pub fn written(&self) -> Timestamp {
        self.written
    }

    /// How long it lives without being used.
    pub fn idle(&self) -> Option<Duration> {
        self.idle
    }

    /// When it ends, used or not.
    pub fn absolute(&self) -> Option<Timestamp> {
        self.absolute
    }

    /// The path of its cookie, if it is not the configured one.
    pub fn cookie_path(&self) -> Option<&str> {
        self.own.path.as_deref()
    }

    /// The domain of its cookie, if it is not the configured one.
    pub fn cookie_domain(&self) -> Option<&str> {
        self.own.domain.as_deref()
    }

    /// About how many bytes it takes as JSON, as [`Values::bytes`] counts.
    pub(crate) fn size(&self) -> usize {
        self.values.bytes() + self.own.size()
    }

    /// What takes the most bytes, as it is told to the program, and how many.
    pub(crate) fn largest(&self) -> Option<(String, usize)> {
        let value = largest(&self.values).map(|(key, bytes)| (format!("`{key}`"), bytes));
        let own = self.own.texts().map(|(name, text)| (name.to_owned(), text.len() + 4));
        value.into_iter().chain(own).max_by_key(|(_, bytes)| *bytes)
    }

    /// Its cookie's own path and domain.
    pub(crate) fn cookie_place(&self) -> (Option<&str>, Option<&str>) {
        (self.cookie_path(), self.cookie_domain())
    }

    /// How long the browser keeps its cookie, if not as configured.
    pub fn cookie_life(&self) -> Option<CookieLife> {
        self.own.life
    }

    /// Whose session it is, if that was said.
    pub fn subject(&self) -> Option<&str> {
        self.own.subject.as_deref()
    }

    /// What its owner knows it by, such as a device.
    pub fn label(&self) -> Option<&str> {
        self.own.label.as_deref()
    }

    /// When it ends if it was last used at `accessed` and is not used again.
    pub fn expires(&self, accessed: Timestamp) -> Timestamp {
        let idle = self.idle.map_or(Timestamp::NEVER, |idle| accessed.saturating_add(idle));
        self.absolute.map_or(idle, |absolute| absolute.min(idle))
    }

    /// Whether it is over at `now`. The moment of the time-out itself is over.
    pub fn is_expired(&self, accessed: Timestamp, now: Timestamp) -> bool {
        now >= self.expires(accessed) || accessed.saturating_sub(CLOCK_SKEW) > now
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("created", &self.created)
            .field("written", &self.written)
            .field("idle", &self.idle)
            .field("absolute", &self.absolute)
            .field("values", &self.values.len())
            .finish_non_exhaustive()
    }
}

/// The version of a stored record. Two writes of a record never have the same one; it has no order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Version(pub u64);

/// A record as a store has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// What is kept; shared, not copied.
    pub record: Arc<Record>,
    /// What an update must name.
    pub version: Version,
    /// When the session was last used, as exactly as the access policy writes it down.
    pub accessed: Timestamp,
}

impl Stored {
    /// When it ends if it is not used again; `None` if it is over at `now`.
    pub(crate) fn live_until(&self, now: Timestamp) -> Option<Timestamp> {
        let is_over = self.record.is_expired(self.accessed, now);
        (!is_over).then(|| self.record.expires(self.accessed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn at(hours: u32) -> Timestamp {
        Timestamp::from_micros(0).saturating_add(HOUR * hours)
    }

    #[test]
    fn the_earlier_of_both_limits_ends_it() {
        let record = Record::new(at(0)).with_limits(Some(HOUR), Some(at(3)));
        assert_eq!(record.expires(at(0)), at(1));
        assert_eq!(record.expires(at(2)), at(3));
        assert_eq!(record.expires(at(5)), at(3));
    }

    #[test]
    fn the_moment_of_the_time_out_is_over_and_the_one_before_is_not() {
        let record = Record::new(at(0)).with_limits(Some(HOUR), None);
        assert!(record.is_expired(at(0), at(1)));
        assert!(!record.is_expired(at(0), Timestamp::from_micros(at(1).as_micros() - 1)));
    }

    #[test]
    fn a_clock_that_was_set_back_lengthens_no_life() {
        let record = Record::new(at(9)).with_limits(Some(HOUR), None);
        assert!(record.is_expired(at(9), at(8)));
        let skewed = at(9).saturating_sub(CLOCK_SKEW);
        assert!(!record.is_expired(at(9), skewed));
    }

    #[test]
    fn debug_shows_no_value() {
        let data = Data::from([("password".to_owned(), "hunter2".into())]);
        let shown = format!("{:?}", Record::new(at(0)).with_data(data));
        assert!(!shown.contains("hunter2") && !shown.contains("password"), "{shown}");
    }
}
