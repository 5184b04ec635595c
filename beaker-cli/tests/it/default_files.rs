//! The store of who names none, in a build without `sqlite`: files.

use std::os::unix::fs::PermissionsExt;

use crate::support::{Bench, text};

#[test]
fn without_sqlite_the_default_store_is_files_that_only_the_user_may_read() {
    let bench = Bench::new();
    let ok = |args: &[&str]| {
        let mut command = bench.beaker(args);
        command.env_remove("BEAKER_URL").env("XDG_CACHE_HOME", bench.path("cache"));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{args:?}: {output:?}");
        text(output.stdout)
    };
    ok(&["set", "key", "value"]);
    assert_eq!(ok(&["get", "key"]), "value");
    let script = "echo >> count; echo result";
    for _ in 0..2 {
        assert_eq!(ok(&["run", "--", "sh", "-c", script]), "result\n");
    }
    assert_eq!(bench.count(), 1, "the second was replayed");
    let store = bench.path("cache/beaker");
    assert_eq!(store.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    let namespaces: Vec<_> = std::fs::read_dir(store).unwrap().flatten().collect();
    assert!(namespaces.len() >= 2, "{namespaces:?}");
    assert!(namespaces.iter().all(|namespace| namespace.path().join("entries").is_dir()));
}
