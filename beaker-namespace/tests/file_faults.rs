//! What the file store does when its files, the clock or its callers are hostile.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod files;
#[path = "file_faults/versions.rs"]
mod versions;

use std::fs::{self, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use beaker_namespace::{
    CLOCK_TOLERANCE, Clock, Entry, ErrorKind, FileConfig, FileNamespace, Key, ManualClock,
    Namespace, Payload, Scan, Timestamp, envelope,
};
use files::{entry, entry_files, only_entry_file, open, value};
use proptest::prelude::*;

// F34, F35: the bytes are not those that were written.

#[test]
fn f34_a_file_cut_off_at_any_length_is_absent_and_heals() {
    let dir = tempfile::tempdir().unwrap();
    let (store, key) = (open(dir.path()), Key::new("k"));
    store.set(&key, entry("a value of some length")).unwrap();
    let file = only_entry_file(dir.path());
    let whole = fs::read(&file).unwrap();
    for length in 0..whole.len() {
        fs::write(&file, &whole[..length]).unwrap();
        assert_eq!(value(&store, &key), None, "{length} bytes");
        assert!(!file.exists(), "{length} bytes are still there");
    }
    assert_eq!(store.stats().corrupt, whole.len() as u64);
    fs::write(&file, &whole).unwrap();
    assert_eq!(value(&store, &key), Some(b"a value of some length".to_vec()), "the control");
}

const TRIALS: u64 = 200;
const FLIPS: u64 = 8;
const ENTRIES: u64 = 40;

#[test]
fn f35_flipped_bits_never_become_a_value() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let good = |number: u64| vec![number as u8; 50 + number as usize * 7];
    let mut random = 1_u64;
    let mut below = |limit: u64| {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % limit
    };
    let (mut lost, mut wrong_without_a_check) = (0, 0);
    for _ in 0..TRIALS {
        for number in 0..ENTRIES {
            store.set(&Key::new(&number), entry(good(number))).unwrap();
        }
        let files = entry_files(dir.path());
        for _ in 0..FLIPS {
            let file = &files[below(ENTRIES) as usize];
            let mut bytes = fs::read(file).unwrap();
            let bit = below(bytes.len() as u64 * 8) as usize;
            bytes[bit / 8] ^= 1 << (bit % 8);
            // In a value the flip would be seen by nobody, were there no checksum.
            wrong_without_a_check += u64::from(bit / 8 >= 100);
            fs::write(file, bytes).unwrap();
        }
        for number in 0..ENTRIES {
            match value(&store, &Key::new(&number)) {
                Some(found) => assert_eq!(found, good(number), "a wrong value"),
                None => lost += 1,
            }
        }
    }
    assert!(lost > TRIALS * FLIPS / 2, "{lost}");
    assert_eq!(store.stats().corrupt, lost);
    assert!(wrong_without_a_check > TRIALS, "the flips did not hit values");
}

#[test]
fn f35_a_zeroed_page_garbage_and_swapped_files_are_absent() {
    let dir = tempfile::tempdir().unwrap();
    let (store, key, other) = (open(dir.path()), Key::new("k"), Key::new("other"));
    store.set(&key, entry(vec![7; 20_000])).unwrap();
    let file = only_entry_file(dir.path());
    let mut handle = OpenOptions::new().read(true).write(true).open(&file).unwrap();
    handle.seek(SeekFrom::Start(8_192)).unwrap();
    handle.write_all(&[0; 4_096]).unwrap();
    assert_eq!(value(&store, &key), None);

    let garbage: Vec<u8> = (0..10_000_u32).map(|at| (at * at % 253) as u8).collect();
    fs::write(&file, garbage).unwrap();
    assert_eq!(value(&store, &key), None);

    store.set(&key, entry("k")).unwrap();
    let record = fs::read(&file).unwrap();
    store.set(&other, entry("other")).unwrap();
    let others = entry_files(dir.path()).into_iter().find(|path| *path != file).unwrap();
    fs::rename(&others, &file).unwrap();
    fs::write(&others, record).unwrap();
    assert_eq!((value(&store, &key), value(&store, &other)), (None, None), "both were exchanged");
    assert_eq!(entry_files(dir.path()), Vec::<PathBuf>::new());
}

