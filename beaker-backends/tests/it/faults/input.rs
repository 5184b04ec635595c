//! F44, F46, F48: clocks that jump, times beyond all bounds, keys and names of any kind.

use std::sync::Arc;
use std::time::Duration;

use beaker_namespace::{
    CLOCK_TOLERANCE, Clock, Condition, ConditionalSet, Entry, ErrorKind, Fingerprint, Key,
    ManualClock, Payload, Timestamp,
};

use super::support::files::{Random, bytes_in};
use super::support::report::{is_long, report};
use super::support::stores::{CONTROL, Store, any, on_every};
use super::support::values::{entry, value};

/// How often an entry is looked at, in milliseconds.
const LOOK: u64 = 250;

/// For how many milliseconds an entry was fresh longer than it may be, in the worst of many jumps.
fn too_long(store: &'static Store, cases: u64) -> u64 {
    let dir = tempfile::tempdir().expect("a directory");
    let clock = Arc::new(ManualClock::default());
    let open = store.open_at(dir.path(), Arc::clone(&clock) as Arc<dyn Clock>).expect("it opens");
    let mut random = Random::new(44);
    let year = 366 * 86_400_000_i64;
    let mut worst = 0;
    for case in 0..cases {
        let start = random.below(2_100_000_000_000) as i64 - 100_000_000_000;
        let ttl = random.below(10_000);
        let after = random.below(20_000) / LOOK * LOOK;
        let span = [5_000, 7_200_000, 60 * year][(case % 3) as usize];
        let by = random.below(2 * span as u64) as i64 - span;
        clock.set(Timestamp::from_micros(start * 1_000));
        let key = Key::new(&case);
        let fresh =
            Entry::new(Payload::raw("v"), clock.now()).ttl(Some(Duration::from_millis(ttl)));
        open.set(&key, fresh).expect("it is written");
        let mut real = 0;
        while real < 40_000 {
            if real == after {
                let now = clock.now().as_micros();
                clock.set(Timestamp::from_micros(now.saturating_add(by * 1_000)));
            }
            // Whoever finds it expired makes it anew, so the first such look is its end.
            let found = open.get(&key).expect("it is read");
            if !found.is_some_and(|found| found.is_fresh(clock.now())) {
                break;
            }
            real += LOOK;
            clock.advance(Duration::from_millis(LOOK));
        }
        // The jump may come at the end of its time, and back by all of it and the tolerance.
        let tolerance = ttl.min(CLOCK_TOLERANCE.as_millis() as u64);
        worst = worst.max(real.saturating_sub(2 * ttl + tolerance + LOOK));
    }
    worst
}

#[test]
fn f44_no_jump_of_the_clock_keeps_an_entry_fresh_for_over_twice_its_time() {
    on_every(any, |store| {
        let cases = if is_long() { 300 } else { 30 };
        let worst = too_long(store, cases);
        report("F44 clock jumps", store.name, &format!("cases={cases} worst={worst}"), worst == 0);
        assert_eq!(worst, 0, "{}: fresh for so many milliseconds too long", store.name);
    });
    assert!(too_long(&CONTROL, 3) > 0, "the check has no teeth");
}

/// How many entries with extreme times were not as they had been set.
fn lost_times(store: &'static Store) -> usize {
    let dir = tempfile::tempdir().expect("a directory");
    let clock = Arc::new(ManualClock::default());
    let open = store.open_at(dir.path(), Arc::clone(&clock) as Arc<dyn Clock>).expect("it opens");
    let moments = [i64::MIN, i64::MIN + 1, -1, 0, 1, 1 << 53, i64::MAX - 1, i64::MAX];
    let spans = [Duration::ZERO, Duration::from_nanos(1), Duration::from_secs(60), Duration::MAX];
    let mut lost = 0;
    for now in moments.map(Timestamp::from_micros) {
        clock.set(now);
        for began in moments.map(Timestamp::from_micros) {
            for span in spans {
                let key = Key::new(&(began.as_micros(), span.as_nanos() as u64));
                let set = Entry::new(Payload::raw("v"), began).ttl(Some(span)).grace(span);
                open.set(&key, set.clone()).expect("any times are stored");
                let found = open.get(&key).expect("it is read");
                let times = |entry: &Entry| (entry.began(), entry.expires(), entry.dies());
                let expected = (!set.is_dead(now)).then(|| times(&set));
                lost += usize::from(found.as_ref().map(times) != expected);
            }
        }
        open.sweep().expect("dead entries are dropped");
    }
    lost
}

