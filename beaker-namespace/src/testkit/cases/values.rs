//! Values: what is set, got, removed and counted.

use std::sync::Arc;
use std::time::Duration;

use super::case;
use crate::testkit::bench::{Bench, bytes_of};
use crate::testkit::suite::Case;
use crate::{
    Capability, CodecId, Condition, Entry, ErrorKind, Fulfilled, Inspection, Key, Lookup, Payload,
    Scan, Stats, Wait,
};

pub(super) const CASES: &[Case] = &[
    case!(a_key_that_was_never_set_is_absent, "a key that was never set is absent", []),
    case!(what_is_set_is_got, "what is set is got, until it is replaced", [Retains]),
    case!(
        a_removed_key_is_absent,
        "remove says whether there was an entry, and it is gone",
        [Retains]
    ),
    case!(removing_an_absent_key_succeeds, "removing an absent key succeeds and says no", []),
    case!(a_cleared_namespace_is_empty, "clear removes every entry and can be repeated", [Retains]),
    case!(an_empty_value_is_not_absent, "an empty value is a value", [Retains]),
    case!(
        values_of_every_size_come_back,
        "values of 0 B to 1 MiB come back to the byte",
        [Retains]
    ),
    case!(every_byte_comes_back, "every byte value comes back", [Retains]),
    case!(what_an_entry_says_comes_back, "times, cost, tags, entity tag come back", [Retains]),
    case!(
        the_codec_comes_back,
        "the codec's number comes back, also one unknown here",
        [Retains, Bytes]
    ),
    case!(a_live_object_comes_back_itself, "a live object comes back itself", [Retains, Objects]),
    case!(
        an_unsupported_payload_is_refused,
        "a payload that the store cannot take is refused and \
          the old value stays",
        []
    ),
    case!(
        each_write_has_its_own_generation,
        "two writes never have the same generation",
        [Retains]
    ),
    case!(
        one_name_is_one_namespace,
        "a second handle of a name has the same data and id",
        [Retains]
    ),
    case!(namespaces_are_apart, "the same key in two namespaces is two entries", [Retains]),
    case!(
        many_keys_at_once,
        "get, set and remove for many keys keep their order and count",
        [Retains]
    ),
    case!(
        a_batch_is_stored_whole_or_not_at_all,
        "a batch that fails stores nothing",
        [Retains, Batch]
    ),
    case!(reads_and_writes_are_counted, "hits, misses, sets and removes are counted", [Retains]),
    case!(inspecting_does_not_count, "inspect tells what is there and counts nothing", [Retains]),
    case!(a_look_up_is_a_get, "look_up finds what get finds and counts as it does", [Retains]),
    case!(unsupported_calls_say_so, "a call without its capability is Unsupported", []),
    case!(
        a_store_that_keeps_nothing_says_yes,
        "without Retains, writes succeed and nothing is \
          found",
        []
    ),
];

fn a_key_that_was_never_set_is_absent(bench: &Bench<'_>) {
    let store = bench.open("");
    assert_eq!(store.text(&Key::new("absent")), None);
}

fn what_is_set_is_got(bench: &Bench<'_>) {
    let (store, key) = (bench.open(""), Key::new("k"));
    for value in ["one", "two, longer", "3"] {
        store.put(&key, value);
        assert_eq!(store.text(&key).as_deref(), Some(value));
    }
    store.put(&Key::new("other"), "other");
    assert_eq!(store.text(&key).as_deref(), Some("3"), "another key changed this one");
}

fn a_removed_key_is_absent(bench: &Bench<'_>) {
    let (store, key) = (bench.open(""), Key::new("k"));
    store.put(&key, "v");
    store.put(&Key::new("kept"), "kept");
    assert!(store.remove(&key).expect("remove"), "there was an entry");
    assert_eq!(store.text(&key), None);
    assert!(!store.remove(&key).expect("remove"), "there is none any more");
    assert_eq!(store.text(&Key::new("kept")).as_deref(), Some("kept"));
    store.put(&key, "again");
    assert_eq!(store.text(&key).as_deref(), Some("again"));
}

