//! Claims: one creator, and an invalidation wins over it.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::case;
use crate::testkit::bench::{Bench, Handle};
use crate::testkit::suite::Case;
use crate::{Condition, ConditionalSet, Fulfilled, Key, Scope, Wait};

pub(super) const CASES: &[Case] = &[
    case!(a_fulfilled_claim_stores, "what was created under a claim is stored", [Retains]),
    case!(
        a_set_wins_over_a_running_creation,
        "a value that is set during a creation stays",
        [Retains]
    ),
    case!(
        a_remove_wins_over_a_running_creation,
        "a key that is removed during its creation stays \
          removed",
        [Retains]
    ),
    case!(
        removing_an_absent_key_wins_too,
        "remove voids the claim also if nothing was there",
        [Retains]
    ),
    case!(
        a_clear_wins_over_a_running_creation,
        "a namespace that is cleared during a creation \
          stays clear, also if it was clear before",
        [Retains]
    ),
    case!(a_batch_wins_over_a_running_creation, "set_many and remove_many void claims", [Retains]),
    case!(
        a_conditional_set_wins_if_it_stores,
        "a conditional set voids the claim if it stores and \
          only then",
        [Retains, CompareAndSet]
    ),
    case!(
        a_tag_removal_wins_over_a_running_creation,
        "an entry that is removed by its tag during \
          its re-creation stays removed",
        [Retains, Tags]
    ),
    case!(
        an_invalidation_through_another_handle_wins,
        "all of this holds between two handles",
        [Retains]
    ),
    case!(
        other_keys_do_not_void_a_claim,
        "what happens to other keys and namespaces voids nothing",
        [Retains]
    ),
    case!(reading_and_sweeping_void_no_claim, "get, a death, and sweep void nothing", [Retains]),
    case!(superseded_creations_are_counted, "each superseded creation is counted", [Retains]),
    case!(
        a_claim_ends_with_its_drop,
        "a dropped claim is free, and the key can be claimed again",
        []
    ),
    case!(a_claim_ends_with_its_fulfilment, "a fulfilled or superseded claim is free", []),
    case!(claims_on_different_keys_are_independent, "different keys are claimed side by side", []),
    case!(
        one_claim_at_a_time_in_the_scope,
        "beyond a process, a second claim waits for the first; \
          in a process, it voids the first",
        [Retains]
    ),
    case!(a_wait_for_a_claim_is_bounded, "a wait for a claim ends in time", []),
    case!(a_waiter_gets_the_claim, "a waiter gets the claim when it is dropped", []),
];

fn a_fulfilled_claim_stores(bench: &Bench<'_>) {
    let (store, key) = (bench.open(""), Key::new("k"));
    for value in ["first", "second"] {
        let claim = store.claimed(&key);
        assert!(store.fulfilled(&key, value, claim), "nothing happened meanwhile");
        assert_eq!(store.text(&key).as_deref(), Some(value));
    }
}

/// Checks that what `invalidate` does through `other` wins over a creation through `store`, and
/// that it stops winning with it.
fn wins(store: &Handle, other: &Handle, key: &Key, invalidate: &dyn Fn(&Handle)) {
    let claim = store.claimed(key);
    invalidate(other);
    let after = store.text(key);
    assert!(!store.fulfilled(key, "created before", claim), "the old creation was stored");
    assert_eq!(store.text(key), after, "the old creation changed something");
    let claim = store.claimed(key);
    assert!(store.fulfilled(key, "created after", claim), "the next creation was void too");
    assert_eq!(store.text(key).as_deref(), Some("created after"));
}

fn a_set_wins_over_a_running_creation(bench: &Bench<'_>) {
    let (store, key) = (bench.open(""), Key::new("k"));
    let set = |store: &Handle| store.put(&key, "newer");
    for _ in 0..2 {
        wins(&store, &store, &key, &set);
    }
    let claim = store.claimed(&key);
    set(&store);
    assert!(!store.fulfilled(&key, "older", claim));
    assert_eq!(store.text(&key).as_deref(), Some("newer"));
}

