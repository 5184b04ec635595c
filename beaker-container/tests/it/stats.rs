//! Each count of `CreationStats`, on a call that it is for.

use std::sync::Arc;
use std::time::Duration;

use beaker_container::{
    Cache, CreateError, Created, CreationStats, ErrorKind, OnTimeout, Policy, Source, Stale,
    Workers,
};
use beaker_namespace::testkit::{Fault, FaultStore};
use beaker_namespace::{ErrorKind as StoreErrorKind, MemoryConfig, MemoryNamespace};

use crate::harness::{HANG, Lab, gate};

type Numbers = Cache<String, u32>;

const MINUTE: Duration = Duration::from_secs(60);
const SOON: Duration = Duration::from_millis(1);

fn both() -> Stale {
    Stale::Both { max_age: MINUTE }
}

/// What the cache counted, with `change` made to zeros.
fn assert_counted(cache: &Numbers, change: impl FnOnce(&mut CreationStats)) {
    let mut wanted = CreationStats::default();
    change(&mut wanted);
    assert_eq!(cache.creation_stats(), wanted);
}

#[test]
fn a_creation_counts_once_and_a_hit_not_at_all() {
    let cache = Numbers::new(Lab::memory().namespace());
    cache.get_or_create("k", || 1).unwrap();
    cache.get_or_create("k", || unreachable!()).unwrap();
    assert_counted(&cache, |stats| stats.created = 1);
}

#[test]
fn each_value_of_a_batch_counts() {
    let cache = Numbers::new(Lab::memory().namespace());
    let keys = ["a".to_owned(), "b".to_owned()];
    cache.get_or_create_many(&keys, |missing| vec![1; missing.len()]).unwrap();
    assert_counted(&cache, |stats| stats.created = 2);
}

#[test]
fn an_old_value_that_is_still_right_counts_as_created_and_as_unchanged() {
    let lab = Lab::memory();
    let policy = Policy::new().ttl(Duration::from_secs(10)).keep_old(MINUTE);
    let cache = Numbers::new(lab.namespace()).with_policy(policy);
    cache.insert("k", 1).unwrap();
    lab.advance(11);
    let got = cache.fetch("k").create(|creation| creation.old.unwrap().unchanged()).unwrap();
    assert_eq!((got.value, got.source), (1, Source::Unchanged));
    assert_counted(&cache, |stats| (stats.created, stats.unchanged) = (1, 1));
}

#[test]
fn a_failure_counts_once_however_many_it_is_given_to() {
    let lab = Lab::memory();
    let cache = Numbers::new(lab.namespace());
    let failed = cache.get_or_try_create("k", || Err("down"));
    assert!(matches!(failed, Err(CreateError::Create("down"))));
    assert_counted(&cache, |stats| stats.failed = 1);
}

#[test]
fn an_old_value_in_place_of_a_failure_counts_as_a_fallback() {
    let lab = Lab::memory();
    let cache = Numbers::new(lab.namespace()).with_ttl(Duration::from_secs(10)).with_stale(both());
    cache.insert("k", 1).unwrap();
    lab.advance(11);
    assert_eq!(cache.get_or_try_create("k", || Err("down")).unwrap(), 1);
    assert_counted(&cache, |stats| (stats.failed, stats.fallbacks) = (1, 1));
    assert_eq!(cache.get_or_try_create("k", || Err("not asked")).unwrap(), 1, "it backs off");
    assert_counted(&cache, |stats| (stats.failed, stats.fallbacks) = (1, 2));
}

#[cfg(feature = "testkit")]
#[test]
fn who_waits_for_a_creation_counts_as_joined() {
    use beaker_container::testkit::{memory_cache, rush};

    let (cache, _clock) = memory_cache::<String, u32>();
    let cold = rush(&cache, "k", 3, |source| cache.get_or_create("k", || source.make(|| 1)));
    assert_eq!(cold.calls, 1);
    assert_counted(&cache, |stats| (stats.created, stats.joined) = (1, 2));
}

