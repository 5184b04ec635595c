//! Why a key gives what it gives.

use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use beaker_container::{
    Cache, Created, Invalidation, Invalidator, Policy, RemovalCause, Stale, Why,
};
use beaker_namespace::{
    CodecId, Entry, Key, MemoryConfig, MemoryNamespace, Namespace, Payload, forward_namespace,
};

use crate::harness::{Lab, secs};

type Texts = Cache<String, String>;

fn texts(lab: &Lab) -> Texts {
    Cache::new(lab.namespace()).with_policy(Policy::new().ttl(secs(60)))
}

/// What both faces say of `k`.
fn why(cache: &Texts) -> Why {
    let why = cache.why("k").unwrap();
    #[cfg(feature = "tokio")]
    {
        let asked = crate::tasks::one_thread().block_on(cache.why_async("k"));
        assert_eq!(asked.unwrap(), why);
    }
    why
}

fn set(cache: &Texts) {
    cache.store("k", Created::new("v".to_owned()).tag("a").tag("b")).unwrap();
}

#[test]
fn it_tells_how_long_a_value_is_fresh_and_what_becomes_of_it_then() {
    for lab in Lab::each() {
        let cache = texts(&lab);
        set(&cache);
        lab.advance(10);
        assert_eq!(why(&cache), Why::Fresh { age: secs(10), left: Some(secs(50)) });
        cache.insert_with_ttl("k", "v".to_owned(), None).unwrap();
        assert_eq!(why(&cache), Why::Fresh { age: secs(0), left: None });
        let stale = |max_age| cache.policy().stale(Stale::OnError { max_age });
        for (max_age, kept) in [(secs(100), Some(secs(95))), (Duration::MAX, None)] {
            let cache = cache.clone().with_policy(stale(max_age));
            set(&cache);
            lab.advance(65);
            assert_eq!(why(&cache), Why::Expired { since: secs(5), kept });
        }
    }
    let lab = Lab::memory();
    let cache = texts(&lab);
    set(&cache);
    lab.advance(60);
    assert_eq!(why(&cache), Why::Expired { since: secs(0), kept: Some(secs(0)) }, "not swept yet");
}

#[test]
fn it_tells_the_latest_invalidation_and_a_hard_one_before_a_soft_one() {
    for lab in Lab::each() {
        let cache = texts(&lab).with_own_region();
        let invalidated = |by, kind, since| Why::Invalidated { by, kind, since: secs(since) };
        let tag = |name: &str| Invalidator::Tag(name.to_owned());
        set(&cache);
        lab.advance(1);
        cache.expire_tag("a").unwrap();
        lab.advance(1);
        assert_eq!(why(&cache), invalidated(tag("a"), Invalidation::Soft, 1));
        cache.expire_tag("b").unwrap();
        lab.advance(1);
        assert_eq!(why(&cache), invalidated(tag("b"), Invalidation::Soft, 1));
        cache.invalidate_tag("a").unwrap();
        lab.advance(1);
        cache.expire_tag("b").unwrap();
        assert_eq!(why(&cache), invalidated(tag("a"), Invalidation::Hard, 1));
        cache.expire_region().unwrap();
        lab.advance(1);
        set(&cache);
        assert!(matches!(why(&cache), Why::Fresh { .. }), "it began after all of them");
        lab.advance(1);
        cache.expire_region().unwrap();
        lab.advance(2);
        let Why::Invalidated { by: Invalidator::Region(_), kind, since } = why(&cache) else {
            panic!("{:?}", why(&cache))
        };
        assert_eq!((kind, since), (Invalidation::Soft, secs(2)));
        cache.invalidate_region().unwrap();
        let why = why(&cache);
        assert!(matches!(why, Why::Invalidated { kind: Invalidation::Hard, .. }), "{why:?}");
        assert_eq!(cache.get("k").unwrap(), None);
    }
}

#[test]
fn it_tells_a_region_by_its_name() {
    let lab = Lab::memory();
    let config = beaker_container::config::Config::default().region("short", |it| it);
    let manager = beaker_container::CacheManager::with_stores(config, lab.stores.clone()).unwrap();
    let cache: Texts = manager.get_cache_region("why region", "short").unwrap();
    set(&cache);
    manager.expire_region("short").unwrap();
    let by = Invalidator::Region("short".to_owned());
    assert_eq!(
        why(&cache),
        Why::Invalidated { by, kind: Invalidation::Soft, since: Duration::ZERO }
    );
}

#[test]
fn it_tells_what_is_outdated_and_what_is_from_the_future() {
    for lab in Lab::each() {
        let cache = texts(&lab);
        set(&cache);
        lab.advance(1);
        let start = cache.namespace().clock().now();
        assert_eq!(why(&cache.clone().with_start_time(start)), Why::Outdated);
        let now = cache.namespace().clock().now();
        let later = now.saturating_add(secs(30));
        let entry = Entry::new(Payload::Object(Arc::new("v".to_owned())), later);
        let bytes = Payload::Bytes { codec: CodecId::JSON, bytes: "\"v\"".into() };
        let entry = match cache.namespace().scope() {
            beaker_namespace::Scope::Process => entry,
            _ => Entry::new(bytes, later),
        };
        let entry = entry.times(later.saturating_add(secs(60)), later.saturating_add(secs(60)));
        cache.namespace().set(&Key::new("k"), entry).unwrap();
        let why = why(&cache);
        assert!(
            matches!(why, Why::FromTheFuture { ahead } if ahead == secs(30)),
            "{why:?}: a clock that was set back"
        );
    }
}

