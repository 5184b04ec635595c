//! Opened stores, shared by everything that is made from one context.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use beaker_namespace::{Key, Namespace, StoreUrl, Stores, ToKey};
use beaker_syncdict::SyncDict;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cache::Home;
use crate::{Cache, Container, Error, ErrorKind};

/// Opens namespaces once, and hands the same one to everything that is made in it.
///
/// Cloning is cheap and gives the same context. The namespaces stay open as long as the context or
/// something made in it.
///
/// # Examples
///
/// ```
/// use beaker_container::ContainerContext;
///
/// let context = ContainerContext::new();
/// let url = "memory:".parse()?;
/// let total = context.container::<u64>(&url, "numbers", "total")?;
/// total.set(3)?;
/// assert_eq!(context.container::<u64>(&url, "numbers", "total")?.get()?, 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ContainerContext(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    stores: Stores,
    open: SyncDict<(StoreUrl, String), Arc<dyn Namespace>>,
}

impl Default for ContainerContext {
    fn default() -> Self {
        Self::new()
    }
}

impl ContainerContext {
    /// A context that knows the stores of `beaker-namespace`, and those that were
    /// [installed](Stores::install).
    pub fn new() -> Self {
        Self::with_stores(Stores::new())
    }

    /// A context that knows `stores`.
    pub fn with_stores(stores: Stores) -> Self {
        Self(Arc::new(Inner { stores, open: SyncDict::new() }))
    }

    /// The stores it knows.
    pub fn stores(&self) -> &Stores {
        &self.0.stores
    }

    /// The namespace `name` in the store at `url`: opened by the first call, the same for all.
    ///
    /// # Errors
    ///
    /// Those of opening it.
    pub fn namespace(&self, url: &StoreUrl, name: &str) -> Result<Arc<dyn Namespace>, Error> {
        let key = (url.clone(), name.to_owned());
        self.0.open.get_or_try_create(&key, || self.0.stores.open(url, name)).map_err(|error| {
            match error {
                beaker_syncdict::CreateError::Create(error) => error.into(),
                beaker_syncdict::CreateError::Reentrant => Error::reentrant(),
            }
        })
    }

    /// A cache on the namespace `name` in the store at `url`.
    ///
    /// # Errors
    ///
    /// Those of opening it.
    pub fn cache<K, V>(&self, url: &StoreUrl, name: &str) -> Result<Cache<K, V>, Error>
    where
        V: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
    {
        let home = Home { context: self.clone(), url: url.clone(), data_dir: data_dir_of(url) };
        Ok(Cache::new(self.namespace(url, name)?).at(home))
    }

    /// The container of `key` on the namespace `name` in the store at `url`.
    ///
    /// # Errors
    ///
    /// Those of opening it.
    pub fn container<V>(
        &self,
        url: &StoreUrl,
        name: &str,
        key: impl ToKey,
    ) -> Result<Container<V>, Error>
    where
        V: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
    {
        Ok(Container::new(self.namespace(url, name)?, Key::new(&key)))
    }
}

/// The types that keep their entries in `data_dir`, and under which name there; an empty one is the
/// directory itself.
const IN_DATA_DIR: &[(&str, &str)] = &[
    ("dbm", "beaker.dbm"),
    ("file", ""),
    ("redb", "beaker.redb"),
    ("sled", "beaker.sled"),
    ("sqlite", "beaker.sqlite"),
];

/// The URL that Beaker's `type` and `data_dir` mean.
pub(crate) fn url_of_type(kind: &str, data_dir: Option<&Path>) -> Result<StoreUrl, Error> {
    let Some((_, name)) = IN_DATA_DIR.iter().find(|(known, _)| *known == kind) else {
        return Ok(StoreUrl::new(kind));
    };
    let Some(dir) = data_dir else {
        let reason = format!("a {kind} cache needs a directory: data_dir is required");
        return Err(Error::new(ErrorKind::Config, reason));
    };
    let path = if name.is_empty() { dir.to_owned() } else { dir.join(name) };
    Ok(StoreUrl::new(kind).with_path(path))
}

/// The directory in which stores of other types find their place beside the one at `url`.
fn data_dir_of(url: &StoreUrl) -> Option<PathBuf> {
    match url.scheme() {
        "file" => Some(url.path().to_owned()),
        kind if IN_DATA_DIR.iter().any(|(known, _)| *known == kind) => {
            url.path().parent().map(Path::to_owned)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_and_a_directory_are_a_url() {
        let url = |kind| url_of_type(kind, Some(Path::new("/data"))).map(|url| url.to_string());
        assert_eq!(url("file").unwrap(), "file:///data");
        assert_eq!(url("sqlite").unwrap(), "sqlite:///data/beaker.sqlite");
        assert_eq!(url("memory").unwrap(), "memory:");
        let error = url_of_type("dbm", None).unwrap_err().to_string();
        assert!(error.contains("a dbm cache needs a directory: data_dir is required"), "{error}");
    }

    #[test]
    fn stores_in_files_lie_in_their_data_directory() {
        let dir = |url: &str| data_dir_of(&url.parse().unwrap());
        assert_eq!(dir("file:///data").as_deref(), Some(Path::new("/data")));
        assert_eq!(dir("sqlite:///data/x.sqlite").as_deref(), Some(Path::new("/data")));
        assert_eq!(dir("memory:"), None);
    }
}
