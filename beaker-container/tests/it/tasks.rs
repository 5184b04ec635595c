//! Tasks, alone and beside threads.

use std::future::{Future, pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use beaker_container::{
    Cache, CreateError, Created, ErrorKind, OnCancel, OnTimeout, Policy, Source, Stale,
};
use beaker_namespace::testkit::{Fault, FaultStore};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Notify, oneshot};

use crate::harness::{HANG, Lab};

const MINUTE: Duration = Duration::from_secs(60);
const SOON: Duration = Duration::from_millis(5);

fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn two_threads() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Runs a test on a runtime of one thread and on one of two, on each store; a hang fails it.
fn everywhere<F: Future<Output = ()>>(test: impl Fn(Arc<Lab>) -> F) {
    for runtime in [one_thread(), two_threads()] {
        for lab in Lab::each() {
            let lab = Arc::new(lab);
            runtime.block_on(async {
                tokio::time::timeout(HANG, test(lab)).await.expect("the test hangs");
            });
        }
    }
}

fn cache(lab: &Lab) -> Cache<String, u32> {
    Cache::new(lab.namespace())
}

/// Lets other tasks run until `done`.
async fn until(done: impl Fn() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < HANG, "it does not come");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

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
fn f12_a_dropped_leader_hands_over_to_one_who_waits() {
    everywhere(|lab| async move {
        let cache = cache(&lab);
        let entered = Arc::new(Notify::new());
        let leader = {
            let (cache, entered) = (cache.clone(), entered.clone());
            tokio::spawn(async move {
                let create = || async {
                    entered.notify_one();
                    pending::<u32>().await
                };
                cache.get_or_create_async("k", create).await
            })
        };
        entered.notified().await;
        let calls = Arc::new(AtomicU32::new(0));
        let waiters: Vec<_> = (0..32)
            .map(|_| {
                let (cache, calls) = (cache.clone(), calls.clone());
                tokio::spawn(async move {
                    let create = || async { calls.fetch_add(1, Ordering::SeqCst) + 10 };
                    cache.get_or_create_async("k", create).await.unwrap()
                })
            })
            .collect();
        tokio::task::yield_now().await;
        leader.abort();
        for waiter in waiters {
            assert_eq!(waiter.await.unwrap(), 10);
        }
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn f13_a_leader_that_is_kept_and_not_polled_does_not_block_others_for_ever() {
    everywhere(|lab| async move {
        let cache = cache(&lab);
        let begun = Arc::new(AtomicBool::new(false));
        let mut kept = Box::pin({
            let begun = begun.clone();
            cache.get_or_create_async("k", || async move {
                begun.store(true, Ordering::SeqCst);
                pending::<u32>().await
            })
        });
        // Polled until its creation has begun, then never again.
        while !begun.load(Ordering::SeqCst) {
            assert!(poll_once(kept.as_mut()).is_pending());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let impatient = cache.clone().with_wait(SOON);
        let from_task = impatient.get_or_create_async("k", || async { 1 }).await;
        assert_eq!(from_task.unwrap_err().kind(), ErrorKind::Timeout);
        let from_thread = thread::spawn(move || impatient.get_or_create("k", || 1));
        assert_eq!(from_thread.join().unwrap().unwrap_err().kind(), ErrorKind::Timeout);
        drop(kept);
        assert_eq!(cache.get_or_create("k", || 2).unwrap(), 2);
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
fn f11_a_panic_reaches_its_own_caller_and_a_waiter_creates() {
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
                    panic!("boom")
                };
                cache.get_or_create_async("k", create).await
            })
        };
        entered.notified().await;
        let waiter = {
            let cache = cache.clone();
            tokio::spawn(async move { cache.get_or_create_async("k", || async { 4 }).await })
        };
        tokio::task::yield_now().await;
        go.send(()).unwrap();
        assert!(leader.await.unwrap_err().is_panic());
        assert_eq!(waiter.await.unwrap().unwrap(), 4);
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
fn a_detached_creation_runs_on_when_its_caller_goes_away() {
    everywhere(|lab| async move {
        let policy = Policy::new().on_cancel(OnCancel::Detach);
        let cache = cache(&lab).with_policy(policy);
        let entered = Arc::new(Notify::new());
        let (go, wait) = oneshot::channel::<()>();
        let caller = {
            let (cache, entered) = (cache.clone(), entered.clone());
            tokio::spawn(async move {
                let create = move |_| async move {
                    entered.notify_one();
                    wait.await.unwrap();
                    Ok::<_, ()>(8_u32)
                };
                cache.fetch("k").spawn_async(create).await
            })
        };
        entered.notified().await;
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled());
        go.send(()).unwrap();
        until(|| cache.get("k").unwrap() == Some(8)).await;
    });
}

#[test]
fn without_detaching_a_creation_goes_with_its_caller() {
    // The control of the test above.
    everywhere(|lab| async move {
        let cache = cache(&lab);
        let entered = Arc::new(Notify::new());
        let (go, wait) = oneshot::channel::<()>();
        let caller = {
            let (cache, entered) = (cache.clone(), entered.clone());
            tokio::spawn(async move {
                let create = move |_| async move {
                    entered.notify_one();
                    wait.await.unwrap();
                    Ok::<_, ()>(8_u32)
                };
                cache.fetch("k").spawn_async(create).await
            })
        };
        entered.notified().await;
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled());
        until(|| go.is_closed()).await;
        assert_eq!(cache.get_or_create_async("k", || async { 9 }).await.unwrap(), 9);
    });
}

#[test]
fn detaching_needs_a_creator_that_can_outlive_the_call() {
    everywhere(|lab| async move {
        let policy = Policy::new().on_cancel(OnCancel::Detach);
        let cache = cache(&lab).with_policy(policy);
        let error = cache.get_or_create_async("k", || async { 1 }).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("spawn_async"), "{error}");
        assert_eq!(cache.get_or_create("k", || 1).unwrap(), 1, "a thread does not go away");
    });
}

#[test]
fn after_a_soft_time_out_the_stale_value_is_served_and_the_new_one_comes() {
    everywhere(|lab| async move {
        let policy =
            Policy::new().ttl(MINUTE).stale(Stale::OnError { max_age: MINUTE }).soft_timeout(SOON);
        let cache = cache(&lab).with_policy(policy);
        cache.insert("k", 1).unwrap();
        lab.advance(61);
        let (go, wait) = oneshot::channel::<()>();
        let create = move |_| async move {
            wait.await.unwrap();
            Ok::<_, ()>(2_u32)
        };
        let got = cache.fetch("k").spawn_async(create).await.unwrap();
        assert_eq!((got.value, got.source), (1, Source::Stale));
        go.send(()).unwrap();
        until(|| cache.get("k").unwrap() == Some(2)).await;
        assert_eq!(cache.creation_stats().timed_out, 1);
    });
}

#[test]
fn a_hard_time_out_is_an_error_and_the_creation_completes_behind() {
    everywhere(|lab| async move {
        let cache = cache(&lab).with_policy(Policy::new().hard_timeout(SOON));
        let (go, wait) = oneshot::channel::<()>();
        let create = move |_| async move {
            wait.await.unwrap();
            Ok::<_, ()>(2_u32)
        };
        let error = cache.fetch("k").spawn_async(create).await.unwrap_err();
        let CreateError::Cache(error) = error else { panic!("{error:?}") };
        assert_eq!(error.kind(), ErrorKind::CreationTimeout);
        go.send(()).unwrap();
        until(|| cache.get("k").unwrap() == Some(2)).await;
    });
}

#[test]
fn a_creation_dropped_at_its_hard_time_out_fails_all_who_wait() {
    everywhere(|lab| async move {
        let policy =
            Policy::new().hard_timeout(Duration::from_millis(50)).on_timeout(OnTimeout::Drop);
        let cache = cache(&lab).with_policy(policy);
        let dropped = Arc::new(AtomicBool::new(false));
        struct OnDrop(Arc<AtomicBool>);
        impl Drop for OnDrop {
            fn drop(&mut self) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        let entered = Arc::new(Notify::new());
        let leader = {
            let (cache, entered) = (cache.clone(), entered.clone());
            let guard = OnDrop(dropped.clone());
            tokio::spawn(async move {
                let create = || async {
                    let _guard = guard;
                    entered.notify_one();
                    pending::<u32>().await
                };
                cache.get_or_create_async("k", create).await
            })
        };
        entered.notified().await;
        let error = leader.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CreationTimeout);
        assert!(dropped.load(Ordering::SeqCst));
        assert_eq!(cache.get_or_create_async("k", || async { 3 }).await.unwrap(), 3);
    });
}

#[test]
fn an_early_refresh_runs_behind_the_hit_that_it_is_due_to() {
    everywhere(|lab| async move {
        let cache = cache(&lab).with_policy(Policy::new().ttl(MINUTE).refresh_at(0.5));
        cache.insert("k", 1).unwrap();
        lab.advance(31);
        let (go, wait) = oneshot::channel::<()>();
        let create = move |_| async move {
            wait.await.unwrap();
            Ok::<_, ()>(2_u32)
        };
        let got = cache.fetch("k").spawn_async(create).await.unwrap();
        assert_eq!((got.value, got.source), (1, Source::Fresh));
        let other = cache.fetch("k").spawn_async(|_| async {
            unreachable!("one refreshes already");
            #[expect(unreachable_code, reason = "it gives the type")]
            Ok::<u32, ()>(0)
        });
        assert_eq!(other.await.unwrap().value, 1);
        go.send(()).unwrap();
        until(|| cache.get("k").unwrap() == Some(2)).await;
        assert_eq!(cache.creation_stats().early, 1);
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

/// Polls a future on this thread, which parks between polls: there is no runtime.
fn without_runtime<F: Future>(future: F) -> F::Output {
    struct Unpark(thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    let began = Instant::now();
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        assert!(began.elapsed() < HANG, "it hangs");
        thread::park_timeout(HANG);
    }
}

#[test]
fn f65_it_works_outside_of_a_runtime() {
    for lab in Lab::each() {
        let cache = cache(&lab).with_policy(Policy::new().hard_timeout(MINUTE));
        let made = cache.fetch("k").spawn_async(|_| async { Ok::<_, ()>(1_u32) });
        assert_eq!(without_runtime(made).unwrap().value, 1);
        assert_eq!(without_runtime(cache.get_async("k")).unwrap(), Some(1));
    }
}

#[test]
fn f65_a_runtime_that_goes_away_takes_its_creations_with_it() {
    for lab in Lab::each() {
        let policy = Policy::new().ttl(MINUTE).stale(Stale::Both { max_age: MINUTE });
        let cache = cache(&lab).with_policy(policy);
        cache.insert("k", 1).unwrap();
        lab.advance(61);
        let runtime = two_threads();
        let (entered, has_entered) = channel();
        let create = move |_| async move {
            entered.send(()).unwrap();
            pending::<Result<u32, ()>>().await
        };
        let got = runtime.block_on(cache.fetch("k").spawn_async(create)).unwrap();
        assert_eq!((got.value, got.source), (1, Source::Stale));
        has_entered.recv_timeout(HANG).unwrap();
        drop(runtime);
        // The flight is free again: a thread makes the value.
        assert_eq!(cache.get_or_create("k", || 2).unwrap(), 2);
    }
}

#[test]
fn f65_a_runtime_without_timers_is_no_panic() {
    let runtime = Builder::new_current_thread().build().unwrap();
    for lab in Lab::each() {
        let cache = cache(&lab);
        let held = cache.clone();
        let (entered, has_entered) = channel();
        let (go, wait) = channel::<()>();
        let leader = thread::spawn(move || {
            held.get_or_create("k", || {
                entered.send(()).unwrap();
                wait.recv_timeout(HANG).unwrap();
                1
            })
        });
        has_entered.recv_timeout(HANG).unwrap();
        let impatient = cache.clone().with_wait(SOON);
        let waited = runtime.block_on(impatient.get_or_create_async("k", || async { 2 }));
        assert_eq!(waited.unwrap_err().kind(), ErrorKind::Timeout);
        go.send(()).unwrap();
        assert_eq!(leader.join().unwrap().unwrap(), 1);
    }
}

#[test]
fn f22_a_store_that_blocks_does_not_stall_the_runtime() {
    let lab = Lab::file();
    let (namespace, other) = (lab.named("shared"), lab.named("shared"));
    let key = beaker_namespace::Key::new("k");
    let claim = other.claim(&key, beaker_namespace::Wait::Never).unwrap().unwrap();
    one_thread().block_on(async {
        let store = Arc::new(FaultStore::new(namespace));
        let cache = Cache::<String, u32>::new(store.clone()).with_wait(MINUTE);
        let waiting =
            tokio::spawn(async move { cache.get_or_create_async("k", || async { 2 }).await });
        // This runs on the same thread, and goes on while the store waits for the claim. Were it
        // stalled, the claim would never be given back, and the call would fail after its time.
        until(|| store.claims() == 1).await;
        let others = (0..100).map(|_| tokio::spawn(tokio::task::yield_now()));
        for other in others.collect::<Vec<_>>() {
            other.await.unwrap();
        }
        assert!(!waiting.is_finished(), "the claim is held");
        drop(claim);
        assert_eq!(waiting.await.unwrap().unwrap(), 2);
    });
}

#[test]
fn f23_a_claim_that_comes_too_late_is_given_back() {
    use beaker_namespace::Wait;
    let lab = Lab::file();
    let (namespace, other) = (lab.named("late"), lab.named("late"));
    two_threads().block_on(async {
        for round in 0..50_u64 {
            // A key for each round: what is late in one meets no other.
            let key = beaker_namespace::Key::new(&round);
            let claim = other.claim(&key, Wait::Never).unwrap().unwrap();
            let cache = Cache::<u64, u32>::new(namespace.clone()).with_wait(MINUTE);
            let asking = cache.get_or_create_async(&round, || async { 2 });
            // The time-out and the release race.
            let raced = tokio::time::timeout(Duration::from_micros(200 + round * 20), asking);
            let release = tokio::task::spawn_blocking(move || drop(claim));
            let _made_or_not = raced.await;
            release.await.unwrap();
            let free = other.claim(&key, Wait::AtMost(Duration::from_secs(5))).unwrap();
            assert!(free.is_some(), "it was leaked in round {round}");
        }
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
