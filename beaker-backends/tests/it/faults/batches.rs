//! A batch is read as of one moment, while others write.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use beaker_namespace::{Capability, Key};

use super::support::stores::{CONTROL, Store, on_every, stores};
use super::support::values::{bytes, entry};

/// How long one thread writes and another one reads.
const TIME: Duration = Duration::from_millis(120);

/// How many reads found one key as it was before a batch, and another as it was after it, and how many there
/// were.
fn mixed(store: &Store) -> (u64, u64) {
    let dir = tempfile::tempdir().unwrap();
    let open = store.open(dir.path()).unwrap();
    let keys = ["a", "b", "c"].map(Key::new);
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let began = Instant::now();
            for round in 0_u64.. {
                let value = || entry(round.to_string());
                open.set_many(keys.iter().map(|key| (key.clone(), value())).collect()).unwrap();
                // Every third one goes.
                if round % 3 == 0 {
                    open.remove_many(&keys).unwrap();
                }
                if began.elapsed() > TIME {
                    break;
                }
            }
            ended.store(true, Ordering::SeqCst);
        });
        let (mut mixed, mut reads) = (0, 0);
        while !ended.load(Ordering::SeqCst) {
            let found = open.get_many(&keys).unwrap();
            let found: Vec<_> = found.iter().map(|entry| entry.as_ref().map(bytes)).collect();
            mixed += u64::from(found.iter().any(|it| *it != found[0]));
            reads += 1;
        }
        (mixed, reads)
    })
}

fn has_batches(store: &Store) -> bool {
    let dir = tempfile::tempdir().unwrap();
    store.open(dir.path()).unwrap().capabilities().has(Capability::Batch)
}

#[test]
fn a_batch_of_reads_finds_a_batch_of_writes_whole_or_not_at_all() {
    let with: Vec<_> = stores().filter(|store| has_batches(store)).map(|it| it.name).collect();
    assert!(!with.contains(&"file") && with.len() + 1 >= stores().count(), "{with:?}");
    on_every(has_batches, |store| {
        let (mixed, reads) = mixed(store);
        assert!(reads > 1, "{}: {reads} reads", store.name);
        assert_eq!(mixed, 0, "{}: of {reads}", store.name);
    });
    assert!(mixed(&CONTROL).0 > 0, "the check has no teeth");
}