fn removing_an_absent_key_succeeds(bench: &Bench<'_>) {
    assert!(!bench.open("").remove(&Key::new("absent")).expect("remove"));
}

fn a_cleared_namespace_is_empty(bench: &Bench<'_>) {
    let store = bench.open("");
    for _ in 0..2 {
        for number in 0..100 {
            store.put(&Key::new(&number), "v");
        }
        store.clear().expect("clear");
        store.clear().expect("clear an empty namespace");
        for number in 0..100 {
            assert_eq!(store.text(&Key::new(&number)), None);
        }
    }
}

fn an_empty_value_is_not_absent(bench: &Bench<'_>) {
    let (store, key) = (bench.open(""), Key::new("k"));
    store.put(&key, "");
    assert_eq!(store.text(&key).as_deref(), Some(""));
    assert!(store.remove(&key).expect("remove"));
}

fn values_of_every_size_come_back(bench: &Bench<'_>) {
    let store = bench.open("");
    let sizes = [0, 1, 7, 255, 256, 4_095, 4_096, 65_535, 65_536, 1 << 20];
    for size in sizes {
        let value: Vec<u8> = (0..size).map(|at: usize| (at % 251) as u8).collect();
        store.put(&Key::new(&size), &value);
        assert!(store.value(&Key::new(&size)) == Some(value), "{size} bytes changed");
    }
    for size in sizes {
        let found = store.value(&Key::new(&size)).map(|value| value.len());
        assert_eq!(found, Some(size), "after the others were set");
    }
}

fn every_byte_comes_back(bench: &Bench<'_>) {
    let (store, key) = (bench.open(""), Key::new("k"));
    let value: Vec<u8> = (0..=u8::MAX).collect();
    store.put(&key, &value);
    assert_eq!(store.value(&key), Some(value));
}

fn what_an_entry_says_comes_back(bench: &Bench<'_>) {
    let (store, key) = (bench.open(""), Key::new("k"));
    let entry = store
        .entry("v")
        .ttl(Some(Duration::from_micros(1_234_567_891)))
        .grace(Duration::from_micros(77))
        .cost(9)
        .tags(vec!["red".into(), String::new(), "grün".into()])
        .etag(Some("W/\"1\"".into()));
    store.set(&key, entry.clone()).expect("set");
    let found = store.get(&key).expect("get").expect("it was set");
    let facts = |entry: &Entry| {
        let times = (entry.began(), entry.expires(), entry.dies());
        (times, entry.weight(), entry.tag_list().to_vec(), entry.entity_tag().map(str::to_owned))
    };
    assert_eq!(facts(&found), facts(&entry));
}

fn the_codec_comes_back(bench: &Bench<'_>) {
    let (store, key) = (bench.open(""), Key::new("k"));
    for codec in [CodecId::RAW, CodecId::JSON, CodecId::MESSAGE_PACK, CodecId::from_u8(200)] {
        let payload = Payload::Bytes { codec, bytes: "1".into() };
        store.set(&key, Entry::new(payload, store.clock().now())).expect("set");
        let found = store.get(&key).expect("get").expect("it was set").into_payload();
        assert!(matches!(found, Payload::Bytes { codec: found, .. } if found == codec));
    }
}

fn a_live_object_comes_back_itself(bench: &Bench<'_>) {
    let (store, key) = (bench.open(""), Key::new("k"));
    let object = Arc::new(String::from("live"));
    let payload = Payload::Object(Arc::clone(&object) as Arc<_>);
    store.set(&key, Entry::new(payload, store.clock().now())).expect("set");
    let found = store.get(&key).expect("get").expect("it was set").into_payload();
    let Payload::Object(found) = found else { panic!("the object became bytes") };
    let found = found.downcast::<String>().expect("the type that was set");
    assert!(Arc::ptr_eq(&found, &object), "another object came back");
}

