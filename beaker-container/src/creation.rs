//! What a creator is told, and what it answers.

use std::time::Duration;

/// What a creator is told about the value it is to make.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Creation<V> {
    /// The value that expired, if the store still has it.
    ///
    /// The store keeps it as long as the policy's [`stale`](crate::Policy::stale) and
    /// [`keep_old`](crate::Policy::keep_old) say.
    pub old: Option<Old<V>>,
}

/// An expired value, for a conditional refresh.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Old<V> {
    /// The value.
    pub value: V,
    /// How long ago its creation began.
    pub age: Duration,
    /// The entity tag that its creator gave it.
    pub etag: Option<String>,
    /// The tags that its creator gave it.
    pub tags: Vec<String>,
}

impl<V> Old<V> {
    /// The answer of a creator that found the old value to be still right: it is stored as new,
    /// with its tags and entity tag.
    pub fn unchanged(self) -> Created<V> {
        let Self { value, etag, tags, .. } = self;
        Created { etag, tags, unchanged: true, ..Created::new(value) }
    }
}

/// What a creator made: the value, and what it decides about it.
///
/// A plain value converts into one, so a creator with nothing to decide just returns it.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use beaker_container::{Cache, Created};
///
/// let pages = Cache::<String, String>::open("memory:", "created")?;
/// let got = pages.fetch("home").create(|_| {
///     Created::new("<h1>Hello</h1>".to_owned())
///         .ttl(Duration::from_secs(30))
///         .tag("page")
///         .etag("v1")
/// })?;
/// assert!(got.stored && got.ttl <= Some(Duration::from_secs(30)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Created<V> {
    pub(crate) value: V,
    pub(crate) ttl: Option<Option<Duration>>,
    pub(crate) tags: Vec<String>,
    pub(crate) etag: Option<String>,
    pub(crate) cost: Option<u32>,
    pub(crate) stored: bool,
    pub(crate) unchanged: bool,
}

impl<V> Created<V> {
    /// The value, to be stored as the policy says.
    pub const fn new(value: V) -> Self {
        Self {
            value,
            ttl: None,
            tags: Vec::new(),
            etag: None,
            cost: None,
            stored: true,
            unchanged: false,
        }
    }

    /// Expires this long after its creation began, whatever the policy says; `None` is never.
    pub fn ttl(mut self, ttl: impl Into<Option<Duration>>) -> Self {
        self.ttl = Some(ttl.into());
        self
    }

    /// Adds a tag, by which it can be invalidated.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// Adds tags, by each of which it can be invalidated.
    pub fn tags<T: Into<String>>(mut self, tags: impl IntoIterator<Item = T>) -> Self {
        self.tags.extend(tags.into_iter().map(Into::into));
        self
    }

    /// Sets the entity tag, for the next refresh to compare.
    pub fn etag(mut self, etag: impl Into<String>) -> Self {
        self.etag = Some(etag.into());
        self
    }

    /// Sets its weight in a store bounded by weight, whatever the cache's weigher says.
    pub const fn cost(mut self, cost: u32) -> Self {
        self.cost = Some(cost);
        self
    }

    /// Is not stored: this caller, and those who waited with it, get it all the same.
    pub const fn unstored(mut self) -> Self {
        self.stored = false;
        self
    }
}

impl<V> Created<V> {
    /// The value alone.
    pub fn into_value(self) -> V {
        self.value
    }

    /// The same by reference.
    pub(crate) fn as_ref(&self) -> Created<&V> {
        Created {
            value: &self.value,
            ttl: self.ttl,
            tags: self.tags.clone(),
            etag: self.etag.clone(),
            cost: self.cost,
            stored: self.stored,
            unchanged: self.unchanged,
        }
    }
}

impl<V> From<V> for Created<V> {
    fn from(value: V) -> Self {
        Self::new(value)
    }
}
