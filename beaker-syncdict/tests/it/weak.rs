//! `WeakRegistry`: values that vanish.

use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

use beaker_syncdict::WeakRegistry;

use crate::support::{Task, in_time, spawn};

/// DICT-6
#[test]
fn dict6_value_goes_with_its_last_owner_and_is_created_anew() {
    let registry: WeakRegistry<String, u32> = WeakRegistry::default();
    let one = registry.get_or_create("k", || Arc::new(1)).unwrap();
    let same = registry.get_or_create("k", || unreachable!("it lives")).unwrap();
    assert!(Arc::ptr_eq(&one, &same));
    drop(one);
    assert_eq!(registry.get("k").as_deref(), Some(&1));
    drop(same);
    assert_eq!((registry.get("k"), registry.contains_key("k"), registry.len()), (None, false, 0));
    assert_eq!(registry.get_or_create("k", || Arc::new(2)).as_deref(), Ok(&2));
}

/// As in the strong kind: a reader sits inside the shard, in the comparison of its key, while another
/// one reads.
#[test]
fn readers_of_a_living_value_hold_no_exclusive_lock() {
    /// The place to meet, the key itself, and whether it is a reader's.
    #[derive(Clone)]
    struct Meets(Arc<Barrier>, u8, bool);
    impl Hash for Meets {
        fn hash<H: Hasher>(&self, state: &mut H) {
            self.1.hash(state);
        }
    }
    impl PartialEq for Meets {
        fn eq(&self, other: &Self) -> bool {
            if self.2 || other.2 {
                self.0.wait();
            }
            self.1 == other.1
        }
    }
    impl Eq for Meets {}
    type Read<'a> = &'a (dyn Fn(&Meets) -> Arc<u32> + Sync);
    in_time(|| {
        let meet = Arc::new(Barrier::new(2));
        let key = |reads| Meets(Arc::clone(&meet), 1, reads);
        let registry: WeakRegistry<Meets, u32> = WeakRegistry::weak_with_shards(1);
        let held = registry.get_or_create(&key(false), || Arc::new(1)).unwrap();
        let get = |key: &Meets| registry.get(key).unwrap();
        let get_or_create =
            |key: &Meets| registry.get_or_create(key, || unreachable!("it lives")).unwrap();
        for read in [&get as Read<'_>, &get_or_create] {
            let keys = [key(true), key(true)];
            let read = std::thread::scope(|scope| {
                let readers = keys.each_ref().map(|key| scope.spawn(move || read(key)));
                readers.map(|reader| reader.join().unwrap())
            });
            assert!(read.iter().all(|read| Arc::ptr_eq(read, &held)));
        }
    });
}

/// DICT-6, DICT-7: whatever vanishes when, no two values of a key live at once, and a value that
/// vanishes between two looks counts as missing.
#[test]
fn dict7_no_two_values_of_a_key_live_at_once() {
    struct Alive(Arc<[AtomicUsize; 4]>, usize);
    impl Drop for Alive {
        fn drop(&mut self) {
            self.0[self.1].fetch_sub(1, Ordering::SeqCst);
        }
    }
    let registry: Arc<WeakRegistry<usize, Alive>> = Arc::default();
    let alive: Arc<[AtomicUsize; 4]> = Arc::default();
    let start = Arc::new(Barrier::new(8));
    let tasks: Vec<_> = (0..8)
        .map(|thread| {
            let (registry, alive, start) =
                (Arc::clone(&registry), Arc::clone(&alive), Arc::clone(&start));
            spawn(move || {
                start.wait();
                for step in 0..20_000 {
                    let key = (thread + step) % 4;
                    let create = || {
                        alive[key].fetch_add(1, Ordering::SeqCst);
                        Arc::new(Alive(Arc::clone(&alive), key))
                    };
                    let mine = registry.get_or_create(&key, create).unwrap();
                    // While mine lives nobody can be given another.
                    let theirs = registry.get(&key).unwrap();
                    assert!(Arc::ptr_eq(&mine, &theirs), "two live values of key {key}");
                }
            })
        })
        .collect();
    tasks.into_iter().for_each(Task::join);
    assert!(alive.iter().all(|count| count.load(Ordering::SeqCst) == 0));
    assert_eq!(registry.len(), 0);
}

#[test]
fn entries_of_vanished_values_do_not_accumulate() {
    let registry: WeakRegistry<u32, u32> = WeakRegistry::weak_with_shards(1);
    for n in 0..100_000 {
        drop(registry.get_or_create(&n, || Arc::new(n)).unwrap());
    }
    let leftover = registry.sweep();
    assert!(leftover <= 8, "{leftover} entries of vanished values");
}

#[test]
fn sweep_frees_vanished_entries_and_keeps_live_ones() {
    let registry: WeakRegistry<u32, u32> = WeakRegistry::weak_with_shards(1);
    let held: Vec<_> =
        (0..100).map(|n| registry.get_or_create(&n, || Arc::new(n)).unwrap()).collect();
    let (kept, gone) = held.split_at(40);
    let kept = kept.to_vec();
    assert_eq!(gone.len(), 60);
    drop(held);
    assert_eq!(registry.sweep(), 60);
    assert_eq!(registry.sweep(), 0);
    assert!(
        kept.iter().all(|value| registry.get(value).is_some_and(|got| Arc::ptr_eq(&got, value)))
    );
    let mut keys = registry.keys();
    keys.sort_unstable();
    assert_eq!(keys, (0..40).collect::<Vec<_>>());
}

#[test]
fn values_may_be_unsized() {
    let registry: WeakRegistry<u8, dyn Fn(u32) -> u32 + Send + Sync> = WeakRegistry::default();
    let double = registry.get_or_create(&1, || Arc::new(|n| n * 2)).unwrap();
    assert_eq!(double(21), 42);
    assert!(registry.contains_key(&1));
}

/// DICT-8: a creator may look up other keys of the weak registry.
#[test]
fn dict8_creator_may_use_the_registry_for_other_keys() {
    in_time(|| {
        let registry: WeakRegistry<u8, u32> = WeakRegistry::weak_with_shards(1);
        let value = registry.get_or_create(&1, || {
            let other = registry.get_or_create(&2, || Arc::new(20)).unwrap();
            Arc::new(*other + 1)
        });
        assert_eq!(value.as_deref(), Ok(&21));
    });
}

#[test]
fn inserted_value_replaces_and_removed_value_lives_on_outside() {
    let registry: WeakRegistry<u8, u32> = WeakRegistry::default();
    let (one, two) = (Arc::new(1), Arc::new(2));
    assert_eq!(registry.insert(1, Arc::clone(&one)), None);
    assert_eq!(registry.insert(1, Arc::clone(&two)), Some(one));
    assert_eq!(registry.remove(&1), Some(Arc::clone(&two)));
    assert_eq!((registry.get(&1), *two), (None, 2));
}
