//! The layer on an engine of a map, alone and shared.

mod unordered;

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use beaker_namespace::{
    Clock, Condition, ConditionalSet, Entry, Error, ErrorKind, Key, Lookup, ManualClock, Mark,
    Namespace, Payload, SystemClock, Timestamp, testkit,
};
use bytes::Bytes;
use parking_lot::Mutex;

use super::{Change, Engine, KvNamespace, Reader, Sharing, Sync, Visit, Writer};

#[derive(Debug)]
struct MapEngine {
    rows: Mutex<BTreeMap<Vec<u8>, Bytes>>,
    sharing: Sharing,
    straight: bool,
    /// Keys that were looked up.
    looks: AtomicUsize,
    /// Rows that were read by walks.
    reads: AtomicUsize,
}

struct View<'a>(&'a mut BTreeMap<Vec<u8>, Bytes>, &'a MapEngine);

impl Reader for View<'_> {
    fn look(&self, key: &[u8], look: &mut dyn FnMut(&[u8])) -> Result<(), Error> {
        self.1.looks.fetch_add(1, Ordering::Relaxed);
        self.0.get(key).into_iter().for_each(|value| look(value));
        Ok(())
    }

    fn walk(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        visit: &mut Visit<'_>,
    ) -> Result<(), Error> {
        let reads = if self.1.straight { 0 } else { self.0.len() };
        self.1.reads.fetch_add(reads, Ordering::Relaxed);
        let from = after.map_or(Bound::Included(prefix), Bound::Excluded);
        for (key, value) in self.0.range::<[u8], _>((from, Bound::Unbounded)) {
            self.1.reads.fetch_add(usize::from(self.1.straight), Ordering::Relaxed);
            if !key.starts_with(prefix) || visit(key, value) == ControlFlow::Break(()) {
                break;
            }
        }
        Ok(())
    }
}

impl Writer for View<'_> {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        self.0.insert(key.to_vec(), Bytes::copy_from_slice(value));
        Ok(())
    }

    fn delete(&mut self, key: &[u8]) -> Result<(), Error> {
        self.0.remove(key);
        Ok(())
    }
}

impl Engine for MapEngine {
    fn view(&self, look: &mut dyn FnMut(&dyn Reader) -> Result<(), Error>) -> Result<(), Error> {
        look(&View(&mut self.rows.lock(), self))
    }

    fn update(&self, change: Change, _sync: Sync) -> Result<(), Error> {
        let mut rows = self.rows.lock();
        let before = rows.clone();
        change(&mut View(&mut rows, self)).inspect_err(|_| *rows = before)
    }

    fn sharing(&self) -> &Sharing {
        &self.sharing
    }

    fn path(&self) -> &Path {
        Path::new("/a/map")
    }

    fn walks_straight(&self) -> bool {
        self.straight
    }

    fn size_bytes(&self) -> Option<u64> {
        None
    }
}

fn engine(sharing: Sharing) -> Arc<MapEngine> {
    engine_that(true, sharing)
}

fn engine_that(straight: bool, sharing: Sharing) -> Arc<MapEngine> {
    let (looks, reads) = Default::default();
    Arc::new(MapEngine { rows: Mutex::default(), sharing, straight, looks, reads })
}

fn open(
    engine: &Arc<MapEngine>,
    store: &str,
    name: &str,
    clock: Arc<dyn Clock>,
) -> Result<KvNamespace, Error> {
    KvNamespace::open(store, name, Arc::clone(engine) as _, 64 << 20, clock)
}

#[test]
fn alone_it_is_a_store() {
    let engine = engine(Sharing::Process);
    testkit::conformance("kv", |name, clock| open(&engine, "kv-alone", name, clock));
}

#[test]
fn shared_it_is_a_store() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(Sharing::Host { locks: dir.path().join("locks") });
    testkit::conformance("kv", |name, clock| open(&engine, "kv-shared", name, clock));
}

fn entry(namespace: &KvNamespace) -> Entry {
    Entry::new(Payload::raw("value"), namespace.clock().now())
}

