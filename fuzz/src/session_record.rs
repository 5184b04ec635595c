//! Stored sessions: any bytes are one or are damaged, and what is read is written and reads back.

use std::sync::Arc;

use beaker_backends::proxy::Compressed;
use beaker_namespace::{
    Entry, Key, ManualClock, MemoryConfig, MemoryNamespace, Namespace, Payload, Timestamp,
};
use beaker_session::{
    Created, ErrorKind, Loaded, NamespaceStore, RecordKey, SessionId, SessionStore, Stored,
};

use crate::allocations::allocated_by;

/// Before every end that a record can have.
const BEFORE_ALL: Timestamp = Timestamp::from_micros(i64::MIN);

/// Loads the input as what a store holds, stores what was found, and loads that.
pub fn run(data: &[u8]) {
    let clock = Arc::new(ManualClock::new(BEFORE_ALL));
    let Ok(memory) = MemoryNamespace::anonymous(MemoryConfig::new().clock(clock)) else { return };
    // A proxy keeps no objects, so that records are bytes.
    let bytes = Arc::new(Compressed::new(memory).max_bytes(64 << 20));
    let store = NamespaceStore::new(Arc::clone(&bytes) as _).expect("memory keeps sessions");
    let [first, second] = [[1; 16], [2; 16]];
    let entry = Entry::new(Payload::raw(data.to_vec()), BEFORE_ALL);
    bytes.set(&Key::new(&first[..]), entry).expect("a short value is stored");
    let (found, allocated) = allocated_by(|| load(&store, &key(first)));
    // A value of JSON takes about two bytes of text, and some hundred in memory.
    let most = (64 << 10) + 256 * data.len();
    assert!(allocated <= most, "{allocated} bytes for a record of {}", data.len());
    let Some(found) = found else { return };
    let created = store.create(&key(second), &found.record).expect("what is read is written");
    assert!(matches!(created, Created::Created(_)));
    let again = load(&store, &key(second)).expect("what was stored is there");
    assert_eq!(again.record, found.record);
}

fn key(bytes: [u8; 16]) -> RecordKey {
    SessionId::from_bytes(bytes).plain()
}

/// The session under `key`. Of bytes the only error is that they are damaged.
fn load(store: &NamespaceStore, key: &RecordKey) -> Option<Stored> {
    match store.load(key) {
        Ok(Loaded::Present(stored)) => Some(stored),
        Ok(Loaded::Absent | Loaded::Renewed) => None,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
            None
        }
    }
}
