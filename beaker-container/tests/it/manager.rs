//! Items CACHE-9 to CACHE-14 and CACHE-21 to CACHE-23 of Beaker's behaviour.

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use beaker_container::config::{CacheOptions, Config};
use beaker_container::{Cache, CacheManager, ErrorKind};

fn manager(pairs: &[(&str, &str)]) -> CacheManager {
    CacheManager::new(Config::from_pairs(pairs.iter().copied()).unwrap()).unwrap()
}

#[test]
fn cache_9_the_managers_options_are_those_of_every_cache() {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().to_str().unwrap();
    let manager = manager(&[("cache.type", "file"), ("cache.data_dir", data_dir)]);
    for name in ["one", "two"] {
        let cache = manager.get_cache::<u8, u8>(name).unwrap();
        assert_eq!(cache.namespace().scope(), beaker_namespace::Scope::Host);
    }
}

#[test]
fn cache_10_overrides_hold_for_one_cache() {
    let manager = manager(&[("cache.expire", "60")]);
    let cache = manager
        .get_cache_with::<u8, u8>("cache 10 overrides", |options| options.expire(Duration::ZERO))
        .unwrap();
    cache.insert(&1, 1).unwrap();
    assert_eq!(cache.get(&1).unwrap(), None);
    let other = manager.get_cache::<u8, u8>("cache 10 overrides").unwrap();
    other.insert(&1, 2).unwrap();
    assert_eq!(other.get(&1).unwrap(), Some(2));
}

#[test]
fn conf_8_beakers_usual_options_of_a_file_cache_open_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let (data, locks) = (path("data"), path("locks"));
    let manager = manager(&[
        ("cache.type", "file"),
        ("cache.data_dir", &data),
        ("cache.lock_dir", &locks),
        ("cache.regions", "short"),
        ("cache.short.expire", "60"),
    ]);
    let cache = manager.get_cache_region::<u8, u8>("usual", "short").unwrap();
    cache.insert(&1, 1).unwrap();
    assert_eq!(manager.get_cache::<u8, u8>("usual").unwrap().get(&1).unwrap(), Some(1));
}

#[test]
fn ns_11_and_conf_4_a_file_cache_lies_in_its_own_directory_if_one_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let (data, files, locks) = (path("data"), path("files"), path("locks"));
    let lies = |place: &str| std::fs::read_dir(dir.path().join(place)).map_or(0, Iterator::count);
    // Beaker needs a place for the locks; here they lie with the entries.
    let pairs = [("cache.type", "file"), ("cache.file_dir", &*files), ("cache.lock_dir", &*locks)];
    let manager = manager(&pairs);
    assert!(manager.config().unknown_options().is_empty());
    let cache = manager.get_cache::<u8, u8>("own").unwrap();
    cache.insert(&1, 1).unwrap();
    assert_eq!((lies("files"), lies("locks")), (1, 0));
    let elsewhere = cache.with_type("memory").unwrap();
    assert_eq!(elsewhere.with_type("file").unwrap().get(&1).unwrap(), Some(1), "and back");

    let both = [("cache.data_dir", &*data)].into_iter().chain(pairs).chain([
        ("cache.regions", "short"),
        ("cache.short.expire", "60"),
        ("cache.short.lock_dir", "/other"),
    ]);
    let manager = self::manager(&both.collect::<Vec<_>>());
    assert_eq!(manager.get_cache::<u8, u8>("own").unwrap().get(&1).unwrap(), Some(1));
    // As in Beaker it is not passed on to regions.
    manager.get_cache_region::<u8, u8>("own", "short").unwrap().insert(&1, 2).unwrap();
    assert_eq!((lies("data") > 0, lies("files")), (true, 1));
    let unused: Vec<_> =
        manager.config().unused_options().iter().map(ToString::to_string).collect();
    assert_eq!(
        unused,
        [
            r#"option "lock_dir" has no effect: the stores keep their locks with their entries"#,
            r#"option "lock_dir" of region "short" has no effect: the stores keep their locks with their entries"#,
        ]
    );
}

#[test]
fn cache_10_the_same_name_and_options_give_the_same_namespace() {
    let manager = manager(&[]);
    let one = manager.get_cache::<u8, u8>("cache 10").unwrap();
    let two = manager.get_cache::<u8, u8>("cache 10").unwrap();
    assert!(Arc::ptr_eq(one.namespace(), two.namespace()));
    one.insert(&1, 1).unwrap();
    assert_eq!(two.get(&1).unwrap(), Some(1));
}

