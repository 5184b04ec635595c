//! Futures dropped after each number of polls in turn: at each place where they wait.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use beaker_container::{Cache, Created, OnCancel, Policy};
use beaker_namespace::testkit::AsyncStore;
use beaker_namespace::{Key, MemoryConfig, MemoryNamespace, Namespace, Wait};
use tokio::sync::oneshot;

use super::{Remote, in_time};
use crate::tasks::{one_thread, poll_once};

/// Polls a future so many times, and drops it; `None` if it did not end.
struct DropAfter<F> {
    future: Option<Pin<Box<F>>>,
    polls: u64,
}

fn drop_after<F: Future>(polls: u64, future: F) -> DropAfter<F> {
    DropAfter { future: Some(Box::pin(future)), polls }
}

impl<F: Future> Future for DropAfter<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.polls == 0 {
            self.future = None;
        }
        self.polls = self.polls.saturating_sub(1);
        let Some(future) = &mut self.future else { return Poll::Ready(None) };
        let polled = future.as_mut().poll(context).map(Some);
        if polled.is_pending() && self.polls == 0 {
            // It may not be woken again.
            context.waker().wake_by_ref();
        }
        polled
    }
}

/// The most polls that a call may need here.
const ENOUGH: u64 = 200;

/// Runs `test` with each number of polls, until it says that its future ended; says how many that took.
fn at_each_poll<F: Future<Output = bool>>(test: impl Fn(u64) -> F) -> u64 {
    for polls in 0..ENOUGH {
        if one_thread().block_on(in_time(test(polls))) {
            return polls;
        }
    }
    panic!("it does not end within {ENOUGH} polls")
}

/// Creators that count: begun, and ended.
#[derive(Clone, Default)]
struct Made {
    begun: Arc<AtomicU64>,
    ended: Arc<AtomicU64>,
}

impl Made {
    /// Makes the number of the creation that begins with it, after a wait.
    async fn one(self) -> u64 {
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        tokio::task::yield_now().await;
        self.ended.fetch_add(1, Ordering::SeqCst);
        number
    }

    fn counts(&self) -> (u64, u64) {
        (self.begun.load(Ordering::SeqCst), self.ended.load(Ordering::SeqCst))
    }
}

#[test]
fn after_a_creation_is_dropped_the_next_caller_gets_a_value() {
    let polls = at_each_poll(async |polls| {
        let remote = Remote::new();
        let (cache, made) = (&remote.cache, Made::default());
        let first = cache.get_or_create_async(&1, || made.clone().one());
        let first = drop_after(polls, first).await;
        assert!(remote.is_free(1), "a claim is left after {polls} polls");
        let (begun, ended) = made.counts();
        let next = cache.get_or_create_async(&1, || made.clone().one()).await.unwrap();
        if let Some(value) = first {
            assert_eq!((value.unwrap(), next, made.counts()), (1, 1, (1, 1)));
            return true;
        }
        // It makes another, unless the dropped one was stored.
        let stored = next == 1 && ended == 1;
        assert_eq!(made.counts().0, if stored { 1 } else { begun + 1 }, "{polls} polls");
        assert!(remote.is_free(1));
        assert_eq!(remote.store.blocking_calls(), 0);
        false
    });
    // The read, the claim, the second look and the entry wait twice each, and the creator once.
    assert_eq!(polls, 10);
}

#[test]
fn those_who_wait_take_over_from_a_creation_that_is_dropped() {
    at_each_poll(async |polls| {
        let remote = Remote::new();
        let (cache, made) = (&remote.cache, Made::default());
        let first = drop_after(polls, cache.get_or_create_async(&1, || made.clone().one()));
        let ask = || cache.get_or_create_async(&1, || made.clone().one());
        let (first, one, two) = tokio::join!(first, ask(), ask());
        assert_eq!(one.unwrap(), two.unwrap(), "they share one value");
        assert!(made.counts().0 <= 2, "{:?} after {polls} polls", made.counts());
        assert!(remote.is_free(1));
        first.is_some()
    });
}

#[test]
fn a_detached_creation_is_made_once_wherever_its_caller_goes_away() {
    at_each_poll(async |polls| {
        let remote = Remote::new();
        let made = Made::default();
        let policy = Policy::new().on_cancel(OnCancel::Detach);
        let cache = remote.cache.clone().with_policy(policy);
        let ask = || {
            let made = made.clone();
            cache.fetch(&1).spawn_async(move |_| async move { Ok::<_, ()>(made.one().await) })
        };
        let first = drop_after(polls, ask()).await;
        assert_eq!(ask().await.unwrap().value, 1, "{polls} polls");
        assert_eq!(made.counts(), (1, 1), "{polls} polls");
        assert!(remote.is_free(1));
        first.is_some()
    });
}