fn an_unsupported_payload_is_refused(bench: &Bench<'_>) {
    let (store, key) = (bench.open(""), Key::new("k"));
    let retains = store.capabilities().has(Capability::Retains);
    store.put(&key, "old");
    let now = store.clock().now();
    for (capability, payload) in [
        (Capability::Objects, Payload::Object(Arc::new(1_u8))),
        (Capability::Bytes, Payload::raw("new")),
    ] {
        if !store.capabilities().has(capability) {
            let error = store.set(&key, Entry::new(payload, now)).expect_err("it was taken");
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
            assert_eq!(store.text(&key).as_deref(), retains.then_some("old"));
        }
    }
}

fn each_write_has_its_own_generation(bench: &Bench<'_>) {
    let (store, key) = (bench.open(""), Key::new("k"));
    let mut generations: Vec<u64> = (0..100)
        .map(|_| {
            store.set(&key, store.entry("same").with_generation(1)).expect("set");
            store.get(&key).expect("get").expect("it was set").generation()
        })
        .collect();
    generations.sort_unstable();
    generations.dedup();
    assert_eq!(generations.len(), 100);
    let one = store.get(&key).expect("get").map(|entry| entry.generation());
    let two = store.get(&key).expect("get").map(|entry| entry.generation());
    assert_eq!(one, two, "a read changed the generation");
}

fn one_name_is_one_namespace(bench: &Bench<'_>) {
    let (first, key) = (bench.open(""), Key::new("k"));
    first.put(&key, "first");
    let second = bench.open_again("");
    assert_eq!(first.id(), second.id());
    assert_ne!(first.id(), bench.open("-other").id());
    assert_eq!(second.text(&key).as_deref(), Some("first"));
    second.put(&key, "second");
    assert_eq!(first.text(&key).as_deref(), Some("second"));
    second.clear().expect("clear");
    assert_eq!(first.text(&key), None);
}

fn namespaces_are_apart(bench: &Bench<'_>) {
    let (one, other, key) = (bench.open("-1"), bench.open("-2"), Key::new("k"));
    one.put(&key, "one");
    assert_eq!(other.text(&key), None);
    other.put(&key, "other");
    assert_eq!(one.text(&key).as_deref(), Some("one"));
    assert!(other.remove(&key).expect("remove"));
    assert_eq!(one.text(&key).as_deref(), Some("one"));
}

fn many_keys_at_once(bench: &Bench<'_>) {
    let store = bench.open("");
    let keys: Vec<_> = (0..20).map(|number| Key::new(&number)).collect();
    let entries = keys.iter().take(10).enumerate();
    let entries = entries.map(|(at, key)| (key.clone(), store.entry(at.to_string()))).collect();
    store.set_many(entries).expect("set many");
    let found = store.get_many(&keys).expect("get many");
    let found: Vec<_> = found.iter().map(|entry| entry.as_ref().map(bytes_of)).collect();
    let expected = (0..20).map(|at| (at < 10).then(|| at.to_string().into_bytes()));
    assert_eq!(found, expected.collect::<Vec<_>>());
    let counts = store.stats();
    let looked = store.inspect_many(&keys).expect("inspect many");
    let looked = looked.iter().map(|found| match found {
        Inspection::Present(entry) => Some(bytes_of(entry)),
        _ => None,
    });
    assert_eq!(looked.collect::<Vec<_>>(), found, "each is what a read of its key finds");
    let after = store.stats();
    assert_eq!((after.hits, after.misses), (counts.hits, counts.misses), "a look is no read");
    assert_eq!(store.remove_many(&keys[5..]).expect("remove many"), 5);
    assert_eq!(store.text(&keys[5]), None);
    assert_eq!(store.text(&keys[4]).as_deref(), Some("4"));
    assert_eq!(store.get_many(&[]).expect("get none").len(), 0);
}

fn a_batch_is_stored_whole_or_not_at_all(bench: &Bench<'_>) {
    let store = bench.open("");
    if store.capabilities().has(Capability::Objects) && store.capabilities().has(Capability::Bytes)
    {
        return; // Nothing can be put in a batch that such a store refuses.
    }
    let refused = if store.capabilities().has(Capability::Bytes) {
        Payload::Object(Arc::new(1_u8))
    } else {
        Payload::raw("x")
    };
    let now = store.clock().now();
    let batch = vec![
        (Key::new("a"), store.entry("a")),
        (Key::new("b"), Entry::new(refused, now)),
        (Key::new("c"), store.entry("c")),
    ];
    assert!(store.set_many(batch).is_err(), "the batch was taken");
    assert_eq!([store.text(&Key::new("a")), store.text(&Key::new("c"))], [None, None]);
}

