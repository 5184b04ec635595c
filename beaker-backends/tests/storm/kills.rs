//! F24, F36: `kill -9` of readers and writers.
//!
//! The long form lasts as long as the study's, thirty seconds for each store and half of that for the growing
//! keys if `cargo xtask storm` is given thirty. How many keys come in that time is the store's to say: about the
//! study's 20,000 in SQLite without syncs, some hundred in a shared redb file, which syncs each twice. The row
//! tells (`acknowledged`).

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use beaker_namespace::{Key, Namespace, Scan, Scope};
use rustix::process::Signal;

use crate::log::{line, lines};
use crate::support::children::{Role, listen, say};
use crate::support::files::{Random, all_files, bytes_in, copy_tree};
use crate::support::report::{is_long, report, storm_time};
use crate::support::stores::{CONTROL, Store, any, on_every, sound};
use crate::support::values::{entry, is_whole, sealed, value};

const KEYS: u64 = 100;

/// The longest filling of a value, in bytes: several pages.
const LONGEST: u64 = 20_000;

/// As many processes as may have the store open together.
const fn processes(store: &Store) -> usize {
    match store.scope {
        Scope::Process => 1,
        _ => 8,
    }
}

/// What a child does: half reads, half writes, until it is killed; what is wrong goes to the log.
pub(crate) fn read_and_write(store: &Store, dir: &Path) {
    let open = match store.open(dir) {
        Ok(open) => open,
        Err(error) => return log(dir, &format!("error {error}")),
    };
    let me = std::process::id();
    let mut random = Random::new(u64::from(me));
    loop {
        let (key, round) = (random.below(KEYS), random.next());
        let outcome = match random.below(2) {
            0 => open.set(&Key::new(&key), entry(sealed(key, me, round, LONGEST))).map(|()| None),
            _ => value(&*open, &Key::new(&key)),
        };
        match outcome {
            Ok(Some(found)) if !is_whole(key, &found, LONGEST) => log(dir, &format!("bad {key}")),
            Ok(_) => {}
            Err(error) => log(dir, &format!("error {error}")),
        }
    }
}

/// What a child does: writes new keys and logs each that was acknowledged, until it is killed.
pub(crate) fn grow(dir: &Path, open: &dyn Namespace) {
    let me = std::process::id();
    for round in 0.. {
        let key = u64::from(me) << 32 | round;
        match open.set(&Key::new(&key), entry(sealed(key, me, round, LONGEST))) {
            Ok(()) => log(dir, &format!("acknowledged {key}")),
            Err(error) => log(dir, &format!("error {error}")),
        }
    }
}

/// The control acknowledges before it writes.
pub(crate) fn open_to_grow(store: &Store, dir: &Path, durable: bool) -> Arc<dyn Namespace> {
    let url = store.url_durable(dir, durable);
    let is_control = store.name == CONTROL.name;
    let url = if is_control { url.with_option("lazy", true) } else { url };
    store.open_url(&url).expect("it opens")
}

fn log(dir: &Path, text: &str) {
    let log = dir.with_extension("log");
    let mut file = OpenOptions::new().create(true).append(true).open(log).expect("the log");
    file.write_all(line(text).as_bytes()).expect("the log");
}

/// The logged lines that begin with `word`, without it.
fn logged(dir: &Path, word: &str) -> Vec<String> {
    let text = fs::read_to_string(dir.with_extension("log")).unwrap_or_default();
    lines(&text).filter_map(|line| Some(line.strip_prefix(word)?.trim().to_owned())).collect()
}

/// Keeps the children in `role` and kills one every `pause`, for `time`; how many were killed.
fn storm(role: &str, store: &Store, dir: &Path, pause: Duration, time: Duration) -> usize {
    let count = processes(store);
    let mut children: Vec<_> = (0..count).map(|_| Role::start(role, store, dir)).collect();
    let (began, mut kills) = (Instant::now(), 0);
    while began.elapsed() < time {
        // sleep: the rhythm of the storm; nothing is ordered by it.
        thread::sleep(pause);
        let slot = kills % count;
        // It is dead before the next one comes, who may be the only one to have the store open.
        drop(children.remove(slot));
        children.insert(slot, Role::start(role, store, dir));
        kills += 1;
    }
    kills + count
}