/// How long what a cache keeps lives.
fn life(cache: &Cache<u8, u8>) -> Duration {
    cache.insert(&1, 1).unwrap();
    let entry = cache.namespace().get(&cache.key_of(&1)).unwrap().unwrap();
    entry.expires().saturating_duration_since(entry.began())
}

#[test]
fn d37_the_order_of_options_does_not_matter() {
    let options = [("cache.max_entries", "50"), ("cache.expire", "9"), ("cache.key_length", "40")];
    for first in 0..3 {
        let mut turned = options;
        turned.rotate_left(first);
        for order in [[0, 1, 2], [0, 2, 1]].map(|order| order.map(|at| turned[at])) {
            // One name in memory has one bound: an order that lost it would be refused.
            let cache = manager(&order).get_cache::<u8, u8>("d37").unwrap();
            assert_eq!(life(&cache), Duration::from_secs(9), "{order:?}");
            (0..100).for_each(|key| cache.insert(&key, 1).unwrap());
            assert_eq!(cache.stats().entries, Some(50), "{order:?}");
        }
    }
}

#[test]
fn d37_threads_that_ask_for_a_cache_at_once_get_one_namespace() {
    for round in 0..20 {
        let (manager, start) = (manager(&[]), Barrier::new(4));
        let name = format!("d37 {round}");
        let open = || {
            start.wait();
            manager.get_cache::<u8, u8>(&name).unwrap()
        };
        let opened: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let same = |cache: &Cache<u8, u8>| Arc::ptr_eq(cache.namespace(), opened[0].namespace());
        assert!(opened.iter().all(same));
    }
}

#[test]
fn d37_a_manager_that_goes_takes_what_it_opened_with_it() {
    let opened = {
        let manager = manager(&[]);
        let cache = manager.get_cache::<u8, u8>("d37 released").unwrap();
        cache.insert(&1, 1).unwrap();
        Arc::downgrade(cache.namespace())
    };
    assert!(opened.upgrade().is_none());
}

#[test]
fn d37_a_manager_that_is_told_to_forget_a_name_keeps_nothing_of_it() {
    let manager = manager(&[("cache.regions", "short"), ("cache.short.max_entries", "9")]);
    let other = manager.get_cache::<u8, u8>("d37 other").unwrap();
    let opened = {
        let cache = manager.get_cache::<u8, u8>("d37 forgotten").unwrap();
        cache.insert(&1, 1).unwrap();
        let beside = cache.with_type("null").unwrap();
        [Arc::downgrade(cache.namespace()), Arc::downgrade(beside.namespace())]
    };
    let are_open = || opened.each_ref().map(|opened| opened.upgrade().is_some());
    assert_eq!(are_open(), [true, true], "the control: it keeps them");
    assert_eq!(manager.forget("d37 forgotten"), 2);
    assert_eq!(are_open(), [false, false]);
    assert_eq!(manager.forget("d37 forgotten"), 0);

    // Who has a cache of that name keeps it, and shares it with who opens it again.
    other.insert(&1, 1).unwrap();
    assert_eq!(manager.forget("d37 other"), 1);
    assert_eq!(manager.get_cache::<u8, u8>("d37 other").unwrap().get(&1).unwrap(), Some(1));
    assert_eq!(other.get(&1).unwrap(), Some(1));
}

#[test]
fn cache_11_an_unknown_region_is_an_error() {
    let error = manager(&[]).get_cache_region::<u8, u8>("n", "short").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(error.to_string(), "Cache region not configured: short; there are no regions");

    let manager = manager(&[("cache.regions", "short, long")]);
    let error = manager.get_cache_region::<u8, u8>("n", "shrt").unwrap_err();
    assert_eq!(error.to_string(), "Cache region not configured: shrt; there are long, short");
}

#[test]
fn d38_regions_belong_to_their_manager() {
    let region = |seconds: &'static str| {
        manager(&[("cache.regions", "short"), ("cache.short.expire", seconds)])
    };
    let (one, two) = (region("1"), region("2"));
    // Both are there before either is used.
    let life = |manager: &CacheManager, name: &str| {
        life(&manager.get_cache_region::<u8, u8>(name, "short").unwrap())
    };
    assert_eq!(life(&one, "d38 one"), Duration::from_secs(1));
    assert_eq!(life(&two, "d38 two"), Duration::from_secs(2));
    assert_eq!(life(&one, "d38 again"), Duration::from_secs(1));
}

