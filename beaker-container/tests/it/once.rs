//! A value is made once; an invalidation wins over work that was already running.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use beaker_container::{Cache, CreateError, Error, ErrorKind};
use beaker_namespace::{
    Claim, Entry, Error as StoreError, Fulfilled, Key, Namespace, Wait, forward_namespace,
};

#[cfg(feature = "testkit")]
use crate::harness::until_parked;
use crate::harness::{HANG, Lab, creation, under_way};

fn cache(lab: &Lab) -> Cache<String, u32> {
    Cache::new(lab.namespace())
}

/// Starts `count` calls of `call`, and returns once all have begun and `count_waiting` says so.
fn start_together<T: Send + 'static>(
    count: usize,
    call: impl Fn() -> T + Clone + Send + 'static,
) -> Vec<thread::JoinHandle<T>> {
    let barrier = Arc::new(Barrier::new(count));
    (0..count)
        .map(|_| {
            let (call, barrier) = (call.clone(), barrier.clone());
            thread::spawn(move || {
                barrier.wait();
                call()
            })
        })
        .collect()
}

#[test]
fn con_11_many_threads_make_one_creation() {
    for lab in Lab::each() {
        let cache = cache(&lab);
        let calls = Arc::new(AtomicU32::new(0));
        for round in 0..20_u32 {
            let (cache, calls) = (cache.clone(), calls.clone());
            let threads = start_together(8, move || {
                cache.get_or_create(&format!("{round}"), || {
                    calls.fetch_add(1, Ordering::SeqCst);
                    thread::yield_now();
                    round
                })
            });
            for thread in threads {
                assert_eq!(thread.join().unwrap().unwrap(), round);
            }
        }
        assert_eq!(calls.load(Ordering::SeqCst), 20);
    }
}

