//! Processes that make values on one file store, and are killed while they do.
//!
//! Rows F1 (one creator at a time), F2 (a waiter takes over) and F3 (a cleaner beside them), each
//! with the control that the same check catches. `BEAKER_STORM_SECS` sets the length of a run.

#![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use beaker_container::Cache;
use beaker_namespace::{
    Claim, Entry, Error, Fulfilled, Key, Namespace, StoreUrl, Stores, Wait, forward_namespace,
};
use rustix::time::{ClockId, clock_gettime};

const CHILD: &str = "BEAKER_STORM_CHILD";
const PROCESSES: usize = 8;

/// What the processes of one run do.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Plan {
    keys: u64,
    ttl_ms: u64,
    create_ms: u64,
    claims: Claims,
    kills: bool,
    cleaner: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Claims {
    Kept,
    /// The control: everybody gets the claim.
    Ignored,
}

/// The goals of row F2, in milliseconds: at the median, and at most.
const TAKEOVER_MS: [f64; 2] = [5.0, 250.0];

/// The fewest takeovers of which a run that judges them has to have seen the times.
const FEWEST_TAKEOVERS: usize = 10;

fn storm_time() -> Duration {
    let seconds = std::env::var("BEAKER_STORM_SECS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs_f64(seconds.unwrap_or(2.0))
}

/// Whether the times are judged, beside the counts: in a run that is long enough.
fn times_count() -> bool {
    storm_time() >= Duration::from_secs(30)
}

fn monotonic_ns() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

// ---- the processes ----

/// Not a test by itself: what the child processes run.
#[test]
fn storm_child() {
    let Ok(spec) = std::env::var(CHILD) else { return };
    let (dir, plan) = Plan::parse(&spec);
    let log = OpenOptions::new().append(true).create(true).open(dir.join("log")).unwrap();
    let url = StoreUrl::new("file").with_path(dir.join("store"));
    let namespace = Stores::new().open(&url, "storm").unwrap();
    let namespace = match plan.claims {
        Claims::Kept => namespace,
        Claims::Ignored => Arc::new(ClaimsIgnored(namespace)),
    };
    let cache = Cache::<u64, u64>::new(namespace).with_ttl(Duration::from_millis(plan.ttl_ms));
    let mut random = u64::from(std::process::id()) | 1;
    while !dir.join("stop").exists() {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let key = random % plan.keys;
        event(&log, 'W', key);
        let value = cache.get_or_create(&key, || {
            event(&log, 'S', key);
            // sleep: the work that is to be done once.
            std::thread::sleep(Duration::from_millis(plan.create_ms));
            event(&log, 'E', key);
            key * 1000
        });
        assert_eq!(value.unwrap(), key * 1000);
        event(&log, 'D', key);
    }
}

/// What ends a line. Who is killed while he writes one may leave the front of it.
const END: char = ';';

fn event(mut log: &File, what: char, key: u64) {
    let line = format!("\n{what} {key} {} {}{END}\n", std::process::id(), monotonic_ns());
    log.write_all(line.as_bytes()).unwrap();
}

impl Plan {
    fn spec(&self, dir: &Path) -> String {
        let Self { keys, ttl_ms, create_ms, claims, .. } = self;
        format!("{keys} {ttl_ms} {create_ms} {claims:?} {}", dir.display())
    }

    fn parse(spec: &str) -> (PathBuf, Self) {
        let mut words = spec.splitn(5, ' ');
        let mut number = || words.next().unwrap().parse::<u64>().unwrap();
        let (keys, ttl_ms, create_ms) = (number(), number(), number());
        let kept = words.next().unwrap() == "Kept";
        let claims = if kept { Claims::Kept } else { Claims::Ignored };
        let dir = PathBuf::from(words.next().unwrap());
        (dir, Self { keys, ttl_ms, create_ms, claims, kills: false, cleaner: false })
    }
}

// ---- the run ----

/// What one run showed.
#[derive(Debug, Default)]
struct Report {
    kills: usize,
    creations: usize,
    overlaps: usize,
    takeovers_ns: Vec<u64>,
    longest_wait_ns: u64,
}

fn run(plan: Plan) -> Report {
    let dir = tempfile::tempdir().unwrap();
    let spawn = || {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "storm_child", "--test-threads=1"])
            .env(CHILD, plan.spec(dir.path()))
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    };
    let mut children: Vec<Child> = (0..PROCESSES).map(|_| spawn()).collect();
    let url = StoreUrl::new("file").with_path(dir.path().join("store"));
    let cleaner = Stores::new().open(&url, "storm").unwrap();
    let mut killed = BTreeMap::new();
    let end = Instant::now() + storm_time();
    let pause = Duration::from_millis(if plan.cleaner { 10 } else { 50 });
    for turn in 0.. {
        // sleep: the interval between kills.
        std::thread::sleep(pause);
        if Instant::now() >= end {
            break;
        }
        if plan.cleaner {
            cleaner.sweep().unwrap();
        }
        if plan.kills && (!plan.cleaner || turn % 5 == 0) {
            let victim = turn % PROCESSES;
            killed.insert(children[victim].id(), monotonic_ns());
            children[victim].kill().unwrap();
            children[victim].wait().unwrap();
            children[victim] = spawn();
        }
    }
    File::create(dir.path().join("stop")).unwrap();
    let patience = Instant::now() + Duration::from_secs(30);
    for child in &mut children {
        while child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < patience, "a process is stuck");
            std::thread::yield_now();
        }
        assert!(child.wait().unwrap().success(), "a process failed");
    }
    let log = std::fs::read_to_string(dir.path().join("log")).unwrap();
    Report::read(&log, &killed)
}

