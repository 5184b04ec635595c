//! F9, F10: a process that is stopped while it makes a value, or while it writes one.

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use beaker_namespace::{Error, ErrorKind, Fulfilled, Key, Namespace, Wait};
use rustix::process::Signal;

use crate::support::children::{Role, listen, say};
use crate::support::report::{is_long, report};
use crate::support::stores::{BLOCKING, CONTROL, Store, on_every, shared};
use crate::support::values::{entry, value};

/// How long somebody waits for a stopped process, as told: the study's second in the long form.
fn limit() -> Duration {
    Duration::from_millis(if is_long() { 1_000 } else { 150 })
}

/// How much later he may give up.
fn slack() -> Duration {
    Duration::from_millis(if is_long() { 300 } else { 400 })
}

/// Whether who was told to wait for `limit` did so, and no longer.
fn in_time(waited: Duration, limit: Duration) -> bool {
    (limit..=limit + slack()).contains(&waited)
}

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

/// The shortest and the longest of `waits`.
fn span(waits: &[Duration]) -> String {
    match (waits.iter().min(), waits.iter().max()) {
        (Some(shortest), Some(longest)) => format!("{shortest:.2?}..{longest:.2?}"),
        _ => "nothing".to_owned(),
    }
}

/// What came of four who wait for a claim at the same time.
#[derive(Debug, Default)]
struct Waits {
    /// How long those waited who gave up.
    in_vain: Vec<Duration>,
    /// How many were given the claim.
    given: usize,
    /// How many did not come back when it was time.
    blocked: usize,
}

impl Waits {
    const WAITERS: usize = 4;

    fn begin(open: &Arc<dyn Namespace>, limit: Duration) -> Self {
        let (sender, outcomes) = mpsc::channel();
        for _ in 0..Self::WAITERS {
            let (open, sender) = (Arc::clone(open), sender.clone());
            // Not scoped: who is blocked is left behind.
            thread::spawn(move || {
                let began = Instant::now();
                let claim = open.claim(&slow_key(), Wait::AtMost(limit)).unwrap();
                let _too_late = sender.send((claim.is_some(), began.elapsed()));
            });
        }
        let late = Instant::now() + limit + slack() * 2;
        let next = || outcomes.recv_timeout(late.saturating_duration_since(Instant::now())).ok();
        let (given, in_vain): (Vec<_>, Vec<_>) =
            (0..Self::WAITERS).map_while(|_| next()).partition(|(given, _)| *given);
        let blocked = Self::WAITERS - given.len() - in_vain.len();
        let in_vain = in_vain.into_iter().map(|(_, waited)| waited).collect();
        Self { in_vain, given: given.len(), blocked }
    }
}

fn check_stopped_creator(store: &'static Store) {
    let dir = tempfile::tempdir().unwrap();
    let open = store.open(dir.path()).unwrap();
    let mut creator = Role::start("creator", store, dir.path());
    let rounds = if is_long() { 102 } else { 9 };
    let (mut older_won, mut two, mut blocked, mut untimely) = (0, 0, 0, 0);
    let mut waited = Vec::new();
    for round in 0..rounds {
        assert_eq!(creator.hear().as_deref(), Some("claimed"));
        creator.signal(Signal::STOP);
        // One in ten is as long as the study's; the others look at what comes after it.
        let limit = if round % 10 == 0 { limit() } else { Duration::from_millis(150) };
        let waits = Waits::begin(&open, limit);
        (two, blocked) = (two + waits.given, blocked + waits.blocked);
        untimely += waits.in_vain.iter().filter(|waited| !in_time(**waited, limit)).count();
        if round % 10 == 0 {
            waited.extend(waits.in_vain);
        }
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
        if blocked > 0 {
            // They have the claim in turn now, and nobody else gets it.
            break;
        }
        creator.tell("again");
    }
    let holds = older_won + two + blocked + untimely == 0;
    let measured = format!(
        "rounds={rounds} older_over_newer={older_won} two_holders={two} blocked={blocked} \
         untimely={untimely} waited={} of {:?}",
        span(&waited),
        limit()
    );
    report("F9 F10 a stopped creator", store.name, &measured, holds != store.is_control());
    assert_eq!(holds, !store.is_control(), "{}: {measured}", store.name);
    let caught = match store.name {
        name if name == CONTROL.name => older_won > 0 && two > 0,
        name if name == BLOCKING.name => blocked == Waits::WAITERS,
        _ => true,
    };
    assert!(caught, "the check has no teeth: {measured}");
}

