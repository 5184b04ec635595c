//! Marks, which invalidate many entries at once.

use std::sync::Barrier;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;
use std::time::Duration;

use super::case;
use crate::testkit::bench::{Bench, Handle};
use crate::testkit::suite::Case;
use crate::{Capability, ErrorKind, Key, Latency, Mark, Scan, Timestamp, new_generation};

pub(super) const CASES: &[Case] = &[
    case!(what_was_not_marked_has_no_mark, "a name that was never marked has no mark", []),
    case!(a_mark_is_found, "a mark is found as it was made", [Retains, Marks]),
    case!(
        the_later_mark_holds,
        "of marks of one name the later moment of each kind holds, in whatever order they come, and \
         mark says which",
        [Retains, Marks]
    ),
    case!(
        a_mark_is_of_its_name_alone,
        "a mark says nothing of other names, also not of those that begin like it",
        [Retains, Marks]
    ),
    case!(
        a_mark_is_of_its_namespace_alone,
        "a mark says nothing of the same name in another namespace",
        [Retains, Marks]
    ),
    case!(
        marks_of_many_names_are_merged,
        "marks of many names are merged to one",
        [Retains, Marks]
    ),
    case!(
        any_text_can_be_marked,
        "any text of at most 1,024 bytes can be marked",
        [Retains, Marks]
    ),
    case!(
        a_name_that_is_too_long_is_refused,
        "a name of 1,025 bytes is TooLarge, and has no mark",
        [Marks]
    ),
    case!(
        a_mark_leaves_the_entries_alone,
        "a mark changes no entry, is in no listing, and voids no claim",
        [Retains, Marks]
    ),
    case!(
        a_mark_outlives_clear,
        "clear leaves marks, and marks of an empty store too",
        [Retains, Marks]
    ),
    case!(
        a_mark_outlives_writes_time_and_sweep,
        "a mark is there after many writes, a year, and a sweep",
        [Retains, Marks]
    ),
    case!(
        a_mark_is_seen_through_another_handle,
        "a mark is seen through another handle at once, and is there when all are opened anew",
        [Retains, Marks]
    ),
    case!(
        of_marks_at_the_same_time_the_latest_holds,
        "of marks of one name that are made at the same time through two handles the latest holds",
        [Retains, Marks]
    ),
    case!(
        no_mark_is_lost_to_one_at_the_same_time,
        "of a hard and a soft mark that are made at the same time through two handles both hold",
        [Retains, Marks]
    ),
    case!(
        a_mark_that_is_made_during_clears_stays,
        "a mark that is made while the namespace is cleared stays",
        [Retains, Marks]
    ),
];

/// The marks that each of two threads makes.
const RACE: i64 = 200;

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(1_000_000_000_000_000 + micros)
}

fn both(hard: i64, soft: i64) -> Mark {
    Mark::hard(at(hard)).merge(Mark::soft(at(soft)))
}

/// A name's end that no namespace has had: `clear` leaves marks, also those of an earlier run.
fn new_suffix() -> String {
    format!("-{:016x}", new_generation())
}

/// The mark of one name.
fn found(store: &Handle, name: &str) -> Mark {
    found_of(store, &[name])
}

fn found_of(store: &Handle, names: &[&str]) -> Mark {
    store.marks(&mut names.iter().copied()).expect("marks")
}

fn make(store: &Handle, name: &str, mark: Mark) -> Mark {
    store.mark(name, mark).expect("mark")
}

