//! A store that fails on demand.

use std::collections::VecDeque;
use std::sync::Arc;

use beaker_namespace::{Latency, Timestamp};
use parking_lot::Mutex;

use crate::record::{Record, Version};
use crate::store::{
    Created, Deleted, DeletedIf, Loaded, Member, Renamed, Renaming, SessionStore, Touched, Updated,
};
use crate::{Error, ErrorKind, RecordKey};

/// When an armed call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failure {
    /// Before it reaches the store: nothing is done.
    Before,
    /// After the store has carried it out: its answer is lost, as on a broken connection.
    After,
}

/// A store whose calls fail when they are told to: for the tests of what a site does in an outage.
///
/// It has no asynchronous face. Clones are one store.
///
/// # Examples
///
/// ```
/// use beaker_session::testkit::{Failing, Failure};
/// use beaker_session::{ErrorKind, NamespaceStore, Sessions};
///
/// let memory = beaker_namespace::Stores::new().open(&"memory:".parse()?, "failing example")?;
/// let store = Failing::new(NamespaceStore::new(memory)?);
/// let sessions = Sessions::builder().with_store(store.clone()).build()?;
/// let request = sessions.begin([]);
/// request.load()?.insert("name", "Ada")?;
/// store.arm(1, Failure::Before, ErrorKind::Unavailable);
/// assert_eq!(request.commit().unwrap_err().kind(), ErrorKind::Unavailable);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Failing<S>(Arc<Inner<S>>);

#[derive(Debug)]
struct Inner<S> {
    store: S,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    calls: u64,
    /// The numbers of the calls that are to fail, in order.
    armed: VecDeque<(u64, Failure, ErrorKind)>,
}

impl<S> Clone for Failing<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: SessionStore> Failing<S> {
    /// `store`, with no call that fails.
    pub fn new(store: S) -> Self {
        Self(Arc::new(Inner { store, state: Mutex::default() }))
    }

    /// Lets the `nth` call from now on fail, with an error of `kind`; the next one is the first.
    /// Other calls that were armed stay so.
    pub fn arm(&self, nth: u64, failure: Failure, kind: ErrorKind) {
        let mut state = self.0.state.lock();
        let number = state.calls + nth.max(1);
        state.armed.push_back((number, failure, kind));
    }

    /// Lets no call fail.
    pub fn disarm(&self) {
        self.0.state.lock().armed.clear();
    }

    /// How many calls were made so far.
    pub fn calls(&self) -> u64 {
        self.0.state.lock().calls
    }

    /// The store below, whose calls do not fail.
    pub fn store(&self) -> &S {
        &self.0.store
    }

    fn call<T>(&self, call: impl FnOnce(&S) -> Result<T, Error>) -> Result<T, Error> {
        let failure = {
            let mut state = self.0.state.lock();
            state.calls += 1;
            let number = state.calls;
            let at = state.armed.iter().position(|(armed, ..)| *armed == number);
            at.and_then(|at| state.armed.remove(at))
        };
        let failed = |kind| Error::new(kind, "ask a store that was told to fail");
        match failure {
            None => call(&self.0.store),
            Some((_, Failure::Before, kind)) => Err(failed(kind)),
            Some((_, Failure::After, kind)) => call(&self.0.store).and_then(|_| Err(failed(kind))),
        }
    }
}

impl<S: SessionStore> SessionStore for Failing<S> {
    fn latency(&self) -> Latency {
        self.0.store.latency()
    }

    fn create(&self, key: &RecordKey, record: &Arc<Record>) -> Result<Created, Error> {
        self.call(|store| store.create(key, record))
    }

    fn load(&self, key: &RecordKey) -> Result<Loaded, Error> {
        self.call(|store| store.load(key))
    }

    fn update(
        &self,
        key: &RecordKey,
        expected: Version,
        record: &Arc<Record>,
    ) -> Result<Updated, Error> {
        self.call(|store| store.update(key, expected, record))
    }

    fn touch(&self, key: &RecordKey, accessed: Timestamp) -> Result<Touched, Error> {
        self.call(|store| store.touch(key, accessed))
    }

    fn delete(&self, key: &RecordKey) -> Result<Deleted, Error> {
        self.call(|store| store.delete(key))
    }

    fn rename(&self, renaming: &Renaming<'_>) -> Result<Renamed, Error> {
        self.call(|store| store.rename(renaming))
    }

    fn enroll(&self, subject: &str, member: &Member) -> Result<(), Error> {
        self.call(|store| store.enroll(subject, member))
    }

    fn delete_if(&self, key: &RecordKey, expected: Version) -> Result<DeletedIf, Error> {
        self.call(|store| store.delete_if(key, expected))
    }

    fn members(&self, subject: &str) -> Result<Vec<Member>, Error> {
        self.call(|store| store.members(subject))
    }

    fn epoch(&self, subject: &str) -> Result<u64, Error> {
        self.call(|store| store.epoch(subject))
    }

    fn raise_epoch(&self, subject: &str) -> Result<u64, Error> {
        self.call(|store| store.raise_epoch(subject))
    }

    fn sweep(&self) -> Result<u64, Error> {
        self.call(S::sweep)
    }
}
