//! What `Metered` counts of asynchronous calls.

use std::time::{Duration, Instant};

use beaker_backends::proxy::{Metered, Operation, Snapshot};
use beaker_namespace::testkit::{BlockOn, Fault, FaultStore};
use beaker_namespace::{AsyncNamespace, ErrorKind, Key, Mark, Namespace, Scan, Wait};

use super::{Change, at_each_poll, entry, face, finish, memory, poll, put_old, remote};
use crate::proxy::anonymous;

/// Calls everything that is counted.
fn call_all(namespace: &dyn Namespace) {
    let (key, new) = (Key::new("k"), || entry(namespace, "12345"));
    namespace.set(&key, new()).unwrap();
    namespace.get(&key).unwrap();
    namespace.get(&Key::new("absent")).unwrap();
    namespace.get_many(&[key.clone(), Key::new("absent")]).unwrap();
    namespace.set_many(vec![(key.clone(), new()), (Key::new("l"), new())]).unwrap();
    let conflict = namespace.set_if(&key, new(), beaker_namespace::Condition::Absent).unwrap();
    assert_eq!(conflict, beaker_namespace::ConditionalSet::Conflict);
    let claim = namespace.claim(&key, Wait::Never).unwrap().unwrap();
    let _stored = namespace.fulfil(&key, new(), claim).unwrap();
    namespace.scan(&Scan::new()).unwrap();
    namespace.inspect(&key).unwrap();
    namespace.inspect_many(std::slice::from_ref(&key)).unwrap();
    namespace.mark("m", Mark::hard(namespace.clock().now())).unwrap();
    namespace.marks(&mut ["m"].into_iter()).unwrap();
    namespace.remove(&key).unwrap();
    namespace.remove_many(&[key, Key::new("l")]).unwrap();
    namespace.remove_tag("t").unwrap();
    namespace.sweep().unwrap();
    namespace.clear().unwrap();
}

/// What was counted, without the times and what was dropped.
fn counts(seen: &Snapshot) -> ([u64; 7], Vec<u64>) {
    let Snapshot { hits, misses, sets, removes, superseded, bytes_in, bytes_out, .. } = *seen;
    let calls = Operation::ALL.map(|operation| seen.latencies(operation).count());
    ([hits, misses, sets, removes, superseded, bytes_in, bytes_out], calls.to_vec())
}

#[test]
fn asynchronous_calls_are_counted_as_blocking_ones_are() {
    let blocking = Metered::new(anonymous());
    call_all(&blocking);
    let asynchronous = BlockOn::new(Metered::new(memory()));
    call_all(&asynchronous);
    let (blocking, asynchronous) = (blocking.snapshot(), asynchronous.inner().snapshot());
    assert_eq!(counts(&asynchronous), counts(&blocking));
    assert!(counts(&blocking).1.iter().all(|&calls| calls > 0), "a call is left out here");
    assert_eq!((asynchronous.hits, asynchronous.dropped), (2, 0));
}

#[test]
fn an_asynchronous_call_that_fails_is_counted_as_an_error() {
    let store = remote(FaultStore::new(anonymous()));
    store.inner().arm(1, Fault::Fail(ErrorKind::Unavailable));
    let metered = Metered::new(store);
    assert!(finish(AsyncNamespace::get(&metered, &Key::new("k"))).is_err());
    let seen = metered.snapshot();
    assert_eq!((seen.errors(ErrorKind::Unavailable), seen.misses, seen.dropped), (1, 0, 0));
    assert_eq!(seen.latencies(Operation::Get).count(), 1);
}

/// Busy for so long.
fn spend(time: Duration) {
    let began = Instant::now();
    while began.elapsed() < time {
        std::hint::spin_loop();
    }
}

#[test]
fn a_call_is_timed_from_its_first_poll_to_its_end() {
    const WHILE: Duration = Duration::from_millis(2);
    let (metered, key) = (Metered::new(memory()), Key::new("k"));
    let made = Instant::now();
    let mut getting = AsyncNamespace::get(&metered, &key);
    spend(WHILE);
    let first_poll = Instant::now();
    assert!(poll(&mut getting, 1).is_none());
    spend(WHILE);
    assert!(poll(&mut getting, 9).is_some());
    let (polled, lived) = (first_poll.elapsed(), made.elapsed());
    let took = metered.snapshot().latencies(Operation::Get).mean().unwrap();
    assert!(took >= WHILE && took <= polled && polled < lived, "{took:?} of {polled:?}");
}

#[test]
fn of_a_call_that_is_dropped_nothing_is_counted_but_that_it_was() {
    for change in Change::ALL {
        at_each_poll(|polls| {
            let metered = Metered::new(memory());
            put_old(&metered);
            // What it asks before the change is another call.
            let mut changing = change.run(&metered);
            let before = metered.snapshot();
            let ended = poll(&mut changing, polls).is_some();
            let alive = metered.snapshot();
            drop(changing);
            let after = metered.snapshot();
            let dropped = u64::from(!ended && polls > 0);
            assert_eq!(after.dropped - before.dropped, dropped, "{change:?}, {polls} polls");
            assert_eq!(counts(&after), counts(&alive), "{change:?}, {polls} polls");
            ended
        });
    }
    let metered = Metered::new(memory());
    drop(face(&metered).get(&Key::new("k")));
    assert_eq!(metered.snapshot().dropped, 0, "what was never polled was no call");
}
