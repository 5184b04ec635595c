//! Stampedes for tests, on a clock that stands still: many callers at one key, at one moment.
//!
//! A test that starts threads and hopes that they meet proves little, and one that sleeps until they
//! have met is slow and fails on a busy machine. Here the creator is held until every caller has
//! either come back or is waiting for somebody else, and only then let go: the worst case, each time.
//!
//! # Examples
//!
//! Your own function, under a hundred callers, when its value expires:
//!
//! ```
//! use std::time::Duration;
//! use beaker_container::Stale;
//! use beaker_container::testkit::{memory_cache, rush};
//!
//! let (cache, clock) = memory_cache::<String, u32>();
//! let prices = cache
//!     .with_ttl(Duration::from_secs(60))
//!     .with_stale(Stale::WhileRefreshing { max_age: Duration::from_secs(600) });
//!
//! let cold = rush(&prices, "tea", 100, |source| {
//!     prices.get_or_create("tea", || source.make(|| 3)).expect("memory does not fail")
//! });
//! assert_eq!((cold.calls, cold.results), (1, vec![3; 100]), "one creation, for all");
//!
//! clock.advance(Duration::from_secs(61));
//! let expired = rush(&prices, "tea", 100, |source| {
//!     prices.get_or_create("tea", || source.make(|| 4)).expect("memory does not fail")
//! });
//! assert_eq!(expired.calls, 1);
//! let stale = expired.results.iter().filter(|price| **price == 3).count();
//! assert_eq!(stale, 99, "all but one got the old price at once");
//! ```

#[cfg(feature = "tokio")]
mod tasks;

use std::borrow::Borrow;
use std::sync::Arc;
use std::task::Waker;
use std::thread;
use std::time::{Duration, Instant};

use beaker_namespace::{
    Key, ManualClock, MemoryConfig, MemoryNamespace, Namespace, SystemClock, ToKey,
};
use parking_lot::{Condvar, Mutex};

#[cfg(feature = "tokio")]
pub use self::tasks::rush_async;
use crate::Cache;

/// A stampede that is not over after this long has hung.
const HANG: Duration = Duration::from_secs(30);

/// A cache of live objects in memory, shared with nobody, on a clock that only the test moves. It
/// shows the time at which it was made.
///
/// # Panics
///
/// No: the configuration is right.
pub fn memory_cache<K, V: Clone + Send + Sync + 'static>() -> (Cache<K, V>, Arc<ManualClock>) {
    use beaker_namespace::Clock;
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let config = MemoryConfig::new().clock(clock.clone());
    let namespace: Arc<dyn Namespace> = match MemoryNamespace::anonymous(config) {
        Ok(namespace) => namespace,
        Err(error) => unreachable!("an unbounded namespace can always be had: {error}"),
    };
    (Cache::of_objects(namespace), clock)
}

/// How many callers, threads and tasks, wait at the moment for the value under `key` that another
/// caller makes.
pub fn waiting<K, V, Q>(cache: &Cache<K, V>, key: &Q) -> usize
where
    K: ToKey + Borrow<Q>,
    V: Clone + Send + Sync + 'static,
    Q: ToKey + ?Sized,
{
    cache.waiting(&key.to_key())
}

/// How many keys have a value that is being made at the moment, in this process. When a test is over it
/// tells whether anything was left behind.
pub fn creating<K: ToKey, V: Clone + Send + Sync + 'static>(cache: &Cache<K, V>) -> usize {
    cache.creating()
}

/// What a stampede came to.
#[derive(Debug)]
#[non_exhaustive]
pub struct Rush<T> {
    /// What each caller got, in no stated order.
    pub results: Vec<T>,
    /// How often a creator ran.
    pub calls: usize,
    /// How many creators ran at the same time, at most.
    pub at_once: usize,
}

/// What creators go through in a stampede.
#[derive(Debug, Clone)]
pub struct Source(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    calls: usize,
    running: usize,
    at_once: usize,
    finished: usize,
    open: bool,
    /// Tasks that wait for it to open.
    wakers: Vec<Waker>,
}