#[test]
fn who_gets_the_old_value_while_another_makes_the_new_one_counts_as_stale() {
    let lab = Lab::memory();
    let cache = Numbers::new(lab.namespace()).with_ttl(Duration::from_secs(10)).with_stale(both());
    cache.insert("k", 1).unwrap();
    lab.advance(11);
    let (inside, keeper) = gate();
    std::thread::scope(|scope| {
        let leader = scope.spawn({
            let cache = &cache;
            move || {
                cache.get_or_create("k", || {
                    inside.pass();
                    2
                })
            }
        });
        keeper.wait_until_entered();
        assert_eq!(cache.get_or_create("k", || unreachable!()).unwrap(), 1);
        keeper.let_go();
        assert_eq!(leader.join().unwrap().unwrap(), 2);
    });
    assert_counted(&cache, |stats| (stats.created, stats.stale) = (1, 1));
}

#[test]
fn a_soft_time_out_counts_as_timed_out_and_as_stale_and_its_creation_as_created() {
    let lab = Lab::memory();
    let workers = Workers::new(1);
    let policy = Policy::new()
        .ttl(Duration::from_secs(10))
        .stale(Stale::OnError { max_age: MINUTE })
        .soft_timeout(SOON);
    let cache = Numbers::new(lab.namespace()).with_policy(policy).with_workers(workers.clone());
    cache.insert("k", 1).unwrap();
    lab.advance(11);
    let (inside, keeper) = gate();
    let create = move |_| {
        inside.pass();
        Ok::<_, ()>(2_u32)
    };
    let got = cache.fetch("k").spawn(create).unwrap();
    assert_eq!((got.value, got.source), (1, Source::Stale));
    assert_counted(&cache, |stats| (stats.timed_out, stats.stale) = (1, 1));
    keeper.wait_until_entered();
    keeper.let_go();
    assert_eq!(workers.drain(HANG), 0);
    assert_counted(&cache, |stats| (stats.timed_out, stats.stale, stats.created) = (1, 1, 1));
}

#[test]
fn a_creation_that_is_thrown_away_counts_as_timed_out_and_as_failed() {
    let workers = Workers::new(1);
    let policy = Policy::new().hard_timeout(SOON).on_timeout(OnTimeout::Drop);
    let cache =
        Numbers::new(Lab::memory().namespace()).with_policy(policy).with_workers(workers.clone());
    // It may be given up before its creator is called: then nobody waits here.
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let create = move |_| {
        wait.recv_timeout(HANG).unwrap();
        Ok::<_, ()>(2_u32)
    };
    match cache.fetch("k").spawn(create) {
        Err(CreateError::Cache(error)) => assert_eq!(error.kind(), ErrorKind::CreationTimeout),
        other => panic!("{other:?}"),
    }
    let _called_or_not = go.send(());
    assert_eq!(workers.drain(HANG), 0);
    assert_counted(&cache, |stats| (stats.timed_out, stats.failed) = (1, 1));
}

#[test]
fn an_early_refresh_counts_as_created_too() {
    let lab = Lab::memory();
    let policy = Policy::new().ttl(Duration::from_secs(10)).refresh_at(0.5);
    let cache = Numbers::new(lab.namespace()).with_policy(policy);
    cache.insert("k", 1).unwrap();
    lab.advance(6);
    assert_eq!(cache.get_or_create("k", || 2).unwrap(), 2);
    assert_counted(&cache, |stats| (stats.created, stats.early) = (1, 1));
}

#[test]
fn a_value_that_was_invalidated_while_it_was_made_counts_as_superseded() {
    let cache = Numbers::new(Lab::memory().namespace());
    let made = cache.get_or_create("k", || {
        cache.remove("k").unwrap();
        1
    });
    assert_eq!(made.unwrap(), 1);
    assert_counted(&cache, |stats| (stats.created, stats.superseded) = (1, 1));
}

#[test]
fn a_value_that_the_store_does_not_take_counts_as_unstored_and_one_not_meant_for_it_does_not() {
    let memory = MemoryNamespace::anonymous(MemoryConfig::new()).unwrap();
    let store = Arc::new(FaultStore::new(memory));
    let cache = Numbers::new(store.clone());
    // After the read that counts, the claim and the look under it.
    store.arm(4, Fault::Fail(StoreErrorKind::Full));
    assert_eq!(cache.get_or_create("k", || 1).unwrap(), 1);
    assert_eq!(store.injected(), 1);
    assert_counted(&cache, |stats| (stats.created, stats.unstored) = (1, 1));
    cache.fetch("other").create(|_| Created::new(1).unstored()).unwrap();
    assert_counted(&cache, |stats| (stats.created, stats.unstored) = (2, 1));
    assert_eq!(cache.unstored(), 1);
}
