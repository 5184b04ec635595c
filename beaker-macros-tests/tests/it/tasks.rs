//! Async functions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use beaker_cache::cached;
use tokio::sync::{Barrier, Notify};

#[derive(Debug, Clone, PartialEq)]
struct LoadError(u64);

static LOADS: AtomicU64 = AtomicU64::new(0);

#[cached]
async fn load(id: u64, name: &str) -> Result<String, LoadError> {
    tokio::task::yield_now().await;
    let runs = LOADS.fetch_add(1, Ordering::Relaxed);
    if id == 0 { Err(LoadError(runs)) } else { Ok(format!("{name} {id} {runs}")) }
}

#[tokio::test]
async fn every_call_of_an_async_function_is_async() {
    assert_eq!(load(1, "a").await.unwrap(), "a 1 0");
    assert_eq!(load(1, "a").await.unwrap(), "a 1 0");
    assert_eq!(load(0, "a").await, Err(LoadError(1)));
    assert_eq!(load::peek(0, "a").await.unwrap(), None);
    assert_eq!(load::refresh(1, "a").await.unwrap(), "a 1 2");
    assert_eq!(load::peek(1, "a").await.unwrap().unwrap(), "a 1 2");
    assert!(load::invalidate(1, "a").await.unwrap());
    assert_eq!(load::original(1, "a").await.unwrap(), "a 1 3");
    load::set(1, "a", "set".to_owned()).await.unwrap();
    assert_eq!(load(1, "a").await.unwrap(), "set");
    let cache = load::cache().unwrap();
    assert_eq!(cache.get(&load::key(1, "a")).unwrap().unwrap(), "set");
}

static ONCE: AtomicU64 = AtomicU64::new(0);

#[cached]
async fn once(id: u64) -> u64 {
    tokio::task::yield_now().await;
    id + ONCE.fetch_add(1, Ordering::Relaxed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn con_11_many_tasks_make_one_call() {
    let start = Arc::new(Barrier::new(8));
    let call = |start: Arc<Barrier>| async move {
        start.wait().await;
        once(10).await
    };
    let calls: Vec<_> = (0..8).map(|_| tokio::spawn(call(Arc::clone(&start)))).collect();
    for task in calls {
        assert_eq!(task.await.unwrap(), 10);
    }
    assert_eq!(ONCE.load(Ordering::Relaxed), 1);
}

#[cached(skip(entered, go))]
async fn held(entered: &Notify, go: &Notify, id: u64) -> u64 {
    entered.notify_one();
    go.notified().await;
    id
}

#[tokio::test]
async fn an_invalidation_wins_over_a_running_task() {
    let (entered, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let call = tokio::spawn({
        let (entered, go) = (Arc::clone(&entered), Arc::clone(&go));
        async move { held(&entered, &go, 7).await }
    });
    entered.notified().await;
    held::invalidate(7).await.unwrap();
    go.notify_one();
    assert_eq!(call.await.unwrap(), 7);
    assert_eq!(held::peek(7).await.unwrap(), None);
}

static SKIPS: AtomicU64 = AtomicU64::new(0);

#[cached(skip_none)]
async fn skips(id: u64) -> Option<u64> {
    (SKIPS.fetch_add(1, Ordering::Relaxed) > 0).then_some(id)
}

#[tokio::test]
async fn none_of_a_task_can_be_skipped() {
    assert_eq!(skips(7).await, None);
    assert_eq!(skips(7).await, Some(7));
    assert_eq!(skips(7).await, Some(7));
    assert_eq!(SKIPS.load(Ordering::Relaxed), 2);
}

struct Users {
    tenant: u64,
}

impl Users {
    #[cached(key = (self.tenant, id))]
    async fn load<T: From<u64> + 'static>(&self, id: u64) -> Result<u64, LoadError> {
        let _ = T::from(id);
        Ok(self.tenant * 100 + id)
    }
}

#[tokio::test]
async fn a_method_may_be_async_and_generic() {
    let (one, two) = (Users { tenant: 1 }, Users { tenant: 2 });
    assert_eq!(one.load::<u64>(7).await, Ok(107));
    assert_eq!(two.load::<u64>(7).await, Ok(207));
    assert!(one.load_invalidate::<u64>(7).await.unwrap());
    assert_eq!(one.load_peek::<u64>(7).await.unwrap(), None);
    assert_eq!(two.load_peek::<u64>(7).await.unwrap(), Some(207));
    assert_eq!(two.load_peek::<u128>(7).await.unwrap(), None);
}

#[test]
fn calls_can_move_between_threads() {
    fn sends(_: impl Send) {}
    sends(load(1, "a"));
    sends(load::refresh(1, "a"));
    sends(load::invalidate(1, "a"));
    sends(load::set(1, "a", String::new()));
}