#[test]
fn a_handed_over_creation_goes_with_its_caller_wherever_that_is() {
    let dropped_under_way = Cell::new(false);
    at_each_poll(async |polls| {
        let remote = Remote::new();
        let (cache, made) = (&remote.cache, Made::default());
        let ask = || {
            let made = made.clone();
            cache.fetch(&1).spawn_async(move |_| async move { Ok::<_, ()>(made.one().await) })
        };
        let first = drop_after(polls, ask()).await;
        let under_way = made.counts() == (1, 0);
        dropped_under_way.set(dropped_under_way.get() || under_way);
        let next = ask().await.unwrap().value;
        let counts = made.counts();
        assert_eq!(next, counts.0, "the last that began is served");
        assert!(counts.0 <= 2 && (!under_way || counts == (2, 1)), "{counts:?}, {polls} polls");
        assert!(remote.is_free(1));
        first.is_some()
    });
    assert!(dropped_under_way.get());
}

#[test]
fn after_a_batch_is_dropped_no_key_is_held() {
    at_each_poll(async |polls| {
        let remote = Remote::new();
        let cache = &remote.cache;
        let create = |missing: Vec<&u64>| {
            let values: Vec<u64> = missing.into_iter().map(|key| key * 10).collect();
            async move {
                tokio::task::yield_now().await;
                Ok::<_, ()>(values)
            }
        };
        let first = cache.get_or_try_create_many_async(&[1, 2, 3], create);
        let first = drop_after(polls, first).await;
        assert!((1..=3).all(|key| remote.is_free(key)), "a claim is left after {polls} polls");
        let next = cache.get_or_try_create_many_async(&[3, 2, 1], create).await;
        assert_eq!(next.unwrap(), [30, 20, 10]);
        first.is_some()
    });
}

#[test]
fn a_change_that_is_dropped_is_done_or_not_and_never_in_part() {
    at_each_poll(async |polls| {
        let remote = Remote::new();
        let cache = &remote.cache;
        let all = async || cache.get_many_async(&[1, 2]).await.unwrap();
        cache.insert_async(&1, 10).await.unwrap();
        cache.insert_async(&2, 20).await.unwrap();

        let inserted = drop_after(polls, cache.insert_async(&1, 11)).await;
        let seen = all().await;
        assert!([[Some(10), Some(20)], [Some(11), Some(20)]].contains(&[seen[0], seen[1]]));

        let removed = drop_after(polls, cache.remove_async(&1)).await;
        let seen = all().await;
        assert!(matches!(seen[..], [None | Some(10 | 11), Some(20)]), "{seen:?}");

        cache.insert_async(&1, 12).await.unwrap();
        let cleared = drop_after(polls, cache.clear_async()).await;
        let seen = all().await;
        assert!([[Some(12), Some(20)], [None, None]].contains(&[seen[0], seen[1]]), "{seen:?}");

        cache.insert_async(&1, 13).await.unwrap();
        assert_eq!(cache.get_async(&1).await.unwrap(), Some(13), "the next change holds");
        inserted.is_some() && removed.is_some() && cleared.is_some()
    });
}

#[test]
fn a_claim_that_is_waited_for_is_given_back_when_the_call_is_dropped() {
    one_thread().block_on(async {
        let remote = Remote::new();
        let held = remote.store.inner().claim(&Key::new(&1_u64), Wait::Never).unwrap().unwrap();
        let waiting = remote.cache.get_or_create_async(&1, || async { 1 });
        assert!(drop_after(50, waiting).await.is_none(), "another holds the claim");
        drop(held);
        assert!(remote.is_free(1));
        assert_eq!(remote.cache.get_or_create_async(&1, || async { 2 }).await.unwrap(), 2);
    });
}

/// What the values are made from.
#[derive(Default)]
struct Origin(AtomicU64);

impl Origin {
    async fn read(&self) -> Created<u64> {
        let version = self.0.load(Ordering::SeqCst);
        tokio::task::yield_now().await;
        Created::new(version).tag("origin")
    }
}

/// Changes the origin and invalidates the value after each number of polls of its creation; what is
/// from before must not be there afterwards.
fn wins_at_each_poll<F: Future<Output = ()>>(invalidate: impl Fn(Cache<u64, u64>) -> F) {
    at_each_poll(async |polls| {
        let remote = Remote::new();
        let (cache, origin) = (&remote.cache, Origin::default());
        let mut creating = Box::pin(cache.fetch(&1).create_async(|_| origin.read()));
        for _ in 0..polls {
            if poll_once(creating.as_mut()).is_ready() {
                return true;
            }
        }
        origin.0.store(1, Ordering::SeqCst);
        invalidate(cache.clone()).await;
        creating.await.unwrap();
        let found = cache.get_async(&1).await.unwrap();
        assert_ne!(found, Some(0), "from before the invalidation, after {polls} polls");
        false
    });
}

