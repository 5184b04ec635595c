//! What a task asks for, and what it shares with threads and other tasks.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::task::Poll;
use std::thread;

use beaker_container::{Cache, CreateError, Created, ErrorKind, Source};
use beaker_namespace::testkit::{Fault, FaultStore};
use tokio::sync::{Notify, oneshot};

use super::{SOON, cache, everywhere, until};
use crate::harness::{HANG, Lab, are_parked};

#[test]
fn a_value_is_made_by_a_task_and_found_by_a_thread() {
    everywhere(|lab| async move {
        let cache = cache(&lab);
        assert_eq!(cache.get_async("k").await.unwrap(), None);
        assert_eq!(cache.get_or_create_async("k", || async { 1 }).await.unwrap(), 1);
        assert_eq!(cache.get("k").unwrap(), Some(1));
        assert_eq!(cache.get_async("k").await.unwrap(), Some(1));
        assert!(cache.contains_async("k").await.unwrap());
        cache.insert_async("k", 2).await.unwrap();
        assert_eq!(cache.get_or_create("k", || unreachable!("it is there")).unwrap(), 2);
        assert!(cache.remove_async("k").await.unwrap());
        cache.insert("k", 3).unwrap();
        cache.clear_async().await.unwrap();
        assert_eq!(cache.get("k").unwrap(), None);
    });
}

#[test]
fn threads_and_tasks_wait_in_one_flight() {
    everywhere(|lab| async move {
        let cache = cache(&lab);
        let calls = Arc::new(AtomicU32::new(0));
        let (go, wait) = oneshot::channel::<()>();
        let leader = {
            let (cache, calls) = (cache.clone(), calls.clone());
            tokio::spawn(async move {
                let create = || async {
                    calls.fetch_add(1, Ordering::SeqCst);
                    wait.await.unwrap();
                    7
                };
                cache.get_or_create_async("k", create).await.unwrap()
            })
        };
        until(|| calls.load(Ordering::SeqCst) == 1).await;
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let cache = cache.clone();
                thread::spawn(move || cache.get_or_create("k", || unreachable!("a task leads")))
            })
            .collect();
        let tasks: Vec<_> = (0..3)
            .map(|_| {
                let cache = cache.clone();
                tokio::spawn(async move {
                    let create = || async { unreachable!("a task leads") };
                    cache.get_or_create_async("k", create).await
                })
            })
            .collect();
        until(|| are_parked(&cache, "k", 6)).await;
        go.send(()).unwrap();
        assert_eq!(leader.await.unwrap(), 7);
        for task in tasks {
            assert_eq!(task.await.unwrap().unwrap(), 7);
        }
        for thread in threads {
            assert_eq!(thread.join().unwrap().unwrap(), 7);
        }
    });
}

#[test]
fn a_thread_leads_and_tasks_join() {
    everywhere(|lab| async move {
        let cache = cache(&lab);
        let (entered, has_entered) = channel();
        let (go, wait) = channel::<()>();
        let leading = cache.clone();
        let leader = thread::spawn(move || {
            leading.get_or_create("k", || {
                entered.send(()).unwrap();
                wait.recv_timeout(HANG).unwrap();
                7
            })
        });
        has_entered.recv_timeout(HANG).unwrap();
        let mut joining = pin!(cache.fetch("k").create_async(|_| async {
            unreachable!("a thread leads");
            #[expect(unreachable_code, reason = "it gives the type")]
            0_u32
        }));
        // A store that blocks is asked on another thread first.
        poll_fn(|context| Poll::Ready(joining.as_mut().poll(context).is_pending())).await;
        go.send(()).unwrap();
        let got = joining.await.unwrap();
        assert_eq!(got.value, 7);
        assert!(matches!(got.source, Source::Joined | Source::Fresh), "{got:?}");
        assert_eq!(leader.join().unwrap().unwrap(), 7);
    });
}

