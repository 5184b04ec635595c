//! Time-outs and refreshes.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use beaker_container::{CreateError, ErrorKind, OnTimeout, Policy, Source, Stale};
use tokio::sync::{Notify, oneshot};

use super::{MINUTE, SOON, cache, everywhere, until};
use crate::harness::are_parked;

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
            Policy::new().hard_timeout(Duration::from_millis(100)).on_timeout(OnTimeout::Drop);
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
        let waiters: Vec<_> = (0..3)
            .map(|_| {
                let cache = cache.clone();
                tokio::spawn(async move { cache.get_or_create_async("k", pending::<u32>).await })
            })
            .collect();
        until(|| are_parked(&cache, "k", 3) || leader.is_finished()).await;
        let error = leader.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CreationTimeout);
        for waiter in waiters {
            assert_eq!(waiter.await.unwrap().unwrap_err().kind(), ErrorKind::CreationTimeout);
        }
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
