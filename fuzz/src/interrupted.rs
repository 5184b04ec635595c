//! A store in whose calls something else happens first: as if another request had come in between.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use beaker_namespace::{Latency, Timestamp};
use beaker_session::{
    Created, Deleted, Error, Loaded, NamespaceStore, Record, RecordKey, Renamed, Renaming,
    SessionStore, Touched, Updated, Version,
};

type Action = Box<dyn FnOnce() + Send>;

/// What is to happen before which of the next calls.
#[derive(Default)]
pub(crate) struct Interruption(Mutex<Option<(u8, Action)>>);

impl Interruption {
    /// Runs `action` in the call after `calls` others.
    pub(crate) fn set(&self, calls: u8, action: Action) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((calls, action));
    }

    /// Drops what has not happened.
    pub(crate) fn clear(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn happen(&self) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = match &mut *waiting {
            Some((0, _)) => waiting.take(),
            Some((calls, _)) => {
                *calls -= 1;
                None
            }
            None => None,
        };
        // Its own calls of the store are to find the lock free.
        drop(waiting);
        if let Some((_, action)) = due {
            action();
        }
    }
}

impl fmt::Debug for Interruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Interruption")
    }
}

#[derive(Debug)]
pub(crate) struct Interrupted {
    store: NamespaceStore,
    interruption: Arc<Interruption>,
}

impl Interrupted {
    pub(crate) fn new(store: NamespaceStore, interruption: Arc<Interruption>) -> Self {
        Self { store, interruption }
    }

    fn store(&self) -> &NamespaceStore {
        self.interruption.happen();
        &self.store
    }
}

impl SessionStore for Interrupted {
    fn latency(&self) -> Latency {
        self.store.latency()
    }

    fn create(&self, key: &RecordKey, record: &Arc<Record>) -> Result<Created, Error> {
        self.store().create(key, record)
    }

    fn load(&self, key: &RecordKey) -> Result<Loaded, Error> {
        self.store().load(key)
    }

    fn update(
        &self,
        key: &RecordKey,
        expected: Version,
        record: &Arc<Record>,
    ) -> Result<Updated, Error> {
        self.store().update(key, expected, record)
    }

    fn touch(&self, key: &RecordKey, accessed: Timestamp) -> Result<Touched, Error> {
        self.store().touch(key, accessed)
    }

    fn delete(&self, key: &RecordKey) -> Result<Deleted, Error> {
        self.store().delete(key)
    }

    fn rename(&self, renaming: &Renaming<'_>) -> Result<Renamed, Error> {
        self.store().rename(renaming)
    }
}
