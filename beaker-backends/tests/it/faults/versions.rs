//! F39, F41: stores that another version wrote.

use std::path::{Path, PathBuf};

use beaker_namespace::{
    Entry, ErrorKind, Fulfilled, Key, Mark, Namespace, Payload, Scan, Timestamp, Wait,
};

use super::support::files::copy_tree;
use super::support::stores::{Store, named, on_every};
use super::support::values::bytes;

/// What a version of a store wrote. That of `file` is kept with beaker-namespace.
pub(super) fn golden(store: &Store, version: u32) -> PathBuf {
    let name = store.name.trim_end_matches("-shared").trim_end_matches("-kept");
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}-{version}"))
}

/// The same with a mark, and with a namespace that was cleared and not purged yet.
fn golden_marked(store: &Store) -> PathBuf {
    golden(store, *versions(store).end()).with_extension("marked")
}

/// The versions of a store that were written so far. dbm and sled say theirs since version 3.
fn versions(store: &Store) -> std::ops::RangeInclusive<u32> {
    match store.name {
        "dbm" => 1..=4,
        "sled" => 1..=3,
        name if name.starts_with("redb") || name.starts_with("sqlite") => 1..=2,
        name => panic!("how often was the format of {name} changed?"),
    }
}

fn has_golden(store: &Store) -> bool {
    store.name != "file"
}

pub(super) const NAME: &str = "golden ☕";

/// What was cleared, and was to be purged by later writes.
const CLEARED: &str = "cleared";
const CLEARED_VALUE: &str = "the value that was cleared";

const MARKED: &str = "grün";

fn golden_mark() -> Mark {
    Mark::hard(Timestamp::from_micros(-7)).merge(Mark::soft(Timestamp::from_micros(i64::MAX - 1)))
}

/// What each golden store holds.
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
#[ignore = "writes the golden stores that are missing; run it once for each version of a format"]
fn write_the_golden_stores() {
    on_every(has_golden, |store| {
        let write = |golden: &Path| {
            let open = store.open_name(golden, NAME).unwrap();
            golden_entries().into_iter().for_each(|(key, entry)| open.set(&key, entry).unwrap());
            open
        };
        let plain = golden(store, *versions(store).end());
        if !plain.exists() {
            drop(write(&plain));
        }
        let marked = golden_marked(store);
        if !marked.exists() {
            write(&marked).mark(MARKED, golden_mark()).unwrap();
            let cleared = store.open_name(&marked, CLEARED).unwrap();
            let entry = Entry::new(Payload::raw(CLEARED_VALUE), Timestamp::from_micros(1));
            cleared.set(&Key::new("gone"), entry).unwrap();
            cleared.clear().unwrap();
        }
    });
}

#[test]
fn f39_a_store_that_an_earlier_version_wrote_is_read() {
    on_every(has_golden, |store| {
        versions(store).for_each(|version| {
            let dir = tempfile::tempdir().unwrap();
            copy_tree(&golden(store, version), dir.path());
            check_golden(store, dir.path());
        });
    });
}

#[test]
fn f39_a_store_that_an_earlier_version_wrote_takes_every_change() {
    on_every(has_golden, |store| {
        versions(store).for_each(|version| {
            let dir = tempfile::tempdir().unwrap();
            copy_tree(&golden(store, version), dir.path());
            change_golden(store, dir.path());
        });
    });
}

fn change_golden(store: &Store, dir: &Path) {
    let open = store.open_name(dir, NAME).unwrap();
    let [text, tuple, empty] = golden_entries().map(|(key, _)| key);
    let new = |value: &'static str| Entry::new(Payload::raw(value), Timestamp::from_micros(2));
    let is = |open: &dyn Namespace, key: &Key, value: Option<&str>| {
        let found = open.get(key).unwrap().map(|found| bytes(&found).to_vec());
        assert_eq!(found.as_deref(), value.map(str::as_bytes), "{}: {key}", store.name);
    };
    open.set(&text, new("replaced")).unwrap();
    open.set(&Key::new("new"), new("new").tags(vec!["red".into()])).unwrap();
    open.set_many(vec![(Key::new("one"), new("1")), (empty.clone(), new("2"))]).unwrap();
    is(&*open, &text, Some("replaced"));
    // Its tag is found, and takes the new one with it.
    assert_eq!(open.remove_tag("red").unwrap(), 2, "{}", store.name);
    is(&*open, &tuple, None);
    is(&*open, &Key::new("new"), None);
    assert!(open.remove(&text).unwrap(), "{}", store.name);
    let claim = open.claim(&text, Wait::Never).unwrap().expect("nobody has it");
    assert_eq!(open.fulfil(&text, new("made"), claim).unwrap(), Fulfilled::Stored);
    drop(open);
    // Opened again, all of it is there.
    let open = store.open_name(dir, NAME).unwrap();
    for (key, value) in [(&text, "made"), (&Key::new("one"), "1"), (&empty, "2")] {
        is(&*open, key, Some(value));
    }
    open.clear().unwrap();
    assert!(open.scan(&Scan::new()).unwrap().entries.is_empty(), "{}", store.name);
    assert_eq!(open.sweep().unwrap().corrupt, 0, "{}", store.name);
}

