//! The file store while its processes are killed and stopped.
//!
//! Short by default; `BEAKER_STORM_SECS=60 cargo test --test storm -- --nocapture` makes it long.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod children;
#[path = "storm/flood.rs"]
mod flood;
#[cfg(all(feature = "json", feature = "msgpack"))]
#[path = "storm/nested.rs"]
mod nested;

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use beaker_namespace::{
    Durability, Entry, ErrorKind, FileConfig, FileNamespace, Fulfilled, Key, Namespace, Payload,
    Wait,
};
use beaker_sync::{FileSynchronizerOptions, Retention};
use children::{Role, given_role, listen, say};
use rustix::process::Signal;

const PROCESSES: usize = 8;
const KEYS: u64 = 100;

/// What plays the roles of this binary's children.
#[test]
fn child() {
    let Some((role, dir)) = given_role() else { return };
    match role.as_str() {
        "mixed" => work(&dir, &mut Stored::open(&dir, Durability::None)),
        "control" => work(&dir, &mut Plain(dir.clone())),
        "growing" => grow(&dir, Durability::None),
        "durable" => grow(&dir, Durability::Durable),
        "creator" => create_when_told(&dir),
        "writer" => hold_the_writer_locks(&dir),
        "maker" => make_keys(&dir),
        "flood" | "flood unbounded" => flood::flood(&role),
        #[cfg(all(feature = "json", feature = "msgpack"))]
        nested if nested.starts_with("nested ") => nested::decode(nested, &dir),
        other => panic!("there is no role {other}"),
    }
}

fn store_dir(dir: &Path) -> PathBuf {
    dir.join("store")
}

fn open(dir: &Path, durability: Durability) -> FileNamespace {
    let config = FileConfig::new(store_dir(dir)).durability(durability);
    FileNamespace::open("storm", config).expect("the store opens")
}

fn entry(value: impl Into<String>) -> Entry {
    Entry::new(Payload::raw(value.into()), beaker_namespace::Timestamp::default())
}

fn text(entry: &Entry) -> String {
    let Payload::Bytes { bytes, .. } = entry.payload() else { panic!("a file holds bytes") };
    String::from_utf8_lossy(bytes).into_owned()
}

/// A value that says whose it is and where it ends.
fn sealed(key: u64, writer: u32, round: u64) -> String {
    let filling = "x".repeat((round * 104_729 % 20_000) as usize);
    let text = format!("{key}|{writer}|{round}|{filling}|");
    format!("{text}{}", text.len())
}

/// Whether `value` was written whole, under `key`.
fn is_whole(key: u64, value: &str) -> bool {
    let mut parts = value.split('|').map(|part| part.parse::<u64>().ok());
    let mut next = || parts.next().flatten();
    let (Some(found), Some(writer), Some(round)) = (next(), next(), next()) else { return false };
    found == key && value == sealed(found, writer as u32, round)
}

/// Something that processes read and write.
trait Shared {
    fn set(&mut self, key: u64, value: String) -> Result<(), String>;
    fn get(&mut self, key: u64) -> Result<Option<String>, String>;
}

struct Stored(FileNamespace);

impl Stored {
    fn open(dir: &Path, durability: Durability) -> Self {
        Self(open(dir, durability))
    }
}

impl Shared for Stored {
    fn set(&mut self, key: u64, value: String) -> Result<(), String> {
        self.0.set(&Key::new(&key), entry(value)).map_err(|error| error.to_string())
    }

    fn get(&mut self, key: u64) -> Result<Option<String>, String> {
        let found = self.0.get(&Key::new(&key)).map_err(|error| error.to_string())?;
        Ok(found.as_ref().map(text))
    }
}

/// The control: a file for each key, written in place.
struct Plain(PathBuf);

impl Shared for Plain {
    fn set(&mut self, key: u64, value: String) -> Result<(), String> {
        fs::write(self.0.join(key.to_string()), value).map_err(|error| error.to_string())
    }

