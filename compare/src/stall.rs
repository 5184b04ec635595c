//! What one slow creator does to the users of other keys, and to those of its own.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use beaker_container::Cache;
use beaker_syncdict::SyncDict;
use dashmap::DashMap;
use foldhash::fast::RandomState;

use crate::args::Args;
use crate::load::mix;
use crate::measure::Rounds;
use crate::peers::OnceMap;
use crate::report::{Report, Table, figure};

/// How long the slow creator takes.
const SLOW: Duration = Duration::from_millis(20);

/// The key that it creates; the others' keys are above.
const SLOW_KEY: u64 = 0;

/// Keys that are there before.
const PRESENT: u64 = 10_000;

/// An operation that takes this long is looked into.
const SUSPICIOUS: Duration = Duration::from_micros(30);

/// Threads that ask for one absent key at the same time.
const CROWD: usize = 64;

/// A store in which a key is created once.
trait Flight: Send + Sync {
    fn get(&self, key: u64) -> Option<u64>;
    fn get_or_create(&self, key: u64, create: &dyn Fn() -> u64) -> u64;
}

pub(crate) fn run(args: &Args, report: &mut Report) {
    report.heading("stall: one creator that takes 20 ms");
    report.note(
        "The longest wait of another thread's gets, and of its gets and creations, of other keys \
         meanwhile, in microseconds, median (min) of the rounds. `raw` is the clock's word; the \
         other columns leave out the operations in which the kernel took the processor away and \
         the thread waited for nothing. `runs` is how often 64 threads that ask for one absent key \
         run its creator.",
    );
    let rounds = args.rounds;
    let names = ["stall", "gets", "gets, raw", "gets + creations", "the same, raw", "runs"];
    let mut table = Table::new(&names);
    let mut verdicts = Vec::new();
    let empty = stores();
    let stalls = measure(&empty, rounds);
    for (index, (name, make)) in empty.iter().enumerate() {
        let cell = |kind: usize| stalls[kind].cell(name);
        let runs = creator_runs(make().as_ref());
        table.row([(*name).to_owned(), cell(0), cell(1), cell(2), cell(3), runs.to_string()]);
        if index >= empty.len() - OURS {
            verdicts.push((*name, stalls[2].median(name), stalls[3].median(name), runs));
        }
    }
    report.table(&table);
    for (name, stall, raw, runs) in verdicts {
        let aside = format!("raw {} ms", figure(raw / 1e3));
        let target = format!("stall: {name}, other keys during a 20 ms creator");
        report.at_most(&target, stall / 1e3, 0.2, " ms", &aside);
        report.at_most(
            &format!("stall: {name}, runs for {CROWD} callers"),
            runs as f64,
            1.0,
            "",
            "",
        );
    }
}

type Make = Box<dyn Fn() -> Box<dyn Flight>>;

/// The last so many of [`stores`] are ours.
const OURS: usize = 2;

fn stores() -> Vec<(&'static str, Make)> {
    fn make<F: Flight + 'static>(name: &'static str, new: fn() -> F) -> (&'static str, Make) {
        (name, Box::new(move || Box::new(new())))
    }
    vec![
        make("dashmap entry", || Entries(DashMap::default())),
        make("dashmap<Arc<OnceLock>>", OnceMap::<u64, u64, RandomState>::new),
        make("quick_cache", || Quick::new(100_000)),
        make("moka", || Moka::new(100_000)),
        make("SyncDict", SyncDict::<u64, u64>::new),
        make("Cache memory", || {
            Cache::<u64, u64>::in_memory(100_000).expect("the bound is not zero")
        }),
    ]
}