#[test]
fn f46_extreme_times_are_kept_or_dead_and_nothing_overflows() {
    on_every(any, |store| assert_eq!(lost_times(store), 0, "{}", store.name));
    assert!(lost_times(&CONTROL) > 0, "the check has no teeth");
}

/// Texts that somebody has taken for something else.
fn hostile_texts() -> Vec<String> {
    let mut texts: Vec<String> = [
        "",
        " ",
        "  ",
        ".",
        "..",
        "../x",
        "../../x",
        "/",
        "//",
        "/etc/passwd",
        "a/b",
        "a//b",
        "a\\b",
        "\0",
        "a\0b",
        "a\0c",
        "\r\n",
        "a\r\nset x",
        "*",
        "?",
        "%",
        "%00",
        "a%2Fb",
        "_",
        "a_b",
        "a-b",
        "';--",
        "'; drop table entries; --",
        "\"",
        "CON",
        "nul",
        "é",
        "e\u{301}",
        "ß",
        "ss",
        "A",
        "a",
        "I",
        "ı",
        "\u{feff}",
        "\u{202e}x",
        "🦀",
        "\u{10ffff}",
        "x y",
        "xy",
        "x",
        "\u{1}",
        "\u{7f}",
    ]
    .map(str::to_owned)
    .into();
    for length in [200, 255, 256, 1_000, 4_000, 4_096, 8_192, 40_000] {
        texts.push("k".repeat(length));
        texts.push("K".repeat(length));
        texts.push("/".repeat(length));
    }
    texts
}

/// How many of the hostile keys do not have their own value.
fn mixed_keys(store: &'static Store) -> usize {
    let room = tempfile::tempdir().expect("a directory");
    let dir = room.path().join("inside");
    let open = store.open(&dir).expect("it opens");
    let mut keys: Vec<Key> = hostile_texts().iter().map(|text| Key::new(text.as_str())).collect();
    keys.extend(hostile_texts().iter().map(|text| Key::new(text.as_bytes())));
    keys.extend(hostile_texts().iter().map(|text| Key::new(&(text.as_str(), "b"))));
    keys.extend([Key::new(&("a", "bc")), Key::new(&("ab", "c")), Key::new(&1), Key::new("1")]);
    keys.push(Key::new(&"k".repeat(Key::MAX_BYTES - 1)));
    for (number, key) in keys.iter().enumerate() {
        open.set(key, entry(number.to_string())).expect("any key is taken");
    }
    let own = |(number, key): &(usize, &Key)| {
        value(&*open, key).expect("it is read") == Some(number.to_string().into_bytes())
    };
    let beside = std::fs::read_dir(room.path()).expect("it is there").count();
    assert_eq!(beside, 1, "{}: something lies outside the store's directory", store.name);
    keys.iter().enumerate().filter(|pair| !own(pair)).count()
}

#[test]
fn f48_keys_of_any_kind_are_kept_apart_within_the_directory() {
    on_every(any, |store| assert_eq!(mixed_keys(store), 0, "{}", store.name));
    assert!(mixed_keys(&CONTROL) > 0, "the check has no teeth");
}

/// How many of the namespaces with hostile names do not have their own value.
fn mixed_names(store: &'static Store) -> usize {
    let room = tempfile::tempdir().expect("a directory");
    let dir = room.path().join("inside");
    let key = Key::new("k");
    let opened: Vec<_> = hostile_texts()
        .into_iter()
        .map(|name| (store.open_name(&dir, &name).expect("any name is taken"), name))
        .collect();
    for (open, name) in &opened {
        open.set(&key, entry(name.clone())).expect("it is written");
    }
    let own = |open: &dyn beaker_namespace::Namespace, name: &str| {
        value(open, &key).expect("it is read") == Some(name.as_bytes().to_vec())
    };
    let mixed = opened.iter().filter(|(open, name)| !own(&**open, name)).count();
    // To clear one is to clear that one.
    opened[0].0.clear().expect("it is cleared");
    let cleared = opened[1..].iter().filter(|(open, name)| !own(&**open, name)).count();
    assert_eq!(std::fs::read_dir(room.path()).expect("it is there").count(), 1, "{}", store.name);
    mixed + cleared
}

#[test]
fn f48_namespaces_of_any_name_are_kept_apart_within_the_directory() {
    on_every(any, |store| assert_eq!(mixed_names(store), 0, "{}", store.name));
    assert!(mixed_names(&CONTROL) > 0, "the check has no teeth");
}

