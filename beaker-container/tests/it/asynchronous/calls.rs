//! Every call of a task goes by the asynchronous face.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use beaker_container::config::Config;
use beaker_container::{
    Cache, CacheManager, CreateError, Created, ErrorKind, OnCancel, Policy, Source, Stale, Workers,
};
use beaker_namespace::testkit::{AsyncStore, Fault, FaultStore};
use tokio::sync::{Notify, oneshot};

use super::{Remote, in_time, on_every_runtime};
use crate::harness::Lab;
use crate::tasks::{MINUTE, SOON, one_thread, until};

fn numbers(lab: &Lab) -> Cache<u32, u32> {
    Cache::new(lab.namespace())
}

fn stale(policy: Policy) -> Policy {
    policy.ttl(MINUTE).stale(Stale::WhileRefreshing { max_age: MINUTE })
}

#[test]
fn a_value_is_made_found_replaced_and_removed() {
    on_every_runtime(|lab| async move {
        let cache = numbers(&lab);
        assert_eq!(cache.get_async(&1).await.unwrap(), None);
        assert_eq!(cache.get_or_create_async(&1, || async { 10 }).await.unwrap(), 10);
        assert_eq!(cache.get_async(&1).await.unwrap(), Some(10));
        let again = || async { unreachable!("it is there") };
        assert_eq!(cache.get_or_create_async(&1, again).await.unwrap(), 10);
        cache.insert_async(&1, 11).await.unwrap();
        assert!(cache.contains_async(&1).await.unwrap());
        let got = cache.fetch(&1).anew().create_async(|_| async { 12_u32 }).await.unwrap();
        assert_eq!((got.value, got.source, got.stored), (12, Source::Created, true));
        assert!(cache.remove_async(&1).await.unwrap());
        assert!(!cache.remove_async(&1).await.unwrap());
        cache.insert_async(&2, 20).await.unwrap();
        cache.clear_async().await.unwrap();
        assert_eq!(cache.get_async(&2).await.unwrap(), None);
    });
}

#[test]
fn what_is_stored_listed_and_made_together_is_so_in_a_task() {
    on_every_runtime(|lab| async move {
        let cache = numbers(&lab);
        cache.insert_with_ttl_async(&1, 10, MINUTE).await.unwrap();
        cache.insert_many_async([(2, 20), (3, 30)]).await.unwrap();
        cache.store_many_async([(4, Created::new(40).tag("t"))]).await.unwrap();
        let mut keys = cache.keys_async().await.unwrap();
        keys.sort_unstable();
        assert_eq!(keys, [1, 2, 3, 4]);
        lab.advance(60);
        let made = cache.get_or_create_many_async(&[1, 2, 5], |missing| async move {
            assert_eq!(missing, [&1, &5]);
            vec![11, 50]
        });
        assert_eq!(made.await.unwrap(), [11, 20, 50]);
        cache.invalidate_tag_async("t").await.unwrap();
        assert_eq!(cache.get_many_async(&[3, 4]).await.unwrap(), [Some(30), None]);
        let got = cache.fetch_many(&[4, 6]).tag("u").create_async(|missing| async move {
            missing.into_iter().map(|key| Created::new(key * 10).ttl(MINUTE)).collect()
        });
        assert!(got.await.unwrap().iter().all(|got| got.ttl == Some(MINUTE)));
        let down = cache
            .fetch_many(&[7])
            .default_value(1)
            .try_create_async(|_| async { Err::<Vec<u32>, _>("down") });
        assert_eq!(down.await.unwrap()[0].source, Source::Fallback);
    });
}

