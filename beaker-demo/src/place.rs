//! Where the values are, and how that is changed while the site runs.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use beaker_container::{Cache, ContainerContext, Stale};
use beaker_namespace::{Capabilities, Capability, Latency, Namespace, Scope, StoreUrl};
use parking_lot::RwLock;

use crate::error::Error;
use crate::reports::Report;

/// The kinds of store that the page offers.
pub(crate) const KINDS: [&str; 4] = ["memory", "file", "sqlite", "redb"];

/// How long a report stays fresh.
pub(crate) const FRESH: Duration = Duration::from_secs(10);

/// How long after that it may still be served while a new one is made.
pub(crate) const STALE: Duration = Duration::from_secs(60);

/// The caches, all in one store.
#[derive(Debug, Clone)]
pub(crate) struct Caches {
    pub(crate) url: StoreUrl,
    pub(crate) reports: Cache<String, Report>,
    pub(crate) bursts: Cache<u64, u64>,
}

/// The store of the command line, and the caches, which can be moved to another one.
#[derive(Debug)]
pub(crate) struct Place {
    context: ContainerContext,
    home: StoreUrl,
    kinds: Vec<StoreUrl>,
    caches: RwLock<Arc<Caches>>,
}

impl Place {
    /// Opens the store at `home`; the other kinds have their places in `dir`, and are opened when
    /// they are chosen.
    ///
    /// # Errors
    ///
    /// Those of opening it; an unknown scheme is named with the feature to enable.
    pub(crate) fn open(home: StoreUrl, dir: &Path) -> Result<Self, Error> {
        let context = ContainerContext::with_stores(beaker_backends::stores());
        let failed = |error: beaker_container::Error| Error::failed(explained(&error));
        let reports = context.cache(&home, "reports").map_err(failed)?;
        let bursts = context.cache(&home, "bursts").map_err(failed)?;
        let caches = Caches {
            url: home.clone(),
            reports: reports.with_ttl(FRESH).with_stale(Stale::WhileRefreshing { max_age: STALE }),
            bursts: bursts.with_ttl(Duration::from_secs(60)),
        };
        let kinds = KINDS.iter().map(|kind| match *kind == home.scheme() {
            true => home.clone(),
            false => url_in(dir, kind),
        });
        Ok(Self { context, kinds: kinds.collect(), home, caches: RwLock::new(Arc::new(caches)) })
    }

    /// The store of the command line.
    pub(crate) fn home(&self) -> &StoreUrl {
        &self.home
    }

    /// The namespace `name` in the store of the command line.
    ///
    /// # Errors
    ///
    /// Those of opening it.
    pub(crate) fn namespace(&self, name: &str) -> Result<Arc<dyn Namespace>, Error> {
        let opened = self.context.namespace(&self.home, name);
        opened.map_err(|error| Error::failed(explained(&error)))
    }

    /// The caches as they are now; who has them keeps them through a move.
    pub(crate) fn caches(&self) -> Arc<Caches> {
        Arc::clone(&self.caches.read())
    }

    /// The stores to choose from: that of the command line, and one of each other kind.
    pub(crate) fn choices(&self) -> impl Iterator<Item = &StoreUrl> {
        let stranger = !KINDS.contains(&self.home.scheme());
        stranger.then_some(&self.home).into_iter().chain(&self.kinds)
    }

    /// Moves the caches to the store of this kind, which is opened if it was not yet. Blocks.
    ///
    /// `None` if the page offers no such kind.
    pub(crate) fn change(&self, kind: &str) -> Option<Result<(), beaker_container::Error>> {
        let url = self.choices().find(|url| url.scheme() == kind)?.clone();
        Some(self.caches().on(url).map(|caches| *self.caches.write() = Arc::new(caches)))
    }
}

impl Caches {
    /// The same caches in another store.
    fn on(&self, url: StoreUrl) -> Result<Self, beaker_container::Error> {
        let (reports, bursts) = (self.reports.with_store(&url)?, self.bursts.with_store(&url)?);
        Ok(Self { url, reports, bursts })
    }

    /// What the store is, for people.
    pub(crate) fn facts(&self) -> Vec<(&'static str, String)> {
        let namespace = self.reports.namespace();
        let stats = self.reports.stats();
        let mut facts = vec![
            ("URL", self.url.to_string()),
            ("Shared among", scope(namespace.scope()).to_owned()),
            ("Answers", latency(namespace.latency()).to_owned()),
            ("Can", capabilities(namespace.capabilities())),
            ("Reads of reports", format!("{} found, {} not", stats.hits, stats.misses)),
        ];
        if let Some(bytes) = stats.size_bytes {
            facts.push(("On disk", format!("{} KiB", bytes.div_ceil(1024))));
        }
        facts
    }
}

/// Where the store of `kind` lies if the command line names none of that kind.
pub(crate) fn url_in(dir: &Path, kind: &str) -> StoreUrl {
    match kind {
        "memory" => StoreUrl::new(kind),
        "file" => StoreUrl::new(kind).with_path(dir.join("files")),
        kind => StoreUrl::new(kind).with_path(dir.join(format!("demo.{kind}"))),
    }
}

/// The error with those below it, on one line.
pub(crate) fn explained(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = error.source();
    }
    text
}

fn scope(scope: Scope) -> &'static str {
    match scope {
        Scope::Process => "the threads and tasks of this process",
        Scope::Host => "the processes of this machine",
        Scope::Cluster => "machines",
        _ => "unknown",
    }
}

fn latency(latency: Latency) -> &'static str {
    match latency {
        Latency::Inline => "at once, in the calling task",
        _ => "after a disk or a lock, on a thread that may block",
    }
}

fn capabilities(has: Capabilities) -> String {
    let words = [
        (Capability::Objects, "keep live objects"),
        (Capability::Bytes, "keep bytes"),
        (Capability::Expiry, "drop what is dead"),
        (Capability::Scan, "list"),
        (Capability::CompareAndSet, "compare and set"),
        (Capability::Batch, "write in batches"),
        (Capability::Tags, "remove by tag"),
        (Capability::Marks, "invalidate by tag"),
    ];
    let can: Vec<&str> =
        words.iter().filter(|(one, _)| has.has(*one)).map(|(_, word)| *word).collect();
    can.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chosen_kind_keeps_its_own_values() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::open(StoreUrl::new("memory"), dir.path()).unwrap();
        place.caches().bursts.insert(&1, 10).unwrap();
        for kind in ["file", "sqlite", "redb"] {
            place.change(kind).unwrap().unwrap();
            assert_eq!(place.caches().url.scheme(), kind);
            assert_eq!(place.caches().bursts.get(&1).unwrap(), None);
        }
        place.change("memory").unwrap().unwrap();
        assert_eq!(place.caches().bursts.get(&1).unwrap(), Some(10));
        assert!(place.change("redis").is_none());
    }

    #[test]
    fn the_store_of_the_command_line_stays_a_choice() {
        let dir = tempfile::tempdir().unwrap();
        let own = url_in(&dir.path().join("elsewhere"), "file");
        let place = Place::open(own.clone(), dir.path()).unwrap();
        let choices: Vec<&StoreUrl> = place.choices().collect();
        assert_eq!(choices.len(), KINDS.len());
        assert!(choices.contains(&&own));
        let null = Place::open(StoreUrl::new("null"), dir.path()).unwrap();
        assert_eq!(null.choices().next().unwrap().scheme(), "null");
    }

    #[test]
    fn an_unknown_scheme_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let error = Place::open(StoreUrl::new("redis"), dir.path()).unwrap_err().to_string();
        assert!(error.contains("`redis:` is not built yet"), "{error}");
    }
}
