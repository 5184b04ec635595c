//! What a store of keys and bytes does for the layer above it.

use std::fmt;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use beaker_namespace::Error;
use bytes::Bytes;
use parking_lot::Mutex;

/// Keeps bytes under bytes, in one file.
pub(crate) trait Engine: fmt::Debug + Send + std::marker::Sync + 'static {
    /// Shows `look` one consistent state of the store.
    ///
    /// # Errors
    ///
    /// Those of the store, and that of `look`.
    fn view(&self, look: &mut dyn FnMut(&dyn Reader) -> Result<(), Error>) -> Result<(), Error>;

    /// Runs `change` alone, and keeps all that it wrote or, after an error, nothing; after a time-out in the
    /// midst of keeping it, all or nothing.
    ///
    /// Several changes may be kept together; then an error of a [`Writer`] is everybody's. An error
    /// that a change finds by itself is its own, so it must come before the change writes.
    /// A change that wrote nothing costs no write to the disk.
    ///
    /// # Errors
    ///
    /// Those of the store, and that of `change`.
    fn update(&self, change: Change, sync: Sync) -> Result<(), Error>;

    /// Who shares the store.
    fn sharing(&self) -> &Sharing;

    /// The place of the store, for errors.
    fn path(&self) -> &Path;

    /// Whether the engine itself refuses a store that a newer version wrote. Where it does not, a row
    /// says the version; see `version.rs`.
    fn knows_versions(&self) -> bool {
        false
    }

    /// Whether a walk goes straight to its first key. Where it reads all keys instead, writes look
    /// after the dead seldom, and then at all rows.
    fn walks_straight(&self) -> bool {
        true
    }

    /// Gives space that is free in the store back to the system, if it is much. For an engine that does not do
    /// so by itself.
    ///
    /// # Errors
    ///
    /// That others keep the store for too long. That it cannot be done is none.
    fn give_back(&self) -> Result<(), Error> {
        Ok(())
    }

    /// The bytes it takes on disk, where that is cheap to know.
    fn size_bytes(&self) -> Option<u64>;
}

/// Who shares a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// The threads of one process.
    #[allow(dead_code, reason = "dbm, if it is alone, has no use for it")]
    Process,
    #[allow(dead_code, reason = "sled, if it is alone, has no use for it")]
    /// The processes of the host, which find each other's creations by lock files in `locks`.
    Host { locks: PathBuf },
}

/// What an acknowledged change survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sync {
    /// As configured.
    Configured,
    /// It may be lost with the power, and takes nothing else with it: housekeeping and claims.
    Relaxed,
}

/// Something to be done to the store; see [`Engine::update`].
pub(crate) type Change = Box<dyn FnOnce(&mut dyn Writer) -> Result<(), Error> + Send>;

/// What is done with a key and its bytes.
pub(crate) type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// One state of the store.
pub(crate) trait Reader {
    /// Shows the bytes under `key` to `look`, if there are some.
    fn look(&self, key: &[u8], look: &mut dyn FnMut(&[u8])) -> Result<(), Error>;

    /// The bytes under `key`.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        let mut found = None;
        self.look(key, &mut |bytes| found = Some(Bytes::copy_from_slice(bytes)))?;
        Ok(found)
    }

    /// Shows the keys that begin with `prefix` to `visit`, in the order of their bytes, those after
    /// `after` only, until it breaks.
    fn walk(&self, prefix: &[u8], after: Option<&[u8]>, visit: &mut Visit<'_>)
    -> Result<(), Error>;

    /// Shows all keys to `visit`, in whatever order is the quickest, until it breaks.
    fn each(&self, visit: &mut Visit<'_>) -> Result<(), Error> {
        self.walk(&[], None, visit)
    }
}

/// The state that a change works on; it reads what it wrote.
pub(crate) trait Writer: Reader {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error>;

    /// Removes what is under `key`, if there is something.
    fn delete(&mut self, key: &[u8]) -> Result<(), Error>;
}

/// [`Engine::view`] with a result.
pub(super) fn view<T>(
    engine: &dyn Engine,
    look: impl FnOnce(&dyn Reader) -> Result<T, Error>,
) -> Result<T, Error> {
    let (mut look, mut seen) = (Some(look), None);
    engine.view(&mut |reader| {
        if let Some(look) = look.take() {
            seen = Some(look(reader)?);
        }
        Ok(())
    })?;
    seen.ok_or_else(skipped)
}

/// [`Engine::update`] with a result.
pub(super) fn update<T: Send + 'static>(
    engine: &dyn Engine,
    sync: Sync,
    change: impl FnOnce(&mut dyn Writer) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let done = Arc::new(Mutex::new(None));
    let slot = Arc::clone(&done);
    let change = move |writer: &mut dyn Writer| {
        let result = change(writer)?;
        *slot.lock() = Some(result);
        Ok(())
    };
    engine.update(Box::new(change), sync)?;
    let result = done.lock().take();
    result.ok_or_else(skipped)
}

/// The engine did not call what it was given: a fault in it.
#[cold]
fn skipped() -> Error {
    Error::new(beaker_namespace::ErrorKind::Unavailable, "use the store")
        .with_detail("the store's driver left the work out")
}
