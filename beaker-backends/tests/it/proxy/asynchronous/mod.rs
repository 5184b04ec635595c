//! The asynchronous faces of the proxies: each against the suite, and with futures that are dropped
//! after each number of polls in turn. The store inside panics at a blocking call.

mod conforming;
mod dropped;
mod metered;
mod tiered;

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use beaker_namespace::testkit::AsyncStore;
use beaker_namespace::{
    AsyncNamespace, BoxFuture, Condition, Entry, FileConfig, FileNamespace, Inspection, Key,
    MemoryNamespace, Namespace, Wait,
};

use super::{anonymous, bytes_in, entry};

/// The most polls that a call may need here.
const ENOUGH: usize = 200;

/// A store that is called by its asynchronous face and panics at a blocking call.
fn remote<N: Namespace>(inner: N) -> AsyncStore<N> {
    let store = AsyncStore::new(inner);
    store.refuse_blocking();
    store
}

fn memory() -> Arc<AsyncStore<Arc<MemoryNamespace>>> {
    Arc::new(remote(anonymous()))
}

/// A store in which one caller at a time has the claim on a key.
fn files() -> (Arc<AsyncStore<FileNamespace>>, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let file = FileNamespace::open("n", FileConfig::new(dir.path())).unwrap();
    (Arc::new(remote(file)), dir)
}

fn face(namespace: &dyn Namespace) -> &dyn AsyncNamespace {
    namespace.asynchronous().expect("the store inside has an asynchronous face")
}

/// Polls so many times, or to the end.
fn poll<F: Future + Unpin>(future: &mut F, polls: usize) -> Option<F::Output> {
    let mut context = Context::from_waker(Waker::noop());
    (0..polls).find_map(|_| match std::pin::Pin::new(&mut *future).poll(&mut context) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    })
}

/// Polls to the end: the futures here go on at each poll.
fn finish<T>(mut future: BoxFuture<'_, T>) -> T {
    poll(&mut future, ENOUGH).expect("it ends")
}

/// Runs `test` with each number of polls until it says that its future ended.
fn at_each_poll(test: impl FnMut(usize) -> bool) {
    assert!((0..ENOUGH).any(test), "it does not end within {ENOUGH} polls");
}

/// What is under `key`, by the asynchronous face.
fn found(namespace: &dyn Namespace, key: &Key) -> Option<String> {
    let entry = finish(face(namespace).get(key)).unwrap()?;
    Some(String::from_utf8(bytes_in(&entry)).unwrap())
}

/// The keys of these tests. The entry of the first carries the tag `t`.
fn keys() -> [Key; 2] {
    [Key::new("a"), Key::new("b")]
}

fn tagged(namespace: &dyn Namespace, value: &str) -> Entry {
    entry(namespace, value).tags(vec!["t".into()])
}

fn put_old(namespace: &dyn Namespace) {
    let [a, b] = keys();
    let entries = vec![(a, tagged(namespace, "old")), (b, entry(namespace, "old"))];
    finish(face(namespace).set_many(entries)).unwrap();
}

fn all_found(namespace: &dyn Namespace) -> [Option<String>; 2] {
    keys().map(|key| found(namespace, &key))
}

/// What changes a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Set,
    SetIf,
    SetMany,
    Fulfil,
    Remove,
    RemoveMany,
    RemoveTag,
    Clear,
}

impl Change {
    const ALL: [Self; 8] = [
        Self::Set,
        Self::SetIf,
        Self::SetMany,
        Self::Fulfil,
        Self::Remove,
        Self::RemoveMany,
        Self::RemoveTag,
        Self::Clear,
    ];

    /// What is there afterwards, over what [`put_old`] put.
    fn outcome(self) -> [Option<String>; 2] {
        match self {
            Self::Set | Self::SetIf | Self::Fulfil => [Some("new"), Some("old")],
            Self::SetMany => [Some("new"), Some("new")],
            Self::Remove | Self::RemoveTag => [None, Some("old")],
            Self::RemoveMany | Self::Clear => [None, None],
        }
        .map(|value| value.map(str::to_owned))
    }

    /// The change as one future, with what it has to ask before.
    fn run(self, namespace: &dyn Namespace) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let (face, [a, b]) = (face(namespace), keys());
            let new = entry(namespace, "new");
            match self {
                Self::Set => face.set(&a, new).await.unwrap(),
                Self::SetIf => {
                    let Inspection::Present(old) = face.inspect(&a).await.unwrap() else {
                        panic!("the old entry is there")
                    };
                    let unchanged = Condition::Generation(old.generation());
                    let _stored = face.set_if(&a, new, unchanged).await.unwrap();
                }
                Self::SetMany => face.set_many(vec![(a, new.clone()), (b, new)]).await.unwrap(),
                Self::Fulfil => {
                    let claim = face.claim(&a, Wait::Forever).await.unwrap().unwrap();
                    let _stored = face.fulfil(&a, new, claim).await.unwrap();
                }
                Self::Remove => assert!(face.remove(&a).await.unwrap()),
                Self::RemoveMany => assert_eq!(face.remove_many(&[a, b]).await.unwrap(), 2),
                Self::RemoveTag => assert_eq!(face.remove_tag("t").await.unwrap(), 1),
                Self::Clear => face.clear().await.unwrap(),
            }
        })
    }
}