fn a_remove_wins_over_a_running_creation(bench: &Bench<'_>) {
    let (store, key) = (bench.open(""), Key::new("k"));
    store.put(&key, "old");
    wins(&store, &store, &key, &|store| assert!(store.remove(&key).expect("remove")));
    let claim = store.claimed(&key);
    store.remove(&key).expect("remove");
    assert!(!store.fulfilled(&key, "older", claim));
    assert_eq!(store.text(&key), None);
}

fn removing_an_absent_key_wins_too(bench: &Bench<'_>) {
    let (store, key) = (bench.open(""), Key::new("k"));
    wins(&store, &store, &key, &|store| assert!(!store.remove(&key).expect("remove")));
}

fn a_clear_wins_over_a_running_creation(bench: &Bench<'_>) {
    let (store, key) = (bench.open(""), Key::new("k"));
    for _ in 0..2 {
        store.clear().expect("clear");
        wins(&store, &store, &key, &|store| store.clear().expect("clear"));
    }
    // Twice during one creation, so that no counter or name may have come round.
    wins(&store, &store, &key, &|store| {
        for _ in 0..16 {
            store.clear().expect("clear");
        }
    });
}

fn a_batch_wins_over_a_running_creation(bench: &Bench<'_>) {
    let (store, key, other) = (bench.open(""), Key::new("k"), Key::new("other"));
    wins(&store, &store, &key, &|store| {
        let batch = vec![(other.clone(), store.entry("v")), (key.clone(), store.entry("newer"))];
        store.set_many(batch).expect("set many");
    });
    wins(&store, &store, &key, &|store| {
        store.remove_many(&[other.clone(), key.clone()]).expect("remove many");
    });
}

fn a_conditional_set_wins_if_it_stores(bench: &Bench<'_>) {
    let (store, key) = (bench.open(""), Key::new("k"));
    wins(&store, &store, &key, &|store| {
        let set = store.set_if(&key, store.entry("newer"), Condition::Absent).expect("set if");
        assert!(matches!(set, ConditionalSet::Stored { .. }), "{set:?}");
    });
    let claim = store.claimed(&key);
    let set = store.set_if(&key, store.entry("newer"), Condition::Absent).expect("set if");
    assert_eq!(set, ConditionalSet::Conflict);
    assert!(store.fulfilled(&key, "created", claim), "a conflict voided the claim");
}

fn a_tag_removal_wins_over_a_running_creation(bench: &Bench<'_>) {
    let (store, key) = (bench.open(""), Key::new("k"));
    store.set(&key, store.entry("old").tags(vec!["t".into()])).expect("set");
    wins(&store, &store, &key, &|store| {
        assert_eq!(store.remove_tag("t").expect("remove tag"), 1);
    });
    // Nothing is there yet that carries the tag, but something is about to be.
    let (tagged, key) = (store.entry("old").tags(vec!["t".into()]), Key::new("absent"));
    let claim = store.claimed(&key);
    assert_eq!(store.remove_tag("t").expect("remove tag"), 0);
    let fulfilled = store.fulfil(&key, tagged, claim).expect("fulfil");
    assert_eq!(fulfilled, Fulfilled::Superseded, "the tag came back");
    assert_eq!(store.text(&key), None);
}

fn an_invalidation_through_another_handle_wins(bench: &Bench<'_>) {
    let (store, other, key) = (bench.open(""), bench.open_again(""), Key::new("k"));
    wins(&store, &other, &key, &|other| other.put(&key, "newer"));
    wins(&store, &other, &key, &|other| {
        other.remove(&key).expect("remove");
    });
    wins(&store, &other, &key, &|other| other.clear().expect("clear"));
    wins(&other, &store, &key, &|store| store.clear().expect("clear"));
}

fn other_keys_do_not_void_a_claim(bench: &Bench<'_>) {
    let (store, neighbour) = (bench.open(""), bench.open("-neighbour"));
    let key = Key::new("k");
    let claim = store.claimed(&key);
    for number in 0..50 {
        store.put(&Key::new(&number), "v");
        store.remove(&Key::new(&number)).expect("remove");
    }
    neighbour.put(&key, "v");
    neighbour.remove(&key).expect("remove");
    neighbour.clear().expect("clear");
    assert!(store.fulfilled(&key, "created", claim));
    assert_eq!(store.text(&key).as_deref(), Some("created"));
}

