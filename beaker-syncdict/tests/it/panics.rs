//! F68: keys and values whose own code panics, on the n-th call, whatever the call is.

use std::cell::Cell;
use std::hash::{Hash, Hasher};
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::thread;

use beaker_syncdict::{Lru, Storage, SyncDict, WeakRegistry};

use crate::support::{spawn, until};

thread_local! {
    /// Calls left until one panics.
    static FUSE: Cell<Option<u32>> = const { Cell::new(None) };
}

fn burn() {
    // One panic in another's unwinding would abort the process, whoever's code it is.
    if thread::panicking() {
        return;
    }
    match FUSE.get() {
        None => {}
        Some(0) => {
            FUSE.set(None);
            resume_unwind(Box::new("the fuse")); // without a report
        }
        Some(left) => FUSE.set(Some(left - 1)),
    }
}

/// Panics in `Hash`, `Eq`, `Clone` and `Drop` when the fuse says so.
#[derive(Debug)]
struct Fragile(u32);

impl Hash for Fragile {
    fn hash<H: Hasher>(&self, state: &mut H) {
        burn();
        self.0.hash(state);
    }
}

impl PartialEq for Fragile {
    fn eq(&self, other: &Self) -> bool {
        burn();
        self.0 == other.0
    }
}

impl Eq for Fragile {}

impl Clone for Fragile {
    fn clone(&self) -> Self {
        burn();
        Self(self.0)
    }
}

impl Drop for Fragile {
    fn drop(&mut self) {
        burn();
    }
}

/// Uses every operation; panics somewhere on the way if the fuse is lit.
fn use_all<S: Storage<Fragile, Fragile>>(
    dict: &SyncDict<Fragile, Fragile, S>,
    value: impl Fn(u32) -> S::Value,
) {
    for n in 0..12 {
        let _ = dict.get_or_create(&Fragile(n), || value(n));
    }
    dict.insert(Fragile(3), value(30));
    dict.insert(Fragile(40), value(40));
    let _ = dict.get(&Fragile(3));
    let _ = dict.get_or_create_if(&Fragile(3), |_| false, || value(31));
    let _ = dict.get_or_try_create(&Fragile(50), || Err::<S::Value, _>("no"));
    dict.remove(&Fragile(4));
    dict.retain(|key, _| key.0 % 2 == 1);
    drop(dict.keys());
    dict.clear();
}

/// Lights the fuse for every call in turn, until it is longer than all of `use_all`.
fn survives<S: Storage<Fragile, Fragile>>(
    make: impl Fn() -> SyncDict<Fragile, Fragile, S>,
    value: impl Fn(u32) -> S::Value,
) -> u32 {
    for fuse in 0.. {
        let dict = make();
        FUSE.set(Some(fuse));
        let used = catch_unwind(AssertUnwindSafe(|| use_all(&dict, &value)));
        let burnt = FUSE.take().is_none();
        assert_eq!(used.is_err(), burnt);
        assert_eq!(dict.creations(), 0, "fuse {fuse}: a creation is left over");
        // Still a dictionary.
        dict.clear();
        assert!(dict.is_empty());
        let held = value(1);
        dict.insert(Fragile(1), held.clone());
        assert!(dict.get(&Fragile(1)).is_some(), "fuse {fuse}");
        assert!(dict.remove(&Fragile(1)).is_some(), "fuse {fuse}");
        if !burnt {
            return fuse;
        }
    }
    unreachable!("the fuse is longer than the run at some point")
}

#[test]
fn f68_strong_kind_survives_a_panic_in_any_call_of_user_code() {
    let calls = survives(|| SyncDict::with_shards(1), Fragile);
    assert!(calls > 50, "only {calls} calls were tried");
}

#[test]
fn f68_weak_kind_survives_a_panic_in_any_call_of_user_code() {
    let calls = survives(|| WeakRegistry::weak_with_shards(1), |n| Arc::new(Fragile(n)));
    assert!(calls > 50, "only {calls} calls were tried");
}

#[test]
fn f68_lru_kind_survives_a_panic_in_any_call_of_user_code() {
    let make = || SyncDict::<_, _, Lru>::lru(NonZeroUsize::new(5).unwrap());
    let calls = survives(make, Fragile);
    assert!(calls > 50, "only {calls} calls were tried");
}

/// F68: a leader's thread panics in any of its user code; who waits is served by the next.
#[test]
fn f68_nobody_hangs_when_a_leaders_keys_and_values_panic() {
    for fuse in 0..40 {
        let dict: Arc<SyncDict<Fragile, Fragile>> = Arc::new(SyncDict::with_shards(1));
        // Something to compare and rehash.
        (100..103).for_each(|n| drop(dict.insert(Fragile(n), Fragile(n))));
        let leader = {
            let dict = Arc::clone(&dict);
            spawn(move || {
                let lead = || {
                    let created = dict.get_or_create(&Fragile(1), || {
                        until("somebody waits", || dict.waiting(&Fragile(1)) == 1);
                        FUSE.set(Some(fuse)); // burns in what the leader does from here on
                        Fragile(7)
                    });
                    drop(created);
                    FUSE.set(None);
                };
                let _ = catch_unwind(AssertUnwindSafe(lead));
                FUSE.set(None);
            })
        };
        until("the leader creates", || dict.creations() == 1);
        let waiter = {
            let dict = Arc::clone(&dict);
            spawn(move || dict.get_or_create(&Fragile(1), || Fragile(8)).map(|value| value.0))
        };
        leader.join();
        let got = waiter.join().unwrap();
        assert!(got == 7 || got == 8);
        assert_eq!(dict.creations(), 0);
    }
}
