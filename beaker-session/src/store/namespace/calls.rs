//! The calls of a namespace, by the face that suits the caller.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use beaker_namespace::{
    AsyncNamespace, Condition, ConditionalSet, Entry, Key, Lookup, Namespace, Timestamp,
};

use super::NamespaceStore;
use super::found::Found;
use crate::record::Version;
use crate::{Error, ErrorKind, RecordKey};

/// How often a set is tried where something is said to be too long, and a look finds nothing that is.
const FITTING_TRIES: usize = 8;

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

pub(super) fn is_too_large(error: &beaker_namespace::Error) -> bool {
    error.kind() == beaker_namespace::ErrorKind::TooLarge
}

impl Calls<'_> {
    pub(super) fn now(self) -> Timestamp {
        self.store.namespace.clock().now()
    }

    /// What is under the key of a session.
    pub(super) async fn find(self, operation: &'static str, key: &Key) -> Result<Found, Error> {
        Found::of(operation, self.looked_up(key).await)
    }

    /// What is under the key of a list.
    pub(super) async fn look_up(self, operation: &'static str, key: &Key) -> Result<Lookup, Error> {
        self.looked_up(key).await.map_err(|error| Error::store(operation, error))
    }

    /// Not by a `get`, which may drop what is damaged: who deletes or rescues it is to find it.
    async fn looked_up(self, key: &Key) -> Result<Lookup, beaker_namespace::Error> {
        match self.face {
            Face::Blocking(namespace) => namespace.look_up(key),
            Face::Asynchronous(namespace) => namespace.look_up(key).await,
        }
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
        match set {
            Ok(ConditionalSet::Stored { generation }) => Ok(Some(Version(generation))),
            Ok(ConditionalSet::Conflict) => Ok(None),
            // What is there may be too long, and not what was to be set.
            Err(error) if is_too_large(&error) && self.is_too_long(key).await => Ok(None),
            Err(error) => Err(Error::store(operation, error)),
        }
    }

    /// As [`set_if`](Self::set_if), of what was read there, or of a mark. That is not too long itself, so what was
    /// there was: if it is not any more it has become another, for which the condition is asked again.
    pub(super) async fn set_fitting_if(
        self,
        operation: &'static str,
        key: &Key,
        entry: Entry,
        condition: Condition,
    ) -> Result<Option<Version>, Error> {
        for _ in 1..FITTING_TRIES {
            match self.set_if(operation, key, entry.clone(), condition).await {
                Err(error) if error.kind() == ErrorKind::TooLarge => {}
                set => return set,
            }
        }
        self.set_if(operation, key, entry, condition).await
    }

    /// Whether what is under `key` is longer than the namespace reads.
    async fn is_too_long(self, key: &Key) -> bool {
        matches!(self.looked_up(key).await, Err(error) if is_too_large(&error))
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
