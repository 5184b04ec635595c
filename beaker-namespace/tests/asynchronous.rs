//! The asynchronous face: the suite catches faces that are broken on purpose, and the store of the
//! testkit does what it says.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use beaker_namespace::testkit::{self, AsyncStore, BlockOn};
use beaker_namespace::{
    AsyncNamespace, BoxFuture, Capabilities, Capability, Claim, Entry, Error, FileConfig,
    FileNamespace, Fulfilled, Inspection, Key, Mark, MemoryConfig, MemoryNamespace, Namespace,
    Payload, Swept, Wait, forward_namespace,
};
use tempfile::TempDir;

/// Counts how often it is woken.
#[derive(Default)]
struct Woken(AtomicU32);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn poll<T>(future: &mut BoxFuture<'_, T>, woken: &Arc<Woken>) -> Poll<T> {
    let waker = Waker::from(Arc::clone(woken));
    Pin::new(future).poll(&mut Context::from_waker(&waker))
}

fn files() -> Result<(AsyncStore<FileNamespace>, TempDir), Error> {
    let dir = tempfile::tempdir().expect("a directory");
    let store = FileNamespace::open("n", FileConfig::new(dir.path()))?;
    Ok((AsyncStore::new(store), dir))
}

fn memory() -> Result<AsyncStore<Arc<MemoryNamespace>>, Error> {
    MemoryNamespace::anonymous(MemoryConfig::new()).map(AsyncStore::new)
}

fn entry(store: &impl Namespace, value: &'static str) -> Entry {
    Entry::new(Payload::raw(value), store.clock().now())
}

#[test]
fn a_future_is_pending_before_its_call_and_again_before_its_answer() -> Result<(), Error> {
    let (store, key, woken) = (memory()?, Key::new("k"), Arc::default());
    let mut setting = AsyncNamespace::set(&store, &key, entry(&store, "1"));
    assert_eq!(store.asynchronous_calls(), 0, "nothing is done before the first poll");
    assert!(poll(&mut setting, &woken).is_pending());
    assert!(store.inner().get(&key)?.is_none());
    assert!(poll(&mut setting, &woken).is_pending());
    assert!(store.inner().get(&key)?.is_some());
    assert!(poll(&mut setting, &woken).is_ready());
    let counts = (woken.0.load(Ordering::SeqCst), store.asynchronous_calls());
    assert_eq!((counts, store.blocking_calls()), ((2, 1), 0));
    Ok(())
}

#[test]
fn a_store_on_hold_wakes_nobody_until_it_is_released() -> Result<(), Error> {
    let (store, key, woken) = (memory()?, Key::new("k"), Arc::default());
    store.hold();
    let mut getting = AsyncNamespace::get(&store, &key);
    for _ in 0..3 {
        assert!(poll(&mut getting, &woken).is_pending());
    }
    assert_eq!(woken.0.load(Ordering::SeqCst), 0);
    store.release();
    assert_eq!(woken.0.load(Ordering::SeqCst), 1);
    assert!(poll(&mut getting, &woken).is_pending(), "the answer is on its way");
    assert!(poll(&mut getting, &woken).is_ready());
    Ok(())
}

#[test]
#[should_panic(expected = "`remove` was called by its blocking face")]
fn a_blocking_call_that_is_refused_panics() {
    let store = memory().expect("a store");
    store.allow_blocking();
    assert!(Namespace::remove(&store, &Key::new("k")).is_ok_and(|removed| !removed));
    store.refuse_blocking();
    let _removed = Namespace::remove(&store, &Key::new("k"));
}

#[test]
fn a_claim_whose_future_is_dropped_is_given_back() -> Result<(), Error> {
    for polls in 0..4 {
        let ((store, _dir), key, woken) = (files()?, Key::new("k"), Arc::default());
        let mut claiming = AsyncNamespace::claim(&store, &key, Wait::Forever);
        let ended = (0..polls).any(|_| poll(&mut claiming, &woken).is_ready());
        assert_eq!(ended, polls > 2);
        drop(claiming);
        assert!(store.inner().claim(&key, Wait::Never)?.is_some(), "after {polls} polls");
    }
    Ok(())
}

#[test]
fn a_claim_waits_for_another_holder_as_long_as_it_is_told() -> Result<(), Error> {
    let ((store, _dir), key, woken) = (files()?, Key::new("k"), Arc::default());
    let held = store.inner().claim(&key, Wait::Never)?;
    let mut never = AsyncNamespace::claim(&store, &key, Wait::Never);
    let answer = (0..9).find_map(|_| match poll(&mut never, &woken) {
        Poll::Ready(claim) => Some(claim),
        Poll::Pending => None,
    });
    assert!(matches!(answer, Some(Ok(None))));
    let mut waiting = AsyncNamespace::claim(&store, &key, Wait::Forever);
    for _ in 0..100 {
        assert!(poll(&mut waiting, &woken).is_pending());
    }
    drop(held);
    assert!((0..9).any(|_| matches!(poll(&mut waiting, &woken), Poll::Ready(Ok(Some(_))))));
    Ok(())
}

