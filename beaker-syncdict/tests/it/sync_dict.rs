//! `SyncDict` as a map, strong kind; what creates is in `creation.rs`.

use std::cell::Cell;
use std::sync::Arc;
use std::thread;

use beaker_syncdict::{Lru, SyncDict, WeakRegistry};

use crate::support::in_time;

fn sorted<T: Ord>(mut items: Vec<T>) -> Vec<T> {
    items.sort();
    items
}

/// DICT-5: assignment, deletion, `in` and `clear` are those of a plain map.
#[test]
fn dict5_plain_operations_are_those_of_a_map() {
    let dict: SyncDict<String, u32> = SyncDict::new();
    assert_eq!(dict.insert("a".to_owned(), 1), None);
    assert_eq!(dict.insert("a".to_owned(), 2), Some(1));
    assert_eq!(dict.insert("b".to_owned(), 3), None);
    assert!(dict.contains_key("a"));
    assert_eq!((dict.get("a"), dict.get("c")), (Some(2), None));
    assert_eq!((dict.len(), dict.is_empty()), (2, false));
    assert_eq!(sorted(dict.keys()), ["a", "b"]);
    assert_eq!(dict.remove("a"), Some(2));
    dict.clear();
    assert_eq!((dict.len(), dict.is_empty()), (0, true));
}

/// DICT-5: in Beaker deleting a missing key is an error; here it says so by `None`.
#[test]
fn dict5_removing_a_missing_key_says_so() {
    let dict: SyncDict<u8, u8> = SyncDict::new();
    assert_eq!(dict.remove(&1), None);
}

#[test]
fn retain_keeps_what_it_is_told_to() {
    let dict: SyncDict<u32, u32> = SyncDict::new();
    (0..100).for_each(|n| assert_eq!(dict.insert(n, n * n), None));
    dict.retain(|key, value| {
        assert_eq!(*value, key * key);
        key % 10 == 0
    });
    assert_eq!(sorted(dict.keys()), [0, 10, 20, 30, 40, 50, 60, 70, 80, 90]);
}

#[test]
fn retain_judges_a_value_that_was_put_in_meanwhile_anew() {
    in_time(|| {
        let dict: SyncDict<u8, &str> = SyncDict::with_shards(1);
        dict.insert(1, "old");
        dict.insert(2, "gone");
        let asked = Cell::new(0);
        dict.retain(|key, value| {
            if *key == 1 && asked.replace(asked.get() + 1) == 0 {
                dict.insert(1, "new"); // would wait for itself if a lock were held here
                return *value != "old";
            }
            *value == "new"
        });
        assert_eq!((dict.get(&1), dict.get(&2)), (Some("new"), None));
        assert_eq!(asked.get(), 2);
    });
}

#[test]
fn get_valid_leaves_an_invalid_value_where_it_is() {
    let dict: SyncDict<u8, u8> = SyncDict::new();
    dict.insert(1, 10);
    assert_eq!(dict.get_valid(&1, |value| *value > 10), None);
    assert_eq!(dict.get_valid(&1, |value| *value == 10), Some(10));
    assert_eq!(dict.get_valid(&2, |_| unreachable!("there is no value to judge")), None);
}

#[test]
fn values_are_dropped_without_a_lock() {
    in_time(|| {
        struct Visitor(Arc<SyncDict<u8, Arc<Visitor>>>);
        impl Drop for Visitor {
            fn drop(&mut self) {
                // Waits for itself if the shard is still locked.
                self.0.remove(&7);
            }
        }
        let dict = Arc::new(SyncDict::with_shards(1));
        let visitor = || Arc::new(Visitor(Arc::clone(&dict)));
        dict.insert(1, visitor());
        dict.insert(1, visitor());
        dict.remove(&1);
        dict.insert(2, visitor());
        dict.retain(|_, _| false);
        dict.insert(3, visitor());
        dict.clear();
        assert_eq!(dict.len(), 0);
    });
}

/// F67: one cannot prepare keys that fall into one place, since each map is seeded for itself.
#[test]
fn f67_keys_that_collide_elsewhere_do_not_collide_here() {
    use std::hash::{Hash, Hasher};
    thread_local!(static COMPARED: Cell<u64> = const { Cell::new(0) });
    #[derive(Clone, Eq)]
    struct Key(u64);
    impl PartialEq for Key {
        fn eq(&self, other: &Self) -> bool {
            COMPARED.set(COMPARED.get() + 1);
            self.0 == other.0
        }
    }
    impl Hash for Key {
        fn hash<H: Hasher>(&self, state: &mut H) {
            self.0.hash(state);
        }
    }
    // Multiples of 2^40: equal in every low bit, which is what weak multiplicative hashes use.
    const KEYS: u64 = 100_000;
    let dict: SyncDict<Key, u64> = SyncDict::new();
    for n in 0..KEYS {
        dict.insert(Key(n << 40), n);
    }
    COMPARED.set(0);
    assert!((0..KEYS).all(|n| dict.get(&Key(n << 40)) == Some(n)));
    // One comparison finds the key; others happen by chance in about one look-up of 128 per
    // neighbour.
    assert!(COMPARED.get() < 2 * KEYS, "{} comparisons", COMPARED.get());
}

#[test]
fn dicts_cross_threads() {
    fn crosses<T: Send + Sync>() {}
    crosses::<SyncDict<String, u8>>();
    crosses::<SyncDict<String, u8, Lru>>();
    crosses::<WeakRegistry<String, u8>>();
}

#[test]
fn readers_of_a_present_key_hold_no_exclusive_lock() {
    in_time(|| {
        // A reader sits inside the shard, in the clone of a value, while another one reads.
        use std::sync::Barrier;
        struct Meets(Arc<Barrier>);
        impl Clone for Meets {
            fn clone(&self) -> Self {
                self.0.wait();
                Self(Arc::clone(&self.0))
            }
        }
        let dict: SyncDict<u8, Meets> = SyncDict::with_shards(1);
        dict.insert(1, Meets(Arc::new(Barrier::new(2))));
        let get = || dict.get(&1).is_some();
        let get_or_create = || dict.get_or_create(&1, || unreachable!("it is there")).is_ok();
        let reads: [&(dyn Fn() -> bool + Sync); 2] = [&get, &get_or_create];
        for read in reads {
            thread::scope(|scope| {
                let readers = [scope.spawn(read), scope.spawn(read)];
                assert!(readers.into_iter().all(|reader| reader.join().unwrap()));
            });
        }
    });
}