#[test]
fn f35_a_record_of_another_namespace_is_absent() {
    let dir = tempfile::tempdir().unwrap();
    let (one, other) =
        (open(dir.path()), FileNamespace::open("m", FileConfig::new(dir.path())).unwrap());
    let key = Key::new("k");
    one.set(&key, entry("one")).unwrap();
    let from = only_entry_file(dir.path());
    other.set(&key, entry("other")).unwrap();
    let to = entry_files(dir.path()).into_iter().find(|path| *path != from).unwrap();
    fs::copy(&from, &to).unwrap();
    assert_eq!(value(&other, &key), None);
    assert_eq!(value(&one, &key), Some(b"one".to_vec()));
}

#[test]
fn a_sweep_drops_damaged_files_and_leaves_strange_ones() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for number in 0..10 {
        store.set(&Key::new(&number), entry("v")).unwrap();
    }
    for file in &entry_files(dir.path())[..3] {
        fs::write(file, "garbage").unwrap();
    }
    let strange = entry_files(dir.path())[9].with_file_name("README");
    fs::write(&strange, "not ours").unwrap();
    let swept = store.sweep().unwrap();
    assert_eq!((swept.corrupt, swept.expired, swept.leftovers), (3, 0, 0));
    assert!(strange.exists());
    assert_eq!(entry_files(dir.path()).len(), 8);
}

// F36: what killed writers left. (The storm has the real ones.)

#[test]
fn f36_a_sweep_removes_files_of_dead_writers_and_old_ones_and_no_others() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.set(&Key::new("k"), entry("v")).unwrap();
    let leaf = only_entry_file(dir.path());
    let made = |name: String| {
        let path = leaf.with_file_name(name);
        fs::write(&path, "half").unwrap();
        path
    };
    let me = std::process::id();
    let alive = made(format!(".tmp-{me}-0-0"));
    let old = made(format!(".tmp-{me}-1-0"));
    let two_hours = std::time::SystemTime::now() - Duration::from_secs(7_200);
    OpenOptions::new().append(true).open(&old).unwrap().set_modified(two_hours).unwrap();
    let mut ended = Command::new("true").spawn().unwrap();
    ended.wait().unwrap();
    let dead = made(format!(".tmp-{}-0-0", ended.id()));
    let namespace = leaf.ancestors().nth(3).unwrap();
    fs::create_dir_all(namespace.join("trash-1/ab")).unwrap();
    fs::write(namespace.join("trash-1/ab/x"), "").unwrap();

    let swept = store.sweep().unwrap();
    assert_eq!((alive.exists(), old.exists(), dead.exists()), (true, false, false));
    assert!(!namespace.join("trash-1").exists());
    assert_eq!((swept.leftovers, swept.corrupt), (3, 0));
    assert_eq!(value(&store, &Key::new("k")), Some(b"v".to_vec()));
}

// F44, F47, F48: hostile clocks, bytes and keys.

/// How often the entry is looked at.
const LOOK_MILLIS: u64 = 250;

#[derive(Debug, Clone, Copy)]
struct Jump {
    after_millis: u64,
    by_millis: i64,
}

fn jump() -> impl Strategy<Value = Jump> {
    let year = 366 * 86_400_000_i64;
    let by = prop_oneof![-5_000_i64..5_000, -7_200_000_i64..7_200_000, -60 * year..60 * year];
    (0_u64..20_000, by).prop_map(|(after_millis, by_millis)| Jump { after_millis, by_millis })
}

