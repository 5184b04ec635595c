use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use beaker_syncdict::{CreateError, WeakRegistry};

use super::config::Settings;
use super::store::Store;
use crate::{Error, ErrorKind};

/// The stores that are open in this process, by canonical directory and name.
static OPEN: LazyLock<WeakRegistry<(PathBuf, Box<str>), Store>> =
    LazyLock::new(|| WeakRegistry::weak_with_shards(1));

/// Returns the store that is open there already, or opens it.
pub(super) fn find_or_open(
    dir: PathBuf,
    name: &str,
    settings: Settings,
) -> Result<Arc<Store>, Error> {
    let place = (dir, name.into());
    let open = || Store::open(&place.0, name, settings).map(Arc::new);
    let store = OPEN.get_or_try_create(&place, open).map_err(|error| match error {
        CreateError::Create(error) => error,
        CreateError::Reentrant => {
            Error::new(ErrorKind::Unavailable, "open the file store").with_source(error)
        }
    })?;
    store.agree(settings).map(|()| store)
}

/// Two handles of one namespace want different things.
#[cold]
pub(super) fn contradiction(what: &str) -> Error {
    Error::new(ErrorKind::Config, "open the file store").with_detail(format!(
        "this process has the namespace open with another {what}; use the same one everywhere"
    ))
}
