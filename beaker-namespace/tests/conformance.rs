//! Every store of this crate against the suite.

use beaker_namespace::{
    FileConfig, FileNamespace, MemoryConfig, MemoryNamespace, NullNamespace, testkit,
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
