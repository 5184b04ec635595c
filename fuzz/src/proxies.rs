//! Proxies that change values: what is stored is read back or refused, whoever wrote it.

use arbitrary::{Arbitrary, Unstructured};
use beaker_backends::proxy::{Compressed, Encrypted, KeyRing};
use beaker_namespace::{Entry, Key, MemoryConfig, MemoryNamespace, Namespace, Payload, Timestamp};

/// A case; see [`run`].
#[derive(Debug, Arbitrary)]
struct Case<'a> {
    encrypted: bool,
    /// Flips this byte of what is stored, by these bits.
    flip: Option<(u16, u8)>,
    bytes: &'a [u8],
}

/// Stores the input through a proxy and reads it back, damaged or not; then takes the input for what
/// somebody stored below the proxy.
pub fn run(data: &[u8]) {
    let Ok(case) = Case::arbitrary_take_rest(Unstructured::new(data)) else { return };
    let Ok(memory) = MemoryNamespace::anonymous(MemoryConfig::new()) else { return };
    if case.encrypted {
        let keys = KeyRing::new(1, &[7; 32]).expect("32 bytes are a key");
        check(&Encrypted::new(memory.clone(), keys), &memory, &case);
    } else {
        check(&Compressed::new(memory.clone()).min_bytes(16).max_bytes(1 << 20), &memory, &case);
    }
}

fn check(proxy: &dyn Namespace, memory: &MemoryNamespace, case: &Case<'_>) {
    let key = Key::new("key");
    let entry = |bytes: &[u8]| Entry::new(Payload::raw(bytes.to_vec()), Timestamp::default());
    proxy.set(&key, entry(case.bytes)).expect("a short value is stored");
    let stored = value(memory, &key).expect("it is stored");
    let mut changed = stored.clone();
    if let Some((at, bits)) = case.flip
        && let Some(byte) = changed.get_mut(usize::from(at))
    {
        *byte ^= bits;
    }
    let whole = changed == stored;
    put(memory, &key, &changed);
    let found = value(proxy, &key);
    if whole {
        assert_eq!(found.as_deref(), Some(case.bytes), "what was stored comes back");
    } else if case.encrypted {
        assert_eq!(found, None, "a changed value is none");
    }
    put(memory, &key, case.bytes);
    if case.encrypted {
        assert_eq!(value(proxy, &key), None, "what nobody encrypted is no value");
    } else if let Some(found) = value(proxy, &key) {
        assert!(found.len() <= 1 << 20, "it is within the limit");
    }
}

/// Writes below a proxy, as somebody might, with the times that are there.
fn put(memory: &MemoryNamespace, key: &Key, bytes: &[u8]) {
    let there = memory.get(key).expect("memory reads").expect("it is there");
    memory.set(key, there.with_payload(Payload::raw(bytes.to_vec()))).expect("memory stores");
}

fn value(namespace: &dyn Namespace, key: &Key) -> Option<Vec<u8>> {
    match namespace.get(key).expect("damage is no error")?.into_payload() {
        Payload::Bytes { bytes, .. } => Some(bytes.to_vec()),
        Payload::Object(_) => None,
    }
}