    fn get(&mut self, key: u64) -> Result<Option<String>, String> {
        Ok(fs::read_to_string(self.0.join(key.to_string())).ok())
    }
}

/// Half reads, half writes, until it is killed; what is wrong goes to the log.
fn work(dir: &Path, shared: &mut dyn Shared) {
    let me = std::process::id();
    let mut random = u64::from(me);
    loop {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (key, round) = ((random >> 33) % KEYS, random >> 40);
        let outcome = if random >> 63 == 0 {
            shared.set(key, sealed(key, me, round)).map(|()| None)
        } else {
            shared.get(key)
        };
        match outcome {
            Ok(Some(value)) if !is_whole(key, &value) => log(dir, &format!("bad {key}")),
            Ok(_) => {}
            Err(error) => log(dir, &format!("error {error}")),
        }
    }
}

/// Writes new keys and logs each that was acknowledged, until it is killed.
fn grow(dir: &Path, durability: Durability) {
    let (store, me) = (open(dir, durability), std::process::id());
    for round in 0.. {
        let key = u64::from(me) << 32 | round;
        match store.set(&Key::new(&key), entry(sealed(key, me, round))) {
            Ok(()) => log(dir, &format!("acknowledged {key}")),
            Err(error) => log(dir, &format!("error {error}")),
        }
    }
}

/// What ends a line. Who is killed while he writes one may leave the front of it.
const END: char = ';';

fn log(dir: &Path, line: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(dir.join("log")).expect("log");
    file.write_all(format!("\n{line}{END}\n").as_bytes()).expect("log");
}

/// The logged lines that begin with `word`, without it.
fn logged(dir: &Path, word: &str) -> Vec<String> {
    let text = fs::read_to_string(dir.join("log")).unwrap_or_default();
    let lines = text.lines().filter_map(|line| line.strip_suffix(END)?.strip_prefix(word));
    lines.map(|line| line.trim().to_owned()).collect()
}

/// How long a storm lasts: `BEAKER_STORM_SECS` seconds, three if it is not set.
fn storm_time() -> Duration {
    let seconds = std::env::var("BEAKER_STORM_SECS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs_f64(seconds.unwrap_or(3.0))
}

/// Whether times and sizes are judged, beside the counts: in a run that is long enough.
fn times_count() -> bool {
    storm_time() >= Duration::from_secs(30)
}

/// Keeps eight children in `role` and kills one every `pause`, for `time`; how many were killed.
fn storm(role: &str, dir: &Path, pause: Duration, time: Duration) -> usize {
    let began = Instant::now();
    storm_while(role, dir, pause, |_| began.elapsed() < time)
}

/// The same, as long as `goes_on` says of the number that were killed.
fn storm_while(role: &str, dir: &Path, pause: Duration, goes_on: impl Fn(usize) -> bool) -> usize {
    let mut children: Vec<_> = (0..PROCESSES).map(|_| Role::start(role, dir)).collect();
    let mut kills = 0;
    while goes_on(kills + PROCESSES) {
        // sleep: the rhythm of the storm; nothing is ordered by it.
        thread::sleep(pause);
        children[kills % PROCESSES] = Role::start(role, dir);
        kills += 1;
    }
    kills + PROCESSES
}

/// Files that a killed writer had not finished.
fn temporaries(dir: &Path) -> usize {
    let mut found = 0;
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                dirs.push(entry.path());
            } else {
                found += usize::from(entry.file_name().as_encoded_bytes().starts_with(b".tmp-"));
            }
        }
    }
    found
}

fn report(row: &str, store: &str, measured: &str, holds: bool) {
    let verdict = if holds { "ok" } else { "FAILED" };
    println!("STORM|{row}|{store}|{measured}|{verdict}");
}