#[test]
fn it_tells_another_type_and_another_codec() {
    for lab in Lab::each() {
        let cache = texts(&lab);
        let other = Cache::<String, u32>::new(Arc::clone(cache.namespace()));
        other.insert("k", 1).unwrap();
        let is_object = cache.namespace().scope() == beaker_namespace::Scope::Process;
        let codec = if is_object { None } else { Some(CodecId::JSON) };
        assert_eq!(why(&cache), Why::Foreign { codec });
        let unknown = Payload::Bytes { codec: CodecId::from_u8(99), bytes: "\"v\"".into() };
        let entry = Entry::new(unknown, cache.namespace().clock().now());
        cache.namespace().set(&Key::new("k"), entry).unwrap();
        assert_eq!(why(&cache), Why::Foreign { codec: Some(CodecId::from_u8(99)) });
        assert_eq!(
            Why::of_key(&**cache.namespace(), &Key::new("k")).unwrap(),
            Why::Foreign { codec: Some(CodecId::from_u8(99)) },
            "who knows no type sees an unknown codec too"
        );
    }
}

/// Of `texts`, one that remembers this many.
fn remembering(lab: &Lab, most: usize) -> Texts {
    texts(lab).with_remembered_removals(NonZeroUsize::new(most).unwrap())
}

fn left(cause: RemovalCause, since: u64) -> Why {
    Why::Left { cause, since: secs(since) }
}

#[test]
fn a_cache_that_remembers_tells_what_was_removed_from_what_was_not_seen() {
    for lab in Lab::each() {
        let cache = remembering(&lab, 2);
        lab.advance(3);
        // Another process may have removed it from a store that it shares.
        let is_alone = cache.namespace().scope() == beaker_namespace::Scope::Process;
        let unseen =
            |since| if is_alone { Why::NotSeen { since: secs(since) } } else { Why::Absent };
        assert_eq!(why(&cache), unseen(3));
        set(&cache);
        cache.clone().remove("k").unwrap();
        lab.advance(5);
        assert_eq!(why(&cache), left(RemovalCause::Removed, 5));
        assert_eq!(why(&cache).to_string(), "absent: removed 5s ago");
        assert_eq!(cache.why("other").unwrap(), unseen(8));
        set(&cache);
        assert!(matches!(why(&cache), Why::Fresh { .. }), "it is back");
        cache.insert("k", "another".to_owned()).unwrap();
        cache.remove("k").unwrap();
        assert_eq!(why(&cache), left(RemovalCause::Removed, 0), "and left again");
        lab.advance(1);
        cache.clear().unwrap();
        lab.advance(1);
        assert_eq!(why(&cache), Why::Cleared { since: secs(1) });
        set(&cache);
        cache.remove("k").unwrap();
        assert_eq!(why(&cache), left(RemovalCause::Removed, 0), "it left after that");
        // Two more push it out.
        for key in ["l", "m"] {
            cache.insert(key, "v".to_owned()).unwrap();
            cache.remove(key).unwrap();
            assert_eq!(cache.why(key).unwrap(), left(RemovalCause::Removed, 0));
        }
        assert_eq!(why(&cache), Why::Cleared { since: secs(1) });
    }
}

#[test]
fn a_cache_that_has_forgotten_says_no_more_than_absent() {
    let lab = Lab::memory();
    let cache = remembering(&lab, 1);
    assert!(matches!(why(&cache), Why::NotSeen { .. }), "the control");
    for key in ["l", "m"] {
        cache.insert(key, "v".to_owned()).unwrap();
        cache.remove(key).unwrap();
    }
    assert_eq!(why(&cache), Why::Absent);
    assert_eq!(cache.why("l").unwrap(), Why::Absent);
    assert_eq!(cache.why("m").unwrap(), left(RemovalCause::Removed, 0));
}

#[test]
fn a_cache_that_remembers_tells_what_its_store_had_no_room_for_and_what_died() {
    let lab = Lab::memory();
    let config = MemoryConfig::new().max_entries(1).clock(lab.clock.clone());
    let cache = Texts::new(MemoryNamespace::anonymous(config).unwrap()).with_ttl(secs(60));
    let cache = cache.with_remembered_removals(NonZeroUsize::MIN);
    set(&cache);
    cache.insert("l", "v".to_owned()).unwrap();
    assert_eq!(why(&cache), left(RemovalCause::Evicted, 0));
    lab.advance(61);
    // Reads that miss drop what is dead.
    for n in 0..1_000 {
        assert_eq!(cache.get(&n.to_string()).unwrap(), None);
    }
    assert_eq!(cache.why("l").unwrap(), left(RemovalCause::Expired, 0));
}

