//! Where a walk reads all rows: what the namespace's row spares, and that it is true.

use beaker_namespace::{Condition, Fulfilled, Wait, envelope};

use super::super::ledger::{self, Ledger};
use super::super::rows::{self, Home};
use super::*;
use crate::boot;

fn shared(dir: &Path) -> Arc<MapEngine> {
    engine_that(false, Sharing::Host { locks: dir.join("locks") })
}

/// The namespace's row.
fn home(engine: &MapEngine, name: &str) -> Home {
    Home::find(&View(&mut engine.rows.lock(), engine), name).unwrap().expect("it is there")
}

/// How many keys `work` looks up.
fn looks(engine: &MapEngine, work: impl FnOnce()) -> usize {
    let before = engine.looks.load(Ordering::Relaxed);
    work();
    engine.looks.load(Ordering::Relaxed) - before
}

/// How many rows `work` reads in walks.
fn reads(engine: &MapEngine, work: impl FnOnce()) -> usize {
    let before = engine.reads.load(Ordering::Relaxed);
    work();
    engine.reads.load(Ordering::Relaxed) - before
}

#[test]
fn a_batch_looks_for_claims_only_while_there_are_some() {
    let dir = tempfile::tempdir().unwrap();
    let engine = shared(dir.path());
    let space = open(&engine, "kv-looks", "n", Arc::new(SystemClock)).unwrap();
    let batch = || looks(&engine, || set_batch(&space, "a", 1_000, None));
    batch();
    const OF_ITSELF: usize = 2; // the version and the namespace
    assert_eq!(batch(), OF_ITSELF);
    let key = Key::new("claimed");
    let claim = space.claim(&key, Wait::Never).unwrap().unwrap();
    assert_eq!(batch(), OF_ITSELF + 1_000, "a claim may be on any of them");
    assert_eq!(space.fulfil(&key, entry(&space), claim).unwrap(), Fulfilled::Stored);
    assert_eq!(batch(), OF_ITSELF);
    drop(space.claim(&key, Wait::Never).unwrap().unwrap());
    assert_eq!(batch(), OF_ITSELF + 1_000, "nobody knows that it was dropped");
    space.sweep().unwrap();
    assert_eq!(batch(), OF_ITSELF);
}

#[test]
fn a_set_voids_a_claim_that_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let engine = shared(dir.path());
    let space = open(&engine, "kv-counted", "n", Arc::new(SystemClock)).unwrap();
    let key = Key::new("k");
    let claim = space.claim(&key, Wait::Never).unwrap().unwrap();
    space.set_many(vec![(key.clone(), entry(&space))]).unwrap();
    assert_eq!(space.fulfil(&key, entry(&space), claim).unwrap(), Fulfilled::Superseded);
    assert_eq!(home(&engine, "n").ledger, Some(Ledger::EMPTY));
}

#[test]
fn a_set_voids_a_claim_that_a_power_cut_has_left_uncounted() {
    let dir = tempfile::tempdir().unwrap();
    let engine = shared(dir.path());
    let space = open(&engine, "kv-uncounted", "n", Arc::new(SystemClock)).unwrap();
    let key = Key::new("k");
    drop(space.claim(&key, Wait::Never).unwrap().unwrap());
    // Its row has come to the disk, and its count has not.
    let earlier = Ledger::EMPTY.of_boot(!boot::number().unwrap());
    for (_, row) in engine.rows.lock().iter_mut().filter(|(row, _)| row.starts_with(b"N")) {
        *row = [&row[..16], &earlier].concat().into();
    }
    let claim = space.claim(&key, Wait::Never).unwrap().unwrap();
    space.set(&key, entry(&space)).unwrap();
    assert_eq!(space.fulfil(&key, entry(&space), claim).unwrap(), Fulfilled::Superseded);
    set_batch(&space, "a", 8_192, None);
    assert_eq!(home(&engine, "n").ledger, Some(Ledger::EMPTY), "all was seen, and is counted");
}

#[test]
fn where_a_walk_reads_all_rows_the_dead_leave_in_one_pass_after_many_writes() {
    let clock = Arc::new(ManualClock::new(at(1_000_000)));
    let engine = engine_that(false, Sharing::Process);
    let space = open(&engine, "kv-passes", "n", clock.clone()).unwrap();
    let cleared = open(&engine, "kv-passes", "cleared", clock.clone()).unwrap();
    set_batch(&cleared, "c", 100, None);
    cleared.clear().unwrap();
    set_batch(&space, "a", 8_000, Some(Duration::from_secs(1)));
    clock.advance(Duration::from_secs(2));
    set_batch(&space, "b", 191, None);
    assert_eq!(entries(&engine), 100 + 8_000 + 191, "it is one write too early");
    set_batch(&space, "c", 1, None);
    assert_eq!(entries(&engine), 192);
    assert_eq!(space.stats().expirations, 8_000);
}

