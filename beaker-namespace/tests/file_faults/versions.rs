//! F39, F41: directories that another version wrote.

use std::fs;
use std::path::{Path, PathBuf};

use beaker_namespace::{
    Condition, Entry, Error, ErrorKind, FileConfig, FileNamespace, Key, Mark, Namespace, Payload,
    Scan, Timestamp, Wait,
};

use crate::files::{all_dirs, all_files, bytes, entry, only_entry_file, open, value};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/file-1")
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// What the golden store of version 1 holds.
fn golden_entries() -> [(Key, Entry); 3] {
    let at = Timestamp::from_micros;
    [
        (
            Key::new("text"),
            Entry::new(Payload::raw("value"), at(1)).times(at(i64::MAX - 1), at(i64::MAX - 1)),
        ),
        (
            Key::new(&("tuple", 42)),
            Entry::new(Payload::raw(vec![0, 255]), at(-5))
                .cost(7)
                .tags(vec!["red".into(), "grün".into()])
                .etag(Some("W/\"1\"".into())),
        ),
        (Key::new(""), Entry::new(Payload::raw(""), at(0))),
    ]
}

#[test]
#[ignore = "writes the golden store; run it once for each version of the format"]
fn write_the_golden_store() {
    let store = FileNamespace::open("golden ☕", FileConfig::new(golden())).unwrap();
    for (key, entry) in golden_entries() {
        store.set(&key, entry).unwrap();
    }
}

#[test]
fn f39_a_store_that_version_1_wrote_is_read() {
    let dir = tempfile::tempdir().unwrap();
    copy_tree(&golden(), dir.path());
    let store = FileNamespace::open("golden ☕", FileConfig::new(dir.path())).unwrap();
    for (key, expected) in golden_entries() {
        let found = store.get(&key).unwrap().expect("it is in the golden store");
        assert_eq!(bytes(&found), bytes(&expected), "{key}");
        assert_eq!(
            (found.began(), found.expires(), found.dies(), found.weight()),
            (expected.began(), expected.expires(), expected.dies(), expected.weight())
        );
        assert_eq!(found.tag_list(), expected.tag_list());
        assert_eq!(found.entity_tag(), expected.entity_tag());
    }
    assert_eq!(store.stats().corrupt, 0);
}

/// All files and directories below `dir` and what is in them, but locks and theirs.
fn content(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = all_files(dir);
    files.retain(|file| file.extension().is_none_or(|extension| extension != "lock"));
    let files = files.into_iter().map(|file| (file.clone(), fs::read(file).unwrap()));
    let is_of_locks = |dir: &PathBuf| dir.iter().any(|part| part == "claims" || part == "writers");
    let dirs = all_dirs(dir).into_iter().filter(|dir| !is_of_locks(dir));
    files.chain(dirs.map(|dir| (dir, Vec::new()))).collect()
}