#[test]
fn a_thousand_tasks_on_an_absent_key_make_it_once() {
    everywhere(|lab| async move {
        let cache = cache(&lab);
        let calls = Arc::new(AtomicU32::new(0));
        let tasks: Vec<_> = (0..1_000)
            .map(|_| {
                let (cache, calls) = (cache.clone(), calls.clone());
                tokio::spawn(async move {
                    let create = || async {
                        calls.fetch_add(1, Ordering::SeqCst);
                        tokio::time::sleep(SOON).await;
                        5
                    };
                    cache.get_or_create_async("k", create).await.unwrap()
                })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.unwrap(), 5);
        }
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn f14_a_creation_that_asks_for_its_own_key_is_told_so() {
    everywhere(|lab| async move {
        let cache = cache(&lab);
        let inner = cache.clone();
        let asked = cache
            .get_or_try_create_async("k", || async move {
                let by_task = inner.get_or_create_async("k", || async { 1 }).await;
                let by_thread = inner.get_or_create("k", || 1);
                let other = inner.get_or_create_async("other", || async { 3 }).await.unwrap();
                Err::<u32, _>((by_task.unwrap_err().kind(), by_thread.unwrap_err().kind(), other))
            })
            .await;
        let Err(CreateError::Create(kinds)) = asked else { panic!("{asked:?}") };
        assert_eq!(kinds, (ErrorKind::Reentrant, ErrorKind::Reentrant, 3));
    });
}

#[cfg(feature = "testkit")]
#[test]
fn f16_a_failing_creation_has_run_once_for_all_who_wait() {
    everywhere(|lab| async move {
        let cache = cache(&lab);
        let calls = Arc::new(AtomicU32::new(0));
        let gate = Arc::new(Notify::new());
        let tasks: Vec<_> = (0..200)
            .map(|_| {
                let (cache, calls, gate) = (cache.clone(), calls.clone(), gate.clone());
                tokio::spawn(async move {
                    cache
                        .get_or_try_create_async("k", || async {
                            calls.fetch_add(1, Ordering::SeqCst);
                            gate.notified().await;
                            Err::<u32, _>("boom")
                        })
                        .await
                })
            })
            .collect();
        until(|| beaker_container::testkit::waiting(&cache, "k") == 199).await;
        gate.notify_one();
        for task in tasks {
            assert!(matches!(task.await.unwrap(), Err(CreateError::Create("boom"))));
        }
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn f11_three_of_sixteen_tasks_panic_and_the_fourth_makes_the_value_for_all_others() {
    everywhere(|lab| async move {
        let cache = cache(&lab);
        let attempts = Arc::new(AtomicU32::new(0));
        let call = |_| {
            let (cache, attempts) = (cache.clone(), attempts.clone());
            tokio::spawn(async move {
                let create = || async {
                    let attempt = attempts.fetch_add(1, Ordering::SeqCst);
                    until(|| are_parked(&cache, "k", 15 - attempt as usize)).await;
                    if attempt < 3 {
                        // Without a report.
                        std::panic::resume_unwind(Box::new("on purpose"));
                    }
                    7
                };
                cache.get_or_create_async("k", create).await.unwrap()
            })
        };
        let tasks: Vec<_> = (0..16).map(call).collect();
        let (mut panics, mut values) = (0, 0);
        for task in tasks {
            match task.await {
                Ok(value) => values += u32::from(value == 7),
                Err(error) => panics += u32::from(error.is_panic()),
            }
        }
        assert_eq!((panics, values, attempts.load(Ordering::SeqCst)), (3, 13, 4));
        assert_eq!(cache.get_or_create_async("k", || async { 8 }).await.unwrap(), 7);
    });
}

#[test]
fn an_invalidation_wins_over_a_task_that_creates() {
    everywhere(|lab| async move {
        let cache = cache(&lab);
        let entered = Arc::new(Notify::new());
        let (go, wait) = oneshot::channel::<()>();
        let leader = {
            let (cache, entered) = (cache.clone(), entered.clone());
            tokio::spawn(async move {
                let create = || async {
                    entered.notify_one();
                    wait.await.unwrap();
                    1
                };
                cache.get_or_create_async("k", create).await.unwrap()
            })
        };
        entered.notified().await;
        cache.remove_async("k").await.unwrap();
        go.send(()).unwrap();
        assert_eq!(leader.await.unwrap(), 1, "its call began before");
        assert_eq!(cache.get_async("k").await.unwrap(), None, "and is not stored");
    });
}

#[test]
fn a_batch_of_tasks_creates_each_key_once() {
    everywhere(|lab| async move {
        let cache = Cache::<u64, u64>::new(lab.namespace());
        let made = Arc::new(AtomicU32::new(0));
        let batches: Vec<_> = (0..4)
            .map(|_| {
                let (cache, made) = (cache.clone(), made.clone());
                tokio::spawn(async move {
                    let keys: Vec<u64> = (0..10).collect();
                    cache
                        .get_or_try_create_many_async(&keys, |missing| {
                            made.fetch_add(missing.len() as u32, Ordering::SeqCst);
                            let values = missing.into_iter().map(|key| key * 2).collect();
                            async {
                                tokio::time::sleep(SOON).await;
                                Ok::<Vec<u64>, ()>(values)
                            }
                        })
                        .await
                        .unwrap()
                })
            })
            .collect();
        let doubled: Vec<u64> = (0..10).map(|key| key * 2).collect();
        for batch in batches {
            assert_eq!(batch.await.unwrap(), doubled);
        }
        assert_eq!(made.load(Ordering::SeqCst), 10);
    });
}

#[test]
fn tags_set_by_a_task_are_invalidated_by_a_task() {
    everywhere(|lab| async move {
        let cache = cache(&lab);
        let made = cache.fetch("k").create_async(|_| async { Created::new(1).tag("t") });
        assert_eq!(made.await.unwrap().value, 1);
        cache.invalidate_tag_async("t").await.unwrap();
        assert_eq!(cache.get_async("k").await.unwrap(), None);
    });
}

#[test]
fn a_store_that_fails_is_an_error_in_a_task_too() {
    everywhere(|lab| async move {
        let store = FaultStore::new(lab.namespace());
        store.arm(1, Fault::Fail(beaker_namespace::ErrorKind::Unavailable));
        let cache = Cache::<String, u32>::new(Arc::new(store));
        let error = cache.get_or_create_async("k", || async { 1 }).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Store(_)), "{error:?}");
    });
}

#[test]
fn futures_of_a_cache_can_be_sent() {
    fn sends<T: Send>(_future: &T) {}
    let lab = Lab::memory();
    let cache = cache(&lab);
    sends(&cache.get_async("k"));
    sends(&cache.get_or_create_async("k", || async { 1 }));
    sends(&cache.get_or_try_create_async("k", || async { Ok::<_, ()>(1) }));
    sends(&cache.fetch("k").create_async(|_| async { 1_u32 }));
    sends(&cache.fetch("k").spawn_async(|_| async { Ok::<_, ()>(1_u32) }));
    sends(&cache.insert_async("k", 1));
    sends(&cache.remove_async("k"));
    sends(&cache.clear_async());
}
