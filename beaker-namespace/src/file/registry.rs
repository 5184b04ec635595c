use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Weak};

use parking_lot::Mutex;

use super::config::Settings;
use super::store::Store;
use crate::{Error, ErrorKind};

type Known = HashMap<(PathBuf, Box<str>), Weak<Store>>;

/// The stores that are open in this process, by canonical directory and name.
static KNOWN: LazyLock<Mutex<Known>> = LazyLock::new(Mutex::default);

/// Returns the store that is open there already, or the one that `open` makes.
pub(super) fn find_or_open(
    dir: PathBuf,
    name: &str,
    settings: Settings,
    open: impl FnOnce(&PathBuf) -> Result<Store, Error>,
) -> Result<Arc<Store>, Error> {
    let mut known = KNOWN.lock();
    let place = (dir, name.into());
    if let Some(store) = known.get(&place).and_then(Weak::upgrade) {
        store.agree(settings).map(|()| store)
    } else {
        known.retain(|_, store| store.strong_count() > 0);
        let store = Arc::new(open(&place.0)?);
        known.insert(place, Arc::downgrade(&store));
        Ok(store)
    }
}

/// Two handles of one namespace want different things.
#[cold]
pub(super) fn contradiction(what: &str) -> Error {
    Error::new(ErrorKind::Config, "open the file store").with_detail(format!(
        "this process has the namespace open with another {what}; use the same one everywhere"
    ))
}