#[test]
fn f39_a_directory_that_a_newer_version_takes_over_is_refused_and_left() {
    let dir = tempfile::tempdir().unwrap();
    let (store, key, other) = (open(dir.path()), Key::new("k"), Key::new("older"));
    store.set(&key, entry("v")).unwrap();
    let file = only_entry_file(dir.path());
    store.set(&other, entry("v").tags(vec!["red".into()])).unwrap();
    store.mark("name", Mark::hard(Timestamp::from_micros(7))).unwrap();
    let claim = store.claim(&key, Wait::Never).unwrap().unwrap();
    let root = file.ancestors().nth(3).unwrap();
    let mark = all_files(&root.join("marks")).pop().unwrap();
    for file in [&file, &mark] {
        let mut record = fs::read(file).unwrap();
        record[4] = 255; // The version.
        fs::write(file, &record).unwrap();
    }
    let format = root.join("format");
    let ours = fs::read_to_string(&format).unwrap();
    let raise = |text: &str| {
        fs::write(root.join("draft"), text).unwrap();
        fs::rename(root.join("draft"), &format).unwrap();
    };
    raise(&ours.replace("format 1", "format 2"));
    let before = content(dir.path());

    let entries = || vec![(other.clone(), entry("new"))];
    type Call<'a> = (&'static str, &'a dyn Fn() -> Result<(), Error>);
    let calls: &[Call<'_>] = &[
        ("get", &|| store.get(&key).map(drop)),
        ("look_up", &|| store.look_up(&key).map(drop)),
        ("inspect", &|| store.inspect(&key).map(drop)),
        ("scan", &|| store.scan(&Scan::new()).map(drop)),
        ("set", &|| store.set(&key, entry("new"))),
        ("set another", &|| store.set(&Key::new("new"), entry("new"))),
        ("set_many", &|| store.set_many(entries())),
        ("set_if", &|| store.set_if(&other, entry("new"), Condition::Absent).map(drop)),
        ("remove", &|| store.remove(&key).map(drop)),
        ("remove another", &|| store.remove(&other).map(drop)),
        ("remove_tag", &|| store.remove_tag("red").map(drop)),
        ("clear", &|| store.clear()),
        ("claim", &|| store.claim(&other, Wait::Never).map(drop)),
        ("mark", &|| store.mark("name", Mark::hard(Timestamp::from_micros(8))).map(drop)),
        ("marks", &|| store.marks(&mut ["name"].into_iter()).map(drop)),
        ("sweep", &|| store.sweep().map(drop)),
    ];
    for (name, call) in calls {
        let error = call().expect_err(name);
        assert_eq!(error.kind(), ErrorKind::Config, "{name}");
        assert!(error.to_string().contains("a newer version wrote it"), "{name}: {error}");
        assert!(content(dir.path()) == before, "{name} changed something");
    }
    let error = store.fulfil(&key, entry("old"), claim).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(content(dir.path()) == before);
    assert_eq!(store.stats().corrupt, 0);
    // What it can read it finds.
    assert_eq!(value(&store, &other), Some(b"v".to_vec()));
    assert_eq!(value(&store, &Key::new("absent")), None);

    // The control: in a directory of this version the same is damage, which heals.
    raise(&ours);
    assert_eq!(value(&store, &key), None);
    assert_eq!(store.stats().corrupt, 1);
    store.set(&key, entry("new")).unwrap();
    assert_eq!(value(&store, &key), Some(b"new".to_vec()));
}

#[test]
fn f35_a_flipped_version_is_damage_and_heals() {
    let dir = tempfile::tempdir().unwrap();
    let (store, key) = (open(dir.path()), Key::new("k"));
    for heal in [&|| value(&store, &key) as Option<Vec<u8>>, &|| {
        store.set(&key, entry("new")).unwrap();
        None
    }] as [&dyn Fn() -> Option<Vec<u8>>; 2]
    {
        store.set(&key, entry("v")).unwrap();
        let file = only_entry_file(dir.path());
        let mut record = fs::read(&file).unwrap();
        record[4] ^= 0x80; // The version.
        fs::write(&file, record).unwrap();
        assert_eq!(heal(), None);
        store.set(&key, entry("again")).unwrap();
        assert_eq!(value(&store, &key), Some(b"again".to_vec()));
    }
}

#[test]
fn f41_another_lock_protocol_or_program_is_refused_and_nothing_is_touched() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.set(&Key::new("k"), entry("v")).unwrap();
    drop(store);
    let file = only_entry_file(dir.path());
    let root = file.ancestors().nth(3).unwrap();
    let format = root.join("format");
    let ours = fs::read_to_string(&format).unwrap();
    // As another version may keep them elsewhere.
    fs::rename(root.join("entries"), root.join("elsewhere")).unwrap();
    for theirs in [ours.replace("locks 1", "locks 2"), "something else".to_owned()] {
        fs::write(&format, &theirs).unwrap();
        let before = content(dir.path());
        let error = FileNamespace::open("n", FileConfig::new(dir.path())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(content(dir.path()) == before, "something was made or changed");
    }
    fs::rename(root.join("elsewhere"), root.join("entries")).unwrap();
    fs::write(&format, ours).unwrap();
    assert_eq!(value(&open(dir.path()), &Key::new("k")), Some(b"v".to_vec()));
}