fn what_was_not_marked_has_no_mark(bench: &Bench<'_>) {
    let store = bench.open(&new_suffix());
    assert_eq!(found(&store, "absent"), Mark::default());
    assert_eq!(found_of(&store, &[]), Mark::default());
    if store.capabilities().has(Capability::Marks) {
        make(&store, "present", Mark::hard(at(0)));
        assert_eq!(found(&store, "absent"), Mark::default());
        assert_eq!(found_of(&store, &[]), Mark::default());
    } else {
        let error = store.mark("n", Mark::hard(at(0))).expect_err("it has no marks");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
}

fn a_mark_is_found(bench: &Bench<'_>) {
    let store = bench.open(&new_suffix());
    for (name, mark) in [
        ("hard", Mark::hard(at(0))),
        ("soft", Mark::soft(at(1))),
        ("both", both(2, 3)),
        ("early", Mark::hard(Timestamp::from_micros(-1))),
        ("for ever", Mark::soft(Timestamp::NEVER)),
    ] {
        assert_eq!(make(&store, name, mark), mark, "{name}");
        assert_eq!(found(&store, name), mark, "{name}");
    }
    assert_eq!(found(&store, "hard").gone_until(), Some(at(0)));
    assert_eq!(found(&store, "hard").expired_until(), None);
}

fn the_later_mark_holds(bench: &Bench<'_>) {
    let store = bench.open(&new_suffix());
    for (mark, holds) in [
        (Mark::hard(at(5)), Mark::hard(at(5))),
        (Mark::hard(at(4)), Mark::hard(at(5))),
        (Mark::soft(at(2)), both(5, 2)),
        (Mark::soft(at(9)), both(5, 9)),
        (Mark::default(), both(5, 9)),
        (both(8, 3), both(8, 9)),
        (both(8, 9), both(8, 9)),
    ] {
        assert_eq!(make(&store, "name", mark), holds, "what mark says after {mark:?}");
        assert_eq!(found(&store, "name"), holds, "what is found after {mark:?}");
    }
}

fn a_mark_is_of_its_name_alone(bench: &Bench<'_>) {
    let store = bench.open(&new_suffix());
    make(&store, "user:1", Mark::hard(at(0)));
    for other in ["user:", "user:11", "User:1", "user:1\0", " user:1", "", "*", "%"] {
        assert_eq!(found(&store, other), Mark::default(), "{other:?}");
    }
    make(&store, "", Mark::soft(at(0)));
    assert_eq!(found(&store, "user:1"), Mark::hard(at(0)));
    assert_eq!(found(&store, "u"), Mark::default());
}

fn a_mark_is_of_its_namespace_alone(bench: &Bench<'_>) {
    let suffix = new_suffix();
    let (store, neighbour) = (bench.open(&suffix), bench.open(&format!("{suffix}x")));
    make(&store, "xname", Mark::hard(at(0)));
    make(&store, "name", Mark::hard(at(0)));
    assert_eq!(found_of(&neighbour, &["name", "xname"]), Mark::default());
    make(&neighbour, "name", Mark::soft(at(1)));
    assert_eq!(found(&store, "name"), Mark::hard(at(0)));
    neighbour.clear().expect("clear");
    assert_eq!(found(&store, "name"), Mark::hard(at(0)));
}

fn marks_of_many_names_are_merged(bench: &Bench<'_>) {
    let store = bench.open(&new_suffix());
    make(&store, "a", Mark::hard(at(1)));
    make(&store, "b", both(0, 7));
    make(&store, "c", Mark::soft(at(6)));
    assert_eq!(found_of(&store, &["a", "absent", "b", "c"]), both(1, 7));
    assert_eq!(found_of(&store, &["c", "a"]), both(1, 6));
    assert_eq!(found_of(&store, &["absent"]), Mark::default());
}

fn any_text_can_be_marked(bench: &Bench<'_>) {
    let store = bench.open(&new_suffix());
    let long = "x".repeat(Mark::MAX_NAME_BYTES);
    let almost = format!("{}y", &long[1..]);
    let wide = "é".repeat(Mark::MAX_NAME_BYTES / 2);
    let names = ["", " ", "\0", "../../x", "ÄÖ☕", "\u{e9}", "e\u{301}", &long, &almost, &wide];
    for (number, name) in names.iter().enumerate() {
        make(&store, name, Mark::hard(at(number as i64)));
    }
    for (number, name) in names.iter().enumerate() {
        assert_eq!(found(&store, name), Mark::hard(at(number as i64)), "{name:?}");
    }
}

fn a_name_that_is_too_long_is_refused(bench: &Bench<'_>) {
    let store = bench.open(&new_suffix());
    let long = "x".repeat(Mark::MAX_NAME_BYTES + 1);
    let error = store.mark(&long, Mark::hard(at(0))).expect_err("it is too long");
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(found(&store, &long), Mark::default());
}

fn a_mark_leaves_the_entries_alone(bench: &Bench<'_>) {
    let (store, key) = (bench.open(""), Key::new("name"));
    store.put(&key, "v");
    let claim = store.claimed(&Key::new("other"));
    make(&store, "name", Mark::hard(store.clock().now()));
    make(&store, "other", Mark::hard(store.clock().now()));
    assert_eq!(store.text(&key).as_deref(), Some("v"));
    assert!(store.fulfilled(&Key::new("other"), "made", claim), "the claim stands");
    if store.capabilities().has(Capability::Scan) {
        assert_eq!(store.listed(Scan::new()), [key.clone(), Key::new("other")]);
    }
    assert!(store.stats().entries.is_none_or(|entries| entries == 2));
    store.remove(&key).expect("remove");
    assert_eq!(found(&store, "name"), Mark::hard(store.clock().now()));
}

fn a_mark_outlives_clear(bench: &Bench<'_>) {
    let store = bench.open(&new_suffix());
    make(&store, "of an empty store", Mark::hard(at(1)));
    store.clear().expect("clear");
    store.put(&Key::new("k"), "v");
    make(&store, "of a full store", Mark::soft(at(2)));
    for _ in 0..2 {
        store.clear().expect("clear");
        assert_eq!(found(&store, "of an empty store"), Mark::hard(at(1)));
        assert_eq!(found(&store, "of a full store"), Mark::soft(at(2)));
    }
}

fn a_mark_outlives_writes_time_and_sweep(bench: &Bench<'_>) {
    let store = bench.open(&new_suffix());
    make(&store, "name", both(1, 2));
    for number in 0..500 {
        store.put_for(&Key::new(&number), "v", Duration::from_secs(1));
    }
    bench.clock.advance(Duration::from_secs(365 * 24 * 3600));
    store.sweep().expect("sweep");
    for number in 0..100 {
        store.put(&Key::new(&number), "v");
    }
    store.sweep().expect("sweep");
    assert_eq!(found(&store, "name"), both(1, 2));
}

fn a_mark_is_seen_through_another_handle(bench: &Bench<'_>) {
    let suffix = new_suffix();
    let (store, other) = (bench.open(&suffix), bench.open_again(&suffix));
    assert_eq!(found(&other, "name"), Mark::default());
    for number in 0..20 {
        let holds = make(&store, "name", Mark::hard(at(number)));
        assert_eq!((found(&other, "name"), holds.gone_until()), (holds, Some(at(number))));
        make(&other, "name", Mark::soft(at(number)));
        assert_eq!(found(&store, "name"), both(number, number));
    }
    drop(store);
    let third = bench.open_again(&suffix);
    drop(other);
    assert_eq!(found(&third, "name"), both(19, 19));
}

fn of_marks_at_the_same_time_the_latest_holds(bench: &Bench<'_>) {
    let suffix = new_suffix();
    let handles = [bench.open(&suffix), bench.open_again(&suffix)];
    // In memory two threads meet seldom.
    let steps = if handles[0].latency() == Latency::Inline { 100 * RACE } else { RACE };
    let start = Barrier::new(2);
    let done = [AtomicI64::new(-1), AtomicI64::new(-1)];
    thread::scope(|scope| {
        for (id, store) in handles.iter().enumerate() {
            let (start, done) = (&start, &done);
            scope.spawn(move || {
                start.wait();
                for step in 0..steps {
                    let mark = if id == 0 { Mark::hard(at(step)) } else { Mark::soft(at(step)) };
                    make(store, "name", mark);
                    done[id].store(step, Ordering::SeqCst);
                    let [hard, soft] = [0, 1].map(|id| done[id].load(Ordering::SeqCst));
                    let seen = found(store, "name");
                    let earlier = both(hard, soft);
                    assert_eq!(seen.merge(earlier), seen.merge(both(-1, -1)), "step {step}");
                }
            });
        }
    });
    let last = both(steps - 1, steps - 1);
    assert_eq!(found(&handles[0], "name"), last);
    assert_eq!(found(&handles[1], "name"), last);
}

fn no_mark_is_lost_to_one_at_the_same_time(bench: &Bench<'_>) {
    let suffix = new_suffix();
    let handles = [bench.open(&suffix), bench.open_again(&suffix)];
    let marks = [Mark::hard(at(1)), Mark::soft(at(2))];
    let start = Barrier::new(2);
    thread::scope(|scope| {
        for (store, mark) in handles.iter().zip(marks) {
            let start = &start;
            scope.spawn(move || {
                for step in 0..RACE {
                    start.wait();
                    // A panic here would leave the other thread waiting.
                    let _outcome = store.mark(&step.to_string(), mark);
                }
            });
        }
    });
    for step in 0..RACE {
        assert_eq!(found(&handles[0], &step.to_string()), both(1, 2), "name {step}");
    }
}

fn a_mark_that_is_made_during_clears_stays(bench: &Bench<'_>) {
    let suffix = new_suffix();
    let (store, other) = (bench.open(&suffix), bench.open_again(&suffix));
    thread::scope(|scope| {
        let clearing = scope.spawn(|| (0..20).for_each(|_| other.clear().expect("clear")));
        let mut step = 0;
        while step < 20 || !clearing.is_finished() {
            make(&store, "name", Mark::hard(at(step)));
            store.put(&Key::new("k"), "v");
            assert_eq!(found(&store, "name"), Mark::hard(at(step)), "step {step}");
            step += 1;
        }
    });
}
