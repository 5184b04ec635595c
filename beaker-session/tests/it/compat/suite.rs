//! The suite of session stores, over Beaker's.
//
// It asks for hashed keys, and Beaker has none: a part of each hash is taken for the id.

use std::sync::Arc;

use beaker_namespace::base64::{URL_SAFE, b64decode};
use beaker_namespace::{Latency, Timestamp};
use beaker_session::compat::{BeakerStore, Encryption, FileSessions, PayloadCodec, TextStore};
use beaker_session::{
    Created, Deleted, Error, Loaded, Record, RecordKey, Renamed, Renaming, SessionId, SessionStore,
    Touched, Updated, Version, testkit,
};

#[derive(Debug)]
struct Plain(BeakerStore);

fn plain(key: &RecordKey) -> RecordKey {
    let hash = b64decode(key.to_text().expect("a hash"), &URL_SAFE).expect("base64");
    SessionId::from_bytes(hash[..16].try_into().expect("16 bytes")).plain()
}

impl SessionStore for Plain {
    fn latency(&self) -> Latency {
        self.0.latency()
    }

    fn create(&self, key: &RecordKey, record: &Arc<Record>) -> Result<Created, Error> {
        self.0.create(&plain(key), record)
    }

    fn load(&self, key: &RecordKey) -> Result<Loaded, Error> {
        self.0.load(&plain(key))
    }

    fn update(
        &self,
        key: &RecordKey,
        expected: Version,
        record: &Arc<Record>,
    ) -> Result<Updated, Error> {
        self.0.update(&plain(key), expected, record)
    }

    fn touch(&self, key: &RecordKey, accessed: Timestamp) -> Result<Touched, Error> {
        self.0.touch(&plain(key), accessed)
    }

    fn delete(&self, key: &RecordKey) -> Result<Deleted, Error> {
        self.0.delete(&plain(key))
    }

    fn rename(&self, renaming: &Renaming<'_>) -> Result<Renamed, Error> {
        let (from, to) = (&plain(renaming.from), &plain(renaming.to));
        let &Renaming { expected, record, grace, .. } = renaming;
        self.0.rename(&Renaming { from, expected, to, record, grace })
    }
}

/// Runs the suite over sessions in `texts`.
pub(super) fn conformance(name: &str, texts: impl TextStore + Clone, codec: &PayloadCodec) {
    testkit::conformance(name, |clock| {
        Ok(Plain(BeakerStore::new(texts.clone(), codec.clone()).clock(clock)))
    });
}

#[test]
fn the_store_of_beakers_files_keeps_sessions_as_every_store_must() {
    let encryption = Encryption::new("encrypt", "validate").unwrap();
    for codec in [PayloadCodec::new(), PayloadCodec::new().encryption(encryption)] {
        let dir = tempfile::tempdir().unwrap();
        conformance("Beaker's files", FileSessions::new(dir.path()), &codec);
    }
}
