//! What the memory of `Tiered` holds when asynchronous calls meet, and are dropped.

use std::sync::Arc;
use std::time::Duration;

use beaker_backends::proxy::Tiered;
use beaker_namespace::testkit::AsyncStore;
use beaker_namespace::{Clock, ManualClock, MemoryConfig, MemoryNamespace, Namespace};

use super::{
    Change, all_found, at_each_poll, entry, face, finish, found, keys, poll, put_old, remote,
};
use crate::proxy::manual_clock;

/// Longer than a test runs.
const HOUR: Duration = Duration::from_secs(3_600);

type Remote = Arc<AsyncStore<Arc<MemoryNamespace>>>;

/// A store, its clock, and a tier in front of it.
fn tier() -> (Remote, Arc<ManualClock>, Tiered<Remote>) {
    let clock = manual_clock();
    let config = MemoryConfig::new().clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let store = Arc::new(remote(MemoryNamespace::anonymous(config).unwrap()));
    let tiered = Tiered::open(Arc::clone(&store), MemoryConfig::new()).unwrap().max_age(HOUR);
    (store, clock, tiered)
}

#[test]
fn the_second_read_does_not_go_below() {
    let (store, _clock, tiered) = tier();
    put_old(&tiered);
    let read = |many: bool| match many {
        true => drop(finish(face(&tiered).get_many(&keys())).unwrap()),
        false => drop(all_found(&tiered)),
    };
    for (many, calls) in [(false, 2), (true, 1)] {
        finish(face(&tiered).clear()).unwrap();
        put_old(&tiered);
        let before = store.asynchronous_calls();
        for _ in 0..3 {
            read(many);
        }
        assert_eq!(store.asynchronous_calls() - before, calls);
    }
}

#[test]
fn what_others_do_below_is_seen_after_the_age_and_not_before() {
    let (store, clock, tiered) = tier();
    let [key, _] = keys();
    put_old(&tiered);
    assert_eq!(found(&tiered, &key).as_deref(), Some("old"));
    store.inner().set(&key, entry(&tiered, "new")).unwrap();
    clock.advance(HOUR - Duration::from_micros(1));
    assert_eq!(found(&tiered, &key).as_deref(), Some("old"), "within the bound");
    clock.advance(Duration::from_micros(1));
    assert_eq!(found(&tiered, &key).as_deref(), Some("new"));
}

#[test]
fn the_age_counts_from_before_the_read_below() {
    let (store, clock, tiered) = tier();
    let [key, _] = keys();
    put_old(&tiered);
    let mut reading = face(&tiered).get(&key);
    assert!(poll(&mut reading, 2).is_none(), "it was read, and the answer is on its way");
    store.inner().set(&key, entry(&tiered, "new")).unwrap();
    clock.advance(HOUR - Duration::from_micros(1));
    assert!(poll(&mut reading, 9).is_some());
    assert_eq!(found(&tiered, &key).as_deref(), Some("old"), "within the bound");
    clock.advance(Duration::from_micros(1));
    assert_eq!(found(&tiered, &key).as_deref(), Some("new"));
}

/// When the reader ends who was there before a change.
#[derive(Debug, Clone, Copy)]
enum ReaderEnds {
    BeforeTheChangeIsDropped,
    AfterTheChangeIsDropped,
}

/// A reader who was polled `read` times, and a change that is dropped after `polls`: afterwards the
/// tier must have what is below. Says whether the reader and the change ended in time.
fn meet(change: Change, many: bool, read: usize, polls: usize, ends: ReaderEnds) -> [bool; 2] {
    let (store, _clock, tiered) = tier();
    put_old(&tiered);
    let keys = keys();
    let [mut first, mut second, mut both] = [
        face(&tiered).get_many(&keys[..1]),
        face(&tiered).get_many(&keys[1..]),
        face(&tiered).get_many(&keys),
    ];
    let mut readers = if many { vec![&mut both] } else { vec![&mut first, &mut second] };
    let mut has_read = true;
    for reader in &mut readers {
        has_read &= poll(*reader, read).is_some();
    }
    let mut finish_reading = || {
        if !has_read {
            readers.iter_mut().for_each(|reader| drop(poll(*reader, 9)));
        }
    };
    let mut changing = change.run(&tiered);
    let changed = poll(&mut changing, polls).is_some();
    match ends {
        ReaderEnds::BeforeTheChangeIsDropped => {
            finish_reading();
            drop(changing);
        }
        ReaderEnds::AfterTheChangeIsDropped => {
            drop(changing);
            finish_reading();
        }
    }
    let truth = all_found(&store);
    assert_eq!(
        all_found(&tiered),
        truth,
        "{change:?}, {ends:?}, the reader after {read} polls, the change after {polls}"
    );
    [has_read, changed]
}

#[test]
fn the_memory_never_has_what_a_dropped_change_removed_below() {
    let both = [ReaderEnds::BeforeTheChangeIsDropped, ReaderEnds::AfterTheChangeIsDropped];
    for (change, ends) in Change::ALL.into_iter().flat_map(|change| both.map(|ends| (change, ends)))
    {
        for many in [false, true] {
            at_each_poll(|read| {
                let mut has_read = false;
                at_each_poll(|polls| {
                    let [reader, change] = meet(change, many, read, polls, ends);
                    has_read = reader;
                    change
                });
                has_read
            });
        }
    }
}

#[test]
fn what_is_read_while_a_change_is_on_its_way_does_not_stay_in_the_memory() {
    for change in Change::ALL {
        at_each_poll(|polls| {
            let mut ended = false;
            at_each_poll(|more| {
                let (store, _clock, tiered) = tier();
                put_old(&tiered);
                let mut changing = change.run(&tiered);
                ended = poll(&mut changing, polls).is_some();
                all_found(&tiered);
                let changed = ended || poll(&mut changing, more).is_some();
                drop(changing);
                let truth = all_found(&store);
                assert_eq!(all_found(&tiered), truth, "{change:?}, {polls} and {more} polls");
                changed
            });
            ended
        });
    }
}

#[test]
fn what_is_carried_out_after_its_future_was_dropped_is_seen_within_the_age() {
    let (store, clock, tiered) = tier();
    let [key, _] = keys();
    put_old(&tiered);
    assert_eq!(found(&tiered, &key).as_deref(), Some("old"));
    let mut removing = face(&tiered).remove(&key);
    assert!(poll(&mut removing, 1).is_none(), "it is on its way");
    drop(removing);
    let before = store.asynchronous_calls();
    assert_eq!(found(&tiered, &key).as_deref(), Some("old"));
    assert_eq!(store.asynchronous_calls() - before, 1, "it was forgotten at once, and read below");
    assert!(store.inner().remove(&key).unwrap(), "it arrives");
    clock.advance(HOUR);
    assert_eq!(found(&tiered, &key), None);
}

#[test]
fn a_claim_below_makes_the_next_read_go_below() {
    let (store, _clock, tiered) = tier();
    let [key, _] = keys();
    put_old(&tiered);
    assert_eq!(found(&tiered, &key).as_deref(), Some("old"));
    let claiming = face(&tiered).claim(&key, beaker_namespace::Wait::Forever);
    store.inner().set(&key, entry(&tiered, "another process's")).unwrap();
    assert_eq!(found(&tiered, &key).as_deref(), Some("old"), "the control: without the claim");
    let _claim = finish(claiming).unwrap().unwrap();
    assert_eq!(found(&tiered, &key).as_deref(), Some("another process's"));
}