#[test]
fn f24_storm_kills_leave_no_bad_value_and_f36_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let kills = storm("mixed", dir.path(), Duration::from_millis(50), storm_time());

    let began = Instant::now();
    let store = open(dir.path(), Durability::None);
    let reopened = began.elapsed();
    let (mut bad, mut there) = (logged(dir.path(), "bad"), 0);
    for key in 0..KEYS {
        if let Some(entry) = store.get(&Key::new(&key)).unwrap() {
            there += 1;
            if !is_whole(key, &text(&entry)) {
                bad.push(key.to_string());
            }
        }
    }
    let errors = logged(dir.path(), "error");
    let corrupt = store.stats().corrupt;
    let holds = bad.is_empty() && errors.is_empty() && corrupt == 0;
    let measured = format!(
        "kills={kills} bad={} errors={} corrupt={corrupt} keys={there} reopen={}ms",
        bad.len(),
        errors.len(),
        reopened.as_millis()
    );
    report("F24 kill -9 of readers and writers", "file", &measured, holds);
    assert!(holds, "{bad:?} {errors:?}");
    assert!(there > 0 && reopened < Duration::from_secs(2), "{measured}");

    let left = temporaries(dir.path());
    let swept = store.sweep().unwrap();
    let after = temporaries(dir.path());
    let measured = format!("left={left} swept={} after={after}", swept.leftovers);
    report("F36 files of killed writers", "file", &measured, after == 0);
    assert_eq!(after, 0);
    assert_eq!(swept.corrupt, 0);
}

#[test]
fn f24_storm_control_a_store_that_writes_in_place_is_caught() {
    let dir = tempfile::tempdir().unwrap();
    let kills = storm("control", dir.path(), Duration::from_millis(50), Duration::from_secs(1));
    let bad = logged(dir.path(), "bad").len();
    report("F24 control: written in place", "file", &format!("kills={kills} bad={bad}"), bad > 0);
    assert!(bad > 0, "the storm has no teeth");
}

#[test]
fn f24_storm_kills_lose_no_acknowledged_write() {
    for (role, durability) in [("growing", Durability::None), ("durable", Durability::Durable)] {
        let dir = tempfile::tempdir().unwrap();
        let kills = storm(role, dir.path(), Duration::from_millis(12), storm_time() / 2);
        let store = open(dir.path(), durability);
        let acknowledged: BTreeSet<u64> =
            logged(dir.path(), "acknowledged").iter().map(|key| key.parse().unwrap()).collect();
        let whole = |&&key: &&u64| {
            let found = store.get(&Key::new(&key)).unwrap();
            found.is_some_and(|entry| is_whole(key, &text(&entry)))
        };
        let found = acknowledged.iter().filter(whole).count();
        let (lost, errors) = (acknowledged.len() - found, logged(dir.path(), "error"));
        let holds = lost == 0 && errors.is_empty();
        let measured = format!(
            "kills={kills} acknowledged={} lost={lost} errors={}",
            acknowledged.len(),
            errors.len()
        );
        report(&format!("F24 acknowledged writes, {role}"), "file", &measured, holds);
        assert!(holds, "{measured} {errors:?}");
        assert!(!acknowledged.is_empty(), "nobody came to write");
    }
}

fn slow_key() -> Key {
    Key::new("slow")
}

/// Claims the key, says so, and fulfils the claim when it is told to.
fn create_when_told(dir: &Path) {
    let store = open(dir, Durability::None);
    loop {
        let claim = store.claim(&slow_key(), Wait::Forever).unwrap().unwrap();
        say("claimed");
        listen();
        let fulfilled = store.fulfil(&slow_key(), entry("older"), claim).unwrap();
        say(if fulfilled == Fulfilled::Stored { "stored" } else { "superseded" });
        listen();
    }
}