fn shared_store() -> (tempfile::TempDir, Arc<ManualClock>, FileNamespace) {
    let dir = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
    let clock = Arc::new(ManualClock::default());
    let config = FileConfig::new(dir.path()).clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let store = FileNamespace::open("n", config).unwrap_or_else(|error| panic!("{error}"));
    (dir, clock, store)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn f44_no_jump_of_the_clock_keeps_an_entry_in_use_fresh_for_over_twice_its_time(
        start_millis in -100_000_000_i64..2_000_000_000_000, ttl_millis in 0_u64..10_000, jump in jump(),
    ) {
        let (_dir, clock, store) = shared_store();
        clock.set(Timestamp::from_micros(start_millis * 1_000));
        let (key, ttl) = (Key::new("k"), Duration::from_millis(ttl_millis));
        store.set(&key, entry("v").ttl(None)).unwrap();
        let fresh = Entry::new(Payload::raw("v"), clock.now()).ttl(Some(ttl));
        store.set(&key, fresh).unwrap();
        for real_millis in (0..40_000).step_by(LOOK_MILLIS as usize) {
            if real_millis == jump.after_millis / LOOK_MILLIS * LOOK_MILLIS {
                let now = clock.now().as_micros();
                clock.set(Timestamp::from_micros(now.saturating_add(jump.by_millis * 1_000)));
            }
            // Whoever finds it expired makes it anew, so the first such look is its end. (Nobody
            // looks at an entry stamped in the future: it is fresh again when its time comes.)
            let found = store.get(&key).unwrap();
            if !found.is_some_and(|found| found.is_fresh(clock.now())) {
                break;
            }
            // The jump may come at the end of its time, and back by all of it and the tolerance.
            let tolerance = ttl_millis.min(CLOCK_TOLERANCE.as_millis() as u64);
            let limit = 2 * ttl_millis + tolerance + LOOK_MILLIS;
            prop_assert!(real_millis < limit, "fresh after {real_millis} ms");
            clock.advance(Duration::from_millis(LOOK_MILLIS));
        }
    }

    #[test]
    fn f47_any_bytes_in_an_entry_s_place_are_absent(content: Vec<u8>) {
        let (dir, _clock, store) = shared_store();
        let key = Key::new("k");
        store.set(&key, entry("v")).unwrap();
        fs::write(only_entry_file(dir.path()), content).unwrap();
        prop_assert!(store.get(&key).unwrap().is_none());
        prop_assert_eq!(store.stats().corrupt, 1);
    }

    #[test]
    fn f48_any_key_and_name_is_kept_apart_within_the_directory(
        name in ".{0,40}", one in ".{0,300}", other: Vec<u8>,
    ) {
        let (dir, _clock, _store) = shared_store();
        let inside = dir.path().join("store");
        let store = FileNamespace::open(&name, FileConfig::new(&inside)).unwrap();
        let (one, other) = (Key::new(&one), Key::new(&other[..]));
        store.set(&one, entry("one")).unwrap();
        store.set(&other, entry("other")).unwrap();
        prop_assert_eq!(value(&store, &one), Some(b"one".to_vec()));
        prop_assert_eq!(value(&store, &other), Some(b"other".to_vec()));
        for file in entry_files(&inside) {
            let below = file.strip_prefix(&inside).unwrap().to_str().unwrap();
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "/_-".contains(c);
            prop_assert!(below.chars().all(plain) && below.len() < 160, "{}", below);
        }
        prop_assert_eq!(fs::read_dir(&inside).unwrap().count(), 1);
    }
}

#[test]
fn f47_a_file_beyond_the_limit_is_refused_before_it_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let (store, key) = (open(dir.path()), Key::new("k"));
    store.set(&key, entry("v")).unwrap();
    let file = only_entry_file(dir.path());
    OpenOptions::new().write(true).open(&file).unwrap().set_len(10 << 30).unwrap();
    let began = Instant::now();
    let error = store.get(&key).unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.to_string().contains("has 10737418240 bytes"), "{error}");
    assert_eq!(store.scan(&Scan::new()).unwrap().entries.len(), 0);
    assert!(store.remove(&key).unwrap());
    store.set(&key, entry("new")).unwrap();
    assert_eq!(value(&store, &key), Some(b"new".to_vec()));
}

#[test]
fn f47_lengths_that_lie_are_corrupt() {
    let dir = tempfile::tempdir().unwrap();
    let (store, key) = (open(dir.path()), Key::new("k"));
    store.set(&key, entry("value")).unwrap();
    let file = only_entry_file(dir.path());
    let good = fs::read(&file).unwrap();
    // The lengths of key, labels and payload.
    for at in [44, 48, 52] {
        for length in [u32::MAX, u32::MAX - 1, 1 << 31, 6, 0] {
            let mut bad = good.clone();
            bad[at..at + 4].copy_from_slice(&length.to_le_bytes());
            if bad != good {
                fs::write(&file, &bad).unwrap();
                assert_eq!(value(&store, &key), None, "{length} at {at}");
            }
        }
    }
}

