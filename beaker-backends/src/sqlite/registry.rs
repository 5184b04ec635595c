use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use beaker_namespace::{Error, ErrorKind};
use beaker_syncdict::{CreateError, Reentrant, WeakRegistry};
use parking_lot::Mutex;

use super::config::Settings;
use super::store::Store;

/// The databases that are open in this process, by canonical path.
static OPEN: LazyLock<WeakRegistry<PathBuf, Store>> =
    LazyLock::new(|| WeakRegistry::weak_with_shards(1));

/// The databases that were open when this process was forked from another.
static INHERITED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Returns the store that is open there already, or opens it.
pub(super) fn find_or_open(path: PathBuf, settings: Settings) -> Result<Arc<Store>, Error> {
    if INHERITED.lock().contains(&path) {
        return Err(forked(&path));
    }
    let open = || Store::open(&path, settings).map(Arc::new);
    let store = OPEN.get_or_try_create(&path, open).map_err(|error| match error {
        CreateError::Create(error) => error,
        CreateError::Reentrant => {
            Error::new(ErrorKind::Unavailable, "open the SQLite store").with_source(Reentrant)
        }
    })?;
    store.database.check_process()?;
    store.database.settings.agree(&settings)?;
    Ok(store)
}

/// Whether this process has the database open, or inherited it.
pub(super) fn is_known(path: &Path) -> bool {
    INHERITED.lock().contains(path) || OPEN.get(path).is_some()
}

/// Says that this process must not open `path` any more: it was forked while that was open.
pub(super) fn inherited(path: &Path) {
    INHERITED.lock().insert(path.to_owned());
}

/// SQLite keeps its locks by process, and its book of them in memory, which a fork copies: so the
/// child believes that it has locks which it has not, also of what it opens itself.
#[cold]
pub(super) fn forked(path: &Path) -> Error {
    Error::new(ErrorKind::Config, "use the SQLite store").with_detail(format!(
        "{} was open when this process was forked, and SQLite cannot be used across a fork; open it \
         again in a process that is forked before it is opened, or that runs a program anew (exec)",
        path.display()
    ))
}
