//! The creating calls of `SyncDict`.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};

use beaker_syncdict::{CreateError, Reentrant, SyncDict};

use crate::support::{LIMIT, Task, in_time, spawn, until};

type Shared = Arc<SyncDict<String, u32>>;

/// A creation of `key` that runs until it is told its result.
struct Creation {
    task: Task<Result<u32, CreateError<&'static str>>>,
    result: mpsc::Sender<Result<u32, &'static str>>,
}

impl Creation {
    fn start(dict: &Shared, key: &'static str) -> Self {
        let dict = Arc::clone(dict);
        let (entered, running) = mpsc::channel();
        let (result, told) = mpsc::channel();
        let task = spawn(move || {
            dict.get_or_try_create(key, || {
                entered.send(()).unwrap();
                // The other end gone means: panic.
                told.recv_timeout(LIMIT).expect("told to panic")
            })
        });
        running.recv_timeout(LIMIT).unwrap();
        Self { task, result }
    }

    fn end(self, result: Result<u32, &'static str>) -> Result<u32, CreateError<&'static str>> {
        self.result.send(result).unwrap();
        self.task.join()
    }

    fn panic(self) {
        drop(self.result);
        self.task.join_panicked();
    }
}

/// A caller known to wait for the creation of `key`; its own creator returns `own`.
fn waiter(
    dict: &Shared,
    key: &'static str,
    own: u32,
) -> Task<Result<u32, CreateError<&'static str>>> {
    let already = dict.waiting(key);
    let asked = Arc::clone(dict);
    let task = spawn(move || asked.get_or_try_create(key, || Ok(own)));
    until("the waiter waits", || dict.waiting(key) == already + 1);
    task
}

/// DICT-1
#[test]
fn dict1_stored_value_is_returned_or_else_created_and_stored() {
    let dict = Shared::default();
    assert_eq!(dict.get_or_create("k", || 1), Ok(1));
    assert_eq!(dict.get_or_create("k", || unreachable!("it is there")), Ok(1));
    assert_eq!(dict.get("k"), Some(1));
}

/// DICT-2: 19 threads, exactly one creation, and the losers get the winner's object.
#[test]
fn dict2_one_creation_for_all_who_ask_at_once() {
    let dict: Arc<SyncDict<u8, Arc<u32>>> = Arc::default();
    let created = Arc::new(AtomicUsize::new(0));
    let start = Arc::new(Barrier::new(19));
    let tasks: Vec<_> = (0..19)
        .map(|_| {
            let (dict, created, start) =
                (Arc::clone(&dict), Arc::clone(&created), Arc::clone(&start));
            spawn(move || {
                start.wait();
                let create = || {
                    created.fetch_add(1, Ordering::SeqCst);
                    Arc::new(5)
                };
                dict.get_or_create(&1, create).unwrap()
            })
        })
        .collect();
    let values: Vec<_> = tasks.into_iter().map(Task::join).collect();
    assert_eq!(created.load(Ordering::SeqCst), 1);
    assert!(values.iter().all(|value| Arc::ptr_eq(value, &values[0])));
}

/// DICT-4
#[test]
fn dict4_failed_creation_stores_nothing_and_the_next_call_creates() {
    let dict = Shared::default();
    let failed = dict.get_or_try_create("k", || Err::<u32, _>("no"));
    assert_eq!(failed, Err(CreateError::Create("no")));
    assert!(!dict.contains_key("k"));
    assert_eq!(dict.creations(), 0);
    assert_eq!(dict.get_or_create("k", || 2), Ok(2));
}

/// D11: Beaker holds its one mutex while a creator runs; another key waited for it.
#[test]
fn d11_other_keys_are_read_and_created_while_a_creator_runs() {
    let dict = Shared::default();
    dict.insert("present".to_owned(), 1);
    let creation = Creation::start(&dict, "slow");
    // Enough keys to fall into the slow key's shard too.
    for n in 0..1_000 {
        assert_eq!(dict.get_or_create(&n.to_string(), || n), Ok(n));
    }
    assert_eq!(dict.get("present"), Some(1));
    assert_eq!(creation.end(Ok(2)), Ok(2));
}

/// D12: in Beaker a creator that uses the same dictionary waits for itself.
#[test]
fn d12_creator_may_use_the_dictionary_for_other_keys() {
    in_time(|| {
        let dict = SyncDict::<u32, u32>::with_shards(1);
        let sum = dict.get_or_create(&0, || {
            dict.insert(1, 10);
            dict.remove(&1);
            (1..=100).map(|n| dict.get_or_create(&n, || n).unwrap()).sum()
        });
        assert_eq!(sum, Ok(5_050));
        assert_eq!(dict.len(), 101);
    });
}

/// F14
#[test]
fn f14_creator_that_asks_for_its_own_key_gets_an_error() {
    in_time(|| {
        let dict = Shared::default();
        let inner = dict.get_or_create("k", || {
            assert_eq!(dict.get_or_create("k", || 1), Err(Reentrant));
            99
        });
        assert_eq!(inner, Ok(99));
    });
}

