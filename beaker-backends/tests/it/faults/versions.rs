//! F39: stores that another version wrote.

use std::path::{Path, PathBuf};

use beaker_namespace::{Entry, Key, Payload, Timestamp};

use super::support::files::copy_tree;
use super::support::stores::{Store, any, on_every};
use super::support::values::bytes;

/// What version 1 of a store wrote. That of `file` is kept with beaker-namespace.
fn golden(store: &Store) -> PathBuf {
    let name = store.name.trim_end_matches("-shared");
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}-1"))
}

fn has_golden(store: &Store) -> bool {
    store.name != "file"
}

const NAME: &str = "golden ☕";

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
        if golden(store).exists() {
            return;
        }
        let open = store.open_name(&golden(store), NAME).unwrap();
        for (key, entry) in golden_entries() {
            open.set(&key, entry).unwrap();
        }
    });
}

#[test]
fn f39_a_store_that_version_1_wrote_is_read() {
    on_every(has_golden, |store| {
        let dir = tempfile::tempdir().unwrap();
        copy_tree(&golden(store), dir.path());
        let open = store.open_name(dir.path(), NAME).unwrap();
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
        assert_eq!(open.stats().corrupt, 0, "{}", store.name);
        // The control: what is read is what the golden store holds.
        assert!(open.get(&Key::new("absent")).unwrap().is_none());
    });
}

/// A place for the rows of single stores' formats, whose marks differ.
#[test]
fn the_golden_stores_are_those_of_the_table() {
    on_every(any, |store| assert!(!has_golden(store) || golden(store).is_dir(), "{}", store.name));
}
