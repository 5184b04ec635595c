//! Marks: F34 and F35, kills, and processes that mark at the same time.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use beaker_namespace::{Clock, Error, Key, ManualClock, Mark, Namespace, Timestamp};

use super::support::children::{Role, listen, say};
use super::support::files::{all_files, copy_tree};
use super::support::report::report;
use super::support::stores::{Store, any, named, on_every, shared, sound};
use super::support::values::{entry, value};

/// The marks that each of two processes makes.
const RACE: i64 = 200;

const NAME: &str = "a marked name";

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(1_000_000_000_000_000 + micros)
}

fn marked(store: &dyn Namespace) -> Result<Mark, Error> {
    store.marks(&mut [NAME].into_iter())
}

/// What a child does: marks a later moment each time, until it is killed.
pub(super) fn go_on_marking(store: &Store, dir: &Path) {
    let open = store.open(dir).expect("it opens");
    for step in 0.. {
        open.mark(NAME, Mark::hard(at(step))).expect("it is marked");
        say(&step.to_string());
    }
}

/// What a child does: marks beside another one.
pub(super) fn race(store: &Store, dir: &Path) {
    let open = store.open(dir).expect("it opens");
    say("ready");
    let id: i64 = listen().parse().expect("a number");
    for step in 0..RACE {
        let mark = Mark::hard(at(2 * step + id));
        let holds = open.mark(NAME, mark).expect("it is marked");
        assert_eq!(holds.merge(mark), holds, "its own mark is lost");
    }
    say("half");
    listen();
    let mark = if id == 0 { Mark::hard(at(1)) } else { Mark::soft(at(2)) };
    for step in 0..RACE {
        open.mark(&step.to_string(), mark).expect("it is marked");
    }
}

#[test]
fn a_mark_of_a_process_is_seen_by_another_at_once_and_outlives_its_kill() {
    on_every(shared, |store| {
        let dir = tempfile::tempdir().unwrap();
        let open = store.open(dir.path()).unwrap();
        assert_eq!(marked(&*open).unwrap(), Mark::default(), "the control");
        let mut marker = Role::start("marker", store, dir.path());
        let mut last = 0;
        for _ in 0..50 {
            last = marker.hear().unwrap().parse().unwrap();
            let seen = marked(&*open).unwrap().gone_until();
            assert!(seen >= Some(at(last)), "{}: {seen:?} after step {last}", store.name);
        }
        drop(marker); // kill -9
        assert!(marked(&*open).unwrap().gone_until() >= Some(at(last)), "{}", store.name);
        // What it held is free.
        let holds = open.mark(NAME, Mark::hard(at(1_000_000))).unwrap();
        assert_eq!(holds, Mark::hard(at(1_000_000)), "{}", store.name);
    });
}

#[test]
fn of_two_processes_that_mark_one_name_neither_loses_a_mark() {
    on_every(shared, |store| {
        let dir = tempfile::tempdir().unwrap();
        let open = store.open(dir.path()).unwrap();
        let mut racers = [0, 1].map(|_| Role::start("racer", store, dir.path()));
        for racer in &mut racers {
            assert_eq!(racer.hear().as_deref(), Some("ready"), "{}", store.name);
        }
        for (id, racer) in racers.iter_mut().enumerate() {
            racer.tell(&id.to_string());
        }
        let mut all_say = |word| {
            for racer in &mut racers {
                assert_eq!(racer.hear().as_deref(), Some(word), "{}", store.name);
                racer.tell("go");
            }
        };
        all_say("half");
        let last = Mark::hard(at(2 * (RACE - 1) + 1));
        assert_eq!(marked(&*open).unwrap(), last, "{}", store.name);
        // One of them makes hard marks of many names, and the other soft ones.
        all_say("done");
        for step in 0..RACE {
            let found = open.marks(&mut [&*step.to_string()].into_iter()).unwrap();
            assert_eq!(found, Mark::hard(at(1)).merge(Mark::soft(at(2))), "{}", store.name);
        }
        report("marks at once", store.name, &format!("2 x {RACE}, none lost"), true);
    });
}

