//! How a memory namespace is set up.

use std::fmt;
use std::sync::Arc;

use crate::{Clock, Error, ErrorKind, StoreUrl, SystemClock};

/// The number of entries kept unless another bound is set.
const DEFAULT_MAX_ENTRIES: u64 = 100_000;

/// The bound, the clock and the group of a [`MemoryNamespace`](crate::MemoryNamespace).
///
/// # Examples
///
/// ```
/// use beaker_namespace::{MemoryConfig, MemoryNamespace};
///
/// let thumbnails = MemoryNamespace::open("thumbnails", MemoryConfig::new().max_entries(500))?;
/// # Ok::<(), beaker_namespace::Error>(())
/// ```
#[derive(Clone)]
pub struct MemoryConfig {
    pub(super) group: String,
    pub(super) bound: Bound,
    pub(super) clock: Arc<dyn Clock>,
}

/// What is counted, and up to where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    Entries(u64),
    Weight(u64),
}

impl Bound {
    /// The sum that entries may reach.
    pub(super) fn limit(self) -> u64 {
        let (Self::Entries(limit) | Self::Weight(limit)) = self;
        limit
    }

    /// What one entry adds to the sum.
    #[inline]
    pub(super) fn weigh(self, weight: u32) -> u64 {
        match self {
            Self::Entries(_) => 1,
            Self::Weight(_) => u64::from(weight.max(1)),
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entries(limit) => write!(f, "max_entries={limit}"),
            Self::Weight(limit) => write!(f, "max_weight={limit}"),
        }
    }
}

impl Default for MemoryConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryConfig {
    /// At most 100,000 entries, the system's clock, no group.
    ///
    /// The bound counts dead entries too, as long as they have not left: in a process that only hits they
    /// stay, see [`MemoryNamespace`](crate::MemoryNamespace).
    pub fn new() -> Self {
        Self {
            group: String::new(),
            bound: Bound::Entries(DEFAULT_MAX_ENTRIES),
            clock: Arc::new(SystemClock),
        }
    }

    /// Keeps at most `limit` entries. Replaces [`max_weight`](Self::max_weight).
    #[must_use]
    pub fn max_entries(mut self, limit: u64) -> Self {
        self.bound = Bound::Entries(limit);
        self
    }

    /// Keeps entries whose weights ([`Entry::cost`](crate::Entry::cost)) sum up to at most `limit`;
    /// a weight of zero counts as one. Replaces [`max_entries`](Self::max_entries).
    #[must_use]
    pub fn max_weight(mut self, limit: u64) -> Self {
        self.bound = Bound::Weight(limit);
        self
    }

    /// Reads the time from `clock`. Default: the system's.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Sets the namespaces of `group` apart from those of the same name elsewhere. Default: empty.
    #[must_use]
    pub fn group(mut self, group: &str) -> Self {
        group.clone_into(&mut self.group);
        self
    }

    /// Reads `memory:` and `memory://group` with the options `max_entries` and `max_weight`.
    pub(super) fn from_url(url: &StoreUrl, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let mut options = url.options();
        let entries = options.take_u64("max_entries")?;
        let weight = options.take_u64("max_weight")?;
        options.finish()?;
        let Some(group) = url.path().to_str() else {
            return Err(wrong("the group in the URL is not valid UTF-8".to_owned()));
        };
        let config = Self::new().clock(clock).group(group);
        match (entries, weight) {
            (Some(_), Some(_)) => {
                Err(wrong("set one of `max_entries` and `max_weight`, not both".to_owned()))
            }
            (Some(limit), None) => Ok(config.max_entries(limit)),
            (None, Some(limit)) => Ok(config.max_weight(limit)),
            (None, None) => Ok(config),
        }
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        if self.bound.limit() == 0 {
            return Err(wrong(format!("{} keeps nothing; use the null store", self.bound)));
        }
        Ok(())
    }

    /// Whether a namespace set up by `self` is what a caller with `other` wants.
    pub(super) fn agrees_with(&self, other: &Self) -> Result<(), Error> {
        if self.bound != other.bound {
            return Err(wrong(format!(
                "the namespace is held with {}, not {}",
                self.bound, other.bound
            )));
        }
        if !same_clock(&self.clock, &other.clock) {
            return Err(wrong(format!(
                "the namespace is held with the clock {:?}, not {:?}",
                self.clock, other.clock
            )));
        }
        Ok(())
    }
}

/// One clock, or two without state that have the same name.
fn same_clock(a: &Arc<dyn Clock>, b: &Arc<dyn Clock>) -> bool {
    let stateless = size_of_val(&**a) == 0 && size_of_val(&**b) == 0;
    std::ptr::addr_eq(Arc::as_ptr(a), Arc::as_ptr(b))
        || (stateless && format!("{a:?}") == format!("{b:?}"))
}

fn wrong(detail: String) -> Error {
    Error::new(ErrorKind::Config, "open the memory namespace").with_detail(detail)
}

impl fmt::Debug for MemoryConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryConfig")
            .field("group", &self.group)
            .field("bound", &self.bound)
            .field("clock", &self.clock)
            .finish()
    }
}