#[test]
fn f39_marks_and_clearings_of_an_earlier_version_hold() {
    on_every(has_golden, |store| {
        let dir = tempfile::tempdir().unwrap();
        copy_tree(&golden_marked(store), dir.path());
        // The control: what was cleared is in the files.
        let is_there = |file: PathBuf| {
            let bytes = std::fs::read(file).unwrap();
            bytes.windows(CLEARED_VALUE.len()).any(|window| window == CLEARED_VALUE.as_bytes())
        };
        assert!(store.data_files(dir.path()).into_iter().any(is_there), "{}", store.name);
        let cleared = store.open_name(dir.path(), CLEARED).unwrap();
        assert!(cleared.get(&Key::new("gone")).unwrap().is_none(), "{}", store.name);
        assert!(cleared.scan(&Scan::new()).unwrap().entries.is_empty(), "{}", store.name);
        let open = store.open_name(dir.path(), NAME).unwrap();
        let marks = |open: &dyn Namespace, name| open.marks(&mut [name].into_iter()).unwrap();
        assert_eq!(marks(&*open, MARKED), golden_mark(), "{}", store.name);
        assert_eq!(marks(&*open, "red"), Mark::default(), "{}", store.name);
        assert_eq!(marks(&*cleared, MARKED), Mark::default(), "{}", store.name);
        drop((open, cleared));
        check_golden(store, dir.path());
    });
}

fn check_golden(store: &Store, dir: &Path) {
    let open = store.open_name(dir, NAME).unwrap();
    for (key, expected) in golden_entries() {
        let found = open.get(&key).unwrap().expect("it is in the golden store");
        assert_eq!(bytes(&found), bytes(&expected), "{}: {key}", store.name);
        assert_eq!(
            (found.began(), found.expires(), found.dies(), found.weight()),
            (expected.began(), expected.expires(), expected.dies(), expected.weight())
        );
        assert_eq!(found.tag_list(), expected.tag_list());
        assert_eq!(found.entity_tag(), expected.entity_tag());
    }
    // Listed, they are there too.
    let page = open.scan(&Scan::new()).unwrap();
    let listed: Vec<_> = page.entries.iter().map(|listed| listed.key.clone()).collect();
    let living = golden_entries().map(|(key, _)| key);
    assert_eq!(listed.len(), living.len(), "{}", store.name);
    assert!(living.iter().all(|key| listed.contains(key)), "{}: {listed:?}", store.name);
    assert_eq!(open.sweep().unwrap().corrupt, 0, "{}", store.name);
    assert_eq!(open.stats().corrupt, 0, "{}", store.name);
    // The control: what is read is what the golden store holds.
    assert!(open.get(&Key::new("absent")).unwrap().is_none());
}

/// A process of version 3 was killed when it had written the first of two buckets, and neither the directory
/// nor the header, of a batch of 120 entries.
#[cfg(feature = "dbm")]
#[test]
fn f39_what_an_earlier_version_of_dbm_was_killed_at_is_ended() {
    let store = named("dbm");
    let killed = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/dbm-3.killed");
    let dir = tempfile::tempdir().unwrap();
    copy_tree(&killed, dir.path());
    // The control: without the journal the file is broken.
    let opened = gdbm_native::OpenOptions::new().open(store.path(dir.path()));
    assert!(opened.is_err(), "half a write is in it");
    let open = store.open_name(dir.path(), NAME).unwrap();
    let key = |number: u32| Key::new(&("journalled", number));
    for number in 0..120 {
        let found = open.get(&key(number)).unwrap().expect("it was in the journal");
        assert_eq!(bytes(&found), number.to_string().as_bytes());
    }
    assert_eq!(open.marks(&mut [MARKED].into_iter()).unwrap(), golden_mark());
    let journalled: Vec<_> = (0..120).map(key).collect();
    assert_eq!(open.remove_many(&journalled).unwrap(), 120);
    check_golden(store, dir.path());
    let mut left: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["cache.dbm", "cache.dbm.locks"], "no journal, and nothing is set aside");
}

