//! `Prefixed`.

use std::sync::Arc;
use std::time::Duration;

use beaker_backends::proxy::Prefixed;
use beaker_namespace::testkit::{self, Fault, FaultStore};
use beaker_namespace::{
    Claim, ErrorKind, FileConfig, FileNamespace, Fulfilled, Inspection, Key, Mark, MemoryNamespace,
    Namespace, NullNamespace, Wait,
};

use super::hook::{Hook, Point};
use super::{
    anonymous, conforms_in_files, conforms_over_memory, entry, listed, memory_of, put, text,
};

#[test]
fn it_conforms_in_a_namespace_of_its_own() {
    conforms_over_memory("prefixed", Prefixed::new);
}

#[test]
fn many_in_one_namespace_conform() {
    testkit::conformance("many prefixes in one memory", |name, clock| {
        Ok(Prefixed::new(MemoryNamespace::open("shared", memory_of("prefixes", clock))?, name))
    });
    conforms_in_files("many prefixes in one directory", |name, file| Ok(Prefixed::new(file, name)));
}

#[test]
fn prefixes_in_prefixes_conform() {
    testkit::conformance("prefixes in a prefix", |name, clock| {
        let memory = MemoryNamespace::open("shared", memory_of("nested", clock))?;
        Ok(Prefixed::new(Prefixed::new(memory, "outer"), name))
    });
}

#[test]
fn it_conforms_over_a_store_that_keeps_nothing() {
    testkit::conformance("prefixed null", |name, clock| {
        Ok(Prefixed::new(NullNamespace::with_clock("inner", clock), name))
    });
}

