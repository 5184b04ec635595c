//! The calls of a namespace, by the face that suits the caller.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use beaker_namespace::{
    AsyncNamespace, Condition, ConditionalSet, Entry, Key, Lookup, Namespace, Timestamp,
};

use super::NamespaceStore;
use crate::record::Version;
use crate::{Error, RecordKey};

/// A store by one face of its namespace. What it does is written once, as async functions; by the
/// blocking face they wait for nothing.
#[derive(Clone, Copy)]
pub(super) struct Calls<'a> {
    pub(super) store: &'a NamespaceStore,
    face: Face<'a>,
}

#[derive(Clone, Copy)]
enum Face<'a> {
    Blocking(&'a dyn Namespace),
    Asynchronous(&'a dyn AsyncNamespace),
}

/// The result of calls by the blocking face.
pub(crate) fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("the blocking face blocks"),
    }
}

impl NamespaceStore {
    pub(super) fn blocking(&self) -> Calls<'_> {
        Calls { store: self, face: Face::Blocking(&*self.namespace) }
    }

    /// By the asynchronous face, if there is one.
    pub(super) fn in_task(&self) -> Calls<'_> {
        let namespace = &*self.namespace;
        let face = namespace.asynchronous().map_or(Face::Blocking(namespace), Face::Asynchronous);
        Calls { store: self, face }
    }
}

impl Calls<'_> {
    pub(super) fn now(self) -> Timestamp {
        self.store.namespace.clock().now()
    }

    pub(super) async fn get(
        self,
        operation: &'static str,
        key: &Key,
    ) -> Result<Option<Entry>, Error> {
        // Not by a `get`, which may drop what is damaged: who deletes or rescues it is to find it.
        self.look_up(operation, key).await.map(Lookup::into_entry)
    }

    pub(super) async fn look_up(self, operation: &'static str, key: &Key) -> Result<Lookup, Error> {
        let found = match self.face {
            Face::Blocking(namespace) => namespace.look_up(key),
            Face::Asynchronous(namespace) => namespace.look_up(key).await,
        };
        found.map_err(|error| Error::store(operation, error))
    }

    /// The new version, or `None` if the condition does not hold.
    pub(super) async fn set_if(
        self,
        operation: &'static str,
        key: &Key,
        entry: Entry,
        condition: Condition,
    ) -> Result<Option<Version>, Error> {
        let set = match self.face {
            Face::Blocking(namespace) => namespace.set_if(key, entry, condition),
            Face::Asynchronous(namespace) => namespace.set_if(key, entry, condition).await,
        };
        match set.map_err(|error| Error::store(operation, error))? {
            ConditionalSet::Stored { generation } => Ok(Some(Version(generation))),
            ConditionalSet::Conflict => Ok(None),
        }
    }

    pub(super) async fn remove(
        self,
        operation: &'static str,
        key: &RecordKey,
    ) -> Result<(), Error> {
        let key = key.entry_key();
        let removed = match self.face {
            Face::Blocking(namespace) => namespace.remove(&key),
            Face::Asynchronous(namespace) => namespace.remove(&key).await,
        };
        removed.map(drop).map_err(|error| Error::store(operation, error))
    }

    pub(super) async fn sweep(self) -> Result<u64, Error> {
        let swept = match self.face {
            Face::Blocking(namespace) => namespace.sweep(),
            Face::Asynchronous(namespace) => namespace.sweep().await,
        };
        swept
            .map(|swept| swept.expired + swept.corrupt)
            .map_err(|error| Error::store("sweep sessions", error))
    }
}