/// By what its first bytes say, also where they do not say it truly: then it is damaged, and goes as well.
#[test]
fn f47_a_dead_file_beyond_the_limit_goes_by_a_read_or_a_sweep_without_being_read() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_000_000)));
    let config = FileConfig::new(dir.path()).clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let (store, key) = (FileNamespace::open("n", config).unwrap(), Key::new("k"));
    for sweeps in [false, true] {
        let dies = clock.now().saturating_add(Duration::from_secs(1));
        store.set(&key, entry("v").times(dies, dies)).unwrap();
        let file = only_entry_file(dir.path());
        OpenOptions::new().write(true).open(&file).unwrap().set_len(10 << 30).unwrap();
        assert_eq!(store.get(&key).unwrap_err().kind(), ErrorKind::TooLarge);
        assert_eq!(store.sweep().unwrap().expired, 0, "it lives");
        clock.advance(Duration::from_secs(1));
        if sweeps {
            assert_eq!(store.sweep().unwrap().expired, 1);
        } else {
            assert!(store.get(&key).unwrap().is_none());
        }
        assert!(!file.exists(), "sweeps: {sweeps}");
    }
    assert_eq!((store.stats().expirations, store.stats().corrupt), (2, 0));
}

#[test]
fn f47_what_exceeds_a_limit_is_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let config = FileConfig::new(dir.path()).max_value_bytes(1_000);
    let store = FileNamespace::open("n", config).unwrap();
    let too_long = Key::new(&"k".repeat(Key::MAX_BYTES));
    let tags = entry("v").tags(vec!["t".repeat(70_000)]);
    for outcome in [
        store.set(&Key::new("k"), entry(vec![0; 1_001])),
        store.set(&too_long, entry("v")),
        store.set(&Key::new("k"), tags),
    ] {
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::TooLarge);
    }
    assert_eq!(entry_files(dir.path()), Vec::<PathBuf>::new());
    // What is at the limits is written and read back.
    let longest = Key::new(&"k".repeat(Key::MAX_BYTES - 1));
    let largest = entry(vec![0; 1_000]).tags(vec!["t".repeat(65_000)]);
    store.set(&longest, largest).unwrap();
    assert_eq!(value(&store, &longest), Some(vec![0; 1_000]));
}

#[test]
fn f47_links_pipes_and_directories_in_an_entry_s_place_are_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let (store, key) = (open(dir.path()), Key::new("k"));
    store.set(&key, entry("v")).unwrap();
    let file = only_entry_file(dir.path());
    let elsewhere = dir.path().join("elsewhere");
    fs::rename(&file, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &file).unwrap();
    assert_eq!(value(&store, &key), None);
    assert!(
        elsewhere.exists() && file.symlink_metadata().is_err(),
        "the link is gone, not its end"
    );

    assert!(Command::new("mkfifo").arg(&file).status().unwrap().success());
    assert_eq!(value(&store, &key), None);
    store.set(&key, entry("new")).unwrap();
    assert_eq!(value(&store, &key), Some(b"new".to_vec()));

    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert_eq!(value(&store, &key), None);
    assert!(store.set(&key, entry("new")).unwrap_err().to_string().contains("entries"));
}

#[test]
fn f38_an_entry_whose_file_a_power_cut_left_empty_is_absent() {
    let dir = tempfile::tempdir().unwrap();
    let (store, key) = (open(dir.path()), Key::new("k"));
    store.set(&key, entry("v")).unwrap();
    let file = only_entry_file(dir.path());
    let length = fs::metadata(&file).unwrap().len();
    assert_eq!(length as usize, envelope::OVERHEAD_BYTES + Key::new("k").as_bytes().len() + 1);
    for zeros in [0, length] {
        fs::write(&file, vec![0; zeros as usize]).unwrap();
        assert_eq!(value(&store, &key), None);
    }
    let mut nothing = Vec::new();
    assert!(fs::File::open(&file).and_then(|mut file| file.read_to_end(&mut nothing)).is_err());
}