/// One line of the log.
struct Event {
    what: u8,
    key: u64,
    pid: u32,
    at: u64,
}

impl Report {
    fn read(log: &str, killed: &BTreeMap<u32, u64>) -> Self {
        let lines = log.lines().filter_map(|line| line.strip_suffix(END));
        let mut events: Vec<Event> = lines.map(Event::parse).collect();
        events.sort_by_key(|event| event.at);
        let mut report = Self { kills: killed.len(), ..Self::default() };
        let mut creating: BTreeMap<u64, (u32, u64)> = BTreeMap::new();
        let mut waiting: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
        for event in &events {
            match event.what {
                b'W' => drop(waiting.insert(event.pid, (event.key, event.at))),
                b'S' => report.start(event, killed, &mut creating, &waiting),
                b'E' => drop(creating.remove(&event.key)),
                _ => {
                    if let Some((_, since)) = waiting.remove(&event.pid) {
                        report.longest_wait_ns = report.longest_wait_ns.max(event.at - since);
                    }
                }
            }
        }
        report.takeovers_ns.sort_unstable();
        report
    }

    fn start(
        &mut self,
        event: &Event,
        killed: &BTreeMap<u32, u64>,
        creating: &mut BTreeMap<u64, (u32, u64)>,
        waiting: &BTreeMap<u32, (u64, u64)>,
    ) {
        self.creations += 1;
        let Some((pid, _)) = creating.insert(event.key, (event.pid, event.at)) else { return };
        match killed.get(&pid) {
            Some(&death) if death <= event.at => {
                let waited = waiting.get(&event.pid).is_some_and(|&(_, since)| since < death);
                if waited {
                    self.takeovers_ns.push(event.at - death);
                }
            }
            _ => self.overlaps += 1,
        }
    }

    fn takeover_ms(&self, percent: usize) -> f64 {
        let index =
            (self.takeovers_ns.len() * percent / 100).min(self.takeovers_ns.len().max(1) - 1);
        self.takeovers_ns.get(index).map_or(f64::NAN, |&ns| ns as f64 / 1e6)
    }

    /// Whatever is wrong, in a word; `ok` if nothing is.
    ///
    /// A run that judges times holds takeovers to the goals. A short one, beside which the machine does
    /// other things, is judged for what waits until somebody wakes it.
    fn verdict(&self, takeovers: Takeovers, times_count: bool) -> &'static str {
        let [median, most] = if times_count { TAKEOVER_MS } else { [250.0, f64::INFINITY] };
        let enough = if times_count { FEWEST_TAKEOVERS } else { 5 };
        let seen = self.takeovers_ns.len() >= enough;
        let late = seen && (self.takeover_ms(50) > median || self.takeover_ms(100) > most);
        match takeovers {
            _ if self.overlaps > 0 => "OVERLAP",
            Takeovers::Judged if times_count && !seen => "TOO FEW TAKEOVERS",
            Takeovers::Judged if late => "LATE",
            Takeovers::Judged | Takeovers::Told => "ok",
        }
    }

    fn print(&self, row: &str, takeovers: Takeovers) {
        println!(
            "STORM|{row}|file|kills={} creations={} overlaps={} takeovers={} takeover_p50_ms={:.2} \
             takeover_max_ms={:.2} longest_wait_ms={:.0}|{}",
            self.kills,
            self.creations,
            self.overlaps,
            self.takeovers_ns.len(),
            self.takeover_ms(50),
            self.takeover_ms(100),
            self.longest_wait_ns as f64 / 1e6,
            self.verdict(takeovers, times_count())
        );
    }
}