#[test]
fn a_batch_that_is_spawned_runs_on_behind_its_caller() {
    one_thread().block_on(in_time(async {
        for lab in [Lab::memory(), Lab::file(), Lab::refusing()] {
            let workers = Workers::new(4);
            let policy = Policy::new().hard_timeout(SOON);
            let cache = numbers(&lab).with_policy(policy).with_workers(workers);
            let go = Arc::new(Notify::new());
            let held = Arc::clone(&go);
            let got = cache.fetch_many(&[1, 2]).spawn_async(move |missing| {
                let held = Arc::clone(&held);
                async move {
                    held.notified().await;
                    Ok::<_, ()>(missing)
                }
            });
            let Err(CreateError::Cache(error)) = got.await else { panic!("it is held") };
            assert_eq!(error.kind(), ErrorKind::CreationTimeout);
            go.notify_one();
            let patient = cache.clone().with_policy(Policy::new());
            let again = |_: Vec<&u32>| async { unreachable!("it runs on") };
            let joined = patient.get_or_create_many_async(&[1, 2], again).await;
            assert_eq!(joined.unwrap(), [1, 2]);
            // One that is dropped with its caller, and one that is not.
            for (key, on_cancel) in [(3, OnCancel::HandOver), (4, OnCancel::Detach)] {
                let cache = patient.clone().with_policy(Policy::new().on_cancel(on_cancel));
                let (entered, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
                let (told, held) = (Arc::clone(&entered), Arc::clone(&go));
                let task = tokio::spawn(async move {
                    let create = move |_: Vec<u32>| {
                        let (told, held) = (Arc::clone(&told), Arc::clone(&held));
                        async move {
                            told.notify_one();
                            held.notified().await;
                            Ok::<_, ()>(vec![100])
                        }
                    };
                    cache.fetch_many(&[key]).spawn_async(create).await
                });
                entered.notified().await;
                task.abort();
                assert!(task.await.unwrap_err().is_cancelled());
                go.notify_one();
                let made = patient.get_or_create_async(&key, || async { 200 }).await.unwrap();
                assert_eq!(made, if on_cancel == OnCancel::Detach { 100 } else { 200 });
            }
        }
    }));
}

#[test]
fn a_store_that_answers_at_once_is_called_at_once() {
    one_thread().block_on(in_time(async {
        let cache = numbers(&Lab::memory());
        let mut asking = Box::pin(cache.get_or_create_async(&1, || async { 10 }));
        assert!(crate::tasks::poll_once(asking.as_mut()).is_ready());
    }));
}

#[test]
fn a_stale_value_is_served_and_made_anew_in_one_call() {
    on_every_runtime(|lab| async move {
        let cache = numbers(&lab).with_policy(stale(Policy::new()));
        cache.insert_async(&1, 10).await.unwrap();
        lab.advance(61);
        let got = cache.fetch(&1).create_async(|creation| async move {
            assert_eq!(creation.old.map(|old| old.value), Some(10));
            11_u32
        });
        assert_eq!(got.await.unwrap().value, 11);
        assert_eq!(cache.get_async(&1).await.unwrap(), Some(11));
    });
}

#[test]
fn a_refresh_behind_its_caller_calls_the_asynchronous_face_too() {
    on_every_runtime(|lab| async move {
        let workers = Workers::new(4);
        let cache = numbers(&lab).with_policy(stale(Policy::new())).with_workers(workers.clone());
        cache.insert_async(&1, 10).await.unwrap();
        lab.advance(61);
        let (done, is_done) = oneshot::channel();
        let refresh = move |_| async move {
            done.send(()).unwrap();
            Ok::<_, ()>(11_u32)
        };
        let got = cache.fetch(&1).spawn_async(refresh).await.unwrap();
        assert_eq!((got.value, got.source), (10, Source::Stale));
        is_done.await.unwrap();
        // Waits for the refresh if it is not stored yet.
        let waiting = cache.clone().with_policy(Policy::new().ttl(MINUTE));
        let again = || async { unreachable!("it is made behind") };
        assert_eq!(waiting.get_or_create_async(&1, again).await.unwrap(), 11);
        assert_eq!(workers.panics(), 0, "a blocking call would be one");
    });
}

#[test]
fn a_detached_creation_runs_on_by_the_asynchronous_face() {
    one_thread().block_on(in_time(async {
        let lab = Lab::refusing();
        let cache = numbers(&lab).with_policy(Policy::new().on_cancel(OnCancel::Detach));
        let entered = Arc::new(Notify::new());
        let (go, wait) = oneshot::channel::<()>();
        let caller = tokio::spawn({
            let (cache, entered) = (cache.clone(), entered.clone());
            async move {
                let create = move |_| async move {
                    entered.notify_one();
                    wait.await.unwrap();
                    Ok::<_, ()>(8_u32)
                };
                cache.fetch(&1).spawn_async(create).await
            }
        });
        entered.notified().await;
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled());
        go.send(()).unwrap();
        let joining = cache.fetch(&1).spawn_async(|_| async {
            unreachable!("it runs on");
            #[expect(unreachable_code, reason = "it gives the type")]
            Ok::<u32, ()>(0)
        });
        assert_eq!(joining.await.unwrap().value, 8);
    }));
}

