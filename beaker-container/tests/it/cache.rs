//! Items CACHE-1 to CACHE-8 of Beaker's behaviour, as `docs/behaviour.md` numbers them, and what a
//! typed cache adds.

use std::sync::Arc;
use std::time::Duration;

use beaker_container::{Cache, CreateError, Enabled, ErrorKind};
use beaker_namespace::{Codec, Error as StoreError, ErrorKind as StoreErrorKind, Key, Stores};

use crate::harness::Lab;

#[test]
fn cache_1_an_unknown_type_is_an_error_that_names_the_known() {
    let error = Cache::<u8, u8>::open("nonsense:", "n").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("file, memory, null"), "{source}");
}

#[test]
fn cache_2_a_store_of_ones_own_is_known_by_its_name() {
    let stores = Stores::new().with_store("mine", |_, name, _| {
        Ok(beaker_namespace::MemoryNamespace::open(name, beaker_namespace::MemoryConfig::new())?)
    });
    let context = beaker_container::ContainerContext::with_stores(stores);
    let cache = context.cache::<String, u32>(&"mine:".parse().unwrap(), "cache 2").unwrap();
    cache.insert("k", 1).unwrap();
    assert_eq!(cache.with_type("mine").unwrap().get("k").unwrap(), Some(1));
}

#[test]
fn cache_3_and_d31_an_expiry_of_zero_is_taken_as_it_is() {
    for lab in Lab::each() {
        let cache = Cache::<String, u32>::new(lab.namespace()).with_ttl(Duration::from_secs(60));
        cache.insert_with_ttl("k", 1, Duration::ZERO).unwrap();
        assert_eq!(cache.get("k").unwrap(), None);
        let never_kept = cache.with_ttl(Duration::ZERO);
        assert_eq!(never_kept.get_or_create("k", || 1).unwrap(), 1);
        assert_eq!(never_kept.get_or_create("k", || 2).unwrap(), 2);
    }
}

#[test]
fn cache_4_contains_is_true_only_for_a_current_value() {
    for lab in Lab::each() {
        let cache = Cache::<String, u32>::new(lab.namespace()).with_ttl(Duration::from_secs(60));
        assert!(!cache.contains("k").unwrap());
        cache.insert("k", 1).unwrap();
        assert!(cache.contains("k").unwrap());
        lab.advance(60);
        assert!(!cache.contains("k").unwrap());
        assert_eq!(cache.get("k").unwrap(), None);
    }
}

#[test]
fn cache_5_a_value_can_have_a_time_to_live_of_its_own() {
    for lab in Lab::each() {
        let cache = Cache::<String, u32>::new(lab.namespace());
        cache.insert_with_ttl("k", 1, Duration::from_secs(5)).unwrap();
        cache.insert_with_ttl("never", 2, None).unwrap();
        lab.advance(5);
        assert_eq!((cache.get("k").unwrap(), cache.get("never").unwrap()), (None, Some(2)));
    }
}

#[test]
fn cache_5_a_call_can_have_its_own_start_time_and_creator() {
    for lab in Lab::each() {
        let cache = Cache::<String, u32>::new(lab.namespace());
        assert_eq!(cache.get_or_create("k", || 1).unwrap(), 1);
        assert_eq!(cache.get_or_create("k", || 2).unwrap(), 1);
        lab.advance(1);
        let from_now = cache.clone().with_start_time(beaker_namespace::Clock::now(&*lab.clock));
        assert_eq!(from_now.get("k").unwrap(), None);
        assert_eq!(from_now.get_or_create("k", || 3).unwrap(), 3);
        assert_eq!(cache.get("k").unwrap(), Some(3));
    }
}

#[test]
fn d24_every_store_takes_keys_of_every_type_and_tells_them_apart() {
    for lab in Lab::each() {
        let cache = Cache::<Key, u32>::new(lab.namespace());
        let keys = [
            Key::new("1"),
            Key::new(&1),
            Key::new(&-1),
            Key::new(&true),
            Key::new(&("1", 1)),
            Key::new(&b"1"[..]),
            Key::new(""),
        ];
        for (value, key) in (0..).zip(&keys) {
            cache.insert(key, value).unwrap();
        }
        for (value, key) in (0..).zip(&keys) {
            assert_eq!(cache.get(key).unwrap(), Some(value), "{key}");
        }
    }
}

#[test]
fn d44_a_character_and_the_text_of_its_escape_are_different_keys() {
    for lab in Lab::each() {
        let cache = Cache::<String, u32>::new(lab.namespace());
        cache.insert("é", 1).unwrap();
        assert_eq!(cache.get("\\xe9").unwrap(), None);
        assert_eq!(cache.get("é").unwrap(), Some(1));
    }
}

#[test]
fn d23_changing_what_was_got_does_not_change_what_is_kept() {
    for lab in Lab::each() {
        let cache = Cache::<String, Vec<u32>>::new(lab.namespace());
        let mut mine = vec![1];
        cache.insert("k", mine.clone()).unwrap();
        mine.push(2);
        cache.get("k").unwrap().unwrap().push(3);
        assert_eq!(cache.get("k").unwrap(), Some(vec![1]));
    }
}