#[test]
fn clear_leaves_the_entries_for_writes_and_sweeps_to_purge() {
    let engine = engine(Sharing::Process);
    let space = open(&engine, "kv-purge", "a", Arc::new(SystemClock)).unwrap();
    let other = open(&engine, "kv-purge", "ab", Arc::new(SystemClock)).unwrap();
    for number in 0..300 {
        space.set(&Key::new(&number), entry(&space)).unwrap();
        other.set(&Key::new(&number), entry(&other)).unwrap();
    }
    let before = engine.rows.lock().len();
    space.clear().unwrap();
    assert_eq!(engine.rows.lock().len(), before + 1, "only a note was made");
    assert!(space.get(&Key::new(&1)).unwrap().is_none());
    for _ in 0..64 {
        space.set(&Key::new("one"), entry(&space)).unwrap();
    }
    assert_eq!(engine.rows.lock().len(), before + 1 + 1 - 64, "the 64th write purged 64");
    space.sweep().unwrap();
    let rows = engine.rows.lock().len();
    assert_eq!(rows, 1 + 2 + 300 + 1, "the version, two names, the others' entries, one");
    assert_eq!(other.get_many(&[Key::new(&0), Key::new(&299)]).unwrap().len(), 2);
    assert!(other.get(&Key::new(&299)).unwrap().is_some());
}

/// Sets `count` entries of that kind in one batch; they die after `ttl`.
fn set_batch(space: &KvNamespace, kind: &str, count: u64, ttl: Option<Duration>) {
    let make = |number| (Key::new(&(kind, number)), entry(space).ttl(ttl));
    space.set_many((0..count).map(make).collect()).unwrap();
}

/// How many entries there are, dead ones too.
fn entries(engine: &MapEngine) -> usize {
    engine.rows.lock().keys().filter(|row| row[0] == b'E').count()
}

#[test]
fn a_batch_looks_at_as_many_rows_as_it_has() {
    let clock = Arc::new(ManualClock::new(at(1_000_000)));
    let engine = engine(Sharing::Process);
    let space = open(&engine, "kv-batches", "n", clock.clone()).unwrap();
    set_batch(&space, "a", 500, Some(Duration::from_secs(1)));
    clock.advance(Duration::from_secs(2));
    // What is looked at first is what comes after those that the first batch looked at: its own.
    for _ in 0..2 {
        set_batch(&space, "b", 400, None);
        assert_eq!(entries(&engine), 500 + 400);
    }
    set_batch(&space, "b", 400, None);
    assert_eq!(entries(&engine), 500 + 400 - 400);
    assert_eq!(space.stats().expirations, 400);
}

#[test]
fn where_nothing_can_be_dead_few_rows_are_looked_at() {
    let clock = Arc::new(ManualClock::new(at(1_000_000)));
    let dir = tempfile::tempdir().unwrap();
    for shared in [false, true] {
        let locks = dir.path().join("locks");
        let engine = engine(if shared { Sharing::Host { locks } } else { Sharing::Process });
        let name = if shared { "kv-known-shared" } else { "kv-known" };
        let space = open(&engine, name, "n", clock.clone()).unwrap();
        let looked = |count| {
            engine.reads.store(0, Ordering::Relaxed);
            set_batch(&space, "a", count, None);
            engine.reads.load(Ordering::Relaxed)
        };
        assert!((320..330).contains(&looked(320)), "it is not known yet");
        let of_two: [usize; 2] = [(); 2].map(|()| looked(320));
        assert!(of_two[0] + of_two[1] < 400 || shared, "{of_two:?}");
        let few = looked(320);
        assert_eq!((20..25).contains(&few), !shared, "{few}");
        space.set(&Key::new("z"), entry(&space).ttl(Some(Duration::from_secs(1)))).unwrap();
        clock.advance(Duration::from_secs(2));
        for _ in 0..2 {
            set_batch(&space, "a", 320, None);
        }
        assert_eq!(space.stats().expirations, 1, "shared: {shared}");
    }
}

