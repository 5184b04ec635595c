//! F32, F33: the n-th write and the n-th open fail, because the process may have no larger files
//! and no more descriptors.

use std::fs::{self, File};
use std::path::Path;

use beaker_namespace::{Error, ErrorKind, Key, Namespace, Scan, Wait};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::support::children::{say, words_of};
use super::support::files::all_files;
use super::support::report::{is_long, report};
use super::support::stores::{CONTROL, Store, any, on_every};
use super::support::values::{entry, value};

/// Lowers a limit of this process while it lives. The hard limit stays, so it can be raised again.
struct Lowered(Resource, Option<u64>);

impl Lowered {
    fn to(resource: Resource, limit: u64) -> Self {
        let now = getrlimit(resource);
        let lower = Rlimit { current: Some(limit), maximum: now.maximum };
        setrlimit(resource, lower).expect("a limit may be lowered");
        Self(resource, now.current)
    }
}

impl Drop for Lowered {
    fn drop(&mut self) {
        let maximum = getrlimit(self.0).maximum;
        let _ = setrlimit(self.0, Rlimit { current: self.1, maximum });
    }
}

/// Values that make the files grow at every step.
const GROWTH: u32 = 30;

fn old() -> Vec<u8> {
    vec![b'o'; 700]
}

fn new(number: u32) -> Vec<u8> {
    vec![b'n'; 700 + number as usize * 300]
}

fn prepare(store: &Store, dir: &Path) {
    let open = store.open(dir).expect("it opens");
    for key in ["kept", "removed"] {
        open.set(&Key::new(key), entry(old())).expect("it is written");
    }
    for number in 0..GROWTH / 2 {
        open.set(&Key::new(&number), entry(old())).expect("it is written");
    }
    let together = together().into_iter().map(|key| (key, entry(old())));
    open.set_many(together.collect()).expect("it is written");
}

/// Entries that are removed together: all of them, or none.
fn together() -> Vec<Key> {
    (0..12_u32).map(|number| Key::new(&("together", number))).collect()
}

/// What became of a piece of work: which writes were acknowledged, and how the others failed.
#[derive(Debug, Default)]
struct Work {
    acknowledged: Vec<u32>,
    failed: Vec<Error>,
    removed: bool,
    removed_together: bool,
}

/// Replaces some entries, makes others, and removes one.
fn work(open: &dyn Namespace) -> Work {
    let mut done = Work::default();
    for number in 0..GROWTH {
        match open.set(&Key::new(&number), entry(new(number))) {
            Ok(()) => done.acknowledged.push(number),
            Err(error) => done.failed.push(error),
        }
    }
    match open.remove(&Key::new("removed")) {
        Ok(_) => done.removed = true,
        Err(error) => done.failed.push(error),
    }
    match open.remove_many(&together()) {
        Ok(_) => done.removed_together = true,
        Err(error) => done.failed.push(error),
    }
    done
}

/// Whether some of what is removed together is gone and some is not; in the file store each entry is a
/// file of its own.
fn is_half_removed(open: &dyn Namespace, done: &Work) -> bool {
    let there = together().iter().filter(|key| value(open, key).is_ok_and(|v| v.is_some())).count();
    let whole = there == if done.removed_together { 0 } else { together().len() };
    // Who is told of an error does not know which of both it is.
    let either = !done.removed_together && there == 0;
    !whole && !either && !open.id().store().starts_with("file")
}

/// How many entries are neither as before nor as after.
fn torn(open: &dyn Namespace, done: &Work) -> usize {
    let found = |key: Key| value(open, &key).unwrap_or_else(|_| Some(b"failed".to_vec()));
    let is_torn = |&number: &u32| {
        let found = found(Key::new(&number));
        if done.acknowledged.contains(&number) {
            return found != Some(new(number));
        }
        found.is_some_and(|found| found != new(number) && found != old())
    };
    let kept = usize::from(found(Key::new("kept")) != Some(old()));
    let removed = found(Key::new("removed"));
    let removed =
        if done.removed { removed.is_some() } else { removed.is_some_and(|v| v != old()) };
    let halves = usize::from(is_half_removed(open, done));
    kept + usize::from(removed) + halves + (0..GROWTH).filter(is_torn).count()
}

