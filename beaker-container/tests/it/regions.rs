//! Regions: one write invalidates all that a region's caches hold.

use std::thread;
use std::time::Duration;

use beaker_container::config::Config;
use beaker_container::{Cache, CacheManager, ErrorKind, Policy, Source, Stale, Workers};

use crate::harness::{HANG, Lab, creation, gate};

const HOUR: Duration = Duration::from_secs(3600);

/// A manager of the regions `short` and `long` in the lab's store.
fn manager(lab: &Lab) -> CacheManager {
    let url = lab.url.to_string();
    let pairs = [
        ("cache.url", url.as_str()),
        ("cache.regions", "short, long"),
        ("cache.long.expire", "3600"),
    ];
    CacheManager::with_stores(Config::from_pairs(pairs).unwrap(), lab.stores.clone()).unwrap()
}

fn cache(manager: &CacheManager, name: &str, region: &str) -> Cache<u32, u32> {
    manager.get_cache_region(name, region).unwrap()
}

#[test]
fn an_invalidated_region_takes_what_its_caches_hold_and_no_other_region_s() {
    for (lab, store) in Lab::each().iter().zip(["memory", "file"]) {
        type Invalidate = fn(&CacheManager, &Cache<u32, u32>);
        let ways: [Invalidate; 4] = [
            |manager, _| manager.invalidate_region("short").unwrap(),
            |manager, _| manager.expire_region("short").unwrap(),
            |_, cache| cache.invalidate_region().unwrap(),
            |_, cache| cache.expire_region().unwrap(),
        ];
        let (one, two) = (manager(lab), manager(lab));
        for (way, invalidate) in ways.iter().enumerate() {
            let name = |name| format!("{store} {name} {way}");
            let in_region = [
                cache(&one, &name("users"), "short"),
                cache(&one, &name("pages"), "short"),
                cache(&two, &name("users"), "short"),
            ];
            let outside =
                [cache(&one, &name("other"), "long"), one.get_cache(&name("plain")).unwrap()];
            let all = || in_region.iter().chain(&outside);
            all().for_each(|cache| cache.insert(&1, 1).unwrap());
            assert!(all().all(|cache| cache.get(&1).unwrap() == Some(1)));
            invalidate(&one, &in_region[0]);
            for cache in &in_region {
                assert_eq!(cache.get(&1).unwrap(), None);
                assert_eq!(cache.get_many(&[1]).unwrap(), [None]);
            }
            assert!(outside.iter().all(|cache| cache.get(&1).unwrap() == Some(1)));
            lab.advance(1);
            in_region[1].insert(&1, 2).unwrap();
            assert_eq!(in_region[1].get(&1).unwrap(), Some(2), "what was made since lives");
            lab.advance(1);
        }
    }
}

#[test]
fn an_expired_region_s_values_may_be_served_stale_and_an_invalidated_one_s_not() {
    for lab in Lab::each() {
        let manager = manager(&lab);
        let cache =
            cache(&manager, "stale region", "short").with_stale(Stale::OnError { max_age: HOUR });
        cache.insert(&1, 1).unwrap();
        let down = || cache.fetch(&1).try_create(|_| Err::<u32, _>("down"));
        manager.expire_region("short").unwrap();
        let got = down().unwrap();
        assert_eq!((got.value, got.source), (1, Source::Fallback));
        manager.invalidate_region("short").unwrap();
        lab.advance(2);
        assert!(down().is_err());
    }
}

#[test]
fn a_region_s_invalidation_wins_over_a_running_creation_for_those_who_wait_too() {
    for lab in Lab::each() {
        for (region, expected) in [("short", 2), ("long", 1)] {
            let manager = manager(&lab);
            let cache = cache(&manager, &format!("running {region}"), "short");
            let (keeper, leader) = creation(&cache, &1, 1);
            lab.advance(1);
            manager.invalidate_region(region).unwrap();
            lab.advance(1);
            let later = cache.clone();
            let later = thread::spawn(move || later.get_or_create(&1, || 2));
            keeper.let_go();
            assert_eq!(leader.join().unwrap().unwrap(), 1);
            assert_eq!(later.join().unwrap().unwrap(), expected);
            assert_eq!(cache.get(&1).unwrap(), Some(expected));
        }
    }
}