#[test]
fn where_a_namespace_is_is_remembered_by_the_only_process_that_may_move_it() {
    let dir = tempfile::tempdir().unwrap();
    let found_without_its_row = |sharing, store| {
        let engine = engine(sharing);
        let space = open(&engine, store, "a", Arc::new(SystemClock)).unwrap();
        space.set(&Key::new("one"), entry(&space)).unwrap();
        assert!(space.get(&Key::new("one")).unwrap().is_some());
        engine.rows.lock().retain(|row, _| !row.starts_with(b"N"));
        space.get(&Key::new("one")).unwrap().is_some()
    };
    assert!(found_without_its_row(Sharing::Process, "kv-alone-row"));
    let shared = Sharing::Host { locks: dir.path().join("locks") };
    assert!(!found_without_its_row(shared, "kv-shared-row"));
}

#[test]
fn a_read_finds_a_namespace_that_was_moved() {
    let engine = engine(Sharing::Process);
    let space = open(&engine, "kv-move", "a", Arc::new(SystemClock)).unwrap();
    let key = Key::new("one");
    for _ in 0..2 {
        space.set(&key, entry(&space)).unwrap();
        assert!(space.get(&key).unwrap().is_some());
        space.clear().unwrap();
        assert!(space.get_many(std::slice::from_ref(&key)).unwrap()[0].is_none());
    }
    space.set(&key, entry(&space)).unwrap();
    // As if the file had been set aside.
    engine.rows.lock().clear();
    assert!(space.get(&key).unwrap().is_none());
    space.set(&key, entry(&space)).unwrap();
    assert!(space.get(&key).unwrap().is_some());
}

#[test]
fn a_record_under_another_key_or_name_is_nobodys() {
    let engine = engine(Sharing::Process);
    let space = open(&engine, "kv-moved", "a", Arc::new(SystemClock)).unwrap();
    space.set(&Key::new("one"), entry(&space)).unwrap();
    let (row, record) = {
        let rows = engine.rows.lock();
        let found = rows.iter().find(|(row, _)| row.starts_with(b"E")).unwrap();
        (found.0.clone(), found.1.clone())
    };
    let mut moved = row[..9].to_vec();
    moved.extend_from_slice(Key::new("two").as_bytes());
    engine.rows.lock().insert(moved, record);
    assert!(space.get(&Key::new("two")).unwrap().is_none());
    assert_eq!(space.stats().corrupt, 1);
    assert_eq!(space.sweep().unwrap().corrupt, 1);
    assert!(space.get(&Key::new("one")).unwrap().is_some());
}

#[test]
fn tokens_that_nobody_holds_are_swept() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(Sharing::Host { locks: dir.path().join("locks") });
    let space = open(&engine, "kv-tokens", "a", Arc::new(SystemClock)).unwrap();
    let tokens = || engine.rows.lock().keys().filter(|row| row.starts_with(b"C")).count();
    let wait = beaker_namespace::Wait::Never;
    drop(space.claim(&Key::new("dropped"), wait).unwrap().unwrap());
    let held = space.claim(&Key::new("held"), wait).unwrap().unwrap();
    assert_eq!(tokens(), 2);
    space.sweep().unwrap();
    assert_eq!(tokens(), 1, "the claim that is held keeps its token");
    let stored = space.fulfil(&Key::new("held"), entry(&space), held).unwrap();
    assert_eq!(stored, beaker_namespace::Fulfilled::Stored);
    assert_eq!(tokens(), 0);
}

#[test]
fn a_batch_with_an_entry_that_is_too_large_stores_nothing() {
    let engine = engine(Sharing::Process);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let space = KvNamespace::open("kv-batch", "a", engine, 10, clock).unwrap();
    let large = Entry::new(Payload::raw(vec![0; 11]), space.clock().now());
    let batch = vec![(Key::new(&1), entry(&space)), (Key::new(&2), large)];
    let error = space.set_many(batch).unwrap_err();
    assert_eq!(error.kind(), beaker_namespace::ErrorKind::TooLarge);
    assert!(space.get(&Key::new(&1)).unwrap().is_none());
}

// F39: what a newer version wrote is refused and left, never taken for damage.

