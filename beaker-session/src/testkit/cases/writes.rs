//! Each write does what its name says, and no more.

use std::sync::Arc;
use std::time::Duration;

use super::cases;
use crate::record::Version;
use crate::store::{Created, Deleted, Loaded, Renamed, Renaming, Touched, Updated};
use crate::testkit::{Bench, Case, value};
use crate::{CookieLife, Data, Record, RecordKey, Stored};

const GRACE: Duration = Duration::from_secs(60);

pub(super) const CASES: &[Case] = cases![
    what_is_created_is_loaded,
    every_field_comes_back,
    a_create_never_replaces,
    what_was_never_stored_is_absent,
    an_update_replaces_the_version_that_it_names,
    an_update_of_an_old_version_changes_nothing,
    an_update_never_inserts,
    an_update_after_a_delete_stores_nothing,
    a_touch_changes_no_value,
    a_touch_takes_no_update_back,
    a_touch_never_inserts,
    a_delete_is_real,
    a_key_can_be_used_again_after_a_delete,
    a_rename_moves_the_session,
    the_old_key_of_a_rename_has_no_data_and_cannot_be_written,
    a_rename_of_an_old_version_changes_nothing,
    a_rename_of_an_absent_session_stores_nothing,
    a_rename_onto_a_taken_key_changes_nothing,
    a_rename_of_a_damaged_session_moves_no_good_one_and_none_that_is_absent,
    a_delete_of_the_old_key_ends_the_renamed_session,
    sessions_do_not_disturb_each_other,
];

fn renaming<'a>(
    from: &'a RecordKey,
    expected: Option<Version>,
    to: &'a RecordKey,
    record: &'a Arc<Record>,
) -> Renaming<'a> {
    Renaming { from, expected, to, record, grace: GRACE }
}

fn what_is_created_is_loaded(bench: &Bench<'_>) {
    let (_, stored) = bench.stored("a");
    assert_eq!(value(&stored), "a");
}

fn every_field_comes_back(bench: &Bench<'_>) {
    let key = bench.key();
    let mut record = Record::new(bench.now())
        .with_limits(Some(Duration::from_secs(90)), Some(bench.now().saturating_add(3 * GRACE)))
        .with_cookie(Some("/app".to_owned()), Some("example.org".to_owned()))
        .with_data(Data::from([("nested".to_owned(), serde_json::json!({"a": [1, null, "ü"]}))]));
    record.own.edit().subject = Some("ada".to_owned());
    record.own.edit().label = Some("phone".to_owned());
    record.own.edit().life = Some(CookieLife::Browser);
    record.own.edit().bridged = Some(bench.key());
    let record = Arc::new(record);
    let created = bench.store.create(&key, &record).expect("create");
    let stored = bench.present(&key);
    assert_eq!(Created::Created(stored.version), created);
    assert_eq!((&*stored.record, stored.accessed), (&*record, bench.now()));
}

fn a_create_never_replaces(bench: &Bench<'_>) {
    let (key, _) = bench.stored("first");
    let again = bench.store.create(&key, &bench.record("second")).expect("create");
    assert_eq!((again, value(&bench.present(&key))), (Created::Exists, "first"));
}

fn what_was_never_stored_is_absent(bench: &Bench<'_>) {
    assert!(bench.is_absent(&bench.key()));
}

fn an_update_replaces_the_version_that_it_names(bench: &Bench<'_>) {
    let (key, stored) = bench.stored("a");
    let updated = bench.store.update(&key, stored.version, &bench.record("b")).expect("update");
    let now = bench.present(&key);
    assert_eq!((value(&now), updated), ("b", Updated::Updated(now.version)));
    assert_ne!(now.version, stored.version);
}

fn an_update_of_an_old_version_changes_nothing(bench: &Bench<'_>) {
    let (key, old) = bench.stored("a");
    let _newer = bench.store.update(&key, old.version, &bench.record("b")).expect("update");
    let late = bench.store.update(&key, old.version, &bench.record("c")).expect("update");
    is_conflict(&late, &bench.present(&key));
    assert_eq!(value(&bench.present(&key)), "b");
}

fn an_update_never_inserts(bench: &Bench<'_>) {
    let key = bench.key();
    let updated = bench.store.update(&key, Version(1), &bench.record("a")).expect("update");
    assert_eq!(updated, Updated::Absent);
    assert!(bench.is_absent(&key));
}

fn an_update_after_a_delete_stores_nothing(bench: &Bench<'_>) {
    let (key, stored) = bench.stored("a");
    assert_eq!(bench.store.delete(&key).expect("delete"), Deleted::Deleted);
    let late = bench.store.update(&key, stored.version, &bench.record("b")).expect("update");
    assert_eq!(late, Updated::Absent);
    assert!(bench.is_absent(&key));
}

fn a_touch_changes_no_value(bench: &Bench<'_>) {
    let (key, stored) = bench.stored("a");
    let used = bench.now().saturating_add(Duration::from_secs(5));
    let touched = bench.store.touch(&key, used).expect("touch");
    let now = bench.present(&key);
    assert_eq!(touched, Touched::Touched { from: stored.version, to: now.version });
    assert_eq!((&now.record, now.accessed), (&stored.record, used));
}

fn a_touch_takes_no_update_back(bench: &Bench<'_>) {
    let (key, stored) = bench.stored("a");
    let _newer = bench.store.update(&key, stored.version, &bench.record("b")).expect("update");
    let newer = bench.present(&key).version;
    let touched = bench.store.touch(&key, bench.now()).expect("touch");
    let now = bench.present(&key);
    assert_eq!(value(&now), "b");
    assert_eq!(touched, Touched::Touched { from: newer, to: now.version }, "not what was loaded");
}

