//! Rows F11, F14, F16 and F17 of the fault study, by their numbers. Each has a control: the same check, of
//! something that has the fault.

use std::collections::{HashSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use beaker_container::testkit::{creating, waiting};
use beaker_container::{Cache, CreateError, ErrorKind, Policy, RemovalCause};
use beaker_namespace::Key;

use crate::harness::{HANG, Lab, creation};

/// What the rows allow a call that has nothing to wait for.
const AT_ONCE: Duration = Duration::from_millis(10);

/// A call that waits for somebody in vain takes this long.
const IN_VAIN: Duration = Duration::from_millis(100);

type Numbers = Cache<String, u32>;

fn until(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < HANG, "{what}: it hangs");
        thread::yield_now();
    }
}

/// The quickest of some: a machine that is busy delays one, a call that waits is late each time.
fn quickest(call: impl FnMut() -> Duration) -> Duration {
    std::iter::repeat_with(call).take(5).min().unwrap()
}

fn timed<T>(call: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    (call(), began.elapsed())
}

/// Of 16 threads that call `get` together, and whose first 3 creators panic once all others wait: how many
/// of them panicked, how many got a value, and how many creators ran.
fn sixteen_of_whom_three_panic(
    get: impl Fn(&dyn Fn() -> u32) -> u32 + Sync,
    waiting: impl Fn() -> Option<usize> + Sync,
) -> (usize, usize, u32) {
    let attempts = AtomicU32::new(0);
    let create = || {
        let attempt = attempts.fetch_add(1, Ordering::SeqCst);
        let all_others = 15 - attempt as usize;
        until("the others", || waiting().is_none_or(|waiting| waiting == all_others));
        if attempt < 3 {
            // Without a report.
            resume_unwind(Box::new("on purpose"));
        }
        7
    };
    let calls = thread::scope(|scope| {
        let call = || catch_unwind(AssertUnwindSafe(|| get(&create)));
        let threads: Vec<_> = (0..16).map(|_| scope.spawn(call)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    let panics = calls.iter().filter(|call| call.is_err()).count();
    let values = calls.iter().filter(|call| matches!(call, Ok(7))).count();
    (panics, values, attempts.into_inner())
}

#[test]
fn f11_three_of_sixteen_creators_panic_and_the_fourth_makes_the_value_for_all_others() {
    for lab in Lab::each() {
        let after = quickest(|| {
            let cache = lab.numbers(Policy::new());
            let get = |create: &dyn Fn() -> u32| cache.get_or_create("k", create).unwrap();
            let came = sixteen_of_whom_three_panic(get, || Some(waiting(&cache, "k")));
            assert_eq!(came, (3, 13, 4));
            assert_eq!(creating(&cache), 0, "nothing is left of them");
            let panics = || cache.get_or_create("l", || resume_unwind(Box::new("on purpose")));
            assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
            let (next, took) = timed(|| cache.get_or_create("l", || 8));
            assert_eq!((next.unwrap(), cache.get("k").unwrap()), (8, Some(7)));
            took
        });
        assert!(after < AT_ONCE, "{after:?} for the call after a panic");
    }
}

#[test]
fn f11_control_a_cell_that_a_panic_poisons_is_caught() {
    let (once, value) = (Once::new(), AtomicU32::new(0));
    let get = |create: &dyn Fn() -> u32| {
        once.call_once(|| value.store(create(), Ordering::SeqCst));
        value.load(Ordering::SeqCst)
    };
    assert_eq!(sixteen_of_whom_three_panic(get, || None), (16, 0, 1));
}

#[test]
fn f11_control_a_lead_that_is_not_given_back_is_late_and_seen() {
    for lab in Lab::each() {
        let cache = lab.numbers(Policy::new().wait(IN_VAIN));
        let (keeper, leader) = creation(&cache, "l", 1);
        assert_eq!(creating(&cache), 1);
        let (next, took) = timed(|| cache.get_or_create("l", || 8));
        assert_eq!(next.unwrap_err().kind(), ErrorKind::Timeout);
        assert!(took > AT_ONCE, "{took:?}");
        keeper.let_go();
        leader.join().unwrap().unwrap();
    }
}

/// How long a creator waits that asks for `inner` while it makes `k`, at the quickest.
fn nested(lab: &Lab, inner: impl Fn(&Numbers) -> Result<u32, ErrorKind>) -> (ErrorKind, Duration) {
    let mut kind = None;
    let took = quickest(|| {
        let cache = lab.numbers(Policy::new().wait(IN_VAIN));
        let mut took = None;
        let create = || -> Result<u32, ErrorKind> {
            let (asked, asking) = timed(|| inner(&cache));
            took = Some(asking);
            asked
        };
        match cache.get_or_try_create("k", create) {
            Err(CreateError::Create(error)) => kind = Some(error),
            other => panic!("{other:?}"),
        }
        took.unwrap()
    });
    (kind.unwrap(), took)
}

#[test]
fn f14_a_creator_that_asks_for_its_own_key_is_told_so_within_ten_milliseconds() {
    for lab in Lab::each() {
        let again = |cache: &Numbers| cache.get_or_create("k", || 1).map_err(|error| error.kind());
        let (kind, took) = nested(&lab, again);
        assert_eq!(kind, ErrorKind::Reentrant);
        assert!(took < AT_ONCE, "{took:?}");
    }
}

#[test]
fn f14_control_who_waits_for_what_a_creator_makes_is_late_and_seen() {
    // Asked from another thread it is no re-entry, and nobody can tell that it waits for itself.
    for lab in Lab::each() {
        let again = |cache: &Numbers| {
            let there = cache.clone();
            let asked = thread::spawn(move || there.get_or_create("k", || 1));
            asked.join().unwrap().map_err(|error| error.kind())
        };
        let (kind, took) = nested(&lab, again);
        assert_eq!(kind, ErrorKind::Timeout);
        assert!(took > AT_ONCE, "{took:?}");
    }
}

/// Of 200 threads that call `get` together, whose creators fail once all others wait: how many creators
/// ran. Each thread gets the error.
fn two_hundred_fail(
    get: impl Fn(&dyn Fn() -> Result<u32, &'static str>) -> Result<u32, &'static str> + Sync,
    waiting: impl Fn() -> Option<usize> + Sync,
) -> u32 {
    let calls = AtomicU32::new(0);
    let create = || {
        calls.fetch_add(1, Ordering::SeqCst);
        until("the others", || waiting().is_none_or(|waiting| waiting == 199));
        Err("down")
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..200).map(|_| scope.spawn(|| get(&create))).collect();
        threads.into_iter().for_each(|thread| assert_eq!(thread.join().unwrap(), Err("down")));
    });
    calls.into_inner()
}

#[test]
fn f16_a_failing_creator_runs_once_for_two_hundred_threads() {
    for lab in Lab::each() {
        let cache = lab.numbers(Policy::new());
        let calls = two_hundred_fail(
            |create| match cache.get_or_try_create("k", create) {
                Err(CreateError::Create(error)) => Err(error),
                other => panic!("{other:?}"),
            },
            || Some(waiting(&cache, "k")),
        );
        assert_eq!((calls, creating(&cache)), (1, 0));
    }
}

#[test]
fn f16_control_waiters_that_try_in_turn_are_caught() {
    // What Beaker, dogpile.cache, quick_cache and cached do.
    let value = Mutex::new(None);
    let calls = two_hundred_fail(
        |create| {
            let mut value = value.lock().unwrap();
            match *value {
                Some(value) => Ok(value),
                None => create().inspect(|made| *value = Some(*made)),
            }
        },
        || None,
    );
    assert_eq!(calls, 200);
}

/// A listener that panics at every third entry and stores another at every fifth, and keeps the keys
/// that should be there.
#[derive(Default)]
struct Hostile {
    model: Mutex<HashSet<Key>>,
    told: AtomicU64,
    /// How often it would have waited for ever.
    stuck: AtomicU64,
}

/// Stores a key; whether that came to an end.
type Set<'a> = &'a dyn Fn(&Key) -> bool;

impl Hostile {
    fn store(&self, key: &Key, set: Set<'_>) {
        // Into the model first: it may be evicted, and told, before it is stored.
        self.model.lock().unwrap().insert(key.clone());
        self.stuck.fetch_add(u64::from(!set(key)), Ordering::SeqCst);
    }

    fn hear(&self, key: &Key, set: Set<'_>) {
        let told = self.told.fetch_add(1, Ordering::SeqCst) + 1;
        self.model.lock().unwrap().remove(key);
        if told.is_multiple_of(5) {
            self.store(&Key::new(&("again", told)), set);
        }
        if told.is_multiple_of(3) {
            resume_unwind(Box::new("on purpose"));
        }
    }

    /// Stores until it was told of `evictions`, and says how many panics reached the caller.
    fn evict(&self, evictions: u64, set: Set<'_>) -> u64 {
        let (mut n, mut escaped) = (0_u64, 0);
        while self.told.load(Ordering::SeqCst) < evictions {
            let store = || self.store(&Key::new(&n), set);
            escaped += u64::from(catch_unwind(AssertUnwindSafe(store)).is_err());
            n += 1;
        }
        escaped
    }

    fn counts(&self) -> (u64, u64) {
        (self.told.load(Ordering::SeqCst), self.stuck.load(Ordering::SeqCst))
    }
}

#[test]
fn f17_a_listener_that_panics_and_calls_the_cache_leaves_it_whole() {
    let hostile = Arc::new(Hostile::default());
    let cache = Cache::<Key, u64>::in_memory(1_000).unwrap();
    let (hears, stores) = (Arc::clone(&hostile), cache.clone());
    let listening = cache.on_removal(move |key, cause| {
        assert_eq!(*cause, RemovalCause::Evicted);
        hears.hear(key.unwrap(), &|key| stores.insert(key, 1).is_ok());
    });
    let escaped = hostile.evict(100_000, &|key| listening.insert(key, 1).is_ok());
    let (told, stuck) = hostile.counts();
    assert!(told >= 100_000);
    assert_eq!((escaped, stuck, listening.creation_stats().listener_panics), (0, 0, told / 3));
    let keys: HashSet<Key> = listening.keys().unwrap().into_iter().collect();
    assert_eq!(keys.len(), 1_000);
    assert!(keys == *hostile.model.lock().unwrap(), "the cache is not as the model");
}

/// A store of a thousand that tells under its lock, and catches nothing.
#[derive(Default)]
struct UnderLock(Mutex<VecDeque<Key>>);

impl UnderLock {
    fn set(&self, hostile: &Hostile, key: &Key) -> bool {
        let mut keys = match self.0.try_lock() {
            Ok(keys) => keys,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return false,
        };
        keys.push_back(key.clone());
        if keys.len() > 1_000
            && let Some(evicted) = keys.pop_front()
        {
            hostile.hear(&evicted, &|key| self.set(hostile, key));
        }
        true
    }
}

#[test]
fn f17_control_a_store_that_tells_under_its_lock_is_caught() {
    let (hostile, store) = (Hostile::default(), UnderLock::default());
    let escaped = hostile.evict(1_000, &|key| store.set(&hostile, key));
    assert_eq!((escaped, hostile.counts()), (333, (1_000, 200)));
    assert!(store.0.into_inner().is_err(), "it is poisoned");
    assert_eq!(
        hostile.model.lock().unwrap().len(),
        1_000 + 200,
        "and lacks what was stored within"
    );
}