/// What makes a closed store one of a version to come, and what must then stay as it is.
type Newer = (&'static str, fn(&Path), fn(&Path) -> Vec<u8>);

/// The rows of `file` are with beaker-namespace.
const NEWER: &[Newer] = &[
    #[cfg(feature = "sqlite")]
    ("sqlite", sqlite::make_newer, |file| std::fs::read(file).unwrap()),
    #[cfg(feature = "redb")]
    ("redb", redb::make_newer, redb::content),
    #[cfg(feature = "dbm")]
    ("dbm", dbm::make_newer, |file| std::fs::read(file).unwrap()),
    #[cfg(feature = "sled")]
    ("sled", sled::make_newer, sled::content),
];

/// The row of version 255, as dbm and sled have it.
#[cfg(any(feature = "dbm", feature = "sled"))]
fn newer_row() -> Vec<u8> {
    let row = [255_u32.to_le_bytes(), (!255_u32).to_le_bytes()].concat();
    assert_eq!(row.len(), 8);
    row
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use std::fs;
    use std::path::Path;

    /// Raises `user_version` in the header: four bytes, the first one the highest.
    pub(super) fn make_newer(file: &Path) {
        let mut bytes = fs::read(file).unwrap();
        assert_eq!(bytes[60..64], 2_u32.to_be_bytes());
        bytes[63] = 255;
        fs::write(file, bytes).unwrap();
    }
}

#[cfg(feature = "redb")]
mod redb {
    use std::path::Path;

    use redb::{Database, ReadableDatabase, TableDefinition};

    const ROWS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("beaker-255");

    pub(super) fn make_newer(file: &Path) {
        std::fs::remove_file(file).unwrap();
        let database = Database::create(file).unwrap();
        let write = database.begin_write().unwrap();
        write.open_table(ROWS).unwrap().insert(&b"k"[..], &b"v"[..]).unwrap();
        write.commit().unwrap();
    }

    /// Its header changes whenever it is opened.
    pub(super) fn content(file: &Path) -> Vec<u8> {
        let database = Database::open(file).unwrap();
        let read = database.begin_read().unwrap();
        assert_eq!(read.list_tables().unwrap().count(), 1);
        let value = read.open_table(ROWS).unwrap().get(&b"k"[..]).unwrap().unwrap();
        value.value().to_vec()
    }
}

#[cfg(feature = "dbm")]
mod dbm {
    use std::path::Path;

    pub(super) fn make_newer(file: &Path) {
        let mut file = gdbm_native::OpenOptions::new().write(true).open(file).unwrap();
        let row: Option<Vec<u8>> = file.get(b"beaker:V").unwrap();
        assert_eq!(row.unwrap()[..4], 4_u32.to_le_bytes());
        file.insert(b"beaker:V", &super::newer_row()[..]).unwrap();
        file.close().unwrap();
    }
}

#[cfg(feature = "sled")]
mod sled {
    use std::path::Path;
    use std::thread;
    use std::time::{Duration, Instant};

    const PATIENCE: Duration = Duration::from_secs(20);

    /// Its threads may hold the directory for a moment after the last handle is gone.
    fn opened(dir: &Path) -> sled::Db {
        let began = Instant::now();
        loop {
            match sled::open(dir) {
                Ok(store) => return store,
                Err(error) => assert!(began.elapsed() < PATIENCE, "{error}"),
            }
            thread::yield_now();
        }
    }

    pub(super) fn make_newer(dir: &Path) {
        let store = opened(dir);
        let row = store.insert(b"V", super::newer_row()).unwrap();
        assert_eq!(row.unwrap()[..4], 3_u32.to_le_bytes());
        store.flush().unwrap();
    }

    /// Its files change whenever it is opened.
    pub(super) fn content(dir: &Path) -> Vec<u8> {
        let store = opened(dir);
        let rows = store.iter().map(Result::unwrap);
        rows.flat_map(|(key, value)| [key.to_vec(), value.to_vec()].concat()).collect()
    }
}

#[test]
fn f39_f41_a_store_of_a_version_to_come_is_refused_and_left_as_it_is() {
    for (name, make_newer, content) in NEWER {
        let (store, dir) = (named(name), tempfile::tempdir().unwrap());
        let open = store.open(dir.path()).unwrap();
        open.set(&Key::new("k"), Entry::new(Payload::raw("v"), Timestamp::default())).unwrap();
        drop(open);
        // The control: as it is, it opens again.
        drop(store.open(dir.path()).unwrap());
        let file = store.path(dir.path());
        make_newer(&file);
        let before = content(&file);
        let error = store.open(dir.path()).expect_err("it is newer");
        assert_eq!(error.kind(), ErrorKind::Config, "{name}: {error}");
        assert!(error.to_string().contains("update this"), "{name}: {error}");
        assert!(error.to_string().contains(&file.display().to_string()), "{name}: {error}");
        assert!(content(&file) == before, "{name}: it was changed");
    }
}

/// What processes lock for themselves, and not by the store's own means.
#[cfg(any(feature = "redb", feature = "dbm"))]
#[test]
fn f41_locks_of_another_protocol_are_refused_and_the_data_is_left() {
    let has_protocol = |store: &Store| ["dbm", "redb-shared"].contains(&store.name);
    on_every(has_protocol, |store| {
        let dir = tempfile::tempdir().unwrap();
        let key = Key::new("k");
        let entry = || Entry::new(Payload::raw("v"), Timestamp::default());
        store.open(dir.path()).unwrap().set(&key, entry()).unwrap();
        let mut locks = store.path(dir.path()).into_os_string();
        locks.push(".locks/protocol");
        let ours = std::fs::read(&locks).expect("it is noted");
        let before = std::fs::read(store.path(dir.path())).unwrap();
        let digits = |byte: u8| if byte.is_ascii_digit() { b'9' } else { byte };
        let other: Vec<u8> = ours.iter().copied().map(digits).collect();
        std::fs::write(&locks, other).unwrap();
        let error = store.open(dir.path()).expect_err("it locks in another way");
        assert_eq!(error.kind(), ErrorKind::Config, "{}: {error}", store.name);
        assert!(error.to_string().contains("use one version everywhere"), "{error}");
        assert!(std::fs::read(store.path(dir.path())).unwrap() == before, "{}", store.name);
        // The control.
        std::fs::write(&locks, &ours).unwrap();
        assert!(store.open(dir.path()).unwrap().get(&key).unwrap().is_some(), "{}", store.name);
        // Nor does a flipped bit in it refuse the store: it makes one of the numbers a 9 or more.
        let at = ours.iter().position(u8::is_ascii_digit).expect("a number");
        let mut flipped = ours;
        flipped[at] ^= 8;
        assert!(flipped[at] > b'7', "{}: {flipped:?}", store.name);
        std::fs::write(&locks, flipped).unwrap();
        assert!(store.open(dir.path()).unwrap().get(&key).unwrap().is_some(), "{}", store.name);
    });
}

/// Not of SQLite: to look into a database that may be open in this process, by a connection of the program's own,
/// and close it again would take the locks of that.
#[cfg(any(feature = "redb", feature = "dbm"))]
#[test]
fn f41_a_file_of_another_program_is_refused_before_anything_is_made_beside_it() {
    let looks = |store: &Store| store.name == "dbm" || store.name.starts_with("redb");
    on_every(looks, |store| {
        let dir = tempfile::tempdir().unwrap();
        let (file, theirs) = (store.path(dir.path()), b"another program's, which is no store\n");
        std::fs::write(&file, theirs.repeat(200)).unwrap();
        let error = store.open(dir.path()).expect_err("it is none of ours");
        assert_eq!(error.kind(), ErrorKind::Config, "{}: {error}", store.name);
        assert!(error.to_string().contains("name another file"), "{}: {error}", store.name);
        let list = std::fs::read_dir(dir.path()).unwrap();
        let there: Vec<PathBuf> = list.map(|entry| entry.unwrap().path()).collect();
        assert_eq!(there, std::slice::from_ref(&file), "{}", store.name);
        assert_eq!(std::fs::read(&file).unwrap(), theirs.repeat(200), "{}", store.name);
        // The control: where nothing is, it is made, and what it locks by beside it.
        std::fs::remove_file(file).unwrap();
        drop(store.open(dir.path()).unwrap());
        assert!(std::fs::read_dir(dir.path()).unwrap().count() > 0, "{}", store.name);
    });
}