#[test]
fn who_has_no_region_is_told_so_and_a_region_that_is_off_is_none_to_complain_of() {
    let lab = Lab::memory();
    let manager = manager(&lab);
    let plain = manager.get_cache::<u32, u32>("no region").unwrap();
    assert_eq!(plain.invalidate_region().unwrap_err().kind(), ErrorKind::Config);
    assert_eq!(manager.invalidate_region("none").unwrap_err().kind(), ErrorKind::Config);
    let pairs = [("cache.regions", "off"), ("cache.off.enabled", "false")];
    let off = CacheManager::new(Config::from_pairs(pairs).unwrap()).unwrap();
    off.invalidate_region("off").unwrap();
    cache(&off, "off", "off").invalidate_region().unwrap();
    cache(&off, "off", "off").expire_region().unwrap();
}

#[cfg(feature = "tokio")]
#[test]
fn a_task_invalidates_a_region_by_the_face_that_its_store_has() {
    for lab in [Lab::memory(), Lab::file(), Lab::refusing()] {
        let manager = manager(&lab);
        let cache = cache(&manager, "async region", "short");
        crate::tasks::one_thread().block_on(async {
            for soft in [false, true] {
                cache.insert_async(&1, 1).await.unwrap();
                assert_eq!(cache.get_async(&1).await.unwrap(), Some(1));
                match soft {
                    false => manager.invalidate_region_async("short").await.unwrap(),
                    true => manager.expire_region_async("short").await.unwrap(),
                }
                assert_eq!(cache.get_async(&1).await.unwrap(), None);
                lab.advance(1);
            }
            let unknown = manager.expire_region_async("none").await.unwrap_err();
            assert_eq!(unknown.kind(), ErrorKind::Config);
        });
    }
}

#[test]
fn a_region_of_its_own_is_the_soft_form_of_clear_and_goes_with_the_cache() {
    for lab in Lab::each() {
        let policy = Policy::new().stale(Stale::OnError { max_age: HOUR });
        let cache = lab.numbers(policy).with_own_region();
        cache.insert("k", 1).unwrap();
        cache.expire_region().unwrap();
        assert_eq!(cache.get("k").unwrap(), None);
        let down = |_| Err::<u32, _>("down");
        assert_eq!(cache.fetch("k").try_create(down).unwrap().source, Source::Fallback);
        lab.advance(1);
        cache.insert("k", 2).unwrap();
        assert_eq!(cache.get("k").unwrap(), Some(2));
        cache.clear().unwrap();
        assert!(cache.fetch("k").try_create(down).is_err(), "the hard form leaves nothing");
    }
}

#[test]
fn a_region_s_invalidation_wins_over_a_creation_that_runs_behind() {
    for lab in Lab::each() {
        type Invalidate = fn(&CacheManager);
        let ways: [(Invalidate, Option<u32>); 3] = [
            (|manager| manager.invalidate_region("short").unwrap(), None),
            (|manager| manager.expire_region("short").unwrap(), None),
            (|manager| manager.invalidate_region("long").unwrap(), Some(2)),
        ];
        for (way, (invalidate, left)) in ways.into_iter().enumerate() {
            let (manager, workers) = (manager(&lab), Workers::new(1));
            let cache = cache(&manager, &format!("behind {way}"), "short")
                .with_ttl(Duration::from_secs(60))
                .with_stale(Stale::WhileRefreshing { max_age: HOUR })
                .with_workers(workers.clone());
            cache.insert(&1, 1).unwrap();
            lab.advance(60);
            let (gate, keeper) = gate();
            let got = cache.fetch(&1).spawn(move |_| {
                gate.pass();
                Ok::<_, ()>(2_u32)
            });
            assert_eq!(got.unwrap().source, Source::Stale);
            keeper.wait_until_entered();
            lab.advance(1);
            invalidate(&manager);
            lab.advance(1);
            keeper.let_go();
            assert_eq!(workers.drain(HANG), 0);
            assert_eq!(cache.get(&1).unwrap(), left, "way {way}");
        }
    }
}
