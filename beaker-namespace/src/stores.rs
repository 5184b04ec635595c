//! From a store's URL to an open namespace.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::{Clock, Error, ErrorKind, Namespace, NullNamespace, StoreUrl, SystemClock};

/// Opens the namespace `name` in the store at `url`.
pub type Opener =
    fn(&StoreUrl, name: &str, clock: Arc<dyn Clock>) -> Result<Arc<dyn Namespace>, Error>;

/// The table from URL scheme to opener, and the clock that everything opened through it reads.
///
/// Starts with the stores of this crate and those that were [installed](Self::install).
///
/// # Examples
///
/// ```
/// use beaker_namespace::{Namespace, Stores};
///
/// let stores = Stores::new();
/// let users = stores.open(&"memory:".parse()?, "users")?;
/// assert_eq!(users.id().name(), "users");
/// # Ok::<(), beaker_namespace::Error>(())
/// ```
#[derive(Clone)]
pub struct Stores {
    openers: BTreeMap<&'static str, Opener>,
    clock: Arc<dyn Clock>,
}

/// What was installed, for every table made from now on.
static INSTALLED: RwLock<BTreeMap<&'static str, Opener>> = RwLock::new(BTreeMap::new());

/// The schemes that other crates or features bring, and what to enable for them.
const ELSEWHERE: &[&str] = &["sqlite", "redb", "sled", "dbm"];

/// Schemes of stores on a network, which there are none of.
const NOT_BUILT: &[&str] = &["redis", "rediss", "memcached", "postgres", "postgresql"];

impl Default for Stores {
    fn default() -> Self {
        Self::new()
    }
}

impl Stores {
    /// `memory:`, `file:` and `null:`, and what was installed, on the system's clock.
    pub fn new() -> Self {
        let stores = Self { openers: INSTALLED.read().clone(), clock: Arc::new(SystemClock) };
        stores
            .with_store("file", crate::file::open)
            .with_store("memory", crate::memory::open)
            .with_store("null", open_null)
    }

    /// Adds a store to every table that this process makes from now on; a crate with stores calls
    /// it for each of them when the program asks for that (`beaker_backends::install`).
    ///
    /// Installing a scheme again replaces its opener; the stores of this crate cannot be replaced
    /// this way, see [`with_store`](Self::with_store).
    pub fn install(scheme: &'static str, opener: Opener) {
        INSTALLED.write().insert(scheme, opener);
    }

    /// Adds a store, or replaces the one of that scheme.
    #[must_use]
    pub fn with_store(mut self, scheme: &'static str, opener: Opener) -> Self {
        self.openers.insert(scheme, opener);
        self
    }

    /// Gives another clock to what is opened from now on.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The schemes that can be opened.
    pub fn schemes(&self) -> impl Iterator<Item = &'static str> {
        self.openers.keys().copied()
    }

    /// The clock given to what is opened.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Opens the namespace `name` in the store at `url`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for an unknown scheme, with the feature to enable where there is one;
    /// those of the store.
    pub fn open(&self, url: &StoreUrl, name: &str) -> Result<Arc<dyn Namespace>, Error> {
        match self.openers.get(url.scheme()) {
            Some(opener) => opener(url, name, Arc::clone(&self.clock)),
            None => Err(self.unknown(url.scheme())),
        }
    }

    fn unknown(&self, scheme: &str) -> Error {
        let known = self.schemes().collect::<Vec<_>>().join(", ");
        let detail = if ELSEWHERE.contains(&scheme) {
            format!(
                "`{scheme}:` is not known here; enable the feature `{scheme}` of beaker-cache, and call \
                 `beaker_cache::backends::install()` first (without beaker-cache, the feature of \
                 beaker-backends and `beaker_backends::install()`)"
            )
        } else if NOT_BUILT.contains(&scheme) {
            format!("`{scheme}:` is not built yet, and no feature brings it; there are {known}")
        } else {
            format!("there is no store `{scheme}:`; there are {known}")
        };
        Error::new(ErrorKind::Config, "open the store").with_detail(detail)
    }
}

impl fmt::Debug for Stores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.schemes()).finish()
    }
}

fn open_null(
    url: &StoreUrl,
    name: &str,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Namespace>, Error> {
    url.options().finish()?;
    Ok(Arc::new(NullNamespace::with_clock(name, clock)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheme_that_is_not_known_names_the_feature_and_the_call() {
        let error = Stores::new().open(&StoreUrl::new("sqlite"), "n").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert_eq!(
            error.to_string(),
            "cannot open the store: `sqlite:` is not known here; enable the feature `sqlite` of \
             beaker-cache, and call `beaker_cache::backends::install()` first (without beaker-cache, \
             the feature of beaker-backends and `beaker_backends::install()`)"
        );
    }

    #[test]
    fn an_unknown_scheme_names_the_known_ones() {
        let error = Stores::new().open(&StoreUrl::new("flie"), "n").unwrap_err().to_string();
        assert!(error.ends_with("no store `flie:`; there are file, memory, null"), "{error}");
    }

    #[test]
    fn a_store_that_is_not_built_yet_names_no_feature() {
        for scheme in NOT_BUILT {
            let error = Stores::new().open(&StoreUrl::new(scheme), "n").unwrap_err().to_string();
            let end = "is not built yet, and no feature brings it; there are file, memory, null";
            assert!(error.ends_with(&format!("`{scheme}:` {end}")), "{error}");
        }
    }

    #[test]
    fn an_unknown_option_is_an_error() {
        let url = StoreUrl::new("null").with_option("size", 1);
        assert_eq!(Stores::new().open(&url, "n").unwrap_err().kind(), ErrorKind::Config);
    }
}