fn a_touch_never_inserts(bench: &Bench<'_>) {
    let (key, _) = bench.stored("a");
    let _gone = bench.store.delete(&key).expect("delete");
    for key in [key, bench.key()] {
        assert_eq!(bench.store.touch(&key, bench.now()).expect("touch"), Touched::Absent);
        assert!(bench.is_absent(&key));
    }
}

fn a_delete_is_real(bench: &Bench<'_>) {
    let (key, _) = bench.stored("a");
    assert_eq!(bench.store.delete(&key).expect("delete"), Deleted::Deleted);
    assert!(bench.is_absent(&key));
    assert_eq!(bench.store.delete(&key).expect("delete"), Deleted::Absent);
}

fn a_key_can_be_used_again_after_a_delete(bench: &Bench<'_>) {
    let (key, old) = bench.stored("a");
    let _gone = bench.store.delete(&key).expect("delete");
    let created = bench.store.create(&key, &bench.record("b")).expect("create");
    assert!(matches!(created, Created::Created(_)), "{created:?}");
    let late = bench.store.update(&key, old.version, &bench.record("c")).expect("update");
    is_conflict(&late, &bench.present(&key));
    assert_eq!(value(&bench.present(&key)), "b");
}

fn a_rename_moves_the_session(bench: &Bench<'_>) {
    let (from, stored) = bench.stored("a");
    let (to, record) = (bench.key(), bench.record("b"));
    let renaming = renaming(&from, Some(stored.version), &to, &record);
    let renamed = bench.store.rename(&renaming).expect("rename");
    let moved = bench.present(&to);
    assert_eq!((value(&moved), renamed), ("b", Renamed::Renamed(moved.version)));
}

fn the_old_key_of_a_rename_has_no_data_and_cannot_be_written(bench: &Bench<'_>) {
    for grace in [GRACE, Duration::ZERO] {
        let (from, stored) = bench.stored("a");
        let (to, record) = (bench.key(), bench.record("b"));
        let renaming = Renaming { grace, ..renaming(&from, Some(stored.version), &to, &record) };
        let _renamed = bench.store.rename(&renaming).expect("rename");
        assert!(matches!(bench.store.load(&from).expect("load"), Loaded::Renewed | Loaded::Absent));
        let late = bench.store.update(&from, stored.version, &bench.record("c")).expect("update");
        assert_eq!(late, Updated::Absent);
        assert_eq!(bench.store.touch(&from, bench.now()).expect("touch"), Touched::Absent);
        assert_eq!(value(&bench.present(&to)), "b");
    }
}

fn a_rename_of_an_old_version_changes_nothing(bench: &Bench<'_>) {
    let (from, old) = bench.stored("a");
    let _newer = bench.store.update(&from, old.version, &bench.record("b")).expect("update");
    let (to, record) = (bench.key(), bench.record("c"));
    let renaming = renaming(&from, Some(old.version), &to, &record);
    assert_eq!(bench.store.rename(&renaming).expect("rename"), Renamed::Conflict);
    assert_eq!(value(&bench.present(&from)), "b");
    assert!(bench.is_absent(&to));
}

fn a_rename_of_an_absent_session_stores_nothing(bench: &Bench<'_>) {
    let (from, stored) = bench.stored("a");
    let _gone = bench.store.delete(&from).expect("delete");
    let (to, record) = (bench.key(), bench.record("b"));
    let renaming = renaming(&from, Some(stored.version), &to, &record);
    assert_eq!(bench.store.rename(&renaming).expect("rename"), Renamed::Absent);
    assert!(bench.is_absent(&from) && bench.is_absent(&to));
}

fn a_rename_of_a_damaged_session_moves_no_good_one_and_none_that_is_absent(bench: &Bench<'_>) {
    let ((from, _), to, record) = (bench.stored("a"), bench.key(), bench.record("b"));
    let rename = || bench.store.rename(&renaming(&from, None, &to, &record)).expect("rename");
    assert_eq!(rename(), Renamed::Conflict);
    assert_eq!(value(&bench.present(&from)), "a");
    let _gone = bench.store.delete(&from).expect("delete");
    assert_eq!(rename(), Renamed::Absent);
    assert!(bench.is_absent(&from) && bench.is_absent(&to));
}

fn a_rename_onto_a_taken_key_changes_nothing(bench: &Bench<'_>) {
    let ((from, stored), (to, _)) = (bench.stored("mine"), bench.stored("another's"));
    let record = bench.record("b");
    let renaming = renaming(&from, Some(stored.version), &to, &record);
    assert_eq!(bench.store.rename(&renaming).expect("rename"), Renamed::Exists);
    assert_eq!(value(&bench.present(&from)), "mine");
    assert_eq!(value(&bench.present(&to)), "another's");
}

fn a_delete_of_the_old_key_ends_the_renamed_session(bench: &Bench<'_>) {
    let (from, stored) = bench.stored("a");
    let (to, record) = (bench.key(), bench.record("b"));
    let renaming = renaming(&from, Some(stored.version), &to, &record);
    let _renamed = bench.store.rename(&renaming).expect("rename");
    assert_eq!(bench.store.delete(&from).expect("delete"), Deleted::Deleted);
    assert!(bench.is_absent(&to));
}

fn sessions_do_not_disturb_each_other(bench: &Bench<'_>) {
    let ((one, _), (two, _)) = (bench.stored("one"), bench.stored("two"));
    let _gone = bench.store.delete(&one).expect("delete");
    assert_eq!(value(&bench.present(&two)), "two");
}

/// Whether `late` says that somebody was quicker, and nothing else than `now` is there.
fn is_conflict(late: &Updated, now: &Stored) {
    let Updated::Conflict(found) = late else { panic!("{late:?}") };
    assert!(found.as_ref().is_none_or(|found| found == now), "{found:?} is not what is there");
}