/// How long one store is stormed. `cargo xtask storm` gives a row over many stores half of the seconds for
/// each; the kills get all of them in the long form.
fn time() -> Duration {
    if is_long() { storm_time() * 2 } else { storm_time() }
}

/// The pause between two kills. One process alone needs time to open its store.
fn pause(store: &Store, millis: u64) -> Duration {
    Duration::from_millis(millis * if processes(store) == 1 { 4 } else { 1 })
}

fn check_kills(store: &'static Store) {
    let room = tempfile::tempdir().unwrap();
    let dir = room.path().join("dir");
    let kills = storm("mixed", store, &dir, pause(store, 50), time());

    let began = Instant::now();
    let open = store.open(&dir).unwrap();
    let reopened = began.elapsed();
    let (mut bad, mut there) = (logged(&dir, "bad"), 0);
    for key in 0..KEYS {
        if let Some(found) = value(&*open, &Key::new(&key)).unwrap() {
            there += 1;
            if !is_whole(key, &found, LONGEST) {
                bad.push(key.to_string());
            }
        }
    }
    let errors = logged(&dir, "error");
    let corrupt = open.stats().corrupt;
    let aside = is_set_aside(&dir) && sound(store);
    let holds = bad.is_empty() && errors.is_empty() && corrupt == 0 && !aside;
    let measured = format!(
        "kills={kills} bad={} errors={} corrupt={corrupt} keys={there} reopen={}ms",
        bad.len(),
        errors.len(),
        reopened.as_millis()
    );
    let is_control = store.name == CONTROL.name;
    report("F24 kill -9 of readers and writers", store.name, &measured, holds != is_control);
    assert_eq!(holds, !is_control, "{}: {measured} {bad:?} {errors:?}", store.name);
    assert!(there > 0 && reopened < Duration::from_secs(2), "{}: {measured}", store.name);
    // sled keeps long values in files of its own, and removes those of a killed process never: neither it
    // nor we can tell them from those that its log refers to.
    if !is_control && sound(store) {
        check_leftovers(store, &dir, &*open);
    }
}

/// After a sweep there are no more files than a store has that nobody was killed in, and the store
/// is not much larger.
fn check_leftovers(store: &Store, dir: &Path, open: &dyn Namespace) {
    if store.scope == Scope::Host {
        // What is there to be swept for certain.
        let mut child = Role::start("claimer", store, dir);
        child.tell("left behind");
        assert_eq!(child.hear().as_deref(), Some("holds"), "{}", store.name);
    }
    let left = all_files(dir).len();
    open.sweep().unwrap();
    let (files, bytes) = (all_files(dir).len(), bytes_in(dir));
    let clean = tempfile::tempdir().unwrap();
    let other = store.open(clean.path()).unwrap();
    for listed in open.scan(&Scan::new()).unwrap().entries {
        let copy = open.get(&listed.key).unwrap().unwrap();
        let claim = other.claim(&listed.key, beaker_namespace::Wait::Never).unwrap().unwrap();
        let _stored = other.fulfil(&listed.key, copy, claim).unwrap();
    }
    other.sweep().unwrap();
    let (clean_files, clean_bytes) = (all_files(clean.path()).len(), bytes_in(clean.path()));
    // The control: before the sweep there was more, where anything is left behind.
    let control = left > clean_files || store.scope == Scope::Process;
    let bounded = bytes <= 4 * clean_bytes + (4 << 20);
    let holds = files <= clean_files && bounded && control;
    let measured = format!(
        "files={left} swept_files={files} clean_files={clean_files} bytes={bytes} \
         clean_bytes={clean_bytes}"
    );
    report("F36 what killed processes leave", store.name, &measured, holds);
    assert!(holds, "{}: {measured}", store.name);
}

#[test]
fn f24_storm_kills_leave_no_bad_value_and_f36_nothing_behind() {
    on_every(any, check_kills);
}

/// Whether a damaged store was set aside in `dir`.
fn is_set_aside(dir: &Path) -> bool {
    all_files(dir).iter().any(|file| file.to_string_lossy().contains(".damaged-"))
}

