//! Why a key gives what it gives.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use beaker_container::{Cache, Created, Invalidation, Invalidator, Policy, Stale, Why};
use beaker_namespace::{CodecId, Entry, Key, Payload};

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
