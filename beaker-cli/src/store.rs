//! Which store is used, and how it is opened.

use std::env;
use std::path::PathBuf;
use std::sync::Arc;

use beaker_namespace::{Entry, Error, Key, Namespace, StoreUrl, Stores};

use crate::args::StoreArgs;
use crate::exit::{CONFIG, Failure, USAGE};

/// The namespace of `get`, `set` and their like.
pub(crate) const DEFAULT_NAMESPACE: &str = "default";

/// The namespace of what `run` keeps.
pub(crate) const RUN_NAMESPACE: &str = "run";

/// The largest value read from or written to a store whose URL says nothing else.
const MAX_VALUE_BYTES: u64 = 1 << 30;

/// The stores that have a limit of their own, which is lower.
const LIMITED: [&str; 5] = ["dbm", "file", "redb", "sled", "sqlite"];

/// The stores that a build may lack.
const OPTIONAL: [&str; 4] = ["dbm", "redb", "sled", "sqlite"];

/// A store that was not opened yet.
#[derive(Debug)]
pub(crate) struct Store {
    url: StoreUrl,
    stores: Stores,
}

impl Store {
    /// The store that the command line or the environment names, or the user's own.
    pub(crate) fn from_args(args: &StoreArgs) -> Result<Self, Failure> {
        let url = match args.store.as_deref() {
            Some(text) if !text.is_empty() => {
                text.parse().map_err(|error: Error| Failure::new(USAGE, error.to_string()))?
            }
            _ => default_url(DEFAULT, user_directory()?),
        };
        let stores = beaker_backends::stores();
        if !stores.schemes().any(|scheme| scheme == url.scheme()) {
            return Err(unknown(&stores, &url));
        }
        Ok(Self { url: with_limit(url), stores })
    }

    /// Opens the namespace `name`. The directory of the store is made, for this user alone.
    pub(crate) fn open(&self, name: &str) -> Result<Arc<dyn Namespace>, Error> {
        self.stores.open(&self.url, name)
    }

    #[cfg(not(feature = "sqlite"))]
    pub(crate) fn glance(&self, _name: &str, _key: &Key) -> Option<Entry> {
        None
    }

    /// The entry under `key`, if a look at the store is enough to see it; else the store is to be opened.
    #[cfg(feature = "sqlite")]
    pub(crate) fn glance(&self, name: &str, key: &Key) -> Option<Entry> {
        (self.url.scheme() == "sqlite")
            .then(|| beaker_backends::sqlite::glance(&self.url, name, key))
            .flatten()
            // What has tags is judged by their marks, which are in the store.
            .filter(|entry| entry.tag_list().is_empty())
    }

    /// Keeps `namespace`, which was only read, from being closed: the end of the process does that.
    ///
    /// To close the last connection to a database takes about as long as a replay. But if there is
    /// something in its log, every process that opens it reads all of that: then it is closed, which
    /// empties the log. Whoever writes closes it too.
    pub(crate) fn leave_open(&self, namespace: &Arc<dyn Namespace>) {
        let mut log = self.url.path().as_os_str().to_owned();
        log.push("-wal");
        let has_log = std::fs::metadata(log).is_ok_and(|log| log.len() > 0);
        if self.url.scheme() != "sqlite" || !has_log {
            std::mem::forget(Arc::clone(namespace));
        }
    }

    /// Where the store has its lock files; `None` if it has none.
    pub(crate) fn locks(&self) -> Option<Locks> {
        let path = self.url.path().to_owned();
        match self.url.scheme() {
            "file" => Some(Locks::InNamespaces(path)),
            "dbm" | "redb" | "sqlite" => {
                let mut beside = path.into_os_string();
                beside.push(".locks");
                Some(Locks::In(beside.into()))
            }
            _ => None,
        }
    }
}

/// Where lock files are.
#[derive(Debug)]
pub(crate) enum Locks {
    /// In this directory.
    In(PathBuf),
    /// In the directories of the namespaces in this directory.
    InNamespaces(PathBuf),
}

/// The kind of the store of who names none.
const DEFAULT: &str = if cfg!(feature = "sqlite") { "sqlite" } else { "file" };

/// The store of that kind in the user's directory: one file of SQLite's, or a tree of files.
fn default_url(kind: &str, dir: PathBuf) -> StoreUrl {
    let path = if kind == "sqlite" { dir.join("beaker.sqlite") } else { dir };
    StoreUrl::new(kind).with_path(path)
}

/// There is no such store, at least not in this build.
fn unknown(stores: &Stores, url: &StoreUrl) -> Failure {
    let scheme = url.scheme();
    if OPTIONAL.contains(&scheme) {
        return Failure::new(
            USAGE,
            format!(
                "this `beaker` was built without `{scheme}:`; build it with the feature: \
                 cargo install beaker-cli --features {scheme}"
            ),
        );
    }
    let error = stores.open(url, DEFAULT_NAMESPACE).err();
    Failure::new(USAGE, error.map_or_else(|| "no such store".to_owned(), |error| error.to_string()))
}

/// Stores refuse values of more than 64 MiB by themselves; what `--max-output` admits is to fit.
fn with_limit(url: StoreUrl) -> StoreUrl {
    const OPTION: &str = "max_value_bytes";
    if LIMITED.contains(&url.scheme()) && url.options().take_text(OPTION).is_none() {
        return url.with_option(OPTION, MAX_VALUE_BYTES);
    }
    url
}

/// `$XDG_CACHE_HOME/beaker`, or `~/.cache/beaker`.
fn user_directory() -> Result<PathBuf, Failure> {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .map(|cache| cache.join("beaker"))
        .ok_or_else(|| {
            Failure::new(CONFIG, "there is no home directory for the store; set BEAKER_URL or HOME")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    // A new store of beaker-backends is named here in three places, and in one of beaker-namespace.
    #[test]
    fn every_store_of_beaker_backends_is_named_wherever_it_has_to_be() {
        let stores = beaker_backends::stores();
        let others = ["file", "memory", "null"];
        let ours: Vec<_> = stores.schemes().filter(|scheme| !others.contains(scheme)).collect();
        assert!(!cfg!(feature = "sqlite") || ours.contains(&"sqlite"));
        for scheme in ours {
            assert!(OPTIONAL.contains(&scheme), "{scheme}: what says how to get it");
            let url = StoreUrl::new(scheme).with_path("/x");
            let limit = with_limit(url.clone()).options().take_text("max_value_bytes");
            assert!(limit.is_some(), "{scheme}: its own limit is lower");
            // sled has no locks beside it: one process has it.
            let store = Store { url: url.clone(), stores: Stores::new() };
            assert_eq!(store.locks().is_some(), scheme != "sled", "{scheme}");
            let unknown = Stores::new().open(&url, "n").unwrap_err().to_string();
            assert!(unknown.contains(&format!("enable the feature `{scheme}`")), "{unknown}");
        }
    }

    #[test]
    fn the_default_store_is_sqlite_or_without_it_files() {
        assert_eq!(DEFAULT == "sqlite", cfg!(feature = "sqlite"));
        let dir = tempfile::tempdir().unwrap();
        let url = default_url("file", dir.path().join("beaker"));
        let namespace = Stores::new().open(&url, "n").unwrap();
        let key = beaker_namespace::Key::new("k");
        let claim = namespace.claim(&key, beaker_namespace::Wait::Never).unwrap();
        assert!(claim.is_some() && dir.path().join("beaker").is_dir());
        let url = default_url("sqlite", dir.path().to_owned());
        assert_eq!(url.path(), dir.path().join("beaker.sqlite"));
    }
}
