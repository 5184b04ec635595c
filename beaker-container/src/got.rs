//! What a fetch came to.

use std::fmt;
use std::time::Duration;

/// A value, and how it came about; see [`Cache::fetch`](crate::Cache::fetch).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Got<V> {
    /// The value.
    pub value: V,
    /// Where it is from.
    pub source: Source,
    /// How long ago its creation began: the `Age` of an HTTP response, in whole seconds there.
    pub age: Duration,
    /// How long it stays fresh; zero for a stale one, `None` for ever.
    pub ttl: Option<Duration>,
    /// Whether the store has it now.
    pub stored: bool,
}

/// Where a value is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// It was in the store, and fresh.
    Fresh,
    /// It was in the store, expired, and is being made anew by somebody.
    Stale,
    /// It was in the store, expired, and could not be made anew: by an error, in time, or because
    /// an error is too recent to try again. Or there was nothing, and it is the
    /// [default value](crate::Cache::with_default_value): then it is not stored.
    Fallback,
    /// This call made it.
    Created,
    /// It was in the store, expired, and this call's creator found it to be still right.
    Unchanged,
    /// Another call made it while this one waited.
    Joined,
    /// The cache is off, and this call made it for itself.
    Bypassed,
}

impl<V> Got<V> {
    /// The value alone.
    pub fn into_value(self) -> V {
        self.value
    }

    /// Turns the value into another.
    pub fn map<U>(self, change: impl FnOnce(V) -> U) -> Got<U> {
        let Self { value, source, age, ttl, stored } = self;
        Got { value: change(value), source, age, ttl, stored }
    }

    /// The member that a cache called `name` puts into the `Cache-Status` header of an HTTP
    /// response, as RFC 9211 has it. `name` must be a token: letters, digits and `-._~`.
    ///
    /// # Examples
    ///
    /// ```
    /// use beaker_container::Cache;
    ///
    /// let pages = Cache::<String, String>::open("memory:", "status")?;
    /// let got = pages.fetch("home").create(|_| "<h1>Hello</h1>".to_owned())?;
    /// assert_eq!(got.cache_status("beaker").to_string(), "beaker; fwd=miss; stored");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cache_status<'a>(&self, name: &'a str) -> CacheStatus<'a> {
        let Self { source, ttl, stored, .. } = *self;
        CacheStatus { name, source, ttl, stored }
    }
}

/// Prints itself as a member of a `Cache-Status` header; see [`Got::cache_status`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheStatus<'a> {
    name: &'a str,
    source: Source,
    ttl: Option<Duration>,
    stored: bool,
}

impl fmt::Display for CacheStatus<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        f.write_str(match self.source {
            Source::Fresh => "; hit",
            Source::Stale => "; hit; detail=stale",
            Source::Fallback => "; hit; detail=stale-on-error",
            Source::Created => "; fwd=miss",
            Source::Unchanged => "; fwd=stale; detail=unchanged",
            Source::Joined => "; fwd=miss; collapsed",
            Source::Bypassed => "; fwd=bypass",
        })?;
        if let (Source::Fresh, Some(ttl)) = (self.source, self.ttl) {
            write!(f, "; ttl={}", ttl.as_secs())?;
        }
        if self.stored && matches!(self.source, Source::Created | Source::Unchanged) {
            f.write_str("; stored")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(source: Source, stored: bool) -> String {
        let ttl = Some(Duration::from_millis(2_500));
        let got = Got { value: (), source, age: Duration::ZERO, ttl, stored };
        got.cache_status("b").to_string()
    }

    #[test]
    fn each_source_has_its_cache_status() {
        assert_eq!(status(Source::Fresh, true), "b; hit; ttl=2");
        assert_eq!(status(Source::Stale, true), "b; hit; detail=stale");
        assert_eq!(status(Source::Fallback, true), "b; hit; detail=stale-on-error");
        assert_eq!(status(Source::Created, true), "b; fwd=miss; stored");
        assert_eq!(status(Source::Created, false), "b; fwd=miss");
        assert_eq!(status(Source::Unchanged, true), "b; fwd=stale; detail=unchanged; stored");
        assert_eq!(status(Source::Joined, true), "b; fwd=miss; collapsed");
        assert_eq!(status(Source::Bypassed, false), "b; fwd=bypass");
    }
}