#[test]
fn f9_f10_storm_a_stopped_creator_stops_nobody_and_overwrites_nothing_newer() {
    const LIMIT: Duration = Duration::from_millis(150);
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), Durability::None);
    let mut creator = Role::start("creator", dir.path());
    let rounds = if storm_time() > Duration::from_secs(10) { 100 } else { 10 };
    let (mut older_won, mut longest) = (0, Duration::ZERO);
    for round in 0..rounds {
        assert_eq!(creator.hear().as_deref(), Some("claimed"));
        creator.signal(Signal::STOP);
        store.set(&slow_key(), entry("stale")).unwrap();
        let waited = thread::scope(|scope| {
            let threads: Vec<_> =
                (0..4).map(|_| scope.spawn(|| wait_in_vain(&store, LIMIT))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).max().unwrap()
        });
        longest = longest.max(waited);
        // Reads and invalidations do not wait for it either.
        assert_eq!(store.get(&slow_key()).unwrap().as_ref().map(text).as_deref(), Some("stale"));
        let newer = format!("newer {round}");
        store.set(&slow_key(), entry(&newer)).unwrap();
        creator.signal(Signal::CONT);
        creator.tell("fulfil");
        let outcome = creator.hear().unwrap();
        let found = store.get(&slow_key()).unwrap().as_ref().map(text);
        older_won += usize::from(outcome != "superseded" || found != Some(newer));
        creator.tell("again");
    }
    let holds = older_won == 0 && longest < LIMIT * 3;
    let measured = format!("rounds={rounds} older_over_newer={older_won} longest={longest:?}");
    report("F9 F10 stopped creator", "file", &measured, holds);
    assert!(holds, "{measured}");
}

/// How long it took to give up a claim that somebody else has.
fn wait_in_vain(store: &FileNamespace, limit: Duration) -> Duration {
    let began = Instant::now();
    let claim = store.claim(&slow_key(), Wait::AtMost(limit)).unwrap();
    assert!(claim.is_none(), "two have the claim");
    assert!(began.elapsed() >= limit);
    began.elapsed()
}

/// A creation that nobody invalidates is stored: the control of the test above.
#[test]
fn f10_storm_control_a_creator_that_was_stopped_stores_if_nothing_newer_came() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), Durability::None);
    let mut creator = Role::start("creator", dir.path());
    assert_eq!(creator.hear().as_deref(), Some("claimed"));
    creator.signal(Signal::STOP);
    store.set(&Key::new("another"), entry("v")).unwrap();
    creator.signal(Signal::CONT);
    creator.tell("fulfil");
    assert_eq!(creator.hear().as_deref(), Some("stored"));
    assert_eq!(store.get(&slow_key()).unwrap().as_ref().map(text).as_deref(), Some("older"));
}

#[test]
fn f2_storm_a_killed_creator_s_claim_is_free_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), Durability::None);
    for _ in 0..5 {
        let mut creator = Role::start("creator", dir.path());
        assert_eq!(creator.hear().as_deref(), Some("claimed"));
        assert!(store.claim(&slow_key(), Wait::Never).unwrap().is_none());
        drop(creator);
        let claim = store.claim(&slow_key(), Wait::AtMost(Duration::from_secs(5))).unwrap();
        assert!(claim.is_some());
    }
    let creator = Role::start("creator", dir.path());
    drop(creator);
    store.sweep().unwrap();
    let namespace = fs::read_dir(store_dir(dir.path())).unwrap().next().unwrap().unwrap().path();
    assert_eq!(fs::read_dir(namespace.join("claims")).unwrap().count(), 0);
}

/// The keys of row F4, and the kills: few in a short run.
fn keys_and_kills() -> (u64, usize) {
    if times_count() { (100_000, 200) } else { (2_000, 10) }
}

/// Makes what is absent of the keys, until it is killed.
fn make_keys(dir: &Path) {
    let (store, me) = (open(dir, Durability::None), u64::from(std::process::id()));
    for round in me.. {
        make_if_absent(&store, round.wrapping_mul(0x9e37_79b9_7f4a_7c15) % keys_and_kills().0);
    }
}