#[test]
fn a_pass_begins_when_something_can_be_dead() {
    let clock = Arc::new(ManualClock::new(at(1_000_000)));
    let engine = engine_that(false, Sharing::Process);
    let space = open(&engine, "kv-due", "n", clock.clone()).unwrap();
    let batch = |count| reads(&engine, || set_batch(&space, "a", count, None));
    assert_eq!(batch(9_000), 0, "nothing dies");
    let short = entry(&space).ttl(Some(Duration::from_secs(1)));
    space.set(&Key::new("short"), short).unwrap();
    assert_eq!(batch(1), 0, "nothing is dead yet");
    clock.advance(Duration::from_secs(1));
    let rows = engine.rows.lock().len();
    assert_eq!(batch(1), rows);
    assert_eq!((space.stats().expirations, home(&engine, "n").is_due(clock.now())), (1, false));
    assert_eq!(batch(9_000), 0, "nothing is left that dies");
}

#[test]
fn a_pass_that_is_not_due_comes_after_sixteen_times_the_writes() {
    let engine = engine_that(false, Sharing::Process);
    let space = open(&engine, "kv-unasked", "n", Arc::new(SystemClock)).unwrap();
    let batch = |keys: u64, count| {
        let batch = (0..count).map(|number| (Key::new(&(number % keys)), entry(&space))).collect();
        space.set_many(batch).unwrap();
    };
    batch(20, 20);
    let damaged = {
        let mut rows = engine.rows.lock();
        let (row, record) = rows.iter_mut().find(|(row, _)| row.starts_with(b"E")).unwrap();
        *record = record.slice(1..);
        row.clone()
    };
    // Not the damaged one's key.
    let others = |count| {
        let key = Key::from_encoded(rows::key_in(&damaged)).unwrap();
        let number = (0_u64..20).find(|number| Key::new(number) == key).unwrap();
        let keys = (0..count).map(|at| Key::new(&((at + number) % 19 + 20)));
        space.set_many(keys.map(|key| (key, entry(&space))).collect()).unwrap();
    };
    (0..15).for_each(|_| others(8_192));
    assert!(engine.rows.lock().contains_key(&damaged), "it is one batch too early");
    others(8_192);
    assert!(!engine.rows.lock().contains_key(&damaged));
    assert_eq!(space.stats().corrupt, 1);
}

#[test]
fn what_a_sweep_reads_grows_with_the_rows_and_not_with_their_square() {
    let read = |count| {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(at(1_000_000)));
        let engine = shared(dir.path());
        let store = format!("kv-linear-{count}");
        let space = open(&engine, &store, "n", clock.clone()).unwrap();
        let cleared = open(&engine, &store, "cleared", clock.clone()).unwrap();
        set_batch(&cleared, "c", count, None);
        cleared.clear().unwrap();
        set_batch(&space, "a", count, Some(Duration::from_secs(1)));
        set_batch(&space, "b", 10, None);
        for number in 0..70 {
            drop(space.claim(&Key::new(&number), Wait::Never).unwrap().unwrap());
        }
        clock.advance(Duration::from_secs(2));
        let rows = engine.rows.lock().len();
        let mut swept = beaker_namespace::Swept::default();
        let read = reads(&engine, || swept = space.sweep().unwrap());
        assert_eq!(swept.expired, count);
        assert_eq!(engine.rows.lock().len(), 10 + 3, "ten entries, two namespaces, the version");
        (read, rows)
    };
    for count in [500, 4_000] {
        let (read, rows) = read(count);
        assert!(read <= 4 * rows, "{read} reads of {rows} rows");
    }
}

/// Makes the store one that version 3 wrote.
fn make_old(engine: &MapEngine) {
    let mut rows = engine.rows.lock();
    let version = [3_u32.to_le_bytes(), (!3_u32).to_le_bytes()].concat();
    rows.insert(rows::VERSION.to_vec(), version.into());
    for (_, row) in rows.iter_mut().filter(|(row, _)| row.starts_with(b"N")) {
        *row = row.slice(..16);
    }
}

fn version(engine: &MapEngine) -> u8 {
    engine.rows.lock()[rows::VERSION][0]
}

