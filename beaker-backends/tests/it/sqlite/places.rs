//! Rows that were read before are found by their number, whatever happened to them since.

use beaker_namespace::Namespace;

use super::{open, put, raw, value};

/// Two entries whose rows are known, and what another program then does to the database.
fn after(what: &str) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let store = open(&path);
    put(&store, "one", "1");
    put(&store, "two", "2");
    for _ in 0..2 {
        let values = (value(&store, "one"), value(&store, "two"));
        assert_eq!(values, (Some(b"1".to_vec()), Some(b"2".to_vec())));
    }
    raw(&path).execute_batch(what).unwrap();
    let values = (value(&store, "one"), value(&store, "two"));
    assert_eq!(store.stats().corrupt, 0, "{what}");
    values
}

#[test]
fn rows_that_exchanged_their_numbers_are_found() {
    let swap = "UPDATE entries SET id = 1000 WHERE id = 1; UPDATE entries SET id = 1 WHERE id = 2;
                UPDATE entries SET id = 2 WHERE id = 1000";
    assert_eq!(after(swap), (Some(b"1".to_vec()), Some(b"2".to_vec())));
}

#[test]
fn a_row_that_moved_is_found_and_one_that_was_deleted_is_not() {
    let change = "UPDATE entries SET id = 1000 WHERE id = 1; DELETE FROM entries WHERE id = 2";
    assert_eq!(after(change), (Some(b"1".to_vec()), None));
}

#[test]
fn rows_of_a_namespace_that_another_process_cleared_are_not_found() {
    let clear =
        "DELETE FROM namespaces WHERE name = 'n'; INSERT INTO namespaces (name) VALUES ('n')";
    assert_eq!(after(clear), (None, None));
}

#[test]
fn rows_that_were_written_anew_show_the_new_value() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.db");
    let store = open(&path);
    for round in 0..5_u8 {
        put(&store, "key", [round]);
        assert_eq!(value(&store, "key"), Some(vec![round]));
    }
    assert_eq!(store.stats().corrupt, 0);
}