impl Source {
    fn new() -> Self {
        Self(Arc::default())
    }

    /// Counts the call, holds it until all callers have come as far as they can, and runs `make`.
    pub fn make<T>(&self, make: impl FnOnce() -> T) -> T {
        let running = Running::enter(&self.0);
        let mut state = self.0.state.lock();
        while !state.open {
            self.0.changed.wait(&mut state);
        }
        drop(state);
        let made = make();
        drop(running);
        made
    }

    fn has_settled(&self, callers: usize, waiting: usize) -> bool {
        let state = self.0.state.lock();
        state.finished + state.running + waiting >= callers
    }

    fn finish(&self) {
        self.0.state.lock().finished += 1;
    }

    fn open(&self) {
        let wakers = {
            let mut state = self.0.state.lock();
            state.open = true;
            std::mem::take(&mut state.wakers)
        };
        self.0.changed.notify_all();
        wakers.into_iter().for_each(Waker::wake);
    }

    fn into_rush<T>(self, results: Vec<T>) -> Rush<T> {
        let state = self.0.state.lock();
        Rush { results, calls: state.calls, at_once: state.at_once }
    }
}

/// A creator under way; a panic ends it too.
struct Running<'a>(&'a Shared);

impl<'a> Running<'a> {
    fn enter(shared: &'a Shared) -> Self {
        let mut state = shared.state.lock();
        state.calls += 1;
        state.running += 1;
        state.at_once = state.at_once.max(state.running);
        Self(shared)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.state.lock().running -= 1;
    }
}

/// Lets `callers` threads run `call` at once, and holds what goes through the [`Source`] until each
/// of them has come back or waits for another's creation of `key`.
///
/// # Panics
///
/// If a caller panics, or the stampede is not over after 30 s.
pub fn rush<K, V, Q, T>(
    cache: &Cache<K, V>,
    key: &Q,
    callers: usize,
    call: impl Fn(&Source) -> T + Sync,
) -> Rush<T>
where
    K: ToKey + Borrow<Q>,
    V: Clone + Send + Sync + 'static,
    Q: ToKey + ?Sized,
    T: Send,
{
    let key: Key = key.to_key();
    let source = Source::new();
    let results = thread::scope(|scope| {
        let running: Vec<_> = (0..callers)
            .map(|_| {
                scope.spawn(|| {
                    let result = call(&source);
                    source.finish();
                    result
                })
            })
            .collect();
        let began = Instant::now();
        while !source.has_settled(callers, cache.waiting(&key)) {
            if began.elapsed() > HANG || running.iter().all(|caller| caller.is_finished()) {
                break;
            }
            thread::yield_now();
        }
        source.open();
        let joined = running.into_iter().map(|caller| match caller.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        joined.collect()
    });
    source.into_rush(results)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rush_sees_a_stampede_where_there_is_one() {
        // The control: callers that do not go through the cache.
        let (cache, _clock) = memory_cache::<String, u32>();
        let rush = rush(&cache, "k", 8, |source| source.make(|| 1));
        assert_eq!((rush.calls, rush.at_once, rush.results.len()), (8, 8, 8));
    }

    #[test]
    fn a_cache_makes_a_cold_value_once() {
        let (cache, _clock) = memory_cache::<String, u32>();
        let rush =
            rush(&cache, "k", 32, |source| cache.get_or_create("k", || source.make(|| 1)).unwrap());
        assert_eq!((rush.calls, rush.at_once), (1, 1));
        assert_eq!(rush.results, [1; 32]);
        assert_eq!(creating(&cache), 0);
    }

    #[test]
    #[should_panic(expected = "boom")]
    fn a_callers_panic_is_the_tests() {
        let (cache, _clock) = memory_cache::<String, u32>();
        rush(&cache, "k", 2, |_| panic!("boom"));
    }
}