#[test]
fn an_invalidation_wins_over_a_creation_wherever_that_is() {
    wins_at_each_poll(async |cache| {
        cache.remove_async(&1).await.unwrap();
    });
    wins_at_each_poll(async |cache| cache.clear_async().await.unwrap());
    wins_at_each_poll(async |cache| cache.invalidate_tag_async("origin").await.unwrap());
    wins_at_each_poll(async |cache| {
        cache.remove_many_async(&[1]).await.unwrap();
    });
}

/// A cache on a store in which any caller gets a claim at once, whose asynchronous face is the only one.
fn in_memory() -> (Cache<u64, u64>, Arc<AsyncStore<Arc<MemoryNamespace>>>) {
    let memory = MemoryNamespace::anonymous(MemoryConfig::new()).unwrap();
    let store = Arc::new(AsyncStore::new(memory));
    store.refuse_blocking();
    (Cache::new(store.clone()), store)
}

/// Drops an invalidation after each number of polls, while a creation is held up: who asks afterwards
/// must not wait for that. Only the invalidation that was never polled was none.
fn nobody_waits_after<F: Future<Output = ()>>(invalidate: impl Fn(Cache<u64, u64>) -> F) {
    at_each_poll(async |polls| {
        let (cache, _store) = in_memory();
        let (go, wait) = oneshot::channel::<()>();
        let mut first = Box::pin(cache.get_or_create_async(&1, || async {
            wait.await.unwrap();
            1
        }));
        assert!((0..9).all(|_| poll_once(first.as_mut()).is_pending()));
        let mut waiting = Box::pin(cache.get_or_create_async(&1, || async { 2 }));
        assert!((0..9).all(|_| poll_once(waiting.as_mut()).is_pending()), "it has joined");

        let ended = drop_after(polls, invalidate(cache.clone())).await.is_some();

        let mut next = Box::pin(cache.get_or_create_async(&1, || async { 3 }));
        let got = (0..50).find_map(|_| match poll_once(next.as_mut()) {
            Poll::Ready(value) => Some(value.unwrap()),
            Poll::Pending => None,
        });
        let told = polls > 0;
        assert_eq!(got, told.then_some(3), "after {polls} polls");
        // Those from before get what is right for them.
        go.send(()).unwrap();
        assert_eq!(first.await.unwrap(), 1);
        let waited = waiting.await.unwrap();
        assert!(waited == 3 || waited == 1 && !ended, "{waited}, after {polls} polls");
        drop(next);
        ended
    });
}

/// Begins a creation while an invalidation is on its way, and holds it up: who asks after the invalidation
/// must not wait for that either.
fn nobody_waits_for_what_began_meanwhile<F: Future<Output = ()>>(
    invalidate: impl Fn(Cache<u64, u64>) -> F,
) {
    one_thread().block_on(in_time(async {
        let (cache, _store) = in_memory();
        let mut invalidating = Box::pin(invalidate(cache.clone()));
        assert!(poll_once(invalidating.as_mut()).is_pending(), "it is not done yet");
        let mut held = Box::pin(cache.get_or_create_async(&1, std::future::pending));
        assert!((0..9).all(|_| poll_once(held.as_mut()).is_pending()));
        invalidating.await;
        assert_eq!(cache.get_or_create_async(&1, || async { 3 }).await.unwrap(), 3);
    }));
}

#[test]
fn after_an_invalidation_nobody_joins_what_began_while_it_ran() {
    nobody_waits_for_what_began_meanwhile(async |cache| cache.insert_async(&1, 3).await.unwrap());
    nobody_waits_for_what_began_meanwhile(async |cache| {
        cache.remove_async(&1).await.unwrap();
    });
    nobody_waits_for_what_began_meanwhile(async |cache| {
        cache.remove_many_async(&[1, 2]).await.unwrap();
    });
    nobody_waits_for_what_began_meanwhile(async |cache| cache.clear_async().await.unwrap());
}

#[test]
fn after_an_invalidation_that_is_dropped_nobody_joins_what_it_voided() {
    nobody_waits_after(async |cache| cache.insert_async(&1, 3).await.unwrap());
    nobody_waits_after(async |cache| {
        cache.remove_async(&1).await.unwrap();
    });
    nobody_waits_after(async |cache| {
        cache.remove_many_async(&[1, 2]).await.unwrap();
    });
    nobody_waits_after(async |cache| cache.clear_async().await.unwrap());
}