/// What a row makes of the times of takeovers.
#[derive(Debug, Clone, Copy)]
enum Takeovers {
    Judged,
    Told,
}

impl Event {
    fn parse(line: &str) -> Self {
        let mut words = line.split(' ');
        let what = words.next().unwrap().as_bytes()[0];
        let mut number = || words.next().unwrap().parse::<u64>().unwrap();
        let (key, pid, at) = (number(), number() as u32, number());
        Self { what, key, pid, at }
    }
}

#[test]
fn storm_f1_killed_creators_never_make_two_at_once() {
    let plan = Plan {
        keys: 100,
        ttl_ms: 400,
        create_ms: 20,
        claims: Claims::Kept,
        kills: true,
        cleaner: false,
    };
    let report = run(plan);
    report.print("F1", Takeovers::Told);
    assert_eq!(report.verdict(Takeovers::Told, times_count()), "ok", "{report:?}");
    assert!(report.kills > 5 && report.creations > 50, "{report:?}");
}

/// Few keys, made all the time, and a cleaner of lock files.
const HASTY: Plan =
    Plan { keys: 4, ttl_ms: 0, create_ms: 2, claims: Claims::Kept, kills: true, cleaner: true };

#[test]
fn storm_f2_and_f3_waiters_take_over_while_a_cleaner_works() {
    let report = run(HASTY);
    report.print("F2+F3", Takeovers::Judged);
    assert_eq!(report.verdict(Takeovers::Judged, times_count()), "ok", "{report:?}");
    assert!(report.creations > 50, "{report:?}");
}

#[test]
fn f2_the_check_tells_a_late_takeover_and_too_few_from_good_ones() {
    // One process creates and is killed at 1 ms, while another waits that creates `ms` later.
    let taken_over = |ms: &[u64]| {
        let (mut log, mut killed) = (String::new(), BTreeMap::new());
        for (key, ms) in (1_u64..).zip(ms) {
            let (dead, waiter) = (key * 2, key * 2 + 1);
            log += &format!("S {key} {dead} 0{END}\nW {key} {waiter} 1{END}\n");
            log += &format!("S {key} {waiter} {}{END}\n", (1 + ms) * 1_000_000);
            killed.insert(dead as u32, 1_000_000);
        }
        Report::read(&log, &killed)
    };
    let judged = |ms: &[u64], long| taken_over(ms).verdict(Takeovers::Judged, long);
    assert_eq!(judged(&[1; 10], true), "ok");
    assert_eq!(judged(&[1; 9], true), "TOO FEW TAKEOVERS");
    assert_eq!(judged(&[6; 10], true), "LATE");
    assert_eq!(judged(&[[1; 20].as_slice(), &[251]].concat(), true), "LATE");
    assert_eq!(judged(&[6; 10], false), "ok");
    assert_eq!(judged(&[251; 5], false), "LATE");
}

#[test]
fn the_check_catches_claims_that_exclude_nobody() {
    let report = run(Plan { claims: Claims::Ignored, kills: false, cleaner: false, ..HASTY });
    println!("control: {} overlaps in {} creations", report.overlaps, report.creations);
    let fewest = if times_count() { 100 } else { 20 };
    assert!(report.overlaps >= fewest, "the check has no teeth: {report:?}");
}

/// The control: a store whose claims exclude nobody.
#[derive(Debug)]
struct ClaimsIgnored(Arc<dyn Namespace>);

impl Namespace for ClaimsIgnored {
    forward_namespace!(
        self => self.0;
        id, scope, capabilities, latency, clock, get, set, remove, clear, stats,
    );

    fn claim(&self, _: &Key, _: Wait) -> Result<Option<Claim>, Error> {
        Ok(Some(Claim::new(0)))
    }
    fn fulfil(&self, key: &Key, entry: Entry, _: Claim) -> Result<Fulfilled, Error> {
        self.0.set(key, entry)?;
        Ok(Fulfilled::Stored)
    }
}