/// By kind: gets, the same raw, gets and creations, the same raw.
fn measure(stores: &[(&'static str, Make)], rounds: usize) -> [Rounds; 4] {
    let mut samples: [Vec<(String, Vec<f64>)>; 4] = Default::default();
    for kind in &mut samples {
        *kind = stores.iter().map(|(name, _)| ((*name).to_owned(), Vec::new())).collect();
    }
    for round in 0..rounds {
        for position in 0..stores.len() {
            let back = round % 2 == 1;
            let index = if back { stores.len() - 1 - position } else { position };
            for (offset, creates) in [(0, false), (2, true)] {
                let stall = longest_stall(stores[index].1().as_ref(), creates);
                samples[offset][index].1.push(stall.waited);
                samples[offset + 1][index].1.push(stall.raw);
            }
        }
    }
    samples.map(Rounds::from_samples)
}

/// In microseconds.
#[derive(Debug, Default)]
struct Stall {
    waited: f64,
    raw: f64,
}

/// Uses other keys for as long as the slow creator runs.
fn longest_stall(store: &dyn Flight, creates: bool) -> Stall {
    (1..=PRESENT).for_each(|key| assert_eq!(store.get_or_create(key, &|| key), key));
    let running = AtomicBool::new(false);
    let done = AtomicBool::new(false);
    let slow = || {
        running.store(true, Ordering::Release);
        std::thread::sleep(SLOW);
        done.store(true, Ordering::Release);
        SLOW_KEY
    };
    std::thread::scope(|scope| {
        scope.spawn(|| store.get_or_create(SLOW_KEY, &slow));
        while !running.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
        bystander(store, creates, &done)
    })
}

fn bystander(store: &dyn Flight, creates: bool, done: &AtomicBool) -> Stall {
    let mut longest = Stall::default();
    let mut switches = Switches::now();
    let mut turn = 0;
    while !done.load(Ordering::Acquire) {
        turn += 1;
        let start = Instant::now();
        if creates && turn % 2 == 0 {
            store.get_or_create(PRESENT + turn, &|| turn);
        } else {
            store.get(1 + mix(turn) % PRESENT);
        }
        let took = start.elapsed();
        let micros = took.as_secs_f64() * 1e6;
        longest.raw = longest.raw.max(micros);
        let waited = took < SUSPICIOUS || {
            let before = std::mem::replace(&mut switches, Switches::now());
            switches.voluntary > before.voluntary || switches.forced == before.forced
        };
        if waited {
            longest.waited = longest.waited.max(micros);
        }
    }
    longest
}

/// How often the thread gave the processor up, as it does to wait, and how often it was taken away.
#[derive(Debug, Default)]
struct Switches {
    voluntary: u64,
    forced: u64,
}

impl Switches {
    /// Zeros where the kernel does not tell: every long operation then counts as a wait.
    fn now() -> Self {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
        let count = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.trim().parse().ok()).unwrap_or(0)
        };
        Self {
            voluntary: count("voluntary_ctxt_switches:"),
            forced: count("nonvoluntary_ctxt_switches:"),
        }
    }
}

/// How often the creator of one absent key runs if a crowd asks for it.
fn creator_runs(store: &dyn Flight) -> usize {
    let runs = AtomicUsize::new(0);
    let barrier = Barrier::new(CROWD);
    let create = || {
        runs.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(SLOW);
        1
    };
    std::thread::scope(|scope| {
        for _ in 0..CROWD {
            scope.spawn(|| {
                barrier.wait();
                assert_eq!(store.get_or_create(SLOW_KEY, &create), 1);
            });
        }
    });
    runs.into_inner()
}

/// `DashMap`'s own way, which creates under the shard's lock.
struct Entries(DashMap<u64, u64, RandomState>);

impl Flight for Entries {
    fn get(&self, key: u64) -> Option<u64> {
        self.0.get(&key).map(|value| *value)
    }

    fn get_or_create(&self, key: u64, create: &dyn Fn() -> u64) -> u64 {
        *self.0.entry(key).or_insert_with(create)
    }
}

impl Flight for OnceMap<u64, u64, RandomState> {
    fn get(&self, key: u64) -> Option<u64> {
        Self::get(self, &key)
    }

    fn get_or_create(&self, key: u64, create: &dyn Fn() -> u64) -> u64 {
        Self::get_or_create(self, &key, create)
    }
}

type Quick = quick_cache::sync::Cache<u64, u64>;

impl Flight for Quick {
    fn get(&self, key: u64) -> Option<u64> {
        Self::get(self, &key)
    }

    fn get_or_create(&self, key: u64, create: &dyn Fn() -> u64) -> u64 {
        self.get_or_insert_with(&key, || Ok::<_, ()>(create())).unwrap_or(0)
    }
}

type Moka = moka::sync::Cache<u64, u64>;

impl Flight for Moka {
    fn get(&self, key: u64) -> Option<u64> {
        Self::get(self, &key)
    }

    fn get_or_create(&self, key: u64, create: &dyn Fn() -> u64) -> u64 {
        self.get_with(key, create)
    }
}

impl Flight for SyncDict<u64, u64> {
    fn get(&self, key: u64) -> Option<u64> {
        Self::get(self, &key)
    }

    fn get_or_create(&self, key: u64, create: &dyn Fn() -> u64) -> u64 {
        Self::get_or_create(self, &key, create).unwrap_or(0)
    }
}

impl Flight for Cache<u64, u64> {
    fn get(&self, key: u64) -> Option<u64> {
        Self::get(self, &key).ok().flatten()
    }

    fn get_or_create(&self, key: u64, create: &dyn Fn() -> u64) -> u64 {
        Self::get_or_create(self, &key, create).unwrap_or(0)
    }
}