#[test]
fn a_key_that_is_too_long_with_its_prefix_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = FileNamespace::open("shared", FileConfig::new(dir.path())).unwrap();
    let prefixed = Prefixed::new(file, "p");
    let longest = Key::new(&"x".repeat(Key::MAX_BYTES - "p".len() - 16));
    put(&prefixed, &longest, "v");
    assert_eq!(text(&prefixed, &longest).as_deref(), Some("v"));
    let longer = Key::new(&"x".repeat(Key::MAX_BYTES - "p".len() - 15));
    let error = prefixed.set(&longer, entry(&prefixed, "v")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

fn claimed(namespace: &dyn Namespace, key: &Key) -> Claim {
    namespace.claim(key, Wait::Never).unwrap().unwrap()
}

#[test]
fn a_mark_is_of_its_prefix_alone_however_long_the_names() {
    let memory = anonymous();
    let long = "x".repeat(2_000);
    let prefixes = ["", "a", "ab", "1:a", &long];
    let names = ["", "b", "bc", ":b", &long[..Mark::MAX_NAME_BYTES], &long[1..1_024]];
    let marks = || {
        let pairs = prefixes.iter().flat_map(|prefix| names.iter().map(move |name| (prefix, name)));
        let at = beaker_namespace::Timestamp::from_micros;
        pairs.enumerate().map(move |(number, pair)| (pair, Mark::hard(at(number as i64))))
    };
    for ((prefix, name), mark) in marks() {
        Prefixed::new(Arc::clone(&memory), prefix).mark(name, mark).unwrap();
    }
    for ((prefix, name), mark) in marks() {
        let prefixed = Prefixed::new(Arc::clone(&memory), prefix);
        assert_eq!(prefixed.marks(&mut [*name].into_iter()).unwrap(), mark, "{prefix} {name}");
    }
    for name in names {
        assert_eq!(memory.marks(&mut [name].into_iter()).unwrap(), Mark::default(), "{name}");
    }
}

#[test]
fn prefixes_and_keys_never_run_together() {
    let memory = anonymous();
    let pairs = [("a", "bc"), ("ab", "c"), ("", "abc"), ("abc", ""), ("a", "b"), ("a\0", "b")];
    let pairs = pairs.map(|(prefix, key)| (Prefixed::new(Arc::clone(&memory), prefix), key));
    for (at, (prefixed, key)) in pairs.iter().enumerate() {
        put(prefixed, &Key::new(key), at.to_string());
    }
    for (at, (prefixed, key)) in pairs.iter().enumerate() {
        assert_eq!(text(prefixed, &Key::new(key)), Some(at.to_string()));
    }
    // The same with tuples: neither does a tuple's first segment meet a prefix.
    let (outer, inner) = (Key::new(&("a", "b")), Key::new("b"));
    put(&*memory, &outer, "not under a prefix");
    pairs[0].0.clear().unwrap();
    assert_eq!(text(&pairs[0].0, &inner), None);
    assert_eq!(text(&*memory, &outer).as_deref(), Some("not under a prefix"));
}

#[test]
fn clearing_one_prefix_spares_those_that_begin_alike() {
    let memory = anonymous();
    let (key, names) = (Key::new("k"), ["foo", "foo:bar", "fo", "foo_", "f*", ""]);
    for cleared in names {
        let all = names.map(|name| Prefixed::new(Arc::clone(&memory), name));
        all.iter().zip(names).for_each(|(prefixed, name)| put(prefixed, &key, name));
        Prefixed::new(Arc::clone(&memory), cleared).clear().unwrap();
        for (prefixed, name) in all.iter().zip(names) {
            let expected = (name != cleared).then(|| name.to_owned());
            assert_eq!(text(prefixed, &key), expected, "`{name}` after clearing `{cleared}`");
        }
    }
}

#[test]
fn a_clear_leaves_nothing_but_the_mark_in_the_inner_namespace() {
    let memory = anonymous();
    let prefixed = Prefixed::new(Arc::clone(&memory), "p");
    (0..2_500).for_each(|number| put(&prefixed, &Key::new(&number), "v"));
    assert_eq!(memory.stats().entries, Some(2_501));
    prefixed.clear().unwrap();
    assert_eq!(memory.stats().entries, Some(1));
}

#[test]
fn a_clear_wins_over_a_creation_of_a_key_that_has_no_entry() {
    let dir = tempfile::tempdir().unwrap();
    let file = || FileNamespace::open("shared", FileConfig::new(dir.path())).unwrap();
    let (here, elsewhere) = (Prefixed::new(file(), "p"), Prefixed::new(file(), "p"));
    let key = Key::new("never stored");
    let claim = claimed(&here, &key);
    elsewhere.clear().unwrap();
    let fulfilled = here.fulfil(&key, entry(&here, "old"), claim).unwrap();
    assert_eq!((fulfilled, text(&elsewhere, &key)), (Fulfilled::Superseded, None));
}

/// Where it matters most: the clear comes between the check and the store's own fulfilment.
#[test]
fn a_clear_during_the_fulfilment_leaves_nothing_to_read() {
    let hook = Arc::new(Hook::new(anonymous()));
    let prefixed = Prefixed::new(Arc::clone(&hook), "p");
    let key = Key::new("k");
    let claim = claimed(&prefixed, &key);
    let other = Prefixed::new(Arc::clone(hook.inner()), "p");
    hook.at(Point::BeforeFulfil, move || other.clear().unwrap());
    let _either = prefixed.fulfil(&key, entry(&prefixed, "old"), claim).unwrap();
    assert_eq!(text(&prefixed, &key), None);
    assert_eq!(prefixed.sweep().unwrap().leftovers, 1, "the old value is in the store");
    assert_eq!(prefixed.sweep().unwrap().leftovers, 0);
}

#[test]
fn who_waited_for_a_claim_through_a_clear_has_one_that_stands() {
    let dir = tempfile::tempdir().unwrap();
    let file = || FileNamespace::open("shared", FileConfig::new(dir.path())).unwrap();
    let hook = Arc::new(Hook::new(file()));
    let (here, elsewhere) = (Prefixed::new(Arc::clone(&hook), "p"), Prefixed::new(file(), "p"));
    let key = Key::new("k");
    hook.at(Point::BeforeClaim, move || elsewhere.clear().unwrap());
    let claim = claimed(&here, &key);
    let fulfilled = here.fulfil(&key, entry(&here, "new"), claim).unwrap();
    assert_eq!((fulfilled, text(&here, &key).as_deref()), (Fulfilled::Stored, Some("new")));
}

#[test]
fn nothing_from_before_comes_back_when_the_mark_is_lost() {
    let memory = anonymous();
    let prefixed = Prefixed::new(Arc::clone(&memory), "p");
    let key = Key::new("k");
    put(&prefixed, &key, "old");
    let claim = claimed(&prefixed, &Key::new("other"));
    assert!(memory.remove(&Key::new(&("p",))).unwrap(), "the mark");
    assert_eq!(text(&prefixed, &key), None);
    let fulfilled = prefixed.fulfil(&Key::new("other"), entry(&prefixed, "old"), claim).unwrap();
    assert_eq!(fulfilled, Fulfilled::Superseded);
    put(&prefixed, &Key::new("new"), "new");
    assert_eq!((text(&prefixed, &key), listed(&prefixed)), (None, vec![Key::new("new")]));
    assert_eq!(prefixed.sweep().unwrap().leftovers, 1);
}

#[test]
fn a_mark_that_is_none_is_replaced() {
    let memory = anonymous();
    put(&*memory, &Key::new(&("p",)), "not eight bytes");
    let prefixed = Prefixed::new(memory, "p");
    put(&prefixed, &Key::new("k"), "v");
    assert_eq!(text(&prefixed, &Key::new("k")).as_deref(), Some("v"));
}

#[test]
fn a_listing_goes_on_over_pages_without_a_wanted_key() {
    let prefixed = Prefixed::new(anonymous(), "p");
    (0..200).for_each(|number| put(&prefixed, &Key::new(&("no", number)), "v"));
    put(&prefixed, &Key::new("yes"), "v");
    let scan = beaker_namespace::Scan::new().prefix(&Key::new("y")).limit(1);
    let page = prefixed.scan(&scan).unwrap();
    assert_eq!(page.entries.iter().map(|l| l.key.clone()).collect::<Vec<_>>(), [Key::new("yes")]);
}

#[test]
fn reading_an_empty_prefix_writes_nothing() {
    let memory = anonymous();
    let (prefixed, key) = (Prefixed::new(Arc::clone(&memory), "p"), Key::new("k"));
    assert_eq!(text(&prefixed, &key), None);
    prefixed.read_with(&key, &mut |_| panic!("there is nothing")).unwrap();
    assert!(!prefixed.remove(&key).unwrap());
    assert!(matches!(prefixed.inspect(&key).unwrap(), Inspection::Absent));
    assert_eq!(listed(&prefixed), []);
    assert_eq!(prefixed.remove_tag("t").unwrap(), 0);
    assert_eq!((memory.stats().entries, prefixed.stats().misses), (Some(0), 2));
}

#[test]
fn the_tags_of_a_prefix_are_its_own() {
    let memory = anonymous();
    let tagged = |namespace: &dyn Namespace| {
        let entry = entry(namespace, "v").tags(vec!["t".into()]).etag(Some("e".into()));
        namespace.set(&Key::new("k"), entry).unwrap();
    };
    let names = ["1:a", "a", "a1:", "11:a"];
    let all = names.map(|name| Prefixed::new(Arc::clone(&memory), name));
    all.iter().for_each(|prefixed| tagged(prefixed));
    tagged(&*memory);
    assert_eq!(all[1].remove_tag("t").unwrap(), 1);
    assert_eq!(
        all.each_ref().map(|p| text(p, &Key::new("k")).is_some()),
        [true, false, true, true]
    );
    assert!(text(&*memory, &Key::new("k")).is_some());
    all[0]
        .read_with(&Key::new("k"), &mut |entry| {
            assert_eq!((entry.tag_list(), entry.entity_tag()), (&["t".into()][..], Some("e")));
            true
        })
        .unwrap();
    assert_eq!(memory.remove_tag("t").unwrap(), 1, "only the one without a prefix");
}

#[test]
fn a_claim_of_another_prefix_is_refused() {
    let memory = anonymous();
    let (one, other) =
        (Prefixed::new(Arc::clone(&memory), "one"), Prefixed::new(Arc::clone(&memory), "other"));
    let key = Key::new("k");
    for claim in [claimed(&other, &key), claimed(&*memory, &key)] {
        let error = one.fulfil(&key, entry(&one, "v"), claim).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
    }
    assert_eq!(text(&one, &key), None);
}

#[test]
fn identities_differ_where_the_data_do() {
    let file_in = |dir: &std::path::Path, name: &str| {
        FileNamespace::open(name, FileConfig::new(dir)).unwrap()
    };
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let id = |dir: &tempfile::TempDir, name: &str, prefix: &str| {
        Prefixed::new(file_in(dir.path(), name), prefix).id().clone()
    };
    let base = id(&one, "n", "p");
    assert_eq!(base, id(&one, "n", "p"));
    assert_eq!(base.name(), "p");
    for different in [id(&other, "n", "p"), id(&one, "m", "p"), id(&one, "n", "q")] {
        assert_ne!(base, different);
    }
    assert_ne!(&base, file_in(one.path(), "p").id());
}

#[test]
fn a_fault_in_the_midst_of_a_clear_never_brings_an_entry_back() {
    for fault in [Fault::Fail(ErrorKind::Full), Fault::Tear(ErrorKind::Unavailable)] {
        let mut operations = 0;
        loop {
            let memory = anonymous();
            put(&Prefixed::new(Arc::clone(&memory), "p"), &Key::new("k"), "old");
            let store = Arc::new(FaultStore::new(Arc::clone(&memory)));
            store.arm(operations + 1, fault);
            let cleared = Prefixed::new(Arc::clone(&store), "p").clear();
            assert_eq!(cleared.is_err(), store.injected() == 1);
            let after = Prefixed::new(memory, "p");
            if cleared.is_ok() {
                assert_eq!(text(&after, &Key::new("k")), None);
                break;
            }
            after.clear().unwrap();
            assert_eq!(text(&after, &Key::new("k")), None);
            after.sweep().unwrap();
            assert_eq!(after.inner().stats().entries, Some(1), "the mark and nothing else");
            operations += 1;
        }
        assert_eq!(operations, 4, "read the mark, set it, list, remove");
    }
}

#[test]
fn the_claim_is_bounded_also_through_the_prefix() {
    let dir = tempfile::tempdir().unwrap();
    let file = || FileNamespace::open("shared", FileConfig::new(dir.path())).unwrap();
    let (here, elsewhere) = (Prefixed::new(file(), "p"), Prefixed::new(file(), "p"));
    let _held = claimed(&here, &Key::new("k"));
    let wait = Wait::AtMost(Duration::from_millis(20));
    assert!(elsewhere.claim(&Key::new("k"), wait).unwrap().is_none());
}
