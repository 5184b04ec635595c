//! `Metered`.

use std::sync::Arc;
use std::thread;

use beaker_backends::proxy::{Metered, Operation};
use beaker_namespace::testkit::{Fault, FaultStore};
use beaker_namespace::{
    Condition, ErrorKind, Fulfilled, Key, Mark, Namespace, NullNamespace, Payload, Scan, Wait,
};

use super::{anonymous, conforms, entry, put, value};

#[test]
fn it_conforms() {
    conforms("metered", |inner, _| Metered::new(inner));
}

#[test]
fn it_conforms_over_a_store_that_keeps_nothing() {
    beaker_namespace::testkit::conformance("metered null", |name, clock| {
        Ok(Metered::new(NullNamespace::with_clock(name, clock)))
    });
}

#[test]
fn it_is_the_namespace_that_it_measures() {
    let memory = anonymous();
    let metered = Metered::new(Arc::clone(&memory));
    assert_eq!(metered.id(), memory.id());
    put(&*memory, &Key::new("k"), "v");
    assert_eq!(value(&metered, &Key::new("k")), Some(b"v".to_vec()));
}

#[test]
fn values_and_bytes_are_counted_in_both_directions() {
    let metered = Metered::new(anonymous());
    let (key, other) = (Key::new("k"), Key::new("other"));
    put(&metered, &key, "12345");
    metered.set_many(vec![(other.clone(), entry(&metered, "123"))]).unwrap();
    let absent = Key::new("absent");
    assert_eq!(value(&metered, &key).map(|value| value.len()), Some(5));
    assert_eq!(value(&metered, &absent), None);
    metered.get_many(&[key.clone(), other.clone(), absent]).unwrap();
    metered.read_with(&key, &mut |_| true).unwrap();
    metered.read_with(&key, &mut |_| false).unwrap();
    assert!(metered.remove(&key).unwrap());
    assert!(!metered.remove(&key).unwrap());
    assert_eq!(metered.remove_many(&[key, other]).unwrap(), 1);
    let seen = metered.snapshot();
    assert_eq!((seen.hits, seen.misses), (4, 3));
    assert_eq!((seen.sets, seen.removes), (2, 2));
    assert_eq!((seen.bytes_in, seen.bytes_out), (8, 5 + 8 + 5));
}

#[test]
fn creations_and_conditions_are_counted_by_what_came_of_them() {
    let (metered, key) = (Metered::new(anonymous()), Key::new("k"));
    for stored in [true, false] {
        let claim = metered.claim(&key, Wait::Never).unwrap().unwrap();
        if !stored {
            metered.remove(&key).unwrap();
        }
        let fulfilled = metered.fulfil(&key, entry(&metered, "four"), claim).unwrap();
        assert_eq!(fulfilled == Fulfilled::Stored, stored);
    }
    let _stored = metered.set_if(&key, entry(&metered, "seven77"), Condition::Absent).unwrap();
    let _conflict = metered.set_if(&key, entry(&metered, "7"), Condition::Absent).unwrap();
    let seen = metered.snapshot();
    assert_eq!((seen.sets, seen.superseded, seen.bytes_in), (2, 2, 11));
}

#[test]
fn every_call_is_timed_under_its_operation_and_only_there() {
    let (metered, key) = (Metered::new(anonymous()), Key::new("k"));
    let one = || vec![(key.clone(), entry(&metered, "v"))];
    let calls: [(Operation, &dyn Fn()); 17] = [
        (Operation::Get, &|| drop(metered.get(&key))),
        (Operation::GetMany, &|| drop(metered.get_many(&[]))),
        (Operation::Set, &|| put(&metered, &key, "v")),
        (Operation::SetMany, &|| metered.set_many(one()).unwrap()),
        (Operation::SetIf, &|| {
            let _set = metered.set_if(&key, entry(&metered, "v"), Condition::Absent).unwrap();
        }),
        (Operation::Claim, &|| drop(metered.claim(&key, Wait::Never))),
        (Operation::Remove, &|| drop(metered.remove(&key))),
        (Operation::RemoveMany, &|| drop(metered.remove_many(&[]))),
        (Operation::RemoveTag, &|| drop(metered.remove_tag("t"))),
        (Operation::Clear, &|| metered.clear().unwrap()),
        (Operation::Scan, &|| drop(metered.scan(&Scan::new()))),
        (Operation::Sweep, &|| drop(metered.sweep())),
        (Operation::Inspect, &|| drop(metered.inspect(&key))),
        (Operation::InspectMany, &|| drop(metered.inspect_many(std::slice::from_ref(&key)))),
        (Operation::Mark, &|| drop(metered.mark("m", Mark::default()))),
        (Operation::Marks, &|| drop(metered.marks(&mut ["m"].into_iter()))),
        (Operation::Get, &|| metered.read_with(&key, &mut |_| true).unwrap()),
    ];
    for (operation, call) in calls {
        let before = metered.snapshot();
        call();
        let after = metered.snapshot();
        for other in Operation::ALL {
            let grown = after.latencies(other).count() - before.latencies(other).count();
            assert_eq!(grown, u64::from(other == operation), "{other:?} after {operation:?}");
        }
    }
    let claim = metered.claim(&key, Wait::Never).unwrap().unwrap();
    let _fulfilled = metered.fulfil(&key, entry(&metered, "v"), claim).unwrap();
    assert_eq!(metered.snapshot().latencies(Operation::Fulfil).count(), 1);
}

#[test]
fn errors_are_counted_by_kind_and_are_neither_hits_nor_misses() {
    let metered = Metered::new(FaultStore::new(anonymous()));
    let key = Key::new("k");
    for kind in [ErrorKind::Full, ErrorKind::Timeout, ErrorKind::Full] {
        metered.inner().arm(1, Fault::Fail(kind));
        assert_eq!(metered.get(&key).unwrap_err().kind(), kind);
    }
    let seen = metered.snapshot();
    assert_eq!((seen.errors(ErrorKind::Full), seen.errors(ErrorKind::Timeout)), (2, 1));
    assert_eq!((seen.errors(ErrorKind::Denied), seen.all_errors()), (0, 3));
    assert_eq!((seen.hits, seen.misses), (0, 0));
    assert_eq!(seen.latencies(Operation::Get).count(), 3);
}

#[test]
fn live_objects_have_no_bytes() {
    let (metered, key) = (Metered::new(anonymous()), Key::new("k"));
    let object = Payload::Object(Arc::new(7_u64));
    metered.set(&key, entry(&metered, "").with_payload(object)).unwrap();
    assert!(metered.get(&key).unwrap().is_some());
    let seen = metered.snapshot();
    assert_eq!((seen.hits, seen.bytes_in, seen.bytes_out), (1, 0, 0));
}

#[test]
fn no_count_of_any_thread_is_lost() {
    const THREADS: u64 = 8;
    const CALLS: u64 = 2_000;
    let (metered, key) = (Metered::new(anonymous()), Key::new("k"));
    put(&metered, &key, "123");
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| (0..CALLS).for_each(|_| drop(metered.get(&key))));
        }
    });
    let seen = metered.snapshot();
    assert_eq!((seen.hits, seen.bytes_out), (THREADS * CALLS, 3 * THREADS * CALLS));
    assert_eq!(seen.latencies(Operation::Get).count(), THREADS * CALLS);
}