#[test]
fn f47_what_exceeds_a_limit_is_refused_as_too_large_and_what_is_at_it_is_taken() {
    on_every(any, |store| {
        let dir = tempfile::tempdir().unwrap();
        let url = store.url(dir.path()).with_option("max_value_bytes", 100_000);
        let open = store.open_url(&url).unwrap();
        let key = Key::new("k");
        open.set(&key, entry("old")).unwrap();
        let too_long = Key::new(&"k".repeat(Key::MAX_BYTES));
        let outcomes = [
            open.set(&key, entry(vec![0; 100_001])),
            open.set(&too_long, entry("v")),
            open.set(&Key::new(&"k".repeat(1 << 20)), entry("v")),
        ];
        for outcome in outcomes {
            let error = outcome.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TooLarge, "{}: {error}", store.name);
        }
        assert_eq!(value(&*open, &key).unwrap(), Some(b"old".to_vec()), "{}", store.name);
        open.set(&key, entry(vec![7; 100_000])).unwrap();
        assert_eq!(value(&*open, &key).unwrap(), Some(vec![7; 100_000]), "{}", store.name);
    });
}

#[test]
fn stats_say_about_how_many_bytes_a_store_has() {
    const EACH: usize = 4_000;
    let says = |store: &Store| !["file", CONTROL.name].contains(&store.name);
    on_every(says, |store| {
        let dir = tempfile::tempdir().unwrap();
        let open = store.open(dir.path()).unwrap();
        // A dbm file is made by the first write.
        let empty = open.stats().size_bytes.unwrap_or(0);
        let entries = (0..100_u64).map(|at| (Key::new(&at), entry(Random::new(at).bytes(EACH))));
        open.set_many(entries.collect()).unwrap();
        drop(open);
        let full = store.open(dir.path()).unwrap().stats().size_bytes.expect("it says");
        let bytes = bytes_in(dir.path());
        let held = 100 * EACH as u64;
        assert!(full >= held && full <= bytes + held, "{}: {full} of {bytes}", store.name);
        assert!(empty < full, "{}: {empty} before, {full} after", store.name);
    });
}

#[test]
fn f47_a_value_beyond_the_limit_is_an_error_that_names_the_store_and_can_be_removed() {
    on_every(any, |store| {
        let dir = tempfile::tempdir().unwrap();
        let key = Key::new("k");
        store.open(dir.path()).unwrap().set(&key, entry(vec![7; 300_000])).unwrap();
        let narrow = store.url(dir.path()).with_option("max_value_bytes", 100);
        let open = store.open_url(&narrow).unwrap();
        let error = open.get(&key).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{}: {error}", store.name);
        assert!(error.to_string().contains(&dir.path().display().to_string()), "{error}");
        assert!(open.remove(&key).unwrap(), "{}", store.name);
        open.set(&key, entry("v")).unwrap();
        assert_eq!(value(&*open, &key).unwrap(), Some(b"v".to_vec()), "{}", store.name);
    });
}

/// It may live for whoever may read it, so who expects anything else there is told that nobody knows.
#[test]
fn f47_a_value_beyond_the_limit_is_replaced_by_who_expects_just_that_and_by_one_of_many() {
    on_every(any, |store| {
        let (dir, key) = (tempfile::tempdir().unwrap(), Key::new("k"));
        let wide = store.open(dir.path()).unwrap();
        wide.set(&key, entry(vec![7; 300_000])).unwrap();
        let generation = wide.get(&key).unwrap().unwrap().generation();
        drop(wide);
        let narrow = store.url(dir.path()).with_option("max_value_bytes", 100);
        let open = store.open_url(&narrow).unwrap();
        let others = [
            Condition::Absent,
            Condition::Generation(generation),
            Condition::Corrupt(Fingerprint::of(&[7; 300_000])),
        ];
        for other in others {
            let error = open.set_if(&key, entry("late"), other).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TooLarge, "{}: {other:?}", store.name);
        }
        let set = |by: u8| open.set_if(&key, entry([by]), Condition::TooLarge).unwrap();
        let stored: Vec<u8> = std::thread::scope(|scope| {
            let set = &set;
            let threads = [0, 1, 2, 3].map(|by| scope.spawn(move || (by, set(by))));
            let done = threads.into_iter().map(|thread| thread.join().unwrap());
            done.filter(|(_, set)| *set != ConditionalSet::Conflict).map(|(by, _)| by).collect()
        });
        assert_eq!(value(&*open, &key).unwrap(), Some(stored), "{}: one of many", store.name);
        open.remove(&key).unwrap();
        assert_eq!(set(9), ConditionalSet::Conflict, "{}: it was removed", store.name);
        assert_eq!(value(&*open, &key).unwrap(), None, "{}", store.name);
    });
}
