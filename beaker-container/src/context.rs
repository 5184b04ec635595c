//! Opened stores, shared by everything that is made from one context.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use beaker_namespace::{Key, Namespace, StoreUrl, Stores, ToKey};
use beaker_syncdict::SyncDict;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cache::Home;
use crate::config::CacheOptions;
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

    /// Lets go of the namespace `name` in every store, and says how many there were.
    ///
    /// A context keeps what it opened: with a name for each of its tenants, say, a program lets go of those that
    /// are done with. What was made from it goes on as it is, and holds the namespace; who opens the name later gets
    /// the same one again as long as somebody does. In memory nothing is left of it after that; what is in
    /// files or a database stays there.
    pub fn forget(&self, name: &str) -> usize {
        let mut gone = Vec::new();
        self.0.open.retain(|(_, opened), namespace| {
            let keeps = opened != name;
            if !keeps {
                gone.push(Arc::clone(namespace));
            }
            keeps
        });
        // Their last holder closes them: that is here, under no lock.
        gone.len()
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
        let home = Home { context: self.clone(), url: url.clone(), dirs: Dirs::of_url(url) };
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

/// Where the types that keep their entries in files find their place.
#[derive(Debug, Clone, Default)]
pub(crate) struct Dirs {
    data: Option<PathBuf>,
    /// Of `file` and of `dbm` alone; they come before `data`.
    file: Option<PathBuf>,
    dbm: Option<PathBuf>,
}

impl Dirs {
    pub(crate) fn of(options: &CacheOptions) -> Self {
        let CacheOptions { data_dir, file_dir, dbm_dir, .. } = options.clone();
        Self { data: data_dir, file: file_dir, dbm: dbm_dir }
    }

    /// The directory in which stores of other types find their place beside the one at `url`.
    fn of_url(url: &StoreUrl) -> Self {
        let data = match url.scheme() {
            "file" => Some(url.path().to_owned()),
            kind if IN_DATA_DIR.iter().any(|(known, _)| *known == kind) => {
                url.path().parent().map(Path::to_owned)
            }
            _ => None,
        };
        Self { data, ..Self::default() }
    }

    /// The URL that Beaker's `type` means in them.
    pub(crate) fn url_of_type(&self, kind: &str) -> Result<StoreUrl, Error> {
        let Some((_, name)) = IN_DATA_DIR.iter().find(|(known, _)| *known == kind) else {
            return Ok(StoreUrl::new(kind));
        };
        let own = match kind {
            "file" => self.file.as_ref(),
            "dbm" => self.dbm.as_ref(),
            _ => None,
        };
        let Some(dir) = own.or(self.data.as_ref()) else { return Err(no_directory(kind)) };
        let path = if name.is_empty() { dir.to_owned() } else { dir.join(name) };
        Ok(StoreUrl::new(kind).with_path(path))
    }
}

#[cold]
fn no_directory(kind: &str) -> Error {
    let or_its_own = match kind {
        "file" | "dbm" => format!(" or {kind}_dir"),
        _ => String::new(),
    };
    let reason = format!("a {kind} cache needs a directory: data_dir{or_its_own} is required");
    Error::new(ErrorKind::Config, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ns_11_a_type_and_a_directory_are_a_url() {
        let options = CacheOptions::new().data_dir("/data");
        let url = |options: &CacheOptions, kind| Dirs::of(options).url_of_type(kind).unwrap();
        assert_eq!(url(&options, "file").to_string(), "file:///data");
        assert_eq!(url(&options, "sqlite").to_string(), "sqlite:///data/beaker.sqlite");
        assert_eq!(url(&options, "memory").to_string(), "memory:");
        // What is for one type is for it alone, and comes first there.
        for options in [options, CacheOptions::new()] {
            let options = options.file_dir("/files").dbm_dir("/dbm");
            assert_eq!(url(&options, "file").to_string(), "file:///files");
            assert_eq!(url(&options, "dbm").to_string(), "dbm:///dbm/beaker.dbm");
        }
    }

    #[test]
    fn ns_11_without_a_directory_the_error_names_the_options() {
        let dirs = Dirs::of(&CacheOptions::new().dbm_dir("/dbm").lock_dir("/locks"));
        for (kind, wanted) in [
            ("file", "a file cache needs a directory: data_dir or file_dir is required"),
            ("redb", "a redb cache needs a directory: data_dir is required"),
        ] {
            assert_eq!(dirs.url_of_type(kind).unwrap_err().to_string(), wanted);
        }
    }

    #[test]
    fn stores_in_files_lie_in_their_data_directory() {
        let dir = |url: &str| Dirs::of_url(&url.parse().unwrap()).data;
        assert_eq!(dir("file:///data").as_deref(), Some(Path::new("/data")));
        assert_eq!(dir("sqlite:///data/x.sqlite").as_deref(), Some(Path::new("/data")));
        assert_eq!(dir("memory:"), None);
    }
}