/// A process that is stopped has the files as it leaves them if it is killed there. Whoever opens them finds
/// all that was committed, and takes none of them for damaged.
fn check_stops(store: &'static Store) {
    let room = tempfile::tempdir().unwrap();
    let quick = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let (dir, copy) = (room.path().join("dir"), quick.path().join("copy"));
    drop(store.open(&dir).unwrap());
    let writer = Role::start("mixed", store, &dir);
    let (began, mut stops, mut logs) = (Instant::now(), 0, 0);
    while began.elapsed() < storm_time() || logs < 10 {
        thread::yield_now();
        stop(&writer);
        let _ = fs::remove_dir_all(&copy);
        copy_tree(&dir, &copy);
        writer.signal(Signal::CONT);
        stops += 1;
        logs += usize::from(log_bytes(&copy) > 0);
        let open = store.open(&copy).unwrap();
        assert!(!is_set_aside(&copy), "{}: stop {stops}", store.name);
        drop(open);
    }
    stop(&writer);
    let _ = fs::remove_dir_all(&copy);
    copy_tree(&dir, &copy);
    let log = copy.join("cache.db-wal");
    let mut bytes = fs::read(&log).unwrap();
    bytes[100] ^= 1;
    fs::write(log, bytes).unwrap();
    drop(store.open(&copy).unwrap());
    let holds = is_set_aside(&copy);
    report("F24 a log left anywhere", store.name, &format!("stops={stops} with_log={logs}"), holds);
    assert!(holds, "the control: a log with a flipped bit");
}

/// Stops all threads of `child`, which takes a moment.
fn stop(child: &Role) {
    child.signal(Signal::STOP);
    let tasks = PathBuf::from(format!("/proc/{}/task", child.id()));
    let is_stopped = |task: fs::DirEntry| {
        let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        stat.rsplit_once(')').is_none_or(|(_, rest)| rest.starts_with(" T"))
    };
    while !fs::read_dir(&tasks).unwrap().flatten().all(is_stopped) {
        thread::yield_now();
    }
}

fn log_bytes(dir: &Path) -> u64 {
    fs::metadata(dir.join("cache.db-wal")).map_or(0, |log| log.len())
}

#[test]
fn f24_storm_no_moment_of_a_kill_leaves_a_log_that_is_taken_for_damaged() {
    on_every(|store| store.name == "sqlite", check_stops);
}

#[test]
fn f24_storm_control_a_store_that_writes_in_place_is_caught() {
    check_kills(&CONTROL);
}

/// What a child does: opens the store when it is told to, which makes it if it is absent, and writes.
pub(crate) fn open_when_told(store: &Store, dir: &Path) {
    say("ready");
    listen();
    match store.open(dir).and_then(|open| open.set(&Key::new("k"), entry("v"))) {
        Ok(()) => say("written"),
        Err(error) => log(dir, &format!("error {error}")),
    }
    listen();
}

/// Kills those who make a store in `dir`, two at a time where it is shared, `after` they were told to; without
/// that when one has written. How long it was until then.
fn kill_makers(store: &Store, dir: &Path, after: Option<Duration>) -> Duration {
    let makers = if store.scope == Scope::Host { 2 } else { 1 };
    let mut children: Vec<_> = (0..makers).map(|_| Role::start("opener", store, dir)).collect();
    for child in &mut children {
        assert_eq!(child.hear().as_deref(), Some("ready"), "{}", store.name);
    }
    let told = Instant::now();
    children.iter_mut().for_each(|child| child.tell("open"));
    match after {
        // sleep: until a moment by chance.
        Some(after) => thread::sleep(after),
        None => assert_eq!(children[0].hear().as_deref(), Some("written"), "{}", store.name),
    }
    // All at once: to drop one is to wait for its end.
    children.iter().for_each(|child| child.signal(Signal::KILL));
    told.elapsed()
}

/// Whether what is made under another name first has that name in `dir`.
fn has_draft(dir: &Path) -> bool {
    all_files(dir).iter().any(|file| file.to_string_lossy().ends_with("draft"))
}