#[test]
fn cache_7_clear_drops_every_key_for_all_holders_and_no_other_namespace() {
    for lab in Lab::each() {
        let names = ["foo", "foo:bar", "foo_bar", "f[o]o", "FOO", ""];
        let caches: Vec<_> =
            names.iter().map(|name| Cache::<String, u32>::new(lab.named(name))).collect();
        for cache in &caches {
            cache.insert("k", 1).unwrap();
        }
        Cache::<String, u32>::new(lab.named("foo")).clear().unwrap();
        let left: Vec<_> = caches.iter().map(|cache| cache.get("k").unwrap()).collect();
        assert_eq!(left, [None, Some(1), Some(1), Some(1), Some(1), Some(1)]);
    }
}

#[test]
fn cache_8_another_type_is_another_store_of_the_same_name() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("file://{}", dir.path().display());
    let file = Cache::<String, u32>::open(&url, "cache 8").unwrap();
    file.insert("k", 1).unwrap();
    let memory = file.with_type("memory").unwrap();
    assert_eq!(memory.get("k").unwrap(), None);
    memory.insert("k", 2).unwrap();
    drop(memory);
    assert_eq!(file.with_type("memory").unwrap().get("k").unwrap(), Some(2));
    assert_eq!(file.with_type("file").unwrap().get("k").unwrap(), Some(1));
    assert_eq!(file.namespace().id().name(), "cache 8");
}

#[test]
fn cache_8_the_type_it_was_opened_with_is_the_store_with_its_options() {
    let dir = tempfile::tempdir().unwrap();
    let file = format!("file://{}?durable=true", dir.path().display());
    for (url, kind, other) in [("memory:?max_entries=7", "memory", "null"), (&file, "file", "null")]
    {
        let cache = Cache::<String, u32>::open(url, "cache 8 options").unwrap();
        cache.insert("k", 1).unwrap();
        let there_and_back = cache.with_type(other).unwrap().with_type(kind).unwrap();
        assert!(Arc::ptr_eq(there_and_back.namespace(), cache.namespace()));
        assert_eq!(there_and_back.get("k").unwrap(), Some(1));
    }
}

#[test]
fn d21_stores_of_one_name_do_not_wait_for_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("file://{}", dir.path().display());
    let file = Cache::<String, u32>::open(&url, "d21").unwrap();
    let memory = file.with_type("memory").unwrap().with_wait(Duration::ZERO);
    let value = file.get_or_create("k", || memory.get_or_create("k", || 1).unwrap() + 1);
    assert_eq!((value.unwrap(), memory.get("k").unwrap()), (2, Some(1)));
}

#[test]
fn d32_the_other_type_keeps_the_settings() {
    let lab = Lab::memory();
    let context = beaker_container::ContainerContext::with_stores(lab.stores.clone());
    let start = beaker_namespace::Clock::now(&*lab.clock);
    let cache: Cache<String, u32> = context.cache(&lab.url, "d32").unwrap();
    let other = cache.with_start_time(start).with_type("memory").unwrap();
    lab.clock.set(start.saturating_sub(Duration::from_secs(1)));
    other.insert("k", 1).unwrap();
    assert_eq!(other.get("k").unwrap(), None, "it is older than the start time");
}

#[test]
fn a_file_type_without_a_directory_says_what_is_required() {
    let cache = Cache::<String, u32>::open("memory:", "no dir").unwrap();
    let error = cache.with_type("file").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("data_dir or file_dir is required"), "{error}");
}

#[test]
fn d41_keys_are_structural() {
    for lab in Lab::each() {
        let cache = Cache::<(String, String), u32>::new(lab.namespace());
        cache.insert(&("a b".into(), "c".into()), 1).unwrap();
        assert_eq!(cache.get(&("a".into(), "b c".into())).unwrap(), None);
        assert_eq!(cache.keys().unwrap(), [("a b".to_owned(), "c".to_owned())]);
    }
}

#[test]
fn every_codec_reads_what_any_codec_wrote() {
    let lab = Lab::file();
    let json = Cache::<String, Vec<u32>>::new(lab.named("codecs"));
    let msgpack = json.clone().with_codec(Codec::MessagePack);
    json.insert("a", vec![1]).unwrap();
    msgpack.insert("b", vec![2]).unwrap();
    assert_eq!(json.get("b").unwrap(), Some(vec![2]));
    assert_eq!(msgpack.get("a").unwrap(), Some(vec![1]));
}

#[test]
fn a_disabled_cache_makes_every_value_anew() {
    for lab in Lab::each() {
        let on = Cache::<String, u32>::new(lab.namespace());
        on.insert("k", 1).unwrap();
        let off = on.clone().with_enabled(Enabled::No);
        assert_eq!(off.get("k").unwrap(), None);
        assert_eq!(off.get_or_create("k", || 2).unwrap(), 2);
        off.insert("k", 3).unwrap();
        assert_eq!(on.get("k").unwrap(), Some(1));
    }
}

