//! The lists of users' sessions, in stores that keep them.

use std::thread;
use std::time::Duration;

use super::cases;
use crate::store::{DeletedIf, Member, Renamed, Renaming, Updated};
use crate::testkit::{Bench, Case, value};
use crate::{ErrorKind, RecordKey};

const HOUR: Duration = Duration::from_secs(3_600);

pub(super) const CASES: &[Case] = cases![
    a_list_has_who_was_enrolled_and_forgets_who_is_over,
    of_enrolments_at_the_same_time_none_is_lost,
    only_the_version_that_was_looked_at_is_deleted,
    an_epoch_begins_at_zero_and_only_rises,
];

fn keys(bench: &Bench<'_>, subject: &str) -> Option<Vec<RecordKey>> {
    match bench.store.members(subject) {
        Ok(members) => Some(members.iter().map(|member| member.key).collect()),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
            None
        }
    }
}

fn a_list_has_who_was_enrolled_and_forgets_who_is_over(bench: &Bench<'_>) {
    let Some(none) = keys(bench, "ada") else { return };
    assert_eq!(none, []);
    let (short, long) = (bench.key(), bench.key());
    // One whose end was to come sooner may still end when it was to.
    for (key, hours) in [(short, 1), (long, 2), (long, 1)] {
        let until = bench.now().saturating_add(HOUR * hours);
        bench.store.enroll("ada", &Member { key, until }).expect("enroll");
    }
    assert_eq!(keys(bench, "ada"), Some(vec![short, long]));
    assert_eq!(keys(bench, "ada "), Some(Vec::new()));
    bench.clock.advance(HOUR);
    assert_eq!(keys(bench, "ada"), Some(vec![long]));
}

fn of_enrolments_at_the_same_time_none_is_lost(bench: &Bench<'_>) {
    if keys(bench, "grace").is_none() {
        return;
    }
    let until = bench.now().saturating_add(HOUR);
    let all: Vec<RecordKey> = (0..16).map(|_| bench.key()).collect();
    thread::scope(|scope| {
        for keys in all.chunks(4) {
            scope.spawn(move || {
                for key in keys {
                    bench.store.enroll("grace", &Member { key: *key, until }).expect("enroll");
                }
            });
        }
    });
    let mut listed = keys(bench, "grace").unwrap_or_default();
    listed.sort();
    let mut all = all;
    all.sort();
    assert_eq!(listed, all);
}

fn only_the_version_that_was_looked_at_is_deleted(bench: &Bench<'_>) {
    if keys(bench, "ada").is_none() {
        return;
    }
    let (key, seen) = bench.stored("a");
    let changed = bench.store.update(&key, seen.version, &bench.record("b")).expect("update");
    assert!(matches!(changed, Updated::Updated(_)), "{changed:?}");
    let delete = |key, version| bench.store.delete_if(key, version).expect("delete");
    assert_eq!(delete(&key, seen.version), DeletedIf::Conflict);
    let there = bench.present(&key);
    assert_eq!(value(&there), "b");
    assert_eq!(delete(&key, there.version), DeletedIf::Deleted);
    assert!(bench.is_absent(&key));
    assert_eq!(delete(&key, there.version), DeletedIf::Absent);

    // One that was renewed is not there any more, and is left where it went.
    let ((from, stored), to) = (bench.stored("a"), bench.key());
    let (record, grace) = (bench.record("c"), Duration::from_secs(60));
    let expected = Some(stored.version);
    let renaming = Renaming { from: &from, expected, to: &to, record: &record, grace };
    let renamed = bench.store.rename(&renaming).expect("rename");
    assert!(matches!(renamed, Renamed::Renamed(_)), "{renamed:?}");
    assert_eq!(delete(&from, stored.version), DeletedIf::Absent);
    assert_eq!(value(&bench.present(&to)), "c");
}

fn an_epoch_begins_at_zero_and_only_rises(bench: &Bench<'_>) {
    let Ok(first) = bench.store.epoch("ada") else { return };
    assert_eq!(first, 0);
    assert_eq!(bench.store.raise_epoch("ada").expect("raise"), 1);
    assert_eq!(bench.store.raise_epoch("ada").expect("raise"), 2);
    assert_eq!(bench.store.epoch("ada").expect("read"), 2);
    assert_eq!(bench.store.epoch("grace").expect("read"), 0);
}