#[test]
fn a_read_that_lengthens_an_idle_time_is_written_back() {
    on_every_runtime(|lab| async move {
        let cache = numbers(&lab).with_policy(Policy::new().idle(MINUTE));
        cache.insert_async(&1, 10).await.unwrap();
        for _ in 0..4 {
            lab.advance(40);
            assert_eq!(cache.get_async(&1).await.unwrap(), Some(10));
        }
        lab.advance(61);
        assert_eq!(cache.get_async(&1).await.unwrap(), None);
    });
}

#[test]
fn tags_are_invalidated_and_expired() {
    on_every_runtime(|lab| async move {
        let cache = numbers(&lab);
        let tagged = |value| Created::new(value).tag("even");
        cache.store_async(&2, tagged(20)).await.unwrap();
        cache.insert_async(&3, 30).await.unwrap();
        cache.invalidate_tag_async("even").await.unwrap();
        let found = cache.get_many_async(&[2, 3]).await.unwrap();
        assert_eq!(found, [None, Some(30)]);
        lab.advance(1);
        cache.store_async(&2, tagged(21)).await.unwrap();
        assert_eq!(cache.get_async(&2).await.unwrap(), Some(21), "what was made since lives");
        cache.expire_tag_async("even").await.unwrap();
        let stale = cache.clone().with_policy(stale(Policy::new()));
        let got = stale
            .fetch(&2)
            .create_async(|creation| async move { creation.old.map_or(0, |old| old.value + 1) });
        assert_eq!(got.await.unwrap().value, 22, "the old value was shown to its creator");
    });
}

#[test]
fn a_region_is_invalidated_by_the_face_of_the_store_of_its_marks() {
    on_every_runtime(|lab| async move {
        let url = lab.url.to_string();
        let pairs = [("cache.url", url.as_str()), ("cache.regions", "short")];
        let config = Config::from_pairs(pairs).unwrap();
        let manager = CacheManager::with_stores(config, lab.stores.clone()).unwrap();
        let cache: Cache<u32, u32> = manager.get_cache_region("users", "short").unwrap();
        for invalidation in 0..2 {
            cache.get_or_create_async(&1, || async { 10 }).await.unwrap();
            assert_eq!(cache.get_async(&1).await.unwrap(), Some(10));
            match invalidation {
                0 => cache.invalidate_region_async().await.unwrap(),
                _ => cache.expire_region_async().await.unwrap(),
            }
            assert_eq!(cache.get_async(&1).await.unwrap(), None);
            lab.advance(1);
        }
        let none = numbers(&lab).invalidate_region_async().await.unwrap_err();
        assert_eq!(none.kind(), ErrorKind::Config);
    });
}

#[test]
fn in_memory_with_the_region_s_marks_elsewhere_the_marks_are_not_blocked_for() {
    on_every_runtime(|lab| async move {
        let url = lab.url.to_string();
        let pairs = [("cache.url", url.as_str()), ("cache.regions", "short")];
        let config = Config::from_pairs(pairs).unwrap();
        let manager = CacheManager::with_stores(config, lab.stores.clone()).unwrap();
        let remote: Cache<u32, u32> = manager.get_cache_region("users", "short").unwrap();
        let cache = remote.with_type("memory").unwrap();
        assert_eq!(cache.get_or_create_async(&1, || async { 10 }).await.unwrap(), 10);
        assert_eq!(cache.get_async(&1).await.unwrap(), Some(10));
        cache.invalidate_region_async().await.unwrap();
        assert_eq!(cache.get_async(&1).await.unwrap(), None);
        cache.remove_async(&1).await.unwrap();
    });
}

#[test]
fn a_batch_reads_creates_and_removes() {
    on_every_runtime(|lab| async move {
        let cache = numbers(&lab);
        cache.insert_async(&2, 20).await.unwrap();
        let create = |missing: Vec<&u32>| {
            let made: Vec<u32> = missing.into_iter().map(|key| key * 10).collect();
            async move { Ok::<_, ()>(made) }
        };
        let values = cache.get_or_try_create_many_async(&[1, 2, 3, 1], create).await.unwrap();
        assert_eq!(values, [10, 20, 30, 10]);
        assert_eq!(cache.get_many_async(&[1, 4, 3]).await.unwrap(), [Some(10), None, Some(30)]);
        assert_eq!(cache.remove_many_async(&[1, 4, 3]).await.unwrap(), 2);
        assert_eq!(cache.get_many_async(&[1, 2]).await.unwrap(), [None, Some(20)]);
    });
}

