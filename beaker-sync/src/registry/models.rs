//! Models of the registry, for `tests/loom.rs`, which cannot see it.
//!
//! Each function is one model; it panics, or does not return, if an order of steps breaks its claim.

use loom::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use super::*;

type Names = Registry<String, Live>;

/// Counts how many values of one name live.
struct Live(Arc<AtomicUsize>);

impl Live {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn get(registry: &Arc<Names>, count: &Arc<AtomicUsize>) -> Registered<String, Live> {
    Registry::get_or_insert_with(registry, "name", || Live::new(count))
}

/// Two look-ups beside a drop find one value, and the last of them leaves nothing.
pub fn f20_two_look_ups_beside_a_drop_meet_in_one_value_and_leave_none() {
    loom::model(|| {
        let registry = Arc::new(Names::new());
        let count = Arc::new(AtomicUsize::new(0));
        let first = get(&registry, &count);
        let looker = {
            let (registry, count) = (Arc::clone(&registry), Arc::clone(&count));
            thread::spawn(move || get(&registry, &count))
        };
        let dropper = thread::spawn(move || drop(first));
        let found = get(&registry, &count);
        let other = looker.join().expect("no model thread panics");
        assert!(found.is_same(&other), "two values of one name are in use");
        dropper.join().expect("no model thread panics");
        assert_eq!(count.load(Ordering::SeqCst), 1, "values that live");
        drop((found, other));
        assert_eq!(registry.len(), 0, "names left over");
        assert_eq!(count.load(Ordering::SeqCst), 0, "values left over");
    });
}

/// A clone made beside a drop keeps the value registered.
pub fn a_clone_beside_a_drop_keeps_the_value_registered() {
    loom::model(|| {
        let registry = Arc::new(Names::new());
        let count = Arc::new(AtomicUsize::new(0));
        let first = get(&registry, &count);
        let second = first.clone();
        let dropper = thread::spawn(move || drop(first));
        let third = second.clone();
        drop(second);
        assert!(get(&registry, &count).is_same(&third));
        dropper.join().expect("no model thread panics");
        drop(third);
        assert_eq!((registry.len(), count.load(Ordering::SeqCst)), (0, 0));
    });
}

/// What the count under the lock prevents: this registry decides outside of the lock that nobody
/// uses a name, and forgets it afterwards. Panics with "two values of one name are in use".
pub fn control_a_registry_that_decides_outside_of_its_lock_is_caught() {
    loom::model(|| {
        fn look_up(entry: &Mutex<Option<Arc<i32>>>) -> Arc<i32> {
            Arc::clone(entry.lock().get_or_insert_with(|| Arc::new(0)))
        }
        let entry = Arc::new(Mutex::new(None));
        let first = look_up(&entry);
        let looker = {
            let entry = Arc::clone(&entry);
            thread::spawn(move || {
                let (found, again) = (look_up(&entry), look_up(&entry));
                assert!(Arc::ptr_eq(&found, &again), "two values of one name are in use");
            })
        };
        let last = entry.lock().as_ref().is_some_and(|value| Arc::strong_count(value) == 2);
        drop(first);
        if last {
            *entry.lock() = None;
        }
        looker.join().expect("no model thread panics");
    });
}
