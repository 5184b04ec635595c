use std::sync::Arc;
use std::thread;

use super::bench::Handle;
use crate::{Condition, ConditionalSet, Fingerprint, Key, Lookup, Namespace};

/// Holds the store called `store` to what [`Condition::Corrupt`] says of it, in `namespace`, of which nobody
/// else may know.
///
/// `damage` makes of the entry under a key something that the store cannot read back: something else for each
/// number that it is told. There is one entry then.
///
/// # Panics
///
/// If the store does not keep to it, or tells no fingerprint of damage.
pub fn conformance_on_damage(store: &str, namespace: impl Namespace, damage: impl Fn(&Key, u8)) {
    let (store, key) = (&Damaged { store, handle: Handle(Arc::new(namespace)) }, &Key::new("k"));
    let damaged = |how| {
        store.handle.put(key, "whole");
        damage(key, how);
        store.fingerprint(key)
    };
    store.lets_the_same_damage_be_replaced_once(key, damaged(1));
    let first = damaged(1);
    damage(key, 2);
    store.lets_no_other_damage_be_replaced(key, first);
    let first = damaged(1);
    store.lets_nothing_be_set_where_it_was_removed(key, first);
    let first = damaged(1);
    store.lets_no_good_entry_be_replaced(key, first);
    store.has_other_conditions_hold_as_before(key, damaged(1));
    let first = damaged(1);
    store.voids_a_claim(key, first);
    for round in 0..8 {
        store.lets_one_of_many_replace_it(key, damaged(round));
    }
}

struct Damaged<'a> {
    store: &'a str,
    handle: Handle,
}

impl Damaged<'_> {
    fn fingerprint(&self, key: &Key) -> Fingerprint {
        let look = || match self.handle.look_up(key).expect("look up") {
            Lookup::Corrupt(damage) => damage.fingerprint(),
            other => panic!("{}: it is not damaged: {other:?}", self.store),
        };
        let (first, second) = (look(), look());
        assert_eq!(first, second, "{}: one damage has one fingerprint", self.store);
        first.unwrap_or_else(|| panic!("{}: the store tells no fingerprint", self.store))
    }

    fn replaces(&self, key: &Key, value: &str, condition: Condition) -> bool {
        let set = self.handle.set_if(key, self.handle.entry(value), condition).expect("set if");
        matches!(set, ConditionalSet::Stored { .. })
    }

    fn text(&self, key: &Key) -> Option<String> {
        self.handle.text(key)
    }

    fn lets_the_same_damage_be_replaced_once(&self, key: &Key, seen: Fingerprint) {
        let store = self.store;
        assert!(self.replaces(key, "first", Condition::Corrupt(seen)), "{store}: it is the same");
        assert!(!self.replaces(key, "second", Condition::Corrupt(seen)), "{store}: it is whole");
        assert_eq!(self.text(key).as_deref(), Some("first"), "{store}");
    }

    fn lets_no_other_damage_be_replaced(&self, key: &Key, seen: Fingerprint) {
        let (store, now) = (self.store, self.fingerprint(key));
        assert_ne!(now, seen, "{store}: other damage has another fingerprint");
        assert!(
            !self.replaces(key, "late", Condition::Corrupt(seen)),
            "{store}: it is other damage"
        );
        assert_eq!(self.fingerprint(key), now, "{store}: a conflict changes nothing");
        assert!(self.replaces(key, "new", Condition::Corrupt(now)), "{store}: it is the same");
    }

    fn lets_nothing_be_set_where_it_was_removed(&self, key: &Key, seen: Fingerprint) {
        let store = self.store;
        self.handle.remove(key).expect("remove");
        assert!(!self.replaces(key, "late", Condition::Corrupt(seen)), "{store}: it was removed");
        assert_eq!(self.text(key), None, "{store}");
    }

    fn lets_no_good_entry_be_replaced(&self, key: &Key, seen: Fingerprint) {
        let store = self.store;
        self.handle.put(key, "mended");
        assert!(!self.replaces(key, "late", Condition::Corrupt(seen)), "{store}: it was mended");
        assert_eq!(self.text(key).as_deref(), Some("mended"), "{store}");
    }

    fn has_other_conditions_hold_as_before(&self, key: &Key, seen: Fingerprint) {
        let store = self.store;
        assert!(!self.replaces(key, "late", Condition::Generation(7)), "{store}: it has none");
        assert_eq!(self.fingerprint(key), seen, "{store}: a conflict changes nothing");
        assert!(self.replaces(key, "new", Condition::Absent), "{store}: nothing good is there");
        assert_eq!(self.text(key).as_deref(), Some("new"), "{store}");
    }

    fn voids_a_claim(&self, key: &Key, seen: Fingerprint) {
        let claim = self.handle.claimed(key);
        assert!(self.replaces(key, "new", Condition::Corrupt(seen)), "{}", self.store);
        assert!(!self.handle.fulfilled(key, "old", claim), "{}: a set voids a claim", self.store);
    }

    fn lets_one_of_many_replace_it(&self, key: &Key, seen: Fingerprint) {
        let replace = |value: &str| self.replaces(key, value, Condition::Corrupt(seen));
        let won: Vec<String> = thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|id| scope.spawn(move || (replace(&format!("{id}")), format!("{id}"))))
                .collect();
            let joined = threads.into_iter().map(|thread| thread.join().expect("no panic"));
            joined.filter_map(|(won, value)| won.then_some(value)).collect()
        });
        assert_eq!(won, Vec::from_iter(self.text(key)), "{}: one of many replaces it", self.store);
    }
}
