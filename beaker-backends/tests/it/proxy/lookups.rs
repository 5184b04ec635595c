//! What proxies make of an entry that is damaged below them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use beaker_backends::proxy::{Compressed, Encrypted, KeyRing, Metered, Prefixed, Tiered};
use beaker_namespace::testkit::{AsyncStore, BlockOn, FaultStore, conformance_on_damage};
use beaker_namespace::{
    FileConfig, FileNamespace, Key, Lookup, MemoryConfig, MemoryNamespace, Namespace, Payload,
    Scan, forward_namespace,
};

use super::entry;

type Any = Arc<dyn Namespace>;
type Wrap = fn(Any) -> Any;

/// A proxy of somebody else, who names the methods that he hands on.
#[derive(Debug)]
struct Forwarding(Any);

impl Namespace for Forwarding {
    forward_namespace!(self => *self.0; ..);
}

/// Each proxy, by the face of the namespace inside that is called then.
fn wrappers() -> Vec<(&'static str, Wrap)> {
    vec![
        ("prefixed", |inner| Arc::new(Prefixed::new(inner, "users"))),
        ("compressed", |inner| Arc::new(Compressed::new(inner))),
        ("metered", |inner| Arc::new(Metered::new(inner))),
        ("tiered", |inner| Arc::new(Tiered::open(inner, MemoryConfig::new()).unwrap())),
        ("two boxes", |inner| Arc::new(Box::new(inner))),
        ("forwarding", |inner| Arc::new(Forwarding(inner))),
        ("one that can fail", |inner| Arc::new(FaultStore::new(inner))),
        ("for tasks", |inner| Arc::new(BlockOn::new(AsyncStore::new(inner)))),
        ("prefixed in a task", |inner| {
            Arc::new(BlockOn::new(Prefixed::new(AsyncStore::new(inner), "users")))
        }),
        ("compressed in a task", |inner| {
            Arc::new(BlockOn::new(Compressed::new(AsyncStore::new(inner))))
        }),
        ("metered in a task", |inner| Arc::new(BlockOn::new(Metered::new(AsyncStore::new(inner))))),
        ("tiered in a task", |inner| {
            let tiered = Tiered::open(AsyncStore::new(inner), MemoryConfig::new()).unwrap();
            Arc::new(BlockOn::new(tiered.max_age(std::time::Duration::ZERO)))
        }),
    ]
}

#[test]
fn a_damaged_entry_is_told_from_none_through_every_proxy() {
    for (name, wrap) in wrappers() {
        let memory = MemoryNamespace::open(name, MemoryConfig::new().group("look-ups")).unwrap();
        let keys = KeyRing::new(1, &[7; 32]).unwrap();
        let proxy = wrap(Arc::new(Encrypted::new(Arc::clone(&memory), keys)));
        let key = Key::new("k");
        assert!(matches!(proxy.look_up(&key).unwrap(), Lookup::Absent), "{name}");
        proxy.set(&key, entry(&*proxy, "value")).unwrap();
        let Lookup::Found(found) = proxy.look_up(&key).unwrap() else { panic!("{name}") };
        assert_eq!(found.payload().len_bytes(), Some(5), "{name}");

        proxy.set(&key, entry(&*proxy, "value")).unwrap(); // What a tier holds of it is gone.
        damage_longest(&memory, 1);
        for _ in 0..2 {
            let found = proxy.look_up(&key).unwrap();
            let why = "its seal is wrong";
            assert!(
                matches!(&found, Lookup::Corrupt(is) if is.reason().starts_with(why)),
                "{name}: {found:?}"
            );
        }
        assert!(proxy.get(&key).unwrap().is_none(), "{name}");
        assert_eq!(proxy.stats().corrupt, 3, "{name}");
    }
}

#[test]
fn only_the_damage_that_was_seen_is_replaced_through_every_proxy() {
    for (name, wrap) in wrappers() {
        let memory = MemoryNamespace::open(name, MemoryConfig::new().group("damage")).unwrap();
        let keys = KeyRing::new(1, &[7; 32]).unwrap();
        let proxy = wrap(Arc::new(Encrypted::new(Arc::clone(&memory), keys)));
        conformance_on_damage(name, proxy, |_key, how| damage_longest(&memory, how + 1));
    }
}

/// Changes the last byte of the entry with the longest key: that of a prefix itself is shorter.
fn damage_longest(memory: &MemoryNamespace, by: u8) {
    let listed = memory.scan(&Scan::new()).unwrap().entries;
    let longest =
        listed.into_iter().map(|listed| listed.key).max_by_key(|key| key.as_bytes().len());
    let key = longest.unwrap();
    let entry = memory.get(&key).unwrap().unwrap();
    let Payload::Bytes { codec, bytes } = entry.payload().clone() else { panic!("no bytes") };
    let mut bytes = bytes.to_vec();
    *bytes.last_mut().unwrap() ^= by;
    let payload = Payload::Bytes { codec, bytes: bytes.into() };
    memory.set(&key, entry.with_payload(payload)).unwrap();
}

#[test]
fn a_look_up_leaves_what_is_damaged_and_a_get_drops_it_through_every_proxy() {
    for (name, wrap) in wrappers() {
        let dir = tempfile::tempdir().unwrap();
        let files = FileNamespace::open(name, FileConfig::new(dir.path())).unwrap();
        let proxy = wrap(Arc::new(files));
        let key = Key::new("k");
        for _ in 0..2 {
            // The second time, what a tier holds of it is gone.
            proxy.set(&key, entry(&*proxy, "value".repeat(100))).unwrap();
        }
        let longest = longest_file(dir.path());
        let mut bytes = fs::read(&longest).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&longest, bytes).unwrap();
        for _ in 0..2 {
            assert!(matches!(proxy.look_up(&key).unwrap(), Lookup::Corrupt(_)), "{name}");
        }
        assert!(longest.exists(), "{name}");
        assert!(proxy.get(&key).unwrap().is_none(), "{name}");
        assert!(!longest.exists(), "{name}");
        assert!(matches!(proxy.look_up(&key).unwrap(), Lookup::Absent), "{name}");
    }
}

fn longest_file(dir: &Path) -> PathBuf {
    let (mut dirs, mut files) = (vec![dir.to_owned()], Vec::new());
    while let Some(dir) = dirs.pop() {
        for found in fs::read_dir(dir).unwrap() {
            let found = found.unwrap();
            let length = found.metadata().unwrap().len();
            if found.file_type().unwrap().is_dir() {
                dirs.push(found.path());
            } else {
                files.push((length, found.path()));
            }
        }
    }
    files.into_iter().max().unwrap().1
}
