//! Calls at the same time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::cases;
use crate::record::Stored;
use crate::store::{Created, Loaded, Renaming, Updated};
use crate::testkit::{Bench, Case};
use crate::{Data, Record, RecordKey};

const THREADS: usize = 4;
const ROUNDS: usize = 25;

pub(super) const CASES: &[Case] = cases![
    of_creates_at_the_same_time_one_wins,
    no_update_is_lost,
    after_a_delete_beside_a_rename_no_session_is_left,
    after_a_delete_beside_an_update_no_session_is_left,
];

fn of_creates_at_the_same_time_one_wins(bench: &Bench<'_>) {
    let (key, won) = (bench.key(), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let created = bench.store.create(&key, &bench.record("a")).expect("create");
                won.fetch_add(usize::from(created != Created::Exists), Ordering::SeqCst);
            });
        }
    });
    assert_eq!(won.into_inner(), 1);
}

/// A record that counts one more than `stored`.
fn counted(stored: &Stored) -> std::sync::Arc<Record> {
    let count = stored.record.get("count").and_then(serde_json::Value::as_u64).unwrap_or(0);
    let data = Data::from([("count".to_owned(), (count + 1).into())]);
    std::sync::Arc::new((*stored.record).clone().with_data(data))
}

fn no_update_is_lost(bench: &Bench<'_>) {
    let (key, _) = bench.stored("a");
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| (0..ROUNDS).for_each(|_| count_up(bench, &key)));
        }
    });
    let counted = bench.present(&key).record.data()["count"].as_u64();
    assert_eq!(counted, Some((THREADS * ROUNDS) as u64));
}

fn count_up(bench: &Bench<'_>, key: &RecordKey) {
    loop {
        let stored = bench.present(key);
        let updated = bench.store.update(key, stored.version, &counted(&stored)).expect("update");
        match updated {
            Updated::Updated(_) => return,
            Updated::Conflict(_) => {}
            Updated::Absent => panic!("the session is gone"),
        }
    }
}

fn after_a_delete_beside_a_rename_no_session_is_left(bench: &Bench<'_>) {
    for _ in 0..ROUNDS {
        let ((from, stored), to) = (bench.stored("a"), bench.key());
        let record = bench.record("b");
        let renaming = Renaming {
            from: &from,
            expected: Some(stored.version),
            to: &to,
            record: &record,
            grace: Duration::from_secs(60),
        };
        thread::scope(|scope| {
            scope.spawn(|| bench.store.rename(&renaming).expect("rename"));
            scope.spawn(|| bench.store.delete(&from).expect("delete"));
        });
        for key in [&from, &to] {
            let left = bench.store.load(key).expect("load");
            assert!(!matches!(left, Loaded::Present(_)), "{left:?}");
        }
    }
}

fn after_a_delete_beside_an_update_no_session_is_left(bench: &Bench<'_>) {
    for _ in 0..ROUNDS {
        let (key, stored) = bench.stored("a");
        thread::scope(|scope| {
            scope.spawn(|| bench.store.update(&key, stored.version, &bench.record("b")));
            scope.spawn(|| bench.store.touch(&key, bench.now()));
            scope.spawn(|| bench.store.delete(&key).expect("delete"));
        });
        assert!(bench.is_absent(&key));
    }
}
