//! A site to test adapters with: sessions whose store tells what it was asked, fails on demand,
//! and waits.

pub(crate) mod watched;

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use beaker_namespace::{MemoryConfig, MemoryNamespace, Namespace, Stores};
use beaker_session::{
    Builder, CookieConfig, Data, KeyRing, NamespaceStore, Origin, SecretKey, Sessions,
};
use tempfile::TempDir;
use tokio::task::yield_now;

pub(crate) use self::watched::Watched;

/// Turns a hang into a failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Site {
    pub(crate) sessions: Sessions,
    pub(crate) store: Watched,
    _dir: Option<TempDir>,
}

impl Site {
    /// Sessions in memory, where a task calls the store itself.
    pub(crate) fn memory() -> Self {
        Self::memory_with(|builder| builder)
    }

    pub(crate) fn memory_with(settings: impl FnOnce(Builder) -> Builder) -> Self {
        let memory = MemoryNamespace::anonymous(MemoryConfig::new()).unwrap();
        Self::new(memory, None, settings)
    }

    /// Sessions on a disk, where a task has the store called by another thread.
    pub(crate) fn sqlite() -> Self {
        Self::sqlite_with(|builder| builder)
    }

    pub(crate) fn sqlite_with(settings: impl FnOnce(Builder) -> Builder) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/s.db", dir.path().display());
        beaker_backends::install();
        let namespace = Stores::new().open(&url.parse().unwrap(), "sessions").unwrap();
        Self::new(namespace, Some(dir), settings)
    }

    /// One of each.
    pub(crate) fn both() -> [Self; 2] {
        [Self::memory(), Self::sqlite()]
    }

    pub(crate) fn both_with(settings: impl Fn(Builder) -> Builder) -> [Self; 2] {
        [Self::memory_with(&settings), Self::sqlite_with(&settings)]
    }

    pub(crate) fn new(
        namespace: Arc<dyn Namespace>,
        dir: Option<TempDir>,
        settings: impl FnOnce(Builder) -> Builder,
    ) -> Self {
        let store = Watched::new(NamespaceStore::new(namespace).unwrap());
        let builder = Sessions::builder()
            .with_store(store.clone())
            .with_cookie(CookieConfig::named("id"))
            .with_keys(KeyRing::new(SecretKey::from_bytes(&key()).unwrap()));
        Self { sessions: settings(builder).build().unwrap(), store, _dir: dir }
    }

    /// Stores a session with one value, and gives what its browser sends: `id=...`.
    pub(crate) fn visitor(&self, name: &str, value: &str) -> String {
        let lazy = self.sessions.begin([]);
        lazy.load().unwrap().insert(name, value).unwrap();
        let outgoing = lazy.commit().unwrap();
        let cookie = pair(outgoing.set_cookies().next().unwrap());
        self.store.forget();
        cookie
    }

    /// What is stored for a browser; `None` if its session is not there.
    pub(crate) fn stored(&self, cookie: &str) -> Option<Data> {
        let asked = self.store.asked();
        let session = self.sessions.begin([cookie.as_bytes()]).load().unwrap();
        self.store.forget_but(asked);
        (session.origin() == Origin::Known).then(|| session.data())
    }

    /// The one text value that is stored for a browser.
    pub(crate) fn text(&self, cookie: &str, name: &str) -> Option<String> {
        self.stored(cookie)?.get(name)?.as_str().map(str::to_owned)
    }
}

/// The part of a `Set-Cookie` that the browser sends back.
pub(crate) fn pair(set_cookie: &str) -> String {
    set_cookie.split(';').next().unwrap().to_owned()
}

/// Polls `future` once, so that it is on its way, and drops it.
pub(crate) async fn begin<T>(future: impl Future<Output = T>) {
    let mut future = pin!(future);
    let pending = poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending()));
    assert!(pending.await);
}

/// Lets others go on until `what` is so.
pub(crate) async fn until(what: impl Fn() -> bool) {
    let began = Instant::now();
    while !what() {
        assert!(began.elapsed() < PATIENCE, "it does not come");
        yield_now().await;
    }
}

fn key() -> Vec<u8> {
    (1..=32).map(|at: u8| at.wrapping_mul(37)).collect()
}