#[test]
fn a_failing_store_is_an_error_and_no_absence() {
    on_every_runtime(|lab| async move {
        let faulty = Arc::new(AsyncStore::new(FaultStore::new(lab.file_named("faulty"))));
        faulty.refuse_blocking();
        let cache = Cache::<u32, u32>::new(faulty.clone());
        let unavailable = Fault::Fail(beaker_namespace::ErrorKind::Unavailable);
        faulty.inner().arm(1, unavailable);
        let error = cache.get_async(&1).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Store(_)), "{error:?}");
        // The read that counts, the claim, the second look, and the entry: it is returned all the same.
        faulty.inner().arm(4, unavailable);
        let got = cache.fetch(&1).create_async(|_| async { 10_u32 }).await.unwrap();
        assert_eq!((got.value, got.stored, cache.unstored()), (10, false, 1));
    });
}

#[test]
fn threads_and_tasks_of_one_store_make_a_value_once() {
    let lab = Lab::asynchronous();
    let cache = numbers(&lab);
    let calls = Arc::new(AtomicU32::new(0));
    one_thread().block_on(in_time(async {
        let (go, wait) = oneshot::channel::<()>();
        let entered = Arc::new(Notify::new());
        let leader = tokio::spawn({
            let (cache, calls, entered) = (cache.clone(), calls.clone(), entered.clone());
            async move {
                let create = || async {
                    calls.fetch_add(1, Ordering::SeqCst);
                    entered.notify_one();
                    wait.await.unwrap();
                    7
                };
                cache.get_or_create_async(&1, create).await
            }
        });
        entered.notified().await;
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (cache, calls) = (cache.clone(), calls.clone());
                thread::spawn(move || {
                    cache.get_or_create(&1, || calls.fetch_add(1, Ordering::SeqCst))
                })
            })
            .collect();
        let tasks: Vec<_> = (0..64)
            .map(|_| {
                let (cache, calls) = (cache.clone(), calls.clone());
                tokio::spawn(async move {
                    let create = || async { calls.fetch_add(1, Ordering::SeqCst) };
                    cache.get_or_create_async(&1, create).await
                })
            })
            .collect();
        tokio::task::yield_now().await;
        go.send(()).unwrap();
        assert_eq!(leader.await.unwrap().unwrap(), 7);
        for task in tasks {
            assert_eq!(task.await.unwrap().unwrap(), 7);
        }
        until(|| threads.iter().all(|thread| thread.is_finished())).await;
        for thread in threads {
            assert_eq!(thread.join().unwrap().unwrap(), 7);
        }
    }));
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[test]
fn a_call_that_waits_for_the_store_holds_no_thread() {
    one_thread().block_on(in_time(async {
        let Remote { cache, store, _lab } = Remote::new();
        cache.insert_async(&1, 10).await.unwrap();
        store.hold();
        let waiting = tokio::spawn(async move { cache.get_async(&1).await });
        // These run on the same thread.
        for other in (0..100).map(|_| tokio::spawn(tokio::task::yield_now())).collect::<Vec<_>>() {
            other.await.unwrap();
        }
        assert!(!waiting.is_finished());
        store.release();
        assert_eq!(waiting.await.unwrap().unwrap(), Some(10));
        assert_eq!(store.blocking_calls(), 0);
    }));
}

#[test]
fn any_other_call_goes_to_a_thread_that_may_block() {
    one_thread().block_on(in_time(async {
        let lab = Lab::asynchronous();
        let cache = numbers(&lab);
        cache.insert_async(&1, 10).await.unwrap();
        assert_eq!(cache.call(Cache::keys).await.unwrap(), [1]);
        // The control of all the tests here: what blocks is seen.
        let refusing = Cache::<u32, u32>::new(Lab::refusing().namespace());
        let refused = tokio::spawn(async move { refusing.call(Cache::keys).await });
        assert!(refused.await.unwrap_err().is_panic());
    }));
}
