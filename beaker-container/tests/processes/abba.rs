//! Row F15: two creators that need each other's keys end in time, each with a value or an error that
//! says why, and no key has two creators at once.

use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use beaker_container::{Cache, CreateError, ErrorKind};
use beaker_namespace::Namespace;

use crate::children::{Me, Other, Store, storm_time, times_count};
use crate::log::{Creations, Log};

const WAIT: Duration = Duration::from_millis(100);

/// What the outcome of a creator that asked for the other key was, and how long that took.
type Ended = (String, Duration);

fn rounds() -> u32 {
    if times_count() { 100 } else { (storm_time().as_secs_f64() * 10.0).clamp(5.0, 20.0) as u32 }
}

/// Creates `mine`, and asks for `other` once `both_hold` returns.
fn cross(
    namespace: &Arc<dyn Namespace>,
    log: &Log,
    [mine, other]: [String; 2],
    both_hold: impl FnOnce(),
) -> Ended {
    let cache = Cache::<String, u32>::new(Arc::clone(namespace)).with_wait(WAIT);
    let mut asked = Instant::now();
    let outcome = cache.get_or_try_create(&mine, || {
        let _creating = log.creating(&mine);
        both_hold();
        asked = Instant::now();
        let inner = cache.get_or_try_create(&other, || {
            let _creating = log.creating(&other);
            Ok::<_, Infallible>(0)
        });
        inner.map_err(|error| error.into_cache_error().kind())
    });
    let outcome = match outcome {
        Ok(value) => format!("value {value}"),
        Err(CreateError::Create(kind)) => format!("{kind:?}"),
        Err(CreateError::Cache(error)) => format!("{:?}", error.kind()),
    };
    (outcome, asked.elapsed())
}

fn keys(round: u32) -> [String; 2] {
    [format!("a {round}"), format!("b {round}")]
}

fn swapped([one, two]: [String; 2]) -> [String; 2] {
    [two, one]
}

/// What the rounds showed.
#[derive(Debug)]
struct Report {
    ended: Vec<Ended>,
    creations: Creations,
}

impl Report {
    fn longest(&self) -> Duration {
        self.ended.iter().map(|&(_, took)| took).max().unwrap_or_default()
    }

    fn unclear(&self) -> usize {
        let clear = ["value 0".to_owned(), format!("{:?}", ErrorKind::Timeout)];
        self.ended.iter().filter(|(outcome, _)| !clear.contains(outcome)).count()
    }

    /// Whatever is wrong, in a word; `ok` if nothing is.
    fn verdict(&self) -> &'static str {
        // The goal is a tenth more than the wait. A short run is not judged so closely.
        let slack = if times_count() { WAIT / 10 } else { Duration::from_secs(2) };
        match self {
            report if report.ended.len() != 2 * rounds() as usize => "UNRESOLVED",
            report if report.unclear() > 0 => "UNCLEAR",
            report if report.creations.overlaps > 0 => "OVERLAP",
            report if report.longest() > WAIT + slack => "LATE",
            _ => "ok",
        }
    }

    fn print(&self, row: &str, store: &str) {
        let values = self.ended.iter().filter(|(outcome, _)| outcome.starts_with("value")).count();
        println!(
            "STORM|F15 {row}|{store}|rounds={} values={values} timeouts={} unclear={} overlaps={} \
             longest_ms={:.1}|{}",
            rounds(),
            self.ended.len() - values - self.unclear(),
            self.unclear(),
            self.creations.overlaps,
            self.longest().as_secs_f64() * 1e3,
            self.verdict()
        );
    }
}

// ---- two threads ----

fn in_threads(store: Store, dir: &Path) -> Report {
    let (namespace, log) = (store.open(dir), Log::open(dir));
    let mut ended = Vec::new();
    for round in 0..rounds() {
        let both = Barrier::new(2);
        let both_hold = || drop(both.wait());
        let run = |keys| cross(&namespace, &log, keys, both_hold);
        thread::scope(|scope| {
            let one = scope.spawn(|| run(keys(round)));
            let two = scope.spawn(|| run(swapped(keys(round))));
            ended.extend([one.join().unwrap(), two.join().unwrap()]);
        });
    }
    Report { ended, creations: Creations::read(dir) }
}

#[test]
fn storm_f15_two_threads_that_need_each_other_s_keys_end_in_time() {
    for (store, name) in [(Store::Own, "memory"), (Store::Shared, "file")] {
        let dir = tempfile::tempdir().unwrap();
        let report = in_threads(store, dir.path());
        report.print("threads", name);
        assert_eq!(report.verdict(), "ok", "{report:?}");
    }
}

// ---- two processes ----

/// Not a test by itself: what the child processes run.
#[test]
fn child_crosses() {
    let Some(me) = Me::as_child() else { return };
    let (store, order) = me.words.split_once(' ').unwrap();
    let (namespace, log) = (Store::parse(store).open(&me.dir), Log::open(&me.dir));
    while let Some(round) = Me::hears() {
        let keys = keys(round.parse().unwrap());
        let keys = if order == "ab" { keys } else { swapped(keys) };
        let both_hold = || {
            Me::tell("holds");
            Me::await_line("both hold");
        };
        let (outcome, took) = cross(&namespace, &log, keys, both_hold);
        Me::tell(&format!("{}|{outcome}", took.as_micros()));
    }
}

fn in_processes(store: Store) -> Report {
    let dir = tempfile::tempdir().unwrap();
    let mut others = ["ab", "ba"].map(|order| {
        Other::start("abba::child_crosses", dir.path(), &format!("{} {order}", store.word()))
    });
    let mut ended = Vec::new();
    for round in 0..rounds() {
        others.iter_mut().for_each(|other| other.say(&round.to_string()));
        others.iter().for_each(|other| other.await_line("holds"));
        others.iter_mut().for_each(|other| other.say("both hold"));
        for other in &others {
            let line = other.tells();
            let (took, outcome) = line.split_once('|').unwrap();
            ended.push((outcome.to_owned(), Duration::from_micros(took.parse().unwrap())));
        }
    }
    others.into_iter().for_each(Other::end);
    Report { ended, creations: Creations::read(dir.path()) }
}

#[test]
fn storm_f15_two_processes_that_need_each_other_s_keys_end_in_time() {
    let report = in_processes(Store::Shared);
    report.print("processes", "file");
    assert_eq!(report.verdict(), "ok", "{report:?}");
}

#[test]
fn the_check_catches_two_processes_that_create_a_key_at_once() {
    let report = in_processes(Store::Own);
    assert_eq!(report.verdict(), "OVERLAP", "the check has no teeth: {report:?}");
}
