//! How often a batch calls a store, by its asynchronous face.

use std::sync::{Arc, Mutex};

use beaker_container::config::Config;
use beaker_container::{Cache, CacheManager, Created, Policy, Stale};
use beaker_namespace::testkit::AsyncStore;
use beaker_namespace::{Clock, Error, FileConfig, FileNamespace, Namespace, StoreUrl};

use super::{Remote, in_time};
use crate::harness::Lab;
use crate::tasks::{MINUTE, one_thread, poll_once};

const KEYS: u64 = 100;

fn keys() -> Vec<u64> {
    (0..KEYS).collect()
}

/// The values for all the keys, and how many of them were made.
async fn all(cache: &Cache<u64, u64>) -> (Vec<u64>, usize) {
    let (mut made, keys) = (0, keys());
    let values = cache.get_or_try_create_many_async(&keys, |missing| {
        made += missing.len();
        let values: Vec<u64> = missing.into_iter().map(|key| key * 10).collect();
        async move { Ok::<_, ()>(values) }
    });
    (values.await.unwrap(), made)
}

fn expected() -> Vec<u64> {
    keys().into_iter().map(|key| key * 10).collect()
}

/// What a part of a test asked of a store.
async fn calls<T>(store: &AsyncStore<FileNamespace>, part: impl Future<Output = T>) -> (T, u64) {
    let before = store.asynchronous_calls();
    let outcome = part.await;
    (outcome, store.asynchronous_calls() - before)
}

async fn with_all_present(policy: Policy) -> Remote {
    let mut remote = Remote::new();
    remote.cache = remote.cache.with_policy(policy);
    assert_eq!(all(&remote.cache).await, (expected(), 100));
    remote
}

#[test]
fn what_is_present_is_read_in_one_call() {
    one_thread().block_on(in_time(async {
        let ttl = Policy::new().ttl(MINUTE);
        let idle = ttl.idle(MINUTE);
        let stale = ttl.stale(Stale::Both { max_age: MINUTE });
        for policy in [Policy::new(), ttl, idle, ttl.refresh_at(0.5), stale] {
            let remote = with_all_present(policy).await;
            let (found, one) = calls(&remote.store, all(&remote.cache)).await;
            assert_eq!((found, one), ((expected(), 0), 1));
            let many = keys();
            let (found, one) = calls(&remote.store, remote.cache.get_many_async(&many)).await;
            let found: Option<Vec<u64>> = found.unwrap().into_iter().collect();
            assert_eq!((found, one), (Some(expected()), 1), "{policy:?}");
            // The control: one by one.
            let one_by_one = async {
                for key in keys() {
                    assert_eq!(remote.cache.get_async(&key).await.unwrap(), Some(key * 10));
                }
            };
            assert_eq!(calls(&remote.store, one_by_one).await.1, KEYS);
        }
    }));
}

#[test]
fn what_is_absent_costs_two_calls_a_key_and_two_for_all() {
    one_thread().block_on(in_time(async {
        let remote = Remote::new();
        // The read, a claim for each, the look under the claims, and what was made.
        assert_eq!(
            calls(&remote.store, all(&remote.cache)).await,
            ((expected(), 100), 2 + 2 * KEYS)
        );
        let stats = remote.store.stats();
        assert_eq!((stats.hits, stats.misses), (0, KEYS), "a look is no read");
        assert!(keys().into_iter().all(|key| remote.is_free(key)));

        let mut stale = Remote::new();
        let policy = Policy::new().ttl(MINUTE).stale(Stale::Both { max_age: MINUTE });
        stale.cache = stale.cache.with_policy(policy);
        // And a look for what may be served instead.
        assert_eq!(calls(&stale.store, all(&stale.cache)).await, ((expected(), 100), 3 + 2 * KEYS));
    }));
}

#[test]
fn a_batch_that_is_there_in_part_makes_the_rest() {
    one_thread().block_on(in_time(async {
        let remote = Remote::new();
        for key in keys().into_iter().step_by(2) {
            remote.cache.insert_async(&key, key * 10).await.unwrap();
        }
        assert_eq!(calls(&remote.store, all(&remote.cache)).await, ((expected(), 50), 2 + KEYS));
    }));
}

#[test]
fn what_came_before_the_claim_is_not_made_again() {
    one_thread().block_on(in_time(async {
        let remote = Remote::new();
        let mut asking = Box::pin(all(&remote.cache));
        // The read is over, and the first claims are on their way.
        assert!((0..6).all(|_| poll_once(asking.as_mut()).is_pending()));
        remote.cache.insert_async(&99, 990).await.unwrap();
        assert_eq!(asking.await, (expected(), 99), "the last was there under its claim");
    }));
}

#[test]
fn marks_are_asked_for_once_for_all_that_have_them() {
    one_thread().block_on(in_time(async {
        let remote = Remote::new();
        for key in keys() {
            let created = Created::new(key * 10).tag(if key < 50 { "low" } else { "high" });
            remote.cache.store_async(&key, created).await.unwrap();
        }
        let many = keys();
        let (found, asked) = calls(&remote.store, remote.cache.get_many_async(&many)).await;
        assert_eq!((found.unwrap().len(), asked), (100, 1 + 2), "the entries, and each tag");
        remote.cache.invalidate_tag_async("low").await.unwrap();
        let found = remote.cache.get_many_async(&keys()).await.unwrap();
        let present: Vec<u64> = found.into_iter().flatten().collect();
        assert_eq!(present, expected()[50..], "each is held against its own");
    }));
}

/// The stores that were opened by [`open_counted`].
static OPENED: Mutex<Vec<Arc<AsyncStore<FileNamespace>>>> = Mutex::new(Vec::new());

fn open_counted(
    url: &StoreUrl,
    name: &str,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Namespace>, Error> {
    let store = FileNamespace::open(name, FileConfig::new(url.path()).clock(clock))?;
    let store = Arc::new(AsyncStore::new(store));
    OPENED.lock().unwrap().push(Arc::clone(&store));
    Ok(store)
}

fn calls_of_all() -> u64 {
    OPENED.lock().unwrap().iter().map(|store| store.asynchronous_calls()).sum()
}

#[test]
fn the_mark_of_a_region_is_asked_for_once() {
    one_thread().block_on(in_time(async {
        let lab = Lab::file();
        let stores = lab.stores.clone().with_store("counted", open_counted);
        let url = StoreUrl::new("counted").with_path(lab.url.path()).to_string();
        let pairs = [("cache.url", url.as_str()), ("cache.regions", "short")];
        let config = Config::from_pairs(pairs).unwrap();
        let manager = CacheManager::with_stores(config, stores).unwrap();
        let cache: Cache<u64, u64> = manager.get_cache_region("numbers", "short").unwrap();
        assert_eq!(all(&cache).await, (expected(), 100));
        let before = calls_of_all();
        assert_eq!(all(&cache).await, (expected(), 0));
        assert_eq!(calls_of_all() - before, 2, "the entries, and the mark");
        cache.invalidate_region_async().await.unwrap();
        assert_eq!(cache.get_many_async(&keys()).await.unwrap(), vec![None; 100]);
    }));
}