/// Makes the store one of version 255, with the record of `key` in an envelope of that version.
fn make_newer(engine: &MapEngine, key: &Key) -> BTreeMap<Vec<u8>, Bytes> {
    let mut rows = engine.rows.lock();
    let version = [255_u32.to_le_bytes(), (!255_u32).to_le_bytes()].concat();
    rows.insert(super::rows::VERSION.to_vec(), version.into());
    let (_, record) = rows.iter_mut().find(|(row, _)| row.ends_with(key.as_bytes())).unwrap();
    let mut newer = record.to_vec();
    newer[4] = 255;
    *record = newer.into();
    rows.clone()
}

#[test]
fn f39_a_store_of_a_newer_version_is_refused_and_named() {
    let engine = engine(Sharing::Process);
    let key = Key::new("one");
    let space = open(&engine, "kv-newer", "a", Arc::new(SystemClock)).unwrap();
    space.set(&key, entry(&space)).unwrap();
    drop(space);
    drop(open(&engine, "kv-newer", "a", Arc::new(SystemClock)).expect("the control"));
    make_newer(&engine, &key);
    let error = open(&engine, "kv-newer", "a", Arc::new(SystemClock)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let text = error.to_string();
    assert!(text.contains("/a/map (version 255, this one knows 3); update this one"), "{text}");
}

#[test]
fn f39_a_store_that_becomes_newer_while_it_is_open_is_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(Sharing::Host { locks: dir.path().join("locks") });
    let key = Key::new("one");
    let space = open(&engine, "kv-becomes-newer", "a", Arc::new(SystemClock)).unwrap();
    space.set(&key, entry(&space)).unwrap();
    let before = make_newer(&engine, &key);
    let wait = beaker_namespace::Wait::Never;
    let errors = [
        space.get(&key).map(drop),
        space.set(&key, entry(&space)),
        space.remove(&key).map(drop),
        space.clear(),
        space.claim(&key, wait).map(drop),
        space.scan(&beaker_namespace::Scan::new()).map(drop),
        space.sweep().map(drop),
        space.mark("name", Mark::hard(at(7))).map(drop),
    ];
    for (number, error) in errors.into_iter().enumerate() {
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Config, "call {number}");
    }
    assert_eq!(*engine.rows.lock(), before);
    // The control: where the store is of this version it is a flipped bit, and goes.
    engine.rows.lock().remove(super::rows::VERSION);
    assert_eq!(space.sweep().unwrap().corrupt, 1);
}

// F47: the limit on values holds for what is read, whatever it was when they were written.

#[test]
fn f47_a_value_beyond_the_limit_is_not_read_but_listed_removed_and_swept() {
    let engine = engine(Sharing::Process);
    let clock = Arc::new(ManualClock::new(at(1_000)));
    let open = |max_value_bytes| {
        let clock = Arc::clone(&clock) as Arc<dyn Clock>;
        KvNamespace::open("kv-limit", "a", Arc::clone(&engine) as _, max_value_bytes, clock)
    };
    let wide = open(1 << 20).unwrap();
    let value = |bytes: usize| Entry::new(Payload::raw(vec![7; bytes]), at(1_000));
    let long = [("beyond", 11), ("far", 300_000), ("tagged", 11), ("dead", 300_000)];
    for (name, bytes) in long {
        let entry = value(bytes).tags(vec![name.into()]);
        let entry = if name == "dead" { entry.times(at(2_000), at(2_000)) } else { entry };
        wide.set(&Key::new(name), entry).unwrap();
    }
    wide.set(&Key::new("within"), value(10)).unwrap();
    drop(wide);
    let narrow = open(10).unwrap();
    assert!(narrow.get(&Key::new("within")).unwrap().is_some(), "the control");
    for (name, _) in long {
        for error in [narrow.get(&Key::new(name)).err(), narrow.inspect(&Key::new(name)).err()] {
            let error = error.expect("it is too long");
            assert_eq!(error.kind(), ErrorKind::TooLarge);
            assert!(error.to_string().contains("an entry in /a/map is longer than"), "{error}");
        }
    }
    // It is not even looked whether it is whole.
    let whole = {
        let mut rows = engine.rows.lock();
        let far = rows.iter_mut().find(|(row, _)| row.ends_with(Key::new("far").as_bytes()));
        std::mem::replace(far.unwrap().1, vec![0; 300_000].into())
    };
    assert_eq!(narrow.get(&Key::new("far")).unwrap_err().kind(), ErrorKind::TooLarge);
    for (row, record) in engine.rows.lock().iter_mut() {
        if row.ends_with(Key::new("far").as_bytes()) {
            *record = whole.clone();
        }
    }
    let listed = narrow.scan(&beaker_namespace::Scan::new()).unwrap().entries;
    let sizes: Vec<_> = listed.iter().map(|listed| listed.size_bytes).collect();
    assert_eq!(sizes.iter().filter(|size| **size == Some(300_000)).count(), 2);
    assert_eq!(narrow.remove_tag("tagged").unwrap(), 1);
    clock.advance(std::time::Duration::from_secs(1));
    assert_eq!(narrow.sweep().unwrap().expired, 1);
    assert!(narrow.remove(&Key::new("far")).unwrap());
    narrow.set(&Key::new("beyond"), value(1)).unwrap();
    assert!(narrow.get(&Key::new("beyond")).unwrap().is_some());
    assert_eq!((narrow.stats().corrupt, engine.rows.lock().len()), (0, 4));
}

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