#[test]
fn an_object_without_a_codec_needs_memory() {
    #[derive(Clone, Debug, PartialEq)]
    struct Handle(u8);
    let cache = Cache::<u8, Handle>::in_memory(10).unwrap();
    assert_eq!(cache.get_or_create(&1, || Handle(1)).unwrap(), Handle(1));
    assert_eq!(cache.get_or_create(&1, || Handle(2)).unwrap(), Handle(1));

    let file = Cache::<u8, Handle>::of_objects(Lab::file().namespace());
    assert_eq!(
        file.insert(&1, Handle(1)).unwrap_err().kind(),
        ErrorKind::Store(StoreErrorKind::Unsupported)
    );
}

#[test]
fn in_memory_caches_are_apart() {
    let (one, two) =
        (Cache::<u8, u8>::in_memory(10).unwrap(), Cache::<u8, u8>::in_memory(10).unwrap());
    one.insert(&1, 1).unwrap();
    assert_eq!(two.get(&1).unwrap(), None);
    assert_eq!(two.get_or_create(&1, || 2).unwrap(), 2);
}

#[test]
fn a_value_that_cannot_be_stored_is_returned_and_counted() {
    let lab = Lab::file();
    let (reports, reported) = std::sync::mpsc::channel();
    let cache = Cache::<u8, Unserializable>::new(lab.namespace())
        .on_unstored(move |error| reports.send(error.kind()).unwrap());
    assert_eq!(cache.get_or_create(&1, || Unserializable(4)).unwrap(), Unserializable(4));
    assert_eq!(cache.unstored(), 1);
    assert_eq!(reported.recv().unwrap(), ErrorKind::Store(StoreErrorKind::Codec));
    assert_eq!(cache.get(&1).unwrap(), None);
}

#[derive(Clone, Debug, PartialEq)]
struct Unserializable(u8);

impl serde::Serialize for Unserializable {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("no form"))
    }
}

impl<'de> serde::Deserialize<'de> for Unserializable {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        u8::deserialize(from).map(Self)
    }
}

#[test]
fn a_store_that_fails_is_never_absent() {
    fn broken(
        _: &beaker_namespace::StoreUrl,
        _: &str,
        _: Arc<dyn beaker_namespace::Clock>,
    ) -> Result<Arc<dyn beaker_namespace::Namespace>, StoreError> {
        Err(StoreError::new(StoreErrorKind::Unavailable, "open"))
    }
    let context =
        beaker_container::ContainerContext::with_stores(Stores::new().with_store("broken", broken));
    let error = context.cache::<u8, u8>(&"broken:".parse().unwrap(), "n").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store(StoreErrorKind::Unavailable));
}

#[test]
fn a_try_creator_error_passes_through_untouched() {
    let cache = Cache::<u8, u8>::in_memory(10).unwrap();
    let error = cache.get_or_try_create(&1, || Err::<u8, _>(Arc::new(std::io::Error::other("x"))));
    match error {
        Err(CreateError::Create(error)) => assert_eq!(error.to_string(), "x"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_call_counts_as_one_hit_or_one_miss() {
    for lab in Lab::each() {
        let cache = Cache::<String, u32>::new(lab.namespace()).with_ttl(Duration::from_secs(60));
        cache.get_or_create("k", || 1).unwrap();
        assert_eq!((cache.stats().hits, cache.stats().misses), (0, 1));
        cache.get_or_create("k", || 2).unwrap();
        assert_eq!((cache.stats().hits, cache.stats().misses), (1, 1));
        lab.advance(60);
        cache.get_or_create("k", || 3).unwrap();
        assert_eq!((cache.stats().hits, cache.stats().misses), (1, 2));
    }
}

#[test]
fn a_shared_object_is_kept_as_it_is() {
    let lab = Lab::memory();
    let namespace = lab.namespace();
    let cache = Cache::<u8, Arc<String>>::of_shared_objects(namespace.clone());
    let value = Arc::new("x".to_owned());
    cache.insert(&1, Arc::clone(&value)).unwrap();
    assert!(Arc::ptr_eq(&cache.get(&1).unwrap().unwrap(), &value));
    let made = cache.get_or_create(&1, || unreachable!("it is there")).unwrap();
    assert!(Arc::ptr_eq(&made, &value));

    let boxed = Cache::<u8, Arc<String>>::of_objects(namespace);
    assert_eq!(boxed.get(&1).unwrap_err().kind(), ErrorKind::WrongType);
    let file = Cache::<u8, Arc<String>>::of_shared_objects(Lab::file().namespace());
    let refused = file.insert(&1, value).unwrap_err().kind();
    assert_eq!(refused, ErrorKind::Store(StoreErrorKind::Unsupported));
}