fn make_if_absent(store: &FileNamespace, key: u64) {
    let key = Key::new(&key);
    if store.get(&key).unwrap().is_none()
        && let Some(claim) = store.claim(&key, Wait::Never).unwrap()
    {
        assert_eq!(store.fulfil(&key, entry("v"), claim).unwrap(), Fulfilled::Stored);
    }
}

/// The lock files below `dir`, whatever they lock.
fn lock_files(dir: &Path) -> usize {
    let (mut found, mut dirs) = (0, vec![dir.to_owned()]);
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                dirs.push(entry.path());
            }
            found += usize::from(entry.path().extension().is_some_and(|end| end == "lock"));
        }
    }
    found
}

#[test]
fn f4_storm_no_lock_file_is_left_of_many_keys_and_kills() {
    let dir = tempfile::tempdir().unwrap();
    let (keys, kills) = keys_and_kills();
    let pause = Duration::from_millis(50);
    let killed = storm_while("maker", dir.path(), pause, |killed| killed < kills);
    let store = open(dir.path(), Durability::None);
    (0..keys).for_each(|key| make_if_absent(&store, key));
    let made = (0..keys).filter(|key| store.get(&Key::new(key)).unwrap().is_some()).count();
    // The control: there is something to sweep. That of the sixteen for writers is the rest.
    let before = lock_files(dir.path());
    let swept = store.sweep().unwrap();
    let after = lock_files(dir.path());
    let holds = made as u64 == keys && killed == kills && before > 0 && after == 0;
    let measured = format!(
        "keys={made} kills={killed} files_before={before} of_the_killed={} files_after={after}",
        swept.leftovers
    );
    report("F4 lock files", "file", &measured, holds);
    assert!(holds, "{measured}");
}

/// Holds all writer locks of the namespace until it is killed, as a process that is stopped in the
/// middle of a write holds one.
fn hold_the_writer_locks(dir: &Path) {
    let namespace = fs::read_dir(store_dir(dir)).unwrap().next().unwrap().unwrap().path();
    let options = FileSynchronizerOptions::new().retention(Retention::Keep);
    let locks: Vec<_> = (0..16)
        .map(|stripe| options.open(&format!("writer {stripe}"), namespace.join("writers")).unwrap())
        .collect();
    let guards: Vec<_> = locks.iter().map(|lock| lock.write().unwrap()).collect();
    say("held");
    listen();
    drop(guards);
}

#[test]
fn f9_storm_a_stopped_writer_makes_writers_time_out_and_readers_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let config = FileConfig::new(store_dir(dir.path())).lock_timeout(Duration::from_millis(60));
    let store = FileNamespace::open("storm", config).unwrap();
    let key = Key::new("k");
    store.set(&key, entry("v")).unwrap();
    let mut writer = Role::start("writer", dir.path());
    assert_eq!(writer.hear().as_deref(), Some("held"));
    writer.signal(Signal::STOP);

    let began = Instant::now();
    let outcomes = [
        store.set(&key, entry("new")),
        store.remove(&key).map(drop),
        store.clear(),
        store.set_many(vec![(key.clone(), entry("new"))]),
    ];
    let waits = [Wait::Never, Wait::AtMost(Duration::from_millis(30))];
    let claims = waits.map(|wait| store.claim(&key, wait).unwrap());
    let patient = store.claim(&key, Wait::Forever);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert!(claims.iter().all(Option::is_none), "they end with their own waits");
    for outcome in outcomes.into_iter().chain([patient.map(drop)]) {
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert!(error.to_string().contains("for too long; see whether it is stopped"), "{error}");
    }
    assert_eq!(store.get(&key).unwrap().as_ref().map(text).as_deref(), Some("v"));
    assert_eq!(temporaries(dir.path()), 0, "what was not stored is not left");

    drop(writer);
    store.set(&key, entry("new")).unwrap();
    assert!(store.claim(&key, Wait::Never).unwrap().is_some());
}