#[test]
fn a_mark_is_there_when_the_store_is_opened_again() {
    on_every(any, |store| {
        let dir = tempfile::tempdir().unwrap();
        let mark = Mark::hard(at(1)).merge(Mark::soft(at(2)));
        store.open(dir.path()).unwrap().mark(NAME, mark).unwrap();
        assert_eq!(marked(&*store.open(dir.path()).unwrap()).unwrap(), mark, "{}", store.name);
        let other = store.open_name(dir.path(), "other").unwrap();
        assert_eq!(marked(&*other).unwrap(), Mark::default(), "{}: the control", store.name);
    });
}

/// A store with an entry and a mark, closed.
fn template(store: &Store, dir: &Path, mark: Mark) {
    let open = store.open(dir).unwrap();
    open.set(&Key::new("k"), entry("v")).unwrap();
    open.mark(NAME, mark).unwrap();
}

/// Changes each copy of the mark that is in the files, and says how many there are.
fn damage(dir: &Path, record: &[u8], change: impl Fn(&mut [u8])) -> usize {
    let mut found = 0;
    for file in all_files(dir) {
        let mut bytes = fs::read(&file).unwrap();
        let windows = 0..bytes.len().saturating_sub(record.len() - 1);
        let places: Vec<_> = windows.filter(|&at| bytes[at..].starts_with(record)).collect();
        for &place in &places {
            change(&mut bytes[place..place + record.len()]);
        }
        if !places.is_empty() {
            fs::write(file, bytes).unwrap();
        }
        found += places.len();
    }
    found
}

/// sled drops the end of its log, from the first damaged record on.
#[test]
fn f35_a_mark_with_a_flipped_bit_is_never_no_mark_nor_an_earlier_one() {
    on_every(sound, |store| {
        let template_dir = tempfile::tempdir().unwrap();
        let mark = Mark::hard(at(7));
        template(store, template_dir.path(), mark);
        let record = mark.to_bytes("n", NAME);
        let (mut errors, mut invalid) = (0, 0);
        for byte in 0..record.len() {
            let dir = tempfile::tempdir().unwrap();
            copy_tree(template_dir.path(), dir.path());
            let copies = damage(dir.path(), &record, |bytes| bytes[byte] ^= 1 << (byte % 8));
            assert!(copies > 0, "{}: the mark is not in the files", store.name);
            let clock = Arc::new(ManualClock::new(at(1_000)));
            let Ok(open) = store.open_at(dir.path(), clock as Arc<dyn Clock>) else {
                errors += 1;
                continue;
            };
            match marked(&*open) {
                Err(_) => errors += 1,
                Ok(found) if found == Mark::default() => {
                    // A damaged store may have been set aside, with all its entries.
                    let left = value(&*open, &Key::new("k"));
                    assert_eq!(left.unwrap(), None, "{}: byte {byte}", store.name);
                    invalid += 1;
                }
                Ok(found) => {
                    assert_eq!(found, Mark::hard(at(1_000)), "{}: byte {byte}", store.name);
                    // It has healed.
                    assert_eq!(marked(&*open).unwrap(), found, "{}: byte {byte}", store.name);
                    invalid += 1;
                }
            }
        }
        assert_eq!(errors + invalid, record.len());
        report("F35 a mark", store.name, &format!("errors={errors} invalid={invalid}"), true);
        // The control: the same store, not damaged.
        let found = marked(&*store.open(template_dir.path()).unwrap()).unwrap();
        assert_eq!(found, mark, "{}", store.name);
    });
}

#[test]
fn f39_a_store_that_version_1_wrote_can_be_marked() {
    on_every(
        |store| store.name != "file",
        |store| {
            let dir = tempfile::tempdir().unwrap();
            copy_tree(&super::versions::golden(store, 1), dir.path());
            let open = store.open_name(dir.path(), super::versions::NAME).unwrap();
            assert_eq!(marked(&*open).unwrap(), Mark::default(), "{}", store.name);
            open.mark(NAME, Mark::hard(at(7))).unwrap();
            assert_eq!(marked(&*open).unwrap(), Mark::hard(at(7)), "{}", store.name);
            assert!(open.get(&Key::new("text")).unwrap().is_some(), "{}", store.name);
        },
    );
}

#[test]
fn the_control_keeps_no_marks_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let open = named("control").open(dir.path()).unwrap();
    let error = open.mark(NAME, Mark::hard(at(7))).unwrap_err();
    assert_eq!(error.kind(), beaker_namespace::ErrorKind::Unsupported);
    assert_eq!(marked(&*open).unwrap(), Mark::default());
}