#[test]
fn f9_f10_storm_a_stopped_creator_stops_nobody_and_overwrites_nothing_newer() {
    on_every(shared, check_stopped_creator);
    check_stopped_creator(&CONTROL);
    check_stopped_creator(&BLOCKING);
}

#[test]
fn who_gives_up_too_soon_or_too_late_is_not_in_time() {
    let (limit, moment) = (limit(), Duration::from_millis(1));
    let moments =
        [Duration::ZERO, limit - moment, limit, limit + slack(), limit + slack() + moment];
    let judged = moments.map(|waited| in_time(waited, limit));
    assert_eq!(judged, [false, false, true, true, false]);
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

/// How a write ended and how long it took; `None` if it is not over when it is time.
fn write_in_time(
    open: &Arc<dyn Namespace>,
    limit: Duration,
) -> Option<(Result<(), Error>, Duration)> {
    let (sender, outcome) = mpsc::channel();
    let open = Arc::clone(open);
    // Not scoped: who is blocked is left behind.
    thread::spawn(move || {
        // Many locks share the keys; one of these is the other's.
        let keys = (0..20_u64).map(|key| (Key::new(&key), entry("mine"))).collect();
        let began = Instant::now();
        let written = open.set_many(keys);
        let _too_late = sender.send((written, began.elapsed()));
    });
    outcome.recv_timeout(limit + slack() * 2).ok()
}

/// Stops a writer at any moment, again and again, until it held its lock often enough, and looks at
/// how long others wait.
fn check_stopped_writer(store: &'static Store) {
    let dir = tempfile::tempdir().unwrap();
    let limit = limit();
    let url = store.url_durable(dir.path(), false);
    let open = store.open_url(&url.with_option("lock_timeout_ms", limit.as_millis())).unwrap();
    let kept = Key::new("kept");
    open.set(&kept, entry("v")).unwrap();
    let mut writer = Role::start("writer", store, dir.path());
    assert_eq!(writer.hear().as_deref(), Some("begun"));
    let (wanted, most) = if is_long() { (20, 2_000) } else { (5, 150) };
    let (mut rounds, mut timeouts, mut others) = (0, 0, Vec::new());
    let (mut blocked, mut untimely, mut misread) = (0, 0, 0);
    let (mut waited, mut longest_read) = (Vec::new(), Duration::ZERO);
    while timeouts < wanted && rounds < most && blocked == 0 {
        rounds += 1;
        // sleep: a moment by chance in the other's writes.
        thread::sleep(Duration::from_micros(1_000 + rounds * 611 % 5_000));
        writer.signal(Signal::STOP);
        let began = Instant::now();
        misread += usize::from(match value(&*open, &kept) {
            Ok(found) => found.as_deref() != Some(&b"v"[..]),
            Err(error) => !(store.keeps_readers() && error.kind() == ErrorKind::Timeout),
        });
        longest_read = longest_read.max(began.elapsed());
        match write_in_time(&open, limit) {
            None => blocked += 1,
            Some((Ok(()), time)) => untimely += usize::from(time > limit + slack()),
            Some((Err(error), time)) if error.kind() == ErrorKind::Timeout => {
                timeouts += 1;
                untimely += usize::from(!in_time(time, limit));
                waited.push(time);
            }
            Some((Err(error), _)) => others.push(error.to_string()),
        }
        writer.signal(Signal::CONT);
    }
    drop(writer);
    open.set(&kept, entry("again")).unwrap();
    let timely = blocked + untimely == 0 && longest_read <= limit + slack();
    let holds = timely && misread == 0 && others.is_empty();
    let measured = format!(
        "rounds={rounds} timeouts={timeouts} blocked={blocked} untimely={untimely} misread={misread} \
         other_errors={} waited={} of {limit:?} longest_read={longest_read:.1?}",
        others.len(),
        span(&waited)
    );
    // A part of the control is in the row: without a time-out nobody was stopped with a lock in hand.
    let met = timeouts + blocked > 0;
    report("F9 a stopped writer", store.name, &measured, holds != store.is_control() && met);
    assert_eq!(holds, !store.is_control(), "{}: {measured} {others:?}", store.name);
    assert!(met, "{}: no lock was held: {measured}", store.name);
}

#[test]
fn f9_storm_a_stopped_writer_makes_writers_time_out_and_readers_go_on() {
    on_every(shared, check_stopped_writer);
    check_stopped_writer(&BLOCKING);
}
