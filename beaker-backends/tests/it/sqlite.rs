use beaker_backends::sqlite::{SqliteConfig, SqliteNamespace};
use beaker_namespace::testkit;

#[test]
fn the_sqlite_namespace_conforms() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let report = testkit::conformance("sqlite", |name, clock| {
        SqliteNamespace::open(name, SqliteConfig::new(&path).clock(clock))
    });
    print!("{report}");
}