#[test]
fn a_cache_in_another_store_remembers_nothing_of_the_first() {
    let home = Texts::open("memory://why-home", "n").unwrap();
    let home = home.with_remembered_removals(NonZeroUsize::MIN);
    let away = home.with_store(&"memory://why-away".parse().unwrap()).unwrap();
    set(&home);
    home.remove("k").unwrap();
    assert!(matches!(home.why("k").unwrap(), Why::Left { .. }), "the control");
    assert!(matches!(away.why("k").unwrap(), Why::NotSeen { .. }));
    set(&away);
    away.remove("k").unwrap();
    assert!(matches!(away.why("k").unwrap(), Why::Left { .. }), "but goes on with its own");
}

/// In this process alone, and tells nobody what it drops.
#[derive(Debug)]
struct Untold(Arc<MemoryNamespace>);

impl Namespace for Untold {
    forward_namespace!(
        self => self.0;
        id, scope, capabilities, latency, clock, stats, get, set, remove, clear, claim, fulfil,
        mark, marks, inspect,
    );
}

#[test]
fn a_cache_that_is_not_told_what_its_store_drops_does_not_say_that_a_key_was_not_seen() {
    let lab = Lab::memory();
    let config = MemoryConfig::new().max_entries(1).clock(lab.clock.clone());
    let store = Untold(MemoryNamespace::anonymous(config).unwrap());
    let cache = Texts::new(Arc::new(store)).with_remembered_removals(NonZeroUsize::MIN);
    set(&cache);
    cache.insert("l", "v".to_owned()).unwrap();
    assert_eq!(why(&cache), Why::Absent, "it was evicted");
    cache.remove("l").unwrap();
    assert_eq!(cache.why("l").unwrap(), left(RemovalCause::Removed, 0), "this it knows");
}

#[test]
fn a_cache_that_remembers_says_of_a_batch_that_was_there_in_part_no_more_than_absent() {
    for lab in Lab::each() {
        let cache = remembering(&lab, 10);
        let [removed, unknown] = [left(RemovalCause::Removed, 0), Why::Absent];
        let why = |key: &str| cache.why(key).unwrap();
        let both = ["k", "l"].map(String::from);
        let insert = |key: &str| cache.insert(key, "v".to_owned()).unwrap();
        insert("k");
        assert_eq!(cache.remove_many(&both).unwrap(), 1);
        assert_eq!([why("k"), why("l")], [unknown.clone(), unknown.clone()]);
        both.iter().for_each(|key| insert(key));
        assert_eq!(cache.remove_many(&both).unwrap(), 2);
        assert_eq!([why("k"), why("l")], [removed.clone(), removed.clone()]);
        insert("m");
        assert_eq!(cache.remove_many(&["m".to_owned()]).unwrap(), 1);
        assert_eq!(why("m"), removed);
        #[cfg(feature = "tokio")]
        {
            insert("l");
            let removing = cache.remove_many_async(&both);
            assert_eq!(crate::tasks::one_thread().block_on(removing).unwrap(), 1);
            assert_eq!([why("k"), why("l")], [unknown.clone(), unknown]);
        }
    }
}

/// Flips a bit of every entry below `dir`.
fn damage(dir: &Path) {
    for found in fs::read_dir(dir).unwrap() {
        let path = found.unwrap().path();
        if path.is_dir() {
            damage(&path);
        } else if path.components().any(|part| part.as_os_str() == "entries") {
            let mut bytes = fs::read(&path).unwrap();
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            fs::write(&path, bytes).unwrap();
        }
    }
}

#[test]
fn it_tells_what_is_corrupt() {
    let lab = Lab::file();
    let cache = texts(&lab);
    set(&cache);
    assert!(matches!(why(&cache), Why::Fresh { .. }), "the control");
    damage(lab.url.path());
    assert!(matches!(why(&cache), Why::Corrupt { .. }), "{:?}", why(&cache));
    assert_eq!(cache.get("k").unwrap(), None);
}

#[test]
fn it_tells_that_the_namespace_was_cleared_and_until_then_no_more_than_absent() {
    for lab in Lab::each() {
        let cache = texts(&lab);
        assert_eq!(why(&cache), Why::Absent);
        set(&cache);
        cache.remove("k").unwrap();
        assert_eq!(why(&cache), Why::Absent, "stores keep nothing of what was removed");
        set(&cache);
        cache.clear().unwrap();
        lab.advance(5);
        assert_eq!(why(&cache), Why::Cleared { since: secs(5) });
        let text = why(&cache).to_string();
        assert_eq!(text, "absent: the namespace was cleared 5s ago");
        set(&cache);
        assert!(matches!(why(&cache), Why::Fresh { .. }));
        #[cfg(feature = "tokio")]
        {
            crate::tasks::one_thread().block_on(cache.clear_async()).unwrap();
            assert_eq!(why(&cache), Why::Cleared { since: secs(0) });
        }
    }
}
