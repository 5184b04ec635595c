//! The right to create a value, and what takes it away.

use beaker_namespace::{
    Claim, Condition, ConditionalSet, Fulfilled, Key, MemoryConfig, MemoryNamespace, Namespace,
    Wait,
};

use super::{memory, raw, text};

fn key() -> Key {
    Key::new("k")
}

fn claim(namespace: &MemoryNamespace) -> Claim {
    namespace.claim(&key(), Wait::Never).unwrap().unwrap()
}

fn fulfil(namespace: &MemoryNamespace, claim: Claim) -> Fulfilled {
    namespace.fulfil(&key(), raw(namespace, "made"), claim).unwrap()
}

/// Whether a claim survives what `meanwhile` does.
fn survives(meanwhile: impl FnOnce(&MemoryNamespace)) -> bool {
    let namespace = memory(MemoryConfig::new());
    let claim = claim(&namespace);
    meanwhile(&namespace);
    let before = namespace.stats().superseded;
    match fulfil(&namespace, claim) {
        Fulfilled::Stored => {
            assert_eq!(text(&*namespace, &key()).as_deref(), Some("made"));
            true
        }
        Fulfilled::Superseded => {
            assert_ne!(text(&*namespace, &key()).as_deref(), Some("made"));
            assert_eq!(namespace.stats().superseded, before + 1);
            false
        }
    }
}

#[test]
fn ns_6_a_claim_that_nothing_overtakes_is_fulfilled() {
    assert!(survives(|_| {}));
    assert!(survives(|namespace| namespace.set(&Key::new("other"), raw(namespace, "")).unwrap()));
    assert!(survives(|namespace| assert!(namespace.get(&key()).unwrap().is_none())));
}

#[test]
fn a_set_wins_over_a_running_creation() {
    assert!(!survives(|namespace| namespace.set(&key(), raw(namespace, "set")).unwrap()));
}

#[test]
fn a_removal_wins_over_a_running_creation() {
    assert!(!survives(|namespace| assert!(!namespace.remove(&key()).unwrap())));
}

#[test]
fn a_clear_wins_over_a_running_creation() {
    assert!(!survives(|namespace| namespace.clear().unwrap()));
}

#[test]
fn a_conditional_set_wins_if_it_stores_and_not_if_it_does_not() {
    assert!(!survives(|namespace| {
        let stored = namespace.set_if(&key(), raw(namespace, "set"), Condition::Absent).unwrap();
        assert!(matches!(stored, ConditionalSet::Stored { .. }));
    }));
    assert!(survives(|namespace| {
        let condition = Condition::Generation(7);
        let stored = namespace.set_if(&key(), raw(namespace, "set"), condition).unwrap();
        assert_eq!(stored, ConditionalSet::Conflict);
    }));
}

#[test]
fn ns_6_a_newer_claim_voids_the_older_and_neither_waits() {
    let namespace = memory(MemoryConfig::new());
    let older = claim(&namespace);
    let newer = claim(&namespace);
    assert_eq!(fulfil(&namespace, older), Fulfilled::Superseded);
    assert_eq!(fulfil(&namespace, newer), Fulfilled::Stored);
}

#[test]
fn dropping_an_older_claim_leaves_the_newer() {
    let namespace = memory(MemoryConfig::new());
    let older = claim(&namespace);
    let newer = claim(&namespace);
    drop(older);
    assert_eq!(fulfil(&namespace, newer), Fulfilled::Stored);
}

#[test]
fn the_value_of_a_finished_claim_voids_the_next_ones_of_nobody() {
    let namespace = memory(MemoryConfig::new());
    let first = claim(&namespace);
    assert_eq!(fulfil(&namespace, first), Fulfilled::Stored);
    let second = claim(&namespace);
    assert_eq!(fulfil(&namespace, second), Fulfilled::Stored);
}

#[test]
fn a_claim_of_another_key_or_namespace_stores_nothing() {
    let (namespace, other) = (memory(MemoryConfig::new()), memory(MemoryConfig::new()));
    let foreign = claim(&other);
    assert_eq!(fulfil(&namespace, foreign), Fulfilled::Superseded);
    let elsewhere = namespace.claim(&Key::new("other"), Wait::Never).unwrap().unwrap();
    assert_eq!(fulfil(&namespace, elsewhere), Fulfilled::Superseded);
}

#[test]
fn the_removal_of_a_tag_wins_over_a_running_creation_that_bears_it() {
    let namespace = memory(MemoryConfig::new());
    let tagged = |tag: &str| raw(&*namespace, "made").tags(vec![tag.to_owned()]);
    let bears = claim(&namespace);
    assert_eq!(namespace.remove_tag("t").unwrap(), 0);
    let fulfilled = namespace.fulfil(&key(), tagged("t"), bears).unwrap();
    assert_eq!(fulfilled, Fulfilled::Superseded);

    let another = claim(&namespace);
    namespace.remove_tag("t").unwrap();
    assert_eq!(namespace.fulfil(&key(), tagged("u"), another).unwrap(), Fulfilled::Stored);

    let later = claim(&namespace);
    assert_eq!(namespace.fulfil(&key(), tagged("t"), later).unwrap(), Fulfilled::Stored);
}

#[test]
fn the_removal_of_many_tags_forgets_none_of_them() {
    let namespace = memory(MemoryConfig::new());
    let claim = claim(&namespace);
    for n in 0..3_000 {
        namespace.remove_tag(&n.to_string()).unwrap();
    }
    let entry = raw(&*namespace, "made").tags(vec!["5".to_owned()]);
    assert_eq!(namespace.fulfil(&key(), entry, claim).unwrap(), Fulfilled::Superseded);
}

#[test]
fn a_condition_on_a_generation_lets_one_of_two_writers_through() {
    let namespace = memory(MemoryConfig::new());
    namespace.set(&key(), raw(&*namespace, "1")).unwrap();
    let read = namespace.get(&key()).unwrap().unwrap().generation();
    let write = |text: &str| {
        namespace.set_if(&key(), raw(&*namespace, text), Condition::Generation(read)).unwrap()
    };
    let ConditionalSet::Stored { generation } = write("2") else { panic!("it is the first") };
    assert_eq!(write("3"), ConditionalSet::Conflict);
    let entry = namespace.get(&key()).unwrap().unwrap();
    assert_eq!(entry.generation(), generation);
    assert_eq!(text(&*namespace, &key()).as_deref(), Some("2"));
}

#[test]
fn a_condition_on_absence_holds_once() {
    let namespace = memory(MemoryConfig::new());
    let write = || namespace.set_if(&key(), raw(&*namespace, "v"), Condition::Absent).unwrap();
    assert!(matches!(write(), ConditionalSet::Stored { .. }));
    assert_eq!(write(), ConditionalSet::Conflict);
    namespace.remove(&key()).unwrap();
    assert!(matches!(write(), ConditionalSet::Stored { .. }));
}