/// What a child does, in whom a file that grows too large is an error and no signal.
pub(super) fn with_a_limit_on_file_sizes(store: &Store, dir: &Path) {
    let largest = {
        let dir = dir.join("whole");
        prepare(store, &dir);
        let open = store.open(&dir).expect("it opens");
        let done = work(&*open);
        assert!(done.failed.is_empty() && torn(&*open, &done) == 0, "{done:?}");
        all_files(&dir).iter().map(|file| fs::metadata(file).expect("it is there").len()).max()
    };
    let steps = if is_long() { 200 } else { 16 };
    let (mut limits, mut failed, mut unclear, mut damaged, mut stuck) = (0, 0, 0, 0, 0);
    for step in 0..=steps {
        let place = dir.join(step.to_string());
        prepare(store, &place);
        let limit = Lowered::to(Resource::Fsize, largest.unwrap_or(0) * step / steps);
        let opened = store.open(&place);
        let done = opened.as_ref().map(|open| work(&**open)).unwrap_or_default();
        drop(limit);
        limits += 1;
        let errors: Vec<&Error> = done.failed.iter().chain(opened.as_ref().err()).collect();
        failed += errors.len();
        let others = errors.iter().filter(|error| !is_clear(error, &place));
        unclear += others.clone().count();
        others.take(1).for_each(|error| say(&format!("{:?}: {error}", error.kind())));
        if let Ok(open) = opened {
            damaged += torn(&*open, &done);
            // At the first or the second call it works again.
            let again = || open.set(&Key::new("again"), entry("again"));
            stuck += usize::from(again().or_else(|_| again()).is_err());
        }
        let open = store.open(&place).expect("it opens again");
        damaged += torn(&*open, &done) + open.stats().corrupt as usize;
        drop(open);
        let _ = fs::remove_dir_all(&place);
    }
    say(&format!("limits={limits} failed={failed} unclear={unclear} torn={damaged} stuck={stuck}"));
}

/// A limit is not a full disk, and not every store can tell them apart.
fn is_clear(error: &Error, place: &Path) -> bool {
    matches!(error.kind(), ErrorKind::Full | ErrorKind::Unavailable)
        && error.to_string().contains(&place.display().to_string())
}

fn check_file_sizes(store: &'static Store) {
    let dir = tempfile::tempdir().expect("a directory");
    let words = words_of(&[], "trap '' XFSZ", "small-files", store, dir.path());
    let line = &words[words.len() - 2];
    let holds = line.ends_with("unclear=0 torn=0 stuck=0");
    let is_control = store.name == CONTROL.name;
    report("F32 the n-th write fails", store.name, line, holds != is_control);
    assert_eq!(holds, !is_control, "{}: {words:?}", store.name);
    assert!(!line.contains(" failed=0 "), "{}: no write failed: {line}", store.name);
}

#[test]
fn f32_storm_each_write_may_fail_without_harm() {
    on_every(any, check_file_sizes);
    check_file_sizes(&CONTROL);
}

/// What a child does: for each number of descriptors that are left, it uses the store.
pub(super) fn with_few_descriptors(store: &Store, dir: &Path) {
    let open = store.open(dir).expect("it opens");
    let key = Key::new("k");
    open.set(&key, entry("v")).expect("there are some");
    let (mut failed, mut absent, mut unclear) = (0, 0, 0);
    for left in 0..12 {
        let limit = Lowered::to(Resource::Nofile, 64);
        let mut held: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
        held.truncate(held.len() - left);
        let found = value(&*open, &key);
        absent += u32::from(matches!(found, Ok(None)));
        let outcomes = [
            found.map(drop),
            open.set(&key, entry("v")),
            open.claim(&key, Wait::Never).map(drop),
            open.scan(&Scan::new()).map(drop),
            open.remove(&Key::new("other")).map(drop),
            store.open_name(dir, &format!("another {left}")).map(drop),
        ];
        drop(held);
        drop(limit);
        let errors: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
        failed += errors.len();
        for error in errors {
            let named = error.to_string().contains(&dir.display().to_string());
            let plain = error.kind() == ErrorKind::Unavailable && named;
            if !plain && error.kind() != ErrorKind::Unsupported {
                unclear += 1;
                say(&format!("{:?}: {error}", error.kind()));
            }
        }
        let found = value(&*open, &key).expect("there are some again");
        absent += u32::from(found != Some(b"v".to_vec()));
        open.set(&key, entry("v")).expect("there are some again");
    }
    say(&format!("failed={failed} unclear={unclear} absent={absent}"));
}

fn check_descriptors(store: &'static Store) {
    let dir = tempfile::tempdir().expect("a directory");
    let words = words_of(&[], ":", "few-files", store, dir.path());
    let line = &words[words.len() - 2];
    let holds = line.ends_with("unclear=0 absent=0");
    let is_control = store.name == CONTROL.name;
    report("F33 no descriptors", store.name, line, holds != is_control);
    assert_eq!(holds, !is_control, "{}: {words:?}", store.name);
}

#[test]
fn f33_without_descriptors_calls_fail_and_work_again_later() {
    on_every(any, check_descriptors);
    check_descriptors(&CONTROL);
}