fn reading_and_sweeping_void_no_claim(bench: &Bench<'_>) {
    let (store, key) = (bench.open(""), Key::new("k"));
    for by_sweep in [false, true] {
        store.put_for(&key, "old", Duration::from_secs(1));
        let claim = store.claimed(&key);
        assert_eq!(store.text(&key).as_deref(), Some("old"));
        bench.clock.advance(Duration::from_secs(2));
        if by_sweep {
            store.sweep().expect("sweep");
        }
        assert_eq!(store.text(&key), None);
        assert!(store.fulfilled(&key, "created", claim), "by sweep: {by_sweep}");
    }
}

fn superseded_creations_are_counted(bench: &Bench<'_>) {
    let (store, key) = (bench.open(""), Key::new("k"));
    let before = store.stats().superseded;
    for _ in 0..3 {
        let claim = store.claimed(&key);
        store.put(&key, "newer");
        assert!(!store.fulfilled(&key, "older", claim));
    }
    assert_eq!(store.stats().superseded - before, 3);
}

fn a_claim_ends_with_its_drop(bench: &Bench<'_>) {
    let (store, other, key) = (bench.open(""), bench.open_again(""), Key::new("k"));
    for _ in 0..3 {
        drop(store.claimed(&key));
        drop(other.claimed(&key));
    }
}

fn a_claim_ends_with_its_fulfilment(bench: &Bench<'_>) {
    let (store, other, key) = (bench.open(""), bench.open_again(""), Key::new("k"));
    let claim = store.claimed(&key);
    store.fulfilled(&key, "v", claim);
    let claim = other.claimed(&key);
    store.clear().expect("clear");
    other.fulfilled(&key, "v", claim);
    drop(store.claimed(&key));
}

fn claims_on_different_keys_are_independent(bench: &Bench<'_>) {
    let store = bench.open("");
    let keys: Vec<_> = (0..20).map(|number| Key::new(&number)).collect();
    let claims: Vec<_> = keys.iter().map(|key| store.claimed(key)).collect();
    for (key, claim) in keys.iter().zip(claims) {
        assert!(store.fulfilled(key, "v", claim), "{key}");
    }
}

fn one_claim_at_a_time_in_the_scope(bench: &Bench<'_>) {
    let (store, other, key) = (bench.open(""), bench.open_again(""), Key::new("k"));
    let first = store.claimed(&key);
    let second = other.claim(&key, Wait::Never).expect("claim");
    if store.scope() == Scope::Process {
        let second = second.expect("a process sees to it itself that one thread asks");
        assert!(!store.fulfilled(&key, "first", first), "the older claim is void");
        assert!(other.fulfilled(&key, "second", second));
        assert_eq!(store.text(&key).as_deref(), Some("second"));
    } else {
        assert!(second.is_none(), "two have the claim");
        assert!(store.fulfilled(&key, "first", first));
        assert!(other.claim(&key, Wait::Never).expect("claim").is_some());
    }
}

/// Longer than any of these waits; reached only if something hangs.
const HANGS: Duration = Duration::from_secs(20);

fn a_wait_for_a_claim_is_bounded(bench: &Bench<'_>) {
    let (store, other, key) = (bench.open(""), bench.open_again(""), Key::new("k"));
    let _first = store.claimed(&key);
    let began = Instant::now();
    let limit = Duration::from_millis(60);
    let second = other.claim(&key, Wait::AtMost(limit)).expect("claim");
    assert!(began.elapsed() < HANGS);
    if store.scope() != Scope::Process {
        assert!(second.is_none(), "two have the claim");
        assert!(began.elapsed() >= limit, "it gave up after {:?}", began.elapsed());
    }
}

fn a_waiter_gets_the_claim(bench: &Bench<'_>) {
    let (store, other, key) = (bench.open(""), bench.open_again(""), Key::new("k"));
    for wait in [Wait::AtMost(HANGS), Wait::Forever] {
        let first = store.claimed(&key);
        let (sender, waiting) = mpsc::channel();
        thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                sender.send(()).expect("the test waits for this");
                other.claim(&key, wait).expect("claim").is_some()
            });
            waiting.recv().expect("the thread began");
            drop(first);
            assert!(waiter.join().expect("the waiter did not panic"), "{wait:?}");
        });
    }
}