#[test]
fn two_caches_on_one_name_make_one_creation() {
    for lab in Lab::each() {
        let (one, two) = (
            Cache::<String, u32>::new(lab.named("twice")),
            Cache::<String, u32>::new(lab.named("twice")),
        );
        let (keeper, leader) = creation(&one, "k", 1);
        assert!(two.is_creating("k") && !two.is_creating("l"));
        let short = two.clone().with_wait(Duration::from_millis(1));
        let error = short.get_or_create("k", || unreachable!("one is creating")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        keeper.let_go();
        assert_eq!(leader.join().unwrap().unwrap(), 1);
        assert!(!two.is_creating("k"));
        assert_eq!(two.get_or_create("k", || unreachable!("it is made")).unwrap(), 1);
    }
}

#[test]
fn d30_a_wait_is_bounded_and_says_so() {
    for lab in Lab::each() {
        let cache = cache(&lab);
        let (keeper, leader) = creation(&cache, "k", 1);
        let began = Instant::now();
        let waiting = cache.clone().with_wait(Duration::from_millis(50));
        let error = waiting.get_or_create("k", || 2).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert!(began.elapsed() >= Duration::from_millis(50) && began.elapsed() < HANG);
        keeper.let_go();
        assert_eq!(leader.join().unwrap().unwrap(), 1);
    }
}

// Without the feature nobody can tell that all wait.
#[cfg(feature = "testkit")]
#[test]
fn d29_a_failing_creator_runs_once_for_all_who_wait() {
    for lab in Lab::each() {
        let cache = cache(&lab);
        let (keeper, leader) = under_way(&cache, |cache, gate| {
            cache.get_or_try_create("k", || {
                gate.pass();
                Err::<u32, _>("boom".to_owned())
            })
        });
        let waiters: Vec<_> = (0..8)
            .map(|_| {
                let cache = cache.clone();
                let create = || -> Result<u32, String> { unreachable!("it failed for all") };
                thread::spawn(move || cache.get_or_try_create("k", create))
            })
            .collect();
        until_parked(&cache, "k", 8);
        keeper.let_go();
        for result in waiters.into_iter().chain([leader]) {
            assert!(matches!(
                result.join().unwrap(),
                Err(CreateError::Create(error)) if error == "boom"
            ));
        }
    }
}

#[test]
fn d13_a_failing_creator_is_called_once_by_each_call() {
    for lab in Lab::each() {
        let cache = cache(&lab);
        for call in 1..=2 {
            let mut calls = 0;
            let failed = cache.get_or_try_create("k", || {
                calls += 1;
                Err::<u32, _>(call)
            });
            assert!(matches!(failed, Err(CreateError::Create(error)) if error == call));
            assert_eq!(calls, 1);
        }
    }
}

#[test]
fn the_longest_wait_is_a_wait_and_the_shortest_is_none() {
    for lab in Lab::each() {
        for wait in [Duration::MAX, Duration::ZERO] {
            let cache = cache(&lab).with_wait(wait);
            assert_eq!(cache.get_or_create("k", || 1).unwrap(), 1);
        }
    }
}

#[test]
fn d12_a_creator_may_use_the_cache_for_other_keys() {
    for lab in Lab::each() {
        let cache = cache(&lab);
        let inner = cache.clone();
        let sum = cache.get_or_create("sum", || {
            inner.get_or_create("one", || 1).unwrap() + inner.get_or_create("two", || 2).unwrap()
        });
        assert_eq!(sum.unwrap(), 3);
    }
}

/// A store in which all keys have one lock, as two have whose hashes are equal.
#[derive(Debug)]
struct OneLock(Arc<dyn Namespace>);

impl Namespace for OneLock {
    forward_namespace!(
        self => self.0;
        id, scope, capabilities, latency, clock, get, set, remove, clear, stats,
    );

    fn claim(&self, _key: &Key, wait: Wait) -> Result<Option<Claim>, StoreError> {
        self.0.claim(&Key::new("the lock of all"), wait)
    }

    fn fulfil(&self, key: &Key, entry: Entry, _: Claim) -> Result<Fulfilled, StoreError> {
        self.0.set(key, entry).map(|()| Fulfilled::Stored)
    }
}

#[test]
fn f5_a_creator_that_asks_for_a_key_with_the_same_lock_gets_an_error_in_time() {
    let second = Duration::from_secs(1);
    let nested = |namespace: Arc<dyn Namespace>| {
        let cache = Cache::<String, u32>::new(namespace).with_wait(second / 4);
        let (inner, began) = (cache.clone(), Instant::now());
        let outcome = cache.get_or_try_create("a", || inner.get_or_create("b", || 1));
        assert!(began.elapsed() < second, "{:?}", began.elapsed());
        let kind = |error: CreateError<Error>| match error {
            CreateError::Create(inner) => inner.kind(),
            CreateError::Cache(outer) => outer.kind(),
        };
        // Whatever came of it, the lock is free again.
        assert_eq!(cache.get_or_create("c", || 3).unwrap(), 3);
        outcome.map_err(kind)
    };
    let lab = Lab::file();
    assert_eq!(nested(Arc::new(OneLock(lab.namespace()))), Err(ErrorKind::Timeout));
    // The store itself gives each key a lock of its own.
    assert_eq!(nested(lab.namespace()), Ok(1));
}

#[test]
fn d49_and_f14_a_creator_that_asks_for_its_own_key_gets_an_error() {
    for lab in Lab::each() {
        let cache = cache(&lab);
        let inner = cache.clone();
        let value = cache
            .get_or_create("k", || {
                let error = inner.get_or_create("k", || 1).unwrap_err();
                u32::from(error.kind() == ErrorKind::Reentrant)
            })
            .unwrap();
        assert_eq!(value, 1);
    }
}

#[test]
fn a_creator_that_removes_its_own_key_and_asks_again_ends_in_time() {
    for lab in Lab::each() {
        let cache = cache(&lab);
        let inner = cache.clone().with_wait(Duration::from_millis(50));
        let began = Instant::now();
        let again = cache.get_or_try_create("k", || {
            inner.remove("k").unwrap();
            // In memory the removal began a new life; on files this thread's own claim is held.
            inner.get_or_create("k", || 1).map_err(|error| error.kind())
        });
        match lab.url.scheme() {
            "memory" => assert_eq!(again.unwrap(), 1),
            _ => assert!(matches!(again, Err(CreateError::Create(ErrorKind::Timeout)))),
        }
        assert!(began.elapsed() < HANG);
    }
}

#[test]
fn f15_two_creators_that_need_each_other_end_in_time() {
    for lab in Lab::each() {
        let cache = cache(&lab).with_wait(Duration::from_millis(100));
        let both_hold = Barrier::new(2);
        let began = Instant::now();
        thread::scope(|scope| {
            for (mine, other) in [("a", "b"), ("b", "a")] {
                let (cache, both_hold) = (&cache, &both_hold);
                scope.spawn(move || {
                    cache.get_or_try_create(mine, || {
                        both_hold.wait();
                        cache.get_or_create(other, || 0).map_err(|error| error.kind())
                    })
                });
            }
        });
        assert!(began.elapsed() < HANG);
    }
}

#[test]
fn ns_22_and_d11_another_key_is_not_held_up() {
    for lab in Lab::each() {
        let cache = cache(&lab);
        let (keeper, leader) = creation(&cache, "slow", 1);
        assert_eq!(cache.get_or_create("quick", || 2).unwrap(), 2);
        keeper.let_go();
        leader.join().unwrap().unwrap();
    }
}

/// What happens while a creation runs, and what is there afterwards.
fn invalidated_by(lab: &Lab, invalidate: impl Fn(&Cache<String, u32>), left: Option<u32>) {
    let cache = cache(lab);
    let (keeper, leader) = creation(&cache, "k", 1);
    invalidate(&cache);
    keeper.let_go();
    assert_eq!(leader.join().unwrap().unwrap(), 1, "its own caller gets the value");
    assert_eq!(cache.get("k").unwrap(), left);
    assert_eq!(cache.stats().superseded, 1);
}

#[test]
fn cache_23_and_d42_a_removal_wins_over_a_running_creation() {
    for lab in Lab::each() {
        invalidated_by(&lab, |cache| assert!(!cache.remove("k").unwrap()), None);
    }
}

#[test]
fn an_insert_wins_over_a_running_creation() {
    for lab in Lab::each() {
        invalidated_by(&lab, |cache| cache.insert("k", 99).unwrap(), Some(99));
    }
}

#[test]
fn a_clear_wins_over_a_running_creation() {
    for lab in Lab::each() {
        invalidated_by(&lab, |cache| cache.clear().unwrap(), None);
    }
}

#[test]
fn an_undisturbed_creation_is_stored() {
    // The control of the three above.
    for lab in Lab::each() {
        let cache = cache(&lab);
        cache.get_or_create("k", || 1).unwrap();
        assert_eq!((cache.get("k").unwrap(), cache.stats().superseded), (Some(1), 0));
    }
}

#[test]
fn who_comes_after_a_removal_never_gets_the_old_work() {
    for lab in Lab::each() {
        let cache = cache(&lab);
        let (keeper, leader) = creation(&cache, "k", 1);
        cache.remove("k").unwrap();
        let later = cache.clone();
        let later = thread::spawn(move || later.get_or_create("k", || 2));
        // In memory the later caller need not wait for the old work; on files it may.
        if lab.url.scheme() == "memory" {
            assert_eq!(later.join().unwrap().unwrap(), 2);
            keeper.let_go();
        } else {
            keeper.let_go();
            assert_eq!(later.join().unwrap().unwrap(), 2);
        }
        leader.join().unwrap().unwrap();
        assert_eq!(cache.get("k").unwrap(), Some(2));
    }
}

#[test]
fn a_failure_is_not_kept_for_the_next_caller() {
    let lab = Lab::memory();
    let cache = cache(&lab);
    let failed = cache.get_or_try_create("k", || Err::<u32, _>("text"));
    assert!(matches!(failed, Err(CreateError::Create("text"))));
    let failed = cache.get_or_try_create("k", || Err::<u32, _>(5_u8));
    assert!(matches!(failed, Err(CreateError::Create(5))));
}