/// A namespace whose blocking face is right and whose asynchronous face is not.
#[derive(Debug)]
struct Broken {
    inner: Arc<MemoryNamespace>,
    bug: Bug,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bug {
    None,
    FulfilIgnoresInvalidation,
    RemoveDoesNothing,
    ForgetsMarks,
}

impl Namespace for Broken {
    forward_namespace!(
        self => self.inner;
        id, scope, latency, clock, get, set, remove, clear, claim, fulfil, stats,
        set_if, scan, remove_tag, mark, marks, sweep, inspect, get_many, set_many, remove_many,
        on_departure,
    );

    fn capabilities(&self) -> Capabilities {
        use Capability::{Batch, CompareAndSet, Scan, Tags};
        let lacking = [Batch, CompareAndSet, Scan, Tags].into_iter();
        lacking.fold(self.inner.capabilities(), Capabilities::without)
    }

    fn asynchronous(&self) -> Option<&dyn AsyncNamespace> {
        Some(self)
    }
}

type Answer<'a, T> = BoxFuture<'a, Result<T, Error>>;

fn ready<'a, T: Send + 'a>(answer: Result<T, Error>) -> Answer<'a, T> {
    Box::pin(std::future::ready(answer))
}

/// The calls of many keys are left to their defaults.
impl AsyncNamespace for Broken {
    fn get<'a>(&'a self, key: &'a Key) -> Answer<'a, Option<Entry>> {
        ready(self.inner.get(key))
    }

    fn set<'a>(&'a self, key: &'a Key, entry: Entry) -> Answer<'a, ()> {
        ready(self.inner.set(key, entry))
    }

    fn remove<'a>(&'a self, key: &'a Key) -> Answer<'a, bool> {
        ready(match self.bug {
            Bug::RemoveDoesNothing => Ok(true),
            _ => self.inner.remove(key),
        })
    }

    fn clear(&self) -> Answer<'_, ()> {
        ready(self.inner.clear())
    }

    fn claim<'a>(&'a self, key: &'a Key, wait: Wait) -> Answer<'a, Option<Claim>> {
        ready(self.inner.claim(key, wait))
    }

    fn fulfil<'a>(&'a self, key: &'a Key, entry: Entry, claim: Claim) -> Answer<'a, Fulfilled> {
        ready(match self.bug {
            Bug::FulfilIgnoresInvalidation => {
                self.inner.set(key, entry).map(|()| Fulfilled::Stored)
            }
            _ => self.inner.fulfil(key, entry, claim),
        })
    }

    fn inspect<'a>(&'a self, key: &'a Key) -> Answer<'a, Inspection> {
        ready(self.inner.inspect(key))
    }

    fn sweep(&self) -> Answer<'_, Swept> {
        ready(self.inner.sweep())
    }

    fn mark<'a>(&'a self, name: &'a str, mark: Mark) -> Answer<'a, Mark> {
        ready(self.inner.mark(name, mark))
    }

    fn marks<'a>(&'a self, names: &'a [&'a str]) -> Answer<'a, Mark> {
        ready(match self.bug {
            Bug::ForgetsMarks => Ok(Mark::default()),
            _ => self.inner.marks(&mut names.iter().copied()),
        })
    }
}

/// The cases that fail, in a group of its own: another test may run them at the same time.
fn failed(bug: Bug, wanted: impl Fn(&str) -> bool) -> Vec<&'static str> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let group = format!("{bug:?} {}", NEXT.fetch_add(1, Ordering::Relaxed));
    let report = testkit::run_where("broken", wanted, |name, clock| {
        let config = MemoryConfig::new().group(&group).clock(clock);
        let inner = MemoryNamespace::open(name, config)?;
        Ok(BlockOn::new(Broken { inner, bug }))
    });
    report.failed.iter().map(|failure| failure.case).collect()
}

#[test]
fn a_face_that_leaves_calls_of_many_keys_to_the_defaults_conforms() {
    assert_eq!(failed(Bug::None, |_| true), Vec::<&str>::new());
}

#[test]
fn the_suite_catches_a_face_that_is_broken_beside_one_that_is_not() {
    let caught = [
        (Bug::FulfilIgnoresInvalidation, "a_set_wins_over_a_running_creation"),
        (Bug::RemoveDoesNothing, "a_removed_key_is_absent"),
        (Bug::ForgetsMarks, "a_mark_is_found"),
    ];
    for (bug, case) in caught {
        assert_eq!(failed(bug, |name| name == case), [case], "{bug:?}");
        assert_eq!(failed(Bug::None, |name| name == case), Vec::<&str>::new());
    }
}

#[test]
#[should_panic(expected = "has no asynchronous face")]
fn a_store_without_the_face_is_not_held_to_it() {
    testkit::conformance_asynchronous("memory", |name, clock| {
        MemoryNamespace::open(name, MemoryConfig::new().clock(clock))
    });
}