#[test]
fn cache_13_cache_14_and_d39_disabled_is_honoured_everywhere() {
    let manager = manager(&[("cache.enabled", "false"), ("cache.regions", "r")]);
    for cache in [
        manager.get_cache::<u8, u8>("off").unwrap(),
        manager.get_cache_region::<u8, u8>("off", "r").unwrap(),
    ] {
        assert_eq!(cache.get_or_create(&1, || 1).unwrap(), 1);
        assert_eq!(cache.get_or_create(&1, || 2).unwrap(), 2);
        assert_eq!(cache.get(&1).unwrap(), None);
    }
}

#[test]
fn cache_21_a_call_is_invalidated_by_its_parts() {
    let manager = manager(&[("cache.regions", "short"), ("cache.short.expire", "60")]);
    let namespace = "/srv/app.py|load";
    let key = manager.call_key("short", namespace, &["user", "42"]).unwrap();
    assert_eq!(key.as_text(), Some("user 42"));
    let cache = manager.get_cache_region::<beaker_namespace::Key, String>(namespace, "short");
    let cache = cache.unwrap();
    cache.insert(&key, "Ada".into()).unwrap();
    assert!(manager.region_invalidate("short", namespace, &["user", "42"]).unwrap());
    assert_eq!(cache.get(&key).unwrap(), None);
    assert!(!manager.region_invalidate("short", namespace, &["user", "42"]).unwrap());
    assert!(manager.region_invalidate("long", namespace, &["user"]).is_err());
}

#[test]
fn cache_22_a_long_call_is_invalidated_by_the_length_of_its_region() {
    let pairs = [("cache.regions", "r, s"), ("cache.r.key_length", "10")];
    let manager = manager(&pairs);
    let parts = ["a call that is longer than ten characters"];
    let key = manager.call_key("r", "cache 22", &parts).unwrap();
    let cache = manager.get_cache_region::<beaker_namespace::Key, u8>("cache 22", "r").unwrap();
    cache.insert(&key, 1).unwrap();
    assert!(!manager.region_invalidate("s", "cache 22", &parts).unwrap(), "another length");
    assert!(manager.region_invalidate("r", "cache 22", &parts).unwrap());
    assert_eq!(cache.get(&key).unwrap(), None);
}

#[test]
fn d43_the_key_length_is_the_same_at_every_call() {
    let manager = manager(&[("cache.regions", "r"), ("cache.r.key_length", "10")]);
    let key = || manager.call_key("r", "namespace", &["a long enough key"]).unwrap();
    assert_eq!(key(), key());
    assert_eq!(key().as_text().map(str::len), Some(40), "a SHA-1 in hex");
}

#[test]
fn cache_9_a_stores_option_reaches_it_and_a_misspelt_one_is_refused() {
    let good = manager(&[("cache.max_entries", "2")]);
    let cache = good.get_cache::<u8, u8>("bounded by option").unwrap();
    for key in 0..50 {
        cache.insert(&key, key).unwrap();
    }
    assert!(cache.stats().entries.unwrap() <= 2);

    let error = manager(&[("cache.max_entires", "2")]).get_cache::<u8, u8>("m").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("no option `max_entires`"), "{source}");
}

#[test]
fn an_option_of_an_undeclared_region_is_refused() {
    let config = Config::from_pairs([("cache.short.expire", "5")]).unwrap();
    assert_eq!(CacheManager::new(config).unwrap_err().kind(), ErrorKind::Config);
}

#[test]
fn a_manager_is_made_from_a_url() {
    let dir = tempfile::tempdir().unwrap();
    let manager = CacheManager::from_url(&format!("file://{}", dir.path().display())).unwrap();
    manager.get_cache::<u8, u8>("n").unwrap().insert(&1, 7).unwrap();
    drop(manager);
    let options = CacheOptions::new().cache_type("file").data_dir(dir.path());
    let again = CacheManager::new(Config::new(options)).unwrap();
    assert_eq!(again.get_cache::<u8, u8>("n").unwrap().get(&1).unwrap(), Some(7));
    assert!(CacheManager::from_url("no scheme").is_err());
}