fn marked(namespace: &KvNamespace, name: &str) -> Mark {
    namespace.marks(&mut [name].into_iter()).unwrap()
}

/// The only mark's row.
fn mark_row(engine: &MapEngine) -> (Vec<u8>, Bytes) {
    let rows = engine.rows.lock();
    let found = rows.iter().find(|(row, _)| row.starts_with(b"M")).unwrap();
    (found.0.clone(), found.1.clone())
}

#[test]
fn f34_f35_a_damaged_mark_counts_as_one_of_now_and_heals() {
    let engine = engine(Sharing::Process);
    let clock = Arc::new(ManualClock::new(at(1_000)));
    let space = open(&engine, "kv-marks", "a", clock).unwrap();
    space.mark("name", Mark::hard(at(7))).unwrap();
    let (row, good) = mark_row(&engine);
    let cut = (0..good.len()).map(|length| good.slice(..length));
    let flipped = (0..8 * good.len()).map(|bit| {
        let mut bytes = good.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        Bytes::from(bytes)
    });
    for (number, bad) in cut.chain(flipped).enumerate() {
        engine.rows.lock().insert(row.clone(), bad);
        assert_eq!(marked(&space, "name"), Mark::hard(at(1_000)), "damage {number}");
        let healed = Mark::hard(at(1_000)).to_bytes("a", "name");
        assert_eq!(mark_row(&engine).1[..], healed, "damage {number}");
    }
    assert_eq!(space.stats().corrupt, 9 * good.len() as u64);
    engine.rows.lock().insert(row.clone(), Bytes::new());
    assert_eq!(space.mark("name", Mark::soft(at(9))).unwrap().gone_until(), Some(at(1_000)));
    engine.rows.lock().insert(row, good);
    assert_eq!(marked(&space, "name"), Mark::hard(at(7)), "the control");
}

#[test]
fn a_look_up_tells_a_damaged_entry_from_none_each_time() {
    let engine = engine(Sharing::Process);
    let space = open(&engine, "kv-look-up", "a", Arc::new(SystemClock)).unwrap();
    let key = Key::new("k");
    assert!(matches!(space.look_up(&key).unwrap(), Lookup::Absent));
    space.set(&key, entry(&space)).unwrap();
    assert!(matches!(space.look_up(&key).unwrap(), Lookup::Found(_)));
    for (row, record) in engine.rows.lock().iter_mut() {
        if row.ends_with(key.as_bytes()) {
            *record = record.slice(1..);
        }
    }
    for met in 1..=2 {
        assert!(matches!(space.look_up(&key).unwrap(), Lookup::Corrupt(_)));
        assert_eq!((space.stats().corrupt, space.stats().misses), (met, 1 + met));
    }
    assert_eq!(space.stats().hits, 1);
    let set = || space.set_if(&key, entry(&space), Condition::Absent).unwrap();
    assert!(matches!(set(), ConditionalSet::Stored { .. }), "it replaces what is damaged");
    assert_eq!(set(), ConditionalSet::Conflict);
}