/// What is wrong with the store in `dir`, if anything is; else whether a killed maker had written into it.
fn after_makers(store: &Store, dir: &Path) -> Result<bool, String> {
    let open = store.open(dir).unwrap();
    let found = value(&*open, &Key::new("k")).unwrap();
    open.set(&Key::new("k"), entry("again")).unwrap();
    let files = all_files(dir);
    let drafts = has_draft(dir);
    let aside = is_set_aside(dir) && sound(store);
    let wrong = found.as_ref().is_some_and(|found| found != b"v");
    let errors = logged(dir, "error");
    if drafts || aside || wrong || open.stats().corrupt > 0 || !errors.is_empty() {
        return Err(format!("{found:?} {files:?} {errors:?}"));
    }
    Ok(found.is_some())
}

fn check_making(store: &'static Store) {
    let room = tempfile::tempdir().unwrap();
    let whole = kill_makers(store, &room.path().join("whole"), None);
    let (began, mut random) = (Instant::now(), Random::new(0));
    let (mut rounds, mut unwritten, mut drafts, mut harmed) = (0, 0, 0, Vec::new());
    // The control: some are killed before they are done; of redb, which is made as a draft, while they make it.
    let is_tried =
        |unwritten, drafts| unwritten > 0 && (!store.name.starts_with("redb") || drafts > 0);
    while rounds < 10
        || !is_tried(unwritten, drafts)
        || (is_long() && began.elapsed() < storm_time())
    {
        assert!(rounds < 100_000, "{}: nobody is killed in time", store.name);
        rounds += 1;
        let dir = room.path().join(rounds.to_string());
        let after = Duration::from_micros(random.below(whole.as_micros() as u64));
        kill_makers(store, &dir, Some(after));
        drafts += usize::from(has_draft(&dir));
        match after_makers(store, &dir) {
            Ok(written) => unwritten += usize::from(!written),
            Err(harm) => harmed.push(harm),
        }
        fs::remove_dir_all(dir).unwrap();
    }
    let measured =
        format!("rounds={rounds} unwritten={unwritten} drafts={drafts} harmed={}", harmed.len());
    report("F1 kill -9 of makers of a store", store.name, &measured, harmed.is_empty());
    assert!(harmed.is_empty(), "{}: {measured} {harmed:#?}", store.name);
}

#[test]
fn f1_storm_who_is_killed_while_he_makes_a_store_leaves_none_that_is_damaged() {
    on_every(any, check_making);
}

fn check_acknowledged(store: &'static Store, role: &str) {
    let room = tempfile::tempdir().unwrap();
    let dir = room.path().join("dir");
    let kills = storm(role, store, &dir, pause(store, 12), time() / 2);
    let open = store.open_url(&store.url_durable(&dir, role == "durable")).unwrap();
    let acknowledged: BTreeSet<u64> =
        logged(&dir, "acknowledged").iter().map(|key| key.parse().unwrap()).collect();
    let whole = |&&key: &&u64| {
        value(&*open, &Key::new(&key)).unwrap().is_some_and(|found| is_whole(key, &found, LONGEST))
    };
    let lost = acknowledged.len() - acknowledged.iter().filter(whole).count();
    let errors = logged(&dir, "error");
    let is_control = store.name == CONTROL.name;
    // A store may promise a durable write only at `Durable`; `lost` says what it does without.
    let may_lose = role == "growing" && store.loses_at_none;
    let aside = is_set_aside(&dir) && sound(store);
    let holds = (lost == 0 || may_lose) && errors.is_empty() && !aside;
    let measured = format!(
        "kills={kills} acknowledged={} lost={lost} errors={}",
        acknowledged.len(),
        errors.len()
    );
    report(&format!("F24 acknowledged writes, {role}"), store.name, &measured, holds != is_control);
    assert_eq!(holds, !is_control, "{}: {role}: {measured} {errors:?}", store.name);
    assert!(!acknowledged.is_empty(), "{}: nobody came to write", store.name);
}

#[test]
fn f24_storm_kills_lose_no_acknowledged_write() {
    on_every(any, |store| check_acknowledged(store, "growing"));
    on_every(|store| store.has_durable, |store| check_acknowledged(store, "durable"));
}

#[test]
fn f24_storm_control_a_store_that_acknowledges_before_it_writes_is_caught() {
    check_acknowledged(&CONTROL, "durable");
}
