use beaker_backends::sled::{SledConfig, SledNamespace};
use beaker_namespace::{
    Entry, ErrorKind, FileConfig, FileNamespace, Key, Namespace, Payload, testkit,
};

fn entry(namespace: &SledNamespace, value: &str) -> Entry {
    Entry::new(Payload::raw(value.to_owned()), namespace.clock().now())
}

#[test]
fn sled_is_a_store() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    testkit::conformance("sled", |name, clock| {
        SledNamespace::open(name, SledConfig::new(&path).clock(clock))
    });
}

#[test]
fn what_was_written_is_there_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    for value in ["first", "second"] {
        let namespace = SledNamespace::open("n", SledConfig::new(&path)).unwrap();
        namespace.set(&Key::new(value), entry(&namespace, value)).unwrap();
    }
    let namespace = SledNamespace::open("n", SledConfig::new(&path)).unwrap();
    assert!(namespace.get(&Key::new("first")).unwrap().is_some());
    assert!(namespace.get(&Key::new("second")).unwrap().is_some());
}

#[test]
fn a_directory_that_somebody_has_names_the_process_and_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    // sled locks the open file, not the process: another opener in this process will do.
    let _other = sled::open(&path).unwrap();
    std::fs::create_dir(dir.path().join("store.locks")).unwrap();
    std::fs::write(dir.path().join("store.locks/owner"), "4711").unwrap();
    let error = SledNamespace::open("n", SledConfig::new(&path)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let text = error.to_string();
    assert!(text.contains("is open in process 4711") && text.contains("sqlite:"), "{text}");
}

/// The directory may be there already, and others may enter it.
#[test]
fn nobody_else_reads_what_is_kept_in_a_directory_that_was_there() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    std::fs::create_dir(&path).unwrap();
    let namespace = SledNamespace::open("n", SledConfig::new(&path)).unwrap();
    namespace.set(&Key::new("k"), entry(&namespace, "v")).unwrap();
    for (name, mode) in [("db", 0o600), ("blobs", 0o700)] {
        let found = std::fs::metadata(path.join(name)).unwrap().permissions().mode();
        assert_eq!(found & 0o777, mode, "{name}");
    }
}

/// All that is below `dir`, in order.
fn listed(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            paths.extend(listed(&path));
        }
        paths.push(path);
    }
    paths.sort();
    paths
}

#[test]
fn a_directory_of_another_kind_of_store_is_refused_before_anything_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    drop(FileNamespace::open("n", FileConfig::new(&path)).unwrap());
    let before = listed(dir.path());
    let error = SledNamespace::open("n", SledConfig::new(&path)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let text = error.to_string();
    assert!(text.contains("store has something else than a sled store in it"), "{text}");
    assert!(text.ends_with("name another directory"), "{text}");
    assert_eq!(listed(dir.path()), before);
}

#[test]
fn a_directory_that_sled_was_killed_over_or_that_is_the_root_of_a_disk_is_gone_on_with() {
    for made in [&[][..], &["blobs"], &["blobs", "db"], &["lost+found", ".Trash-0"]] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        std::fs::create_dir(&path).unwrap();
        for name in made {
            match *name {
                "db" => std::fs::write(path.join("db"), "").unwrap(),
                name => std::fs::create_dir(path.join(name)).unwrap(),
            }
        }
        let namespace = SledNamespace::open("n", SledConfig::new(&path)).unwrap();
        namespace.set(&Key::new("k"), entry(&namespace, "v")).unwrap();
        assert!(namespace.get(&Key::new("k")).unwrap().is_some(), "{made:?}");
    }
}
