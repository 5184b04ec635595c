//! Which store is used, and how it is opened.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use beaker_namespace::{Error, Namespace, StoreUrl, Stores};

use crate::args::StoreArgs;
use crate::exit::{CONFIG, Failure, USAGE};

/// The namespace of `get`, `set` and their like.
pub(crate) const DEFAULT_NAMESPACE: &str = "default";

/// The namespace of what `run` keeps.
pub(crate) const RUN_NAMESPACE: &str = "run";

/// The largest value read from or written to a file store whose URL says nothing else.
const MAX_VALUE_BYTES: u64 = 1 << 30;

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
            _ => StoreUrl::new("file").with_path(user_directory()?),
        };
        let stores = Stores::new();
        if !stores.schemes().any(|scheme| scheme == url.scheme()) {
            let error = stores.open(&url, DEFAULT_NAMESPACE).err();
            let reason = error.map_or_else(|| "no such store".to_owned(), |e| e.to_string());
            return Err(Failure::new(USAGE, reason));
        }
        Ok(Self { url: with_limit(url), stores })
    }

    /// Opens the namespace `name`. A file store's directory is made, for this user alone.
    pub(crate) fn open(&self, name: &str) -> Result<Arc<dyn Namespace>, Error> {
        self.stores.open(&self.url, name)
    }

    /// The directory of a file store.
    pub(crate) fn directory(&self) -> Option<&Path> {
        (self.url.scheme() == "file").then(|| self.url.path())
    }
}

/// A file store refuses values of more than 64 MiB by itself; what `--max-output` admits is to fit.
fn with_limit(url: StoreUrl) -> StoreUrl {
    const OPTION: &str = "max_value_bytes";
    if url.scheme() == "file" && url.options().take_text(OPTION).is_none() {
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
