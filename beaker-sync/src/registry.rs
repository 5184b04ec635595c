// A map from names to values that live for as long as somebody uses them.
//
// 1. The number of users of a name is counted under the map's lock, both ways. So a look-up either
//    comes before the last user leaves, and gets that very value, or after it, and makes a new one:
//    no two live values have one name, and no name stays behind.
// 2. A value is made under the map's lock, and must not touch the map. It is dropped outside of it.

use std::{borrow::Borrow, collections::HashMap, fmt, hash::Hash};

use crate::primitive::{Arc, Mutex};

/// Values found by name, forgotten with their last user.
#[derive(Debug)]
pub(crate) struct Registry<K, V> {
    entries: Mutex<HashMap<K, Entry<K, V>>>,
}

/// One use of a registered value; cloning it is another use.
pub(crate) struct Registered<K: Eq + Hash + Clone, V> {
    registry: Arc<Registry<K, V>>,
    key: K,
    value: Arc<V>,
}

#[derive(Debug)]
struct Entry<K, V> {
    key: K,
    value: Arc<V>,
    users: usize,
}

impl<K: Eq + Hash + Clone, V> Registry<K, V> {
    /// A registry without names.
    pub(crate) fn new() -> Self {
        Self { entries: Mutex::new(HashMap::new()) }
    }

    /// Finds the value under `name`, or makes it under the key `name` converts to.
    pub(crate) fn get_or_insert_with<Q>(
        registry: &Arc<Self>,
        name: &Q,
        make: impl FnOnce() -> V,
    ) -> Registered<K, V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
        for<'q> K: From<&'q Q>,
    {
        let mut entries = registry.entries.lock();
        let (key, value) = match entries.get_mut(name) {
            Some(entry) => {
                entry.users += 1;
                (entry.key.clone(), Arc::clone(&entry.value))
            }
            None => {
                let (key, value) = (K::from(name), Arc::new(make()));
                let entry = Entry { key: key.clone(), value: Arc::clone(&value), users: 1 };
                entries.insert(key.clone(), entry);
                (key, value)
            }
        };
        Registered { registry: Arc::clone(registry), key, value }
    }

    /// The number of names in use.
    #[cfg(any(test, beaker_loom, beaker_shuttle))]
    #[cfg_attr(beaker_shuttle, allow(dead_code, reason = "the models have this file as theirs"))]
    pub(crate) fn len(&self) -> usize {
        self.entries.lock().len()
    }
}

impl<K: Eq + Hash + Clone, V> Registered<K, V> {
    /// The name it was asked for by.
    pub(crate) fn key(&self) -> &K {
        &self.key
    }

    /// The value.
    pub(crate) fn value(&self) -> &V {
        &self.value
    }

    /// Whether both are uses of one value.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.value, &other.value)
    }
}

impl<K: Eq + Hash + Clone, V> Clone for Registered<K, V> {
    fn clone(&self) -> Self {
        if let Some(entry) = self.registry.entries.lock().get_mut(&self.key) {
            entry.users += 1;
        }
        Self {
            registry: Arc::clone(&self.registry),
            key: self.key.clone(),
            value: Arc::clone(&self.value),
        }
    }
}

impl<K: Eq + Hash + Clone, V> Drop for Registered<K, V> {
    fn drop(&mut self) {
        let mut entries = self.registry.entries.lock();
        let Some(entry) = entries.get_mut(&self.key) else { return };
        entry.users -= 1;
        let forgotten = if entry.users == 0 { entries.remove(&self.key) } else { None };
        drop(entries);
        drop(forgotten);
    }
}

impl<K: Eq + Hash + Clone + fmt::Debug, V: fmt::Debug> fmt::Debug for Registered<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registered").field("key", &self.key).field("value", &self.value).finish()
    }
}

// The path is said for the models that have this file from elsewhere.
#[cfg(beaker_loom)]
#[path = "registry/models.rs"]
pub mod models;

#[cfg(all(test, not(any(beaker_loom, beaker_shuttle))))]
mod tests {
    use super::*;

    type Names = Registry<String, u32>;

    fn get(registry: &Arc<Names>, name: &str, value: u32) -> Registered<String, u32> {
        Registry::get_or_insert_with(registry, name, || value)
    }

    #[test]
    fn a_name_keeps_its_value_while_it_is_used_and_is_forgotten_after() {
        let registry = Arc::new(Names::new());
        let first = get(&registry, "a", 1);
        let second = get(&registry, "a", 2);
        assert!(first.is_same(&second));
        let third = first.clone();
        drop((first, second));
        assert_eq!((*third.value(), registry.len()), (1, 1));
        drop(third);
        assert_eq!(registry.len(), 0);
        assert_eq!(*get(&registry, "a", 3).value(), 3);
        assert_eq!(registry.len(), 0);
    }

    #[test]
    fn f20_four_threads_and_few_names_leave_nothing_and_share_what_they_meet() {
        let registry = Arc::new(Registry::<String, std::sync::atomic::AtomicUsize>::new());
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let registry = &registry;
                scope.spawn(move || {
                    for round in 0..2_000 {
                        let name = ["a", "b", "c"][(thread + round) % 3];
                        let found = Registry::get_or_insert_with(registry, name, Default::default);
                        let again = Registry::get_or_insert_with(registry, name, Default::default);
                        assert!(found.is_same(&again));
                    }
                });
            }
        });
        assert_eq!(registry.len(), 0);
    }
}