/// F14: also when other creators lie between.
#[test]
fn f14_deeper_creator_that_asks_for_an_outer_key_gets_an_error() {
    in_time(|| {
        let dict = Shared::default();
        let outer: Result<u32, CreateError<CreateError<Reentrant>>> = dict
            .get_or_try_create("outer", || {
                dict.get_or_try_create("inner", || dict.get_or_create("outer", || 1))
            });
        assert_eq!(outer, Err(CreateError::Create(CreateError::Create(Reentrant))));
        assert_eq!((dict.len(), dict.creations()), (0, 0));
    });
}

/// D13: Beaker calls a creator that raises KeyError up to four times. Beaker's D29 and F16: every
/// waiter runs a failing creator again.
#[test]
fn f16_failing_creator_runs_once_for_200_who_wait() {
    let dict = Shared::default();
    let calls = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..200)
        .map(|_| {
            let (dict, calls) = (Arc::clone(&dict), Arc::clone(&calls));
            spawn(move || {
                dict.get_or_try_create("k", || {
                    calls.fetch_add(1, Ordering::SeqCst);
                    until("all others wait", || dict.waiting("k") == 199);
                    Err::<u32, _>("no such key")
                })
            })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.join(), Err(CreateError::Create("no such key")));
    }
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    assert_eq!((dict.len(), dict.creations()), (0, 0));
}

#[test]
fn caller_with_another_error_type_leads_after_a_failure() {
    let dict = Shared::default();
    let creation = Creation::start(&dict, "k");
    let other = {
        let dict = Arc::clone(&dict);
        spawn(move || dict.get_or_try_create("k", || Err::<u32, u64>(404)))
    };
    until("the other waits", || dict.waiting("k") == 1);
    assert_eq!(creation.end(Err("no")), Err(CreateError::Create("no")));
    assert_eq!(other.join(), Err(CreateError::Create(404)));
}

/// F11: 16 threads, the first 3 creators panic.
#[test]
fn f11_panic_reaches_its_own_caller_and_the_next_one_leads() {
    let dict = Shared::default();
    let attempts = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let (dict, attempts) = (Arc::clone(&dict), Arc::clone(&attempts));
            spawn(move || {
                let create = || {
                    let attempt = attempts.fetch_add(1, Ordering::SeqCst);
                    until("all others wait", || dict.waiting("k") == 15 - attempt);
                    assert!(attempt >= 3, "attempt {attempt}");
                    7
                };
                catch_unwind(AssertUnwindSafe(|| dict.get_or_create("k", create))).ok()
            })
        })
        .collect();
    let results: Vec<_> = tasks.into_iter().map(Task::join).collect();
    assert_eq!(results.iter().filter(|result| result.is_none()).count(), 3);
    assert_eq!(results.iter().filter(|result| **result == Some(Ok(7))).count(), 13);
    assert_eq!(attempts.load(Ordering::SeqCst), 4);
    assert_eq!(dict.creations(), 0);
    assert_eq!(dict.get_or_create("k", || unreachable!("it is there")), Ok(7));
}

#[test]
fn next_caller_leads_after_a_leader_panics_with_nobody_waiting() {
    let dict = Shared::default();
    Creation::start(&dict, "k").panic();
    assert_eq!(dict.creations(), 0);
    assert_eq!(dict.get_or_create("k", || 2), Ok(2));
}

#[test]
fn insert_during_a_creation_stays_and_goes_to_those_who_wait() {
    let dict = Shared::default();
    let creation = Creation::start(&dict, "k");
    let waiting = waiter(&dict, "k", 3);
    assert_eq!(dict.insert("k".to_owned(), 50), None);
    assert_eq!(waiting.join(), Ok(50));
    assert_eq!(creation.end(Ok(1)), Ok(1), "its own caller gets what was created");
    assert_eq!(dict.get("k"), Some(50));
    assert_eq!(dict.creations(), 0);
}

#[test]
fn remove_during_a_creation_leaves_nothing_stored() {
    let dict = Shared::default();
    let creation = Creation::start(&dict, "k");
    let waiting = waiter(&dict, "k", 3);
    assert_eq!(dict.remove("k"), None);
    assert_eq!(creation.end(Ok(1)), Ok(1));
    assert_eq!(waiting.join(), Ok(1), "who waited before the removal gets what was created");
    assert_eq!(dict.get("k"), None);
}

#[test]
fn who_asks_after_a_remove_creates_anew_beside_the_old_creation() {
    let dict = Shared::default();
    let old = Creation::start(&dict, "k");
    dict.remove("k");
    assert_eq!(dict.get_or_create("k", || 2), Ok(2));
    assert_eq!(old.end(Ok(1)), Ok(1));
    assert_eq!(dict.get("k"), Some(2));
}

