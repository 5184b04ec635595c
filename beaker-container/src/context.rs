//! Opened stores, shared by everything that is made from one context.

use std::path::Path;
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
    /// A context that knows the stores of `beaker-namespace`.
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
        let data_dir = (url.scheme() == "file").then(|| url.path().to_owned());
        let home = Home { context: self.clone(), url: url.clone(), data_dir };
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

/// The URL that Beaker's `type` and `data_dir` mean.
pub(crate) fn url_of_type(kind: &str, data_dir: Option<&Path>) -> Result<StoreUrl, Error> {
    match (kind, data_dir) {
        ("file", Some(dir)) => Ok(StoreUrl::new("file").with_path(dir)),
        ("file", None) => Err(Error::new(
            ErrorKind::Config,
            "a file cache needs a directory: data_dir is required",
        )),
        _ => Ok(StoreUrl::new(kind)),
    }
}