fn reads_and_writes_are_counted(bench: &Bench<'_>) {
    let (store, key) = (bench.open(""), Key::new("k"));
    let before = store.stats();
    store.put(&key, "v");
    store.put(&key, "v");
    let _hit = store.text(&key);
    let _misses =
        [store.text(&Key::new("a")), store.text(&Key::new("b")), store.text(&Key::new("c"))];
    let _removed = store.remove(&key).expect("remove");
    let _nothing = store.remove(&key).expect("remove");
    let after = store.stats();
    let counts = [
        after.sets - before.sets,
        after.hits - before.hits,
        after.misses - before.misses,
        after.removes - before.removes,
    ];
    assert_eq!(counts, [2, 1, 3, 1], "sets, hits, misses, removes");
    assert!(after.entries.is_none_or(|entries| entries == 0), "{:?}", after.entries);
}

fn inspecting_does_not_count(bench: &Bench<'_>) {
    let (store, key) = (bench.open(""), Key::new("k"));
    store.put(&key, "v");
    let before = store.stats();
    let found = store.inspect(&key).expect("inspect");
    let Inspection::Present(entry) = found else { panic!("{found:?}") };
    assert_eq!(bytes_of(&entry), b"v");
    let absent = store.inspect(&Key::new("absent")).expect("inspect");
    assert!(matches!(absent, Inspection::Absent), "{absent:?}");
    // A store may write what it has on its own time.
    let after = Stats { size_bytes: before.size_bytes, ..store.stats() };
    assert_eq!(after, before);
}

fn a_look_up_is_a_get(bench: &Bench<'_>) {
    let (store, key) = (bench.open(""), Key::new("k"));
    let look_up = |expected: Option<&[u8]>| {
        let (before, found) = (store.stats(), store.look_up(&key).expect("look up"));
        match (&found, expected) {
            (Lookup::Found(entry), Some(value)) => assert_eq!(bytes_of(entry), value),
            (Lookup::Absent, None) => {}
            _ => panic!("{found:?}, and not {expected:?}"),
        }
        let after = store.stats();
        let counted = (after.hits - before.hits, after.misses - before.misses);
        assert_eq!(counted, if expected.is_some() { (1, 0) } else { (0, 1) });
        assert_eq!(after.corrupt, before.corrupt);
    };
    look_up(None);
    store.put(&key, "v");
    look_up(Some(b"v"));
    store.remove(&key).expect("remove");
    look_up(None);
}

fn unsupported_calls_say_so(bench: &Bench<'_>) {
    let (store, key) = (bench.open(""), Key::new("k"));
    let unsupported = |capability, outcome: Result<(), crate::Error>| {
        let lacks = !store.capabilities().has(capability);
        let refused = outcome.is_err_and(|error| error.kind() == ErrorKind::Unsupported);
        assert_eq!(refused, lacks, "{capability:?}");
    };
    unsupported(Capability::Scan, store.scan(&Scan::new()).map(drop));
    unsupported(Capability::Tags, store.remove_tag("t").map(drop));
    let conditional = store.set_if(&key, store.entry("v"), Condition::Absent);
    unsupported(Capability::CompareAndSet, conditional.map(drop));
}

fn a_store_that_keeps_nothing_says_yes(bench: &Bench<'_>) {
    let (store, key) = (bench.open(""), Key::new("k"));
    if store.capabilities().has(Capability::Retains) {
        return;
    }
    store.put(&key, "v");
    assert_eq!(store.text(&key), None);
    let claim = store.claim(&key, Wait::Never).expect("claim").expect("a claim");
    let fulfilled = store.fulfil(&key, store.entry("v"), claim).expect("fulfil");
    assert_eq!(fulfilled, Fulfilled::Stored);
    assert_eq!(store.text(&key), None);
    assert!(!store.remove(&key).expect("remove"));
}