#[test]
fn waiter_of_a_removed_creation_that_fails_by_panic_creates_and_stores() {
    let dict = Shared::default();
    let old = Creation::start(&dict, "k");
    let waiting = waiter(&dict, "k", 3);
    dict.remove("k");
    old.panic();
    assert_eq!(waiting.join(), Ok(3));
    assert_eq!(dict.get("k"), Some(3), "its creation began after the removal");
}

#[test]
fn clear_during_a_creation_leaves_nothing_stored() {
    let dict = Shared::default();
    let awaited = Creation::start(&dict, "awaited");
    let alone = Creation::start(&dict, "alone");
    let waiting = waiter(&dict, "awaited", 3);
    dict.clear();
    assert_eq!(alone.end(Ok(2)), Ok(2));
    assert_eq!(awaited.end(Ok(1)), Ok(1));
    assert_eq!(waiting.join(), Ok(1));
    assert_eq!((dict.len(), dict.creations()), (0, 0));
}

#[test]
fn creator_that_inserts_its_own_key_finds_that_value_kept() {
    in_time(|| {
        let dict = Shared::default();
        let created = dict.get_or_create("k", || {
            dict.insert("k".to_owned(), 5);
            6
        });
        assert_eq!(created, Ok(6));
        assert_eq!(dict.get("k"), Some(5));
    });
}

#[test]
fn valid_value_is_got_and_an_invalid_one_created_anew() {
    let dict = Shared::default();
    dict.insert("k".to_owned(), 1);
    assert_eq!(dict.get_or_create_if("k", |value| *value == 1, || unreachable!("valid")), Ok(1));
    assert_eq!(dict.get_or_create_if("k", |value| *value > 1, || 2), Ok(2));
    assert_eq!(dict.get("k"), Some(2));
    assert_eq!(dict.get_or_create_if("absent", |_| unreachable!("no value"), || 3), Ok(3));
}

#[test]
fn invalid_value_stays_when_its_successor_fails() {
    let dict = Shared::default();
    dict.insert("k".to_owned(), 1);
    let failed = dict.get_or_try_create_if("k", |_| false, || Err::<u32, _>("no"));
    assert_eq!(failed, Err(CreateError::Create("no")));
    assert_eq!(dict.get("k"), Some(1));
}

#[test]
fn invalid_value_is_made_anew_once_for_all_who_ask() {
    let dict = Shared::default();
    dict.insert("k".to_owned(), 1);
    let calls = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (dict, calls) = (Arc::clone(&dict), Arc::clone(&calls));
            spawn(move || {
                let create = || {
                    calls.fetch_add(1, Ordering::SeqCst);
                    until("all others wait", || dict.waiting("k") == 7);
                    2
                };
                dict.get_or_create_if("k", |value| *value == 2, create).unwrap()
            })
        })
        .collect();
    assert!(tasks.into_iter().all(|task| task.join() == 2));
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[test]
fn value_that_became_valid_before_the_lead_is_not_created_again() {
    in_time(|| {
        let dict = Shared::default();
        dict.insert("k".to_owned(), 1);
        let mut first = true;
        let valid = |value: &u32| {
            if std::mem::take(&mut first) {
                dict.insert("k".to_owned(), 2); // somebody else is faster
            }
            *value == 2
        };
        assert_eq!(dict.get_or_create_if("k", valid, || unreachable!("it is valid by now")), Ok(2));
        assert_eq!(dict.creations(), 0);
    });
}

/// F21: 64 threads, 1,000 names, one creation in ten panics: made once for each name.
#[test]
fn f21_each_name_is_made_once_although_creators_panic() {
    const NAMES: usize = 1_000;
    let dict: Arc<SyncDict<usize, usize>> = Arc::default();
    let attempts: Arc<Vec<AtomicUsize>> =
        Arc::new((0..NAMES).map(|_| AtomicUsize::new(0)).collect());
    let made: Arc<Vec<AtomicUsize>> = Arc::new((0..NAMES).map(|_| AtomicUsize::new(0)).collect());
    let tasks: Vec<_> = (0..64)
        .map(|thread| {
            let (dict, attempts, made) =
                (Arc::clone(&dict), Arc::clone(&attempts), Arc::clone(&made));
            spawn(move || {
                for step in 0..NAMES {
                    let name = (step * 7 + thread * 13) % NAMES;
                    let create = || {
                        let first = attempts[name].fetch_add(1, Ordering::SeqCst) == 0;
                        if first && name.is_multiple_of(10) {
                            std::panic::resume_unwind(Box::new("one in ten")); // without a report
                        }
                        made[name].fetch_add(1, Ordering::SeqCst);
                        name
                    };
                    let got = catch_unwind(AssertUnwindSafe(|| dict.get_or_create(&name, create)));
                    assert!(got.is_err() || matches!(got, Ok(Ok(value)) if value == name));
                }
            })
        })
        .collect();
    tasks.into_iter().for_each(Task::join);
    let times: HashSet<usize> = made.iter().map(|made| made.load(Ordering::SeqCst)).collect();
    assert_eq!(times, HashSet::from([1]));
    assert_eq!((dict.len(), dict.creations()), (NAMES, 0));
}
