//! Every namespace that can keep sessions keeps them as the contract says.

use std::sync::Arc;

use beaker_namespace::{
    Clock, FileConfig, FileNamespace, MemoryConfig, MemoryNamespace, Namespace, NullNamespace,
    Stores,
};
use beaker_session::{ErrorKind, NamespaceStore, testkit};

fn opened(url: &str, clock: Arc<dyn Clock>) -> Arc<dyn Namespace> {
    beaker_backends::install();
    let stores = Stores::new().with_clock(clock);
    stores.open(&url.parse().unwrap(), "sessions").unwrap()
}

fn keeps_sessions(store: &str, url: &str) {
    testkit::conformance(store, |clock| NamespaceStore::new(opened(url, clock)));
}

#[test]
fn memory_keeps_sessions() {
    testkit::conformance("memory", |clock| {
        NamespaceStore::new(MemoryNamespace::anonymous(MemoryConfig::new().clock(clock)).unwrap())
    });
}

#[test]
fn files_keep_sessions() {
    let dir = tempfile::tempdir().unwrap();
    testkit::conformance("file", |clock| {
        let files = FileNamespace::open("sessions", FileConfig::new(dir.path()).clock(clock));
        NamespaceStore::new(Arc::new(files.unwrap()))
    });
}

#[test]
fn sqlite_keeps_sessions() {
    let dir = tempfile::tempdir().unwrap();
    keeps_sessions("sqlite", &format!("sqlite://{}/s.db", dir.path().display()));
}

#[test]
fn redb_keeps_sessions() {
    let dir = tempfile::tempdir().unwrap();
    keeps_sessions("redb", &format!("redb://{}/s.redb?durable=false", dir.path().display()));
}

#[test]
fn dbm_keeps_sessions() {
    let dir = tempfile::tempdir().unwrap();
    keeps_sessions("dbm", &format!("dbm://{}/s.dbm", dir.path().display()));
}

#[test]
fn a_proxy_keeps_sessions() {
    use beaker_backends::proxy::{Encrypted, KeyRing, Prefixed};
    testkit::conformance("encrypted and prefixed memory", |clock| {
        let memory = MemoryNamespace::anonymous(MemoryConfig::new().clock(clock)).unwrap();
        let encrypted = Encrypted::new(memory, KeyRing::new(1, &[7; 32]).unwrap());
        NamespaceStore::new(Arc::new(Prefixed::new(encrypted, "web")))
    });
}

#[test]
fn a_store_that_keeps_nothing_is_refused_and_says_why() {
    let null = Arc::new(NullNamespace::new("sessions"));
    let error = NamespaceStore::new(null).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("`Retains`"), "{error}");
}