#[test]
fn f39_in_a_store_of_version_3_nothing_is_believed_until_all_of_it_was_seen() {
    let dir = tempfile::tempdir().unwrap();
    let engine = shared(dir.path());
    let space = open(&engine, "kv-old", "n", Arc::new(SystemClock)).unwrap();
    let key = Key::new("k");
    let claim = space.claim(&key, Wait::Never).unwrap().unwrap();
    let _other = space.claim(&Key::new("other"), Wait::Never).unwrap().unwrap();
    assert_eq!(version(&engine), 4, "the control: a new store");
    make_old(&engine);
    space.get(&key).unwrap();
    assert_eq!(version(&engine), 3, "a read changes nothing");
    space.set(&key, entry(&space)).unwrap();
    assert_eq!(space.fulfil(&key, entry(&space), claim).unwrap(), Fulfilled::Superseded);
    assert_eq!((home(&engine, "n").ledger, version(&engine)), (None, 4));
    set_batch(&space, "a", 8_192, None);
    let seen = Ledger { claims: 1, ..Ledger::EMPTY };
    assert_eq!((home(&engine, "n").ledger, version(&engine)), (Some(seen), 4));
    make_old(&engine);
    space.clear().unwrap();
    let cleared = Ledger { due: ledger::NOW, ..Ledger::EMPTY };
    assert_eq!((home(&engine, "n").ledger, version(&engine)), (Some(cleared), 4));
    // Versions 1 and 2 had no row.
    make_old(&engine);
    engine.rows.lock().remove(rows::VERSION);
    space.remove(&Key::new("absent")).unwrap();
    assert_eq!((home(&engine, "n").ledger, version(&engine)), (None, 4));
}

/// Numbers of which nothing can be foretold, and that are the same each time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// Fails if a ledger is not true: see `ledger.rs`, rules 1 and 2.
fn check_ledger(engine: &MapEngine, name: &str, step: u32) {
    let home = home(engine, name);
    let ledger = home.ledger.expect("nothing was damaged");
    let rows = engine.rows.lock();
    let below = |prefix: Vec<u8>| {
        rows.iter().filter(move |(row, _)| row.starts_with(&prefix)).map(|(_, record)| record)
    };
    assert_eq!(ledger.claims as usize, below(home.claims()).count(), "step {step}");
    let dies = below(home.entry(&[])).filter_map(|record| envelope::says_it_dies(record)).min();
    assert!(dies.is_none_or(|dies| ledger.due <= dies), "step {step}: {ledger:?} {dies:?}");
}

#[test]
fn ledgers_are_true_after_whatever_happens() {
    let dir = tempfile::tempdir().unwrap();
    let engine = shared(dir.path());
    let clock = Arc::new(ManualClock::new(at(1_000_000)));
    let names = ["one", "two"];
    let spaces = names.map(|name| open(&engine, "kv-ledgers", name, clock.clone()).unwrap());
    spaces.iter().for_each(|space| set_batch(space, "a", 1, None));
    let (mut chance, mut held) = (Chance(1), Vec::new());
    for step in 0..1_500 {
        let which = chance.below(2) as usize;
        let (space, key) = (&spaces[which], Key::new(&chance.below(12)));
        let lives = [None, Some(Duration::from_secs(1)), Some(Duration::from_secs(9))];
        let ttl = lives[chance.below(3) as usize];
        let entry = entry(space).ttl(ttl).tags(vec!["tag".into()]);
        match chance.below(20) {
            0..=4 => space.set(&key, entry).unwrap(),
            5..=6 => drop(space.remove(&key).unwrap()),
            7 => drop(space.set_if(&key, entry, Condition::Absent).unwrap()),
            8..=11 => {
                if let Some(claim) = space.claim(&key, Wait::Never).unwrap() {
                    held.push((which, key, claim));
                }
            }
            12..=13 if !held.is_empty() => {
                let (which, key, claim) =
                    held.swap_remove(chance.below(held.len() as u64) as usize);
                let _stored = spaces[which].fulfil(&key, entry, claim).unwrap();
            }
            14 if !held.is_empty() => drop(held.pop()),
            15 => drop(space.remove_tag("tag").unwrap()),
            16 if chance.below(4) == 0 => space.clear().unwrap(),
            17 => drop(space.sweep().unwrap()),
            18 if chance.below(8) == 0 => {
                let number = |number: u64| (Key::new(&(number % 12)), entry.clone());
                space.set_many((0..9_000).map(number).collect()).unwrap();
            }
            _ => clock.advance(Duration::from_millis(700)),
        }
        names.iter().for_each(|name| check_ledger(&engine, name, step));
    }
}
