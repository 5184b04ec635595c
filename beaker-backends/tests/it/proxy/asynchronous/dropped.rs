//! Futures dropped after each number of polls in turn, at each proxy.

use std::sync::Arc;
use std::time::Duration;

#[cfg(all(feature = "compress", feature = "encrypt"))]
use beaker_backends::proxy::{Compressed, Encrypted, KeyRing};
use beaker_backends::proxy::{Metered, Prefixed, Tiered};
use beaker_namespace::{Key, MemoryConfig, Namespace, Wait};

use super::{
    Change, all_found, at_each_poll, entry, face, files, finish, found, keys, memory, poll, put_old,
};

type Wrap = fn(Arc<dyn Namespace>) -> Box<dyn Namespace>;

fn tiered<N: Namespace>(lower: N) -> Tiered<N> {
    let hour = Duration::from_secs(3_600);
    Tiered::open(lower, MemoryConfig::new()).unwrap().max_age(hour)
}

type Named = (&'static str, Wrap);

/// The proxies, and all of them around each other.
fn proxies() -> Vec<Named> {
    let plain: [Named; 4] = [
        ("metered", |inner| Box::new(Metered::new(inner))),
        ("prefixed", |inner| Box::new(Prefixed::new(inner, "p"))),
        ("tiered", |inner| Box::new(tiered(inner))),
        ("all", |inner| Box::new(Metered::new(tiered(Prefixed::new(inner, "p"))))),
    ];
    plain.into_iter().chain(sealing()).collect()
}

#[cfg(all(feature = "compress", feature = "encrypt"))]
fn sealing() -> Vec<Named> {
    vec![
        ("compressed", |inner| Box::new(Compressed::new(inner))),
        ("encrypted", |inner| Box::new(Encrypted::new(inner, KeyRing::new(1, &[7; 32]).unwrap()))),
    ]
}

#[cfg(not(all(feature = "compress", feature = "encrypt")))]
fn sealing() -> Vec<Named> {
    Vec::new()
}

#[test]
fn nothing_is_done_before_the_first_poll() {
    for (proxy, wrap) in proxies() {
        let store = memory();
        let namespace = wrap(Arc::clone(&store) as _);
        put_old(&*namespace);
        let calls = store.asynchronous_calls();
        for change in Change::ALL {
            drop(change.run(&*namespace));
        }
        let (face, [a, b]) = (face(&*namespace), keys());
        drop((face.get(&a), face.get_many(&[a.clone(), b]), face.remove(&a), face.clear()));
        drop((face.claim(&a, Wait::Forever), face.inspect(&a), face.sweep()));
        assert_eq!(store.asynchronous_calls(), calls, "{proxy}");
    }
}

#[test]
fn a_change_that_is_dropped_is_done_or_not_and_never_in_part() {
    for (proxy, wrap) in proxies() {
        for change in Change::ALL {
            let mut done_unheard = false;
            at_each_poll(|polls| {
                let namespace = wrap(memory());
                put_old(&*namespace);
                let before = all_found(&*namespace);
                let mut changing = change.run(&*namespace);
                let ended = poll(&mut changing, polls).is_some();
                drop(changing);
                let after = all_found(&*namespace);
                let done = after == change.outcome();
                assert!(done || after == before, "{proxy}, {change:?}, {polls} polls: {after:?}");
                assert!(done || !ended, "{proxy}, {change:?}: it ended and is not done");
                done_unheard |= done && !ended;
                put_old(&*namespace);
                assert_eq!(all_found(&*namespace), before, "the next change holds");
                ended
            });
            assert!(
                done_unheard,
                "{proxy}, {change:?}: no drop was between the store and its answer"
            );
        }
    }
}

#[test]
fn a_claim_whose_future_is_dropped_is_given_back() {
    for (proxy, wrap) in proxies() {
        let key = Key::new("k");
        at_each_poll(|polls| {
            let (store, _dir) = files();
            let namespace = wrap(store);
            let mut claiming = face(&*namespace).claim(&key, Wait::Forever);
            let ended = poll(&mut claiming, polls).is_some();
            drop(claiming);
            let next = finish(face(&*namespace).claim(&key, Wait::Never)).unwrap();
            assert!(next.is_some(), "{proxy}, {polls} polls");
            ended
        });
    }
}

#[test]
fn a_fulfilment_that_is_dropped_gives_up_its_claim() {
    for (proxy, wrap) in proxies() {
        let key = Key::new("k");
        at_each_poll(|polls| {
            let (store, _dir) = files();
            let namespace = wrap(store);
            let face = face(&*namespace);
            let claim = finish(face.claim(&key, Wait::Never)).unwrap().unwrap();
            // The control: it is held.
            assert!(finish(face.claim(&key, Wait::Never)).unwrap().is_none(), "{proxy}");
            let mut storing = face.fulfil(&key, entry(&*namespace, "v"), claim);
            let ended = poll(&mut storing, polls).is_some();
            drop(storing);
            assert!(finish(face.claim(&key, Wait::Never)).unwrap().is_some(), "{proxy}, {polls}");
            let stored = found(&*namespace, &key);
            assert!(stored.is_some() || !ended, "{proxy}, {polls} polls");
            ended
        });
    }
}
