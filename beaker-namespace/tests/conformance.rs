//! Every store of this crate against the suite.

use beaker_namespace::testkit::AsyncStore;
use beaker_namespace::{
    Error, FileConfig, FileNamespace, MemoryConfig, MemoryNamespace, NullNamespace, testkit,
};

#[test]
fn the_memory_namespace_conforms() {
    let report = testkit::conformance("memory", |name, clock| {
        MemoryNamespace::open(name, MemoryConfig::new().clock(clock))
    });
    print!("{report}");
}

#[test]
fn the_file_namespace_conforms() {
    let dir = tempfile::tempdir().unwrap();
    let report = testkit::conformance("file", |name, clock| {
        FileNamespace::open(name, FileConfig::new(dir.path()).clock(clock))
    });
    print!("{report}");
}

#[test]
fn the_null_namespace_conforms() {
    let report =
        testkit::conformance("null", |name, clock| Ok(NullNamespace::with_clock(name, clock)));
    print!("{report}");
}

#[test]
fn an_asynchronous_face_over_memory_conforms() {
    let report = testkit::conformance_asynchronous("memory, asynchronous", |name, clock| {
        let config = MemoryConfig::new().group("asynchronous").clock(clock);
        refusing(MemoryNamespace::open(name, config))
    });
    print!("{report}");
}

#[test]
fn an_asynchronous_face_over_files_conforms() {
    let dir = tempfile::tempdir().unwrap();
    let report = testkit::conformance_asynchronous("file, asynchronous", |name, clock| {
        refusing(FileNamespace::open(name, FileConfig::new(dir.path()).clock(clock)))
    });
    print!("{report}");
}

/// A store that can be called by its asynchronous face only.
fn refusing<N>(opened: Result<N, Error>) -> Result<AsyncStore<N>, Error> {
    let store = AsyncStore::new(opened?);
    store.refuse_blocking();
    Ok(store)
}
