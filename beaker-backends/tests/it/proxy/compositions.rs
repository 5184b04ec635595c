//! Proxies around proxies.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use beaker_backends::proxy::{Compressed, Encrypted, KeyRing, Metered, Prefixed, Tiered};
use beaker_namespace::testkit::{self, FaultStore};
use beaker_namespace::{
    Departure, Error, FileConfig, FileNamespace, Key, MemoryConfig, MemoryNamespace, Namespace,
    OnDeparture,
};

use super::{anonymous, conforms_in_files, memory_of, put, text, value};

const HOUR: Duration = Duration::from_secs(3_600);

fn ring() -> KeyRing {
    KeyRing::new(1, &[7; 32]).unwrap()
}

fn tiered<N: Namespace>(lower: N) -> Result<Tiered<N>, Error> {
    Ok(Tiered::open(lower, MemoryConfig::new())?.max_age(HOUR))
}

#[test]
fn metered_compressed_encrypted_files_conform() {
    let dir = tempfile::tempdir().unwrap();
    testkit::conformance("metered<compressed<encrypted<file>>>", |name, clock| {
        let file = FileNamespace::open(name, FileConfig::new(dir.path()).clock(clock))?;
        Ok(Metered::new(Compressed::new(Encrypted::new(file, ring())).min_bytes(16)))
    });
}

#[cfg(feature = "sqlite")]
#[test]
fn proxies_over_a_database_conform() {
    use beaker_backends::sqlite::{SqliteConfig, SqliteNamespace};
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let path = dir.path().join("cache.db");
    testkit::conformance("tiered<metered<compressed<encrypted<sqlite>>>>", |name, clock| {
        let store = SqliteNamespace::open(name, SqliteConfig::new(&path).clock(clock))?;
        let sealed = Encrypted::new(store, ring());
        tiered(Metered::new(Compressed::new(sealed).min_bytes(16)))
    });
    let places = super::Places::default();
    let wanted = |case: &str| case != "the_longest_key_works";
    let report = testkit::run_where("prefixed<sqlite>", wanted, |name, clock| {
        let config = SqliteConfig::new(places.of(&clock).join("cache.db")).clock(clock);
        Ok(Prefixed::new(SqliteNamespace::open("shared", config)?, name))
    });
    assert!(report.failed.is_empty() && report.passed.len() > 60, "{report}");
}

#[test]
fn all_five_over_one_namespace_conform() {
    testkit::conformance(
        "tiered<metered<compressed<encrypted<prefixed<memory>>>>>",
        |name, clock| {
            let memory = MemoryNamespace::open("shared", memory_of("all five", clock))?;
            let sealed = Encrypted::new(Prefixed::new(memory, name), ring());
            tiered(Metered::new(Compressed::new(sealed).min_bytes(16)))
        },
    );
    conforms_in_files("prefixed<tiered<encrypted<file>>>", |name, file| {
        let file: Arc<dyn Namespace> = Arc::new(file);
        Ok(Prefixed::new(tiered(Encrypted::new(file, ring()))?, name))
    });
}

#[test]
fn an_encrypted_value_cannot_be_moved_to_another_prefix() {
    let memory = anonymous();
    let of = |prefix: &str| Encrypted::new(Prefixed::new(Arc::clone(&memory), prefix), ring());
    let (one, other, key) = (of("one"), of("other"), Key::new("k"));
    put(&one, &key, "v");
    other.inner().set(&key, one.inner().get(&key).unwrap().unwrap()).unwrap();
    assert!(value(one.inner(), &key).is_some() && value(other.inner(), &key).is_some());
    assert_eq!((text(&one, &key).as_deref(), text(&other, &key)), (Some("v"), None));
}

#[test]
fn what_is_compressed_before_it_is_encrypted_is_short() {
    let (memory, key) = (anonymous(), Key::new("k"));
    let stored = |namespace: &dyn Namespace| {
        put(namespace, &key, "a".repeat(10_000));
        assert_eq!(value(namespace, &key).map(|value| value.len()), Some(10_000));
        value(&*memory, &key).unwrap().len()
    };
    let inner = || Arc::clone(&memory);
    assert!(stored(&Compressed::new(Encrypted::new(inner(), ring()))) < 200);
    assert!(stored(&Encrypted::new(Compressed::new(inner()), ring())) > 10_000, "the control");
}

/// Whether `proxy`, over a memory with room for one entry, tells of the one that is evicted.
fn tells<N: Namespace>(proxy: &N) -> bool {
    let told = Arc::new(Mutex::new(Vec::new()));
    let hears = Arc::clone(&told);
    let listener: Arc<OnDeparture> = Arc::new(move |key: &Key, why| {
        hears.lock().unwrap().push((key.clone(), why));
    });
    let tells = proxy.on_departure(&listener);
    for name in ["a", "b"] {
        put(proxy, &Key::new(name), "v");
    }
    let told = told.lock().unwrap();
    assert_eq!(*told, [(Key::new("a"), Departure::Evicted)][..usize::from(tells)]);
    tells
}

#[test]
fn proxies_that_leave_keys_as_they_are_tell_of_departures() {
    let memory = || MemoryNamespace::anonymous(MemoryConfig::new().max_entries(1)).unwrap();
    assert!(tells(&Metered::new(memory())));
    assert!(tells(&Compressed::new(memory())));
    assert!(tells(&Encrypted::new(memory(), ring())));
    assert!(tells(&tiered(memory()).unwrap()), "of what leaves below");
    assert!(tells(&FaultStore::new(Box::new(memory()))));
    assert!(!tells(&Prefixed::new(memory(), "prefix")), "it has other keys");
}