#[test]
fn only_the_damage_that_was_seen_is_replaced() {
    let locks = tempfile::tempdir().unwrap();
    let shared = Sharing::Host { locks: locks.path().join("locks") };
    for (store, sharing) in [("kv-alone", Sharing::Process), ("kv-shared", shared)] {
        let engine = engine(sharing);
        let space = open(&engine, store, "damaged", Arc::new(SystemClock)).unwrap();
        testkit::conformance_on_damage(store, space, |key, how| {
            for (row, record) in engine.rows.lock().iter_mut() {
                // That of a claim is shorter.
                if row.ends_with(key.as_bytes()) && record.len() > 16 {
                    *record = Bytes::from(vec![how; 100]);
                }
            }
        });
    }
}

#[test]
fn a_mark_under_another_name_is_damaged() {
    let engine = engine(Sharing::Process);
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(at(1_000)));
    let space = open(&engine, "kv-moved-mark", "a", Arc::clone(&clock)).unwrap();
    let other = open(&engine, "kv-moved-mark", "b", clock).unwrap();
    space.mark("name", Mark::soft(at(7))).unwrap();
    let (row, mark) = mark_row(&engine);
    for place in [super::rows::mark("a", "other"), super::rows::mark("b", "name")] {
        engine.rows.lock().insert(place, mark.clone());
    }
    assert_eq!(marked(&space, "other"), Mark::hard(at(1_000)));
    assert_eq!(marked(&other, "name"), Mark::hard(at(1_000)));
    assert_eq!(mark_row(&engine), (row, mark));
}

#[test]
fn a_short_row_is_the_one_that_is_written_too() {
    let home = super::rows::Home { id: 7, epoch: 0, ledger: None };
    for length in 0..80 {
        let key = vec![b'k'; length];
        home.at_entry(&key, |row| assert_eq!(row, home.entry(&key), "{length} bytes"));
    }
}

/// A clock that counts how often it was asked.
#[derive(Debug, Default)]
struct Counted(AtomicUsize);

impl Clock for Counted {
    fn now(&self) -> Timestamp {
        self.0.fetch_add(1, Ordering::Relaxed);
        SystemClock.now()
    }
}

#[test]
fn a_hit_asks_for_the_time_only_if_the_entry_dies() {
    let engine = engine(Sharing::Process);
    let clock = Arc::new(Counted::default());
    let space = open(&engine, "kv-clock", "a", Arc::clone(&clock) as _).unwrap();
    let asked = |ttl| {
        space.set(&Key::new("k"), entry(&space).ttl(ttl)).unwrap();
        let before = clock.0.load(Ordering::Relaxed);
        assert!(space.get(&Key::new("k")).unwrap().is_some());
        clock.0.load(Ordering::Relaxed) - before
    };
    assert_eq!([asked(None), asked(Some(Duration::from_secs(60)))], [0, 1]);
}

#[test]
fn no_two_pairs_of_names_have_one_row() {
    let pairs = [("a", "bc"), ("ab", "c"), ("", "abc"), ("abc", ""), ("a", "b"), ("a\0", "b")];
    let mut rows: Vec<_> =
        pairs.iter().map(|(space, name)| super::rows::mark(space, name)).collect();
    rows.sort();
    rows.dedup();
    assert_eq!(rows.len(), pairs.len());
}

#[test]
fn clear_and_what_follows_it_leave_marks() {
    let engine = engine(Sharing::Process);
    let space = open(&engine, "kv-marks-clear", "a", Arc::new(SystemClock)).unwrap();
    space.mark("name", Mark::hard(at(7))).unwrap();
    assert_eq!(engine.rows.lock().len(), 1, "a mark needs no namespace");
    space.set(&Key::new("k"), entry(&space)).unwrap();
    space.clear().unwrap();
    space.sweep().unwrap();
    assert_eq!(marked(&space, "name"), Mark::hard(at(7)));
    assert_eq!(engine.rows.lock().len(), 3, "the mark, the version and the name");
}
