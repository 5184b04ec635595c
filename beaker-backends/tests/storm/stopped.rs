//! F9, F10: a process that is stopped while it makes a value, or while it writes one.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use beaker_namespace::{ErrorKind, Fulfilled, Key, Namespace, Wait};
use rustix::process::Signal;

use crate::support::children::{Role, listen, say};
use crate::support::report::{is_long, report};
use crate::support::stores::{CONTROL, Store, on_every, shared};
use crate::support::values::{entry, value};

fn slow_key() -> Key {
    Key::new("slow")
}

/// What a child does: claims the key, says so, and fulfils the claim when it is told to.
pub(crate) fn create_when_told(store: &Store, dir: &Path) {
    let open = store.open(dir).unwrap();
    loop {
        let claim = open.claim(&slow_key(), Wait::Forever).unwrap().unwrap();
        say("claimed");
        listen();
        let fulfilled = open.fulfil(&slow_key(), entry("older"), claim).unwrap();
        say(if fulfilled == Fulfilled::Stored { "stored" } else { "superseded" });
        listen();
    }
}

/// How somebody else makes the value of a stopped creator invalid.
const INVALIDATIONS: [&str; 3] = ["set", "remove", "clear"];

fn check_stopped_creator(store: &'static Store) {
    const LIMIT: Duration = Duration::from_millis(150);
    let dir = tempfile::tempdir().unwrap();
    let open = store.open(dir.path()).unwrap();
    let mut creator = Role::start("creator", store, dir.path());
    let rounds = if is_long() { 99 } else { 9 };
    let (mut older_won, mut two, mut longest) = (0, 0, Duration::ZERO);
    for round in 0..rounds {
        assert_eq!(creator.hear().as_deref(), Some("claimed"));
        creator.signal(Signal::STOP);
        let waits: Vec<_> = thread::scope(|scope| {
            let wait = || wait_in_vain(&*open, LIMIT);
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(wait)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        two += waits.iter().filter(|wait| wait.is_none()).count();
        longest = waits.into_iter().flatten().fold(longest, Duration::max);
        let newer = format!("newer {round}").into_bytes();
        let expected = match INVALIDATIONS[round % 3] {
            "set" => open.set(&slow_key(), entry(newer.clone())).map(|()| Some(newer)),
            "remove" => open.remove(&slow_key()).map(|_| None),
            _ => open.clear().map(|()| None),
        };
        creator.signal(Signal::CONT);
        creator.tell("fulfil");
        let outcome = creator.hear().unwrap();
        let found = value(&*open, &slow_key()).unwrap();
        older_won += usize::from(outcome != "superseded" || found != expected.unwrap());
        creator.tell("again");
    }
    let holds = older_won + two == 0 && longest < LIMIT * 3;
    let measured = format!(
        "rounds={rounds} older_over_newer={older_won} two_holders={two} longest={longest:?}"
    );
    let is_control = store.name == CONTROL.name;
    report("F9 F10 a stopped creator", store.name, &measured, holds != is_control);
    assert_eq!(holds, !is_control, "{}: {measured}", store.name);
    assert!(!is_control || (older_won > 0 && two > 0), "the check has no teeth: {measured}");
}

/// How long it took to give up a claim that somebody else has; `None` if it was given.
fn wait_in_vain(open: &dyn Namespace, limit: Duration) -> Option<Duration> {
    let began = Instant::now();
    let claim = open.claim(&slow_key(), Wait::AtMost(limit)).unwrap();
    claim.is_none().then(|| began.elapsed())
}

#[test]
fn f9_f10_storm_a_stopped_creator_stops_nobody_and_overwrites_nothing_newer() {
    on_every(shared, check_stopped_creator);
    check_stopped_creator(&CONTROL);
}

/// The control of the test above: it is the invalidation that keeps the value out.
#[test]
fn f10_storm_control_a_creator_that_was_stopped_stores_if_nothing_newer_came() {
    on_every(shared, |store| {
        let dir = tempfile::tempdir().unwrap();
        let open = store.open(dir.path()).unwrap();
        let mut creator = Role::start("creator", store, dir.path());
        assert_eq!(creator.hear().as_deref(), Some("claimed"));
        creator.signal(Signal::STOP);
        open.set(&Key::new("another"), entry("v")).unwrap();
        creator.signal(Signal::CONT);
        creator.tell("fulfil");
        assert_eq!(creator.hear().as_deref(), Some("stored"), "{}", store.name);
        assert_eq!(value(&*open, &slow_key()).unwrap(), Some(b"older".to_vec()), "{}", store.name);
    });
}

/// How long a writer waits for another.
const LOCK_TIMEOUT: Duration = Duration::from_millis(100);

/// What a child does: writes, as large values as keep it busy with the store's files.
pub(crate) fn write_for_ever(store: &Store, dir: &Path) {
    let open = store.open_url(&store.url_durable(dir, true)).unwrap();
    say("begun");
    for round in 0_u64.. {
        let entries = (0..20_u64).map(|key| (Key::new(&key), entry(vec![round as u8; 20_000])));
        // Others may have had the lock for too long, as they are meant to.
        let _busy = open.set_many(entries.collect());
    }
}

/// Stops a writer at any moment, again and again, until it held its lock often enough, and looks at
/// how long others wait.
fn check_stopped_writer(store: &'static Store) {
    let dir = tempfile::tempdir().unwrap();
    let url = store.url_durable(dir.path(), true);
    let open =
        store.open_url(&url.with_option("lock_timeout_ms", LOCK_TIMEOUT.as_millis())).unwrap();
    let kept = Key::new("kept");
    open.set(&kept, entry("v")).unwrap();
    let mut writer = Role::start("writer", store, dir.path());
    assert_eq!(writer.hear().as_deref(), Some("begun"));
    let (wanted, most) = if is_long() { (100, 2_000) } else { (5, 150) };
    let (mut rounds, mut timeouts, mut others) = (0, 0, Vec::new());
    let (mut longest_write, mut longest_read, mut misread) = (Duration::ZERO, Duration::ZERO, 0);
    while timeouts < wanted && rounds < most {
        rounds += 1;
        // sleep: a moment by chance in the other's writes.
        thread::sleep(Duration::from_micros(1_000 + rounds * 611 % 5_000));
        writer.signal(Signal::STOP);
        let began = Instant::now();
        misread += usize::from(match value(&*open, &kept) {
            Ok(found) => found.as_deref() != Some(&b"v"[..]),
            Err(error) => !(store.one_or_many && error.kind() == ErrorKind::Timeout),
        });
        longest_read = longest_read.max(began.elapsed());
        let began = Instant::now();
        // Many locks share the keys; one of these is the other's.
        let keys = (0..20_u64).map(|key| (Key::new(&key), entry("mine")));
        match open.set_many(keys.collect()) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Timeout => timeouts += 1,
            Err(error) => others.push(error.to_string()),
        }
        longest_write = longest_write.max(began.elapsed());
        writer.signal(Signal::CONT);
    }
    drop(writer);
    open.set(&kept, entry("again")).unwrap();
    let slack = Duration::from_millis(400);
    let bounded = longest_write < LOCK_TIMEOUT + slack && longest_read < LOCK_TIMEOUT + slack;
    let holds = bounded && misread == 0 && others.is_empty();
    let measured = format!(
        "rounds={rounds} timeouts={timeouts} misread={misread} other_errors={} \
         longest_write={longest_write:.1?} longest_read={longest_read:.1?}",
        others.len()
    );
    // The control is in the row: without a time-out nobody was stopped with a lock in hand.
    report("F9 a stopped writer", store.name, &measured, holds && timeouts > 0);
    assert!(holds, "{}: {measured} {others:?}", store.name);
    assert!(timeouts > 0, "{}: no lock was held: {measured}", store.name);
}

#[test]
fn f9_storm_a_stopped_writer_makes_writers_time_out_and_readers_go_on() {
    on_every(shared, check_stopped_writer);
}
