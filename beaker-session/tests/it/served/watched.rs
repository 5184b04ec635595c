//! A store that is watched.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use beaker_namespace::{Latency, Timestamp};
use beaker_session::{
    Created, Deleted, Error, ErrorKind, Loaded, NamespaceStore, Record, RecordKey, Renamed,
    Renaming, SessionStore, Touched, Updated, Version,
};
use parking_lot::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::PATIENCE;

#[derive(Debug, Clone)]
pub(crate) struct Watched(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: NamespaceStore,
    asked: Mutex<Vec<&'static str>>,
    failing: Mutex<HashSet<&'static str>>,
    gate: Mutex<Option<Gate>>,
}

#[derive(Debug)]
struct Gate {
    operation: &'static str,
    passed: UnboundedSender<()>,
    release: Receiver<()>,
}

/// A call that waits until it is released.
pub(crate) struct Held {
    passed: UnboundedReceiver<()>,
    release: Sender<()>,
}

impl Held {
    /// Waits until the call has come.
    pub(crate) async fn reached(&mut self) {
        tokio::time::timeout(PATIENCE, self.passed.recv()).await.unwrap().unwrap();
    }

    /// Lets it go on.
    pub(crate) fn release(&self) {
        self.release.send(()).unwrap();
    }

    /// Waits until the call has been made.
    pub(crate) async fn done(&mut self) {
        self.reached().await;
    }
}

impl Watched {
    pub(super) fn new(store: NamespaceStore) -> Self {
        let (asked, failing, gate) = Default::default();
        Self(Arc::new(Inner { store, asked, failing, gate }))
    }

    /// The calls so far, by name.
    pub(crate) fn asked(&self) -> Vec<&'static str> {
        self.0.asked.lock().clone()
    }

    pub(crate) fn forget(&self) {
        self.forget_but(Vec::new());
    }

    pub(super) fn forget_but(&self, asked: Vec<&'static str>) {
        *self.0.asked.lock() = asked;
    }

    /// From now on these calls fail; no name means that the store works again.
    pub(crate) fn fail<const N: usize>(&self, operations: [&'static str; N]) {
        *self.0.failing.lock() = HashSet::from(operations);
    }

    /// The next such call waits until it is released.
    pub(crate) fn hold(&self, operation: &'static str) -> Held {
        let ((passed, watch), (release, wait)) = (unbounded_channel(), channel());
        *self.0.gate.lock() = Some(Gate { operation, passed, release: wait });
        Held { passed: watch, release }
    }

    fn call<T>(
        &self,
        operation: &'static str,
        call: impl FnOnce(&NamespaceStore) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.0.asked.lock().push(operation);
        let gate = {
            let mut gate = self.0.gate.lock();
            gate.take_if(|gate| gate.operation == operation)
        };
        if let Some(gate) = &gate {
            gate.passed.send(()).unwrap();
            gate.release.recv_timeout(PATIENCE / 2).unwrap();
        }
        if self.0.failing.lock().contains(operation) {
            return Err(Error::new(ErrorKind::Unavailable, operation));
        }
        let result = call(&self.0.store);
        if let Some(gate) = &gate {
            gate.passed.send(()).ok();
        }
        result
    }
}

impl SessionStore for Watched {
    fn latency(&self) -> Latency {
        self.0.store.latency()
    }

    fn create(&self, key: &RecordKey, record: &Arc<Record>) -> Result<Created, Error> {
        self.call("create", |store| store.create(key, record))
    }

    fn load(&self, key: &RecordKey) -> Result<Loaded, Error> {
        self.call("load", |store| store.load(key))
    }

    fn update(
        &self,
        key: &RecordKey,
        expected: Version,
        record: &Arc<Record>,
    ) -> Result<Updated, Error> {
        self.call("update", |store| store.update(key, expected, record))
    }

    fn touch(&self, key: &RecordKey, accessed: Timestamp) -> Result<Touched, Error> {
        self.call("touch", |store| store.touch(key, accessed))
    }

    fn delete(&self, key: &RecordKey) -> Result<Deleted, Error> {
        self.call("delete", |store| store.delete(key))
    }

    fn rename(&self, renaming: &Renaming<'_>) -> Result<Renamed, Error> {
        self.call("rename", |store| store.rename(renaming))
    }

    fn sweep(&self) -> Result<u64, Error> {
        self.call("sweep", NamespaceStore::sweep)
    }
}
