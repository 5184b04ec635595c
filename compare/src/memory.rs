//! Hits in memory.

use std::borrow::Borrow;
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use beaker_container::Cache;
use beaker_namespace::{Entry, Key, MemoryConfig, MemoryNamespace, Namespace, Payload};
use beaker_syncdict::{SyncDict, WeakRegistry};
use dashmap::DashMap;
use foldhash::fast::RandomState;
use parking_lot::RwLock;

use crate::args::Args;
use crate::load::{BenchKey, Load, Value};
use crate::measure::{self, Contestant, Rounds};
use crate::peers::ShardedLru;
use crate::report::{Report, Table, figure};

const FLOOR: &str = "FLOOR hashbrown+fold";
/// The floor and one shared lock: what a map that threads write to cannot do without.
const LOCKED: &str = "RwLock<hashbrown>+fold";
const QUICK: &str = "quick_cache";
const MOKA: &str = "moka";
const STRONG: &str = "SyncDict";
const STRONG_CREATE: &str = "SyncDict get_or_create";
const CACHE: &str = "Cache get, ttl";
const CACHE_CREATE: &str = "Cache get_or_create, ttl";

/// Long enough that nothing expires, so that what is measured is the check.
const TTL: Duration = Duration::from_secs(3600);

pub(crate) fn run(args: &Args, report: &mut Report) {
    report.heading("memory: hits, ns per operation, median (min)");
    report.note(
        "Arc<[u8; 128]> cloned out, Zipf 0.99, room for twice the entries. One thread: processor \
         time; several: wall time / all operations.",
    );
    let (many, requests) = (args.size(100_000, 20_000), args.size(1_000_000, 50_000));
    section::<u64>(args, report, "u64 100k", many, requests);
    section::<u64>(args, report, "u64 1k", 1_000, requests * args.size(2, 1));
    section::<String>(args, report, "text 100k", many, requests);
}

fn section<K: BenchKey>(
    args: &Args,
    report: &mut Report,
    name: &str,
    entries: usize,
    requests: usize,
) {
    if args.only.as_ref().is_some_and(|word| !name.contains(word)) {
        return;
    }
    let load = Load::<K>::zipf(entries, requests);
    let mut contestants = contestants(&load);
    let mut columns = Vec::new();
    for &threads in &args.threads {
        let rounds = Rounds::measure(&mut contestants, threads, args.rounds);
        columns.push((format!("{threads} thr"), rounds));
    }
    report.note(&format!("\n{name} ({entries} keys)"));
    report.table(&measure::table("hit", &columns));
    let noise: Vec<String> = columns.iter().map(|(_, rounds)| figure(rounds.noise())).collect();
    report.note(&format!("noise, (max - min) / median: {}\n", noise.join(", ")));
    report.table(&ratios(&args.threads, &columns));
    for (&threads, (_, rounds)) in args.threads.iter().zip(&columns) {
        judge(report, name, threads, rounds);
    }
}

/// Ours by each peer, medians of the rounds' ratios.
fn ratios(threads: &[usize], columns: &[(String, Rounds)]) -> Table {
    let peers = [FLOOR, LOCKED, "dashmap+fold", QUICK, "16 x Mutex<lru>", MOKA];
    let mut table =
        Table::new(&["time of ours / of", "thr"].into_iter().chain(peers).collect::<Vec<_>>());
    for ours in [STRONG, STRONG_CREATE, CACHE, CACHE_CREATE] {
        for (threads, (_, rounds)) in threads.iter().zip(columns) {
            let cells = peers.map(|peer| figure(rounds.ratio(ours, peer)));
            table.row([ours.to_owned(), threads.to_string()].into_iter().chain(cells));
        }
    }
    table
}

fn judge(report: &mut Report, section: &str, threads: usize, rounds: &Rounds) {
    let mut at_most = |ours: &str, peer: &str, limit: f64| {
        let name = format!("{section}, {threads} thr: {ours} / {peer}");
        let aside = format!("of the quickest rounds {}", figure(rounds.ratio_of_mins(ours, peer)));
        report.at_most(&name, rounds.ratio(ours, peer), limit, " x", &aside);
    };
    if threads == 1 {
        at_most(STRONG, FLOOR, 1.5);
    }
    at_most(STRONG, QUICK, 1.0);
    at_most(CACHE, QUICK, 1.2);
    at_most(CACHE, MOKA, 0.25);
    at_most(STRONG_CREATE, STRONG, 1.1);
    at_most(CACHE_CREATE, CACHE, 1.1);
}

/// Reads everything that `load` asks for, once for all threads together.
fn reader<K: BenchKey, S: Send + Sync + 'static, R>(
    name: &str,
    load: &Load<K>,
    store: Arc<S>,
    get: impl Fn(&S, &K) -> Option<R> + Copy + Sync + 'static,
) -> Contestant {
    let asks = Arc::clone(&load.asks);
    Contestant::new(name, move |threads| {
        let share = asks.len() / threads;
        // A part of it beforehand, so that it finds its own entries in the processor's caches.
        assert_eq!(pass(&*store, &asks[..share / 4], get), share / 4, "every request is a hit");
        let nanos = measure::nanos(threads, |thread| {
            let asks = &asks[thread * share..(thread + 1) * share];
            assert_eq!(pass(&*store, asks, get), share, "every request is a hit");
        });
        nanos / (share * threads) as f64
    })
}

#[inline(never)]
fn pass<K, A: Borrow<K>, S, R>(store: &S, asks: &[A], get: impl Fn(&S, &K) -> Option<R>) -> usize {
    asks.iter().filter(|ask| black_box(get(store, (*ask).borrow())).is_some()).count()
}

fn contestants<K: BenchKey>(load: &Load<K>) -> Vec<Contestant> {
    let mut all = peers(load);
    all.extend(dicts(load));
    all.extend(caches(load));
    all
}

fn peers<K: BenchKey>(load: &Load<K>) -> Vec<Contestant> {
    let room = load.entries * 2;
    let floor: hashbrown::HashMap<K, Value, RandomState> = load.entries().into_iter().collect();
    let locked = RwLock::new(
        load.entries().into_iter().collect::<hashbrown::HashMap<K, Value, RandomState>>(),
    );
    let dash: DashMap<K, Value, RandomState> = load.entries().into_iter().collect();
    let quick = quick_cache::sync::Cache::<K, Value>::new(room);
    load.entries().into_iter().for_each(|(key, value)| quick.insert(key, value));
    let lru = ShardedLru::<K, Value>::new(room);
    load.entries().into_iter().for_each(|(key, value)| lru.insert(key, value));
    let moka = moka::sync::Cache::<K, Value>::new(room as u64);
    load.entries().into_iter().for_each(|(key, value)| moka.insert(key, value));
    moka.run_pending_tasks();
    vec![
        reader(FLOOR, load, Arc::new(floor), |map, key| map.get(key).cloned()),
        reader(LOCKED, load, Arc::new(locked), |map, key| map.read().get(key).cloned()),
        reader("dashmap+fold", load, Arc::new(dash), |map, key| {
            map.get(key).map(|value| Arc::clone(&value))
        }),
        reader(QUICK, load, Arc::new(quick), |cache, key| cache.get(key)),
        reader("16 x Mutex<lru>", load, Arc::new(lru), |cache, key| cache.get(key)),
        reader(MOKA, load, Arc::new(moka), |cache, key| cache.get(key)),
    ]
}

fn dicts<K: BenchKey>(load: &Load<K>) -> Vec<Contestant> {
    let strong = Arc::new(SyncDict::<K, Value>::new());
    let lru = SyncDict::lru(NonZeroUsize::MIN.saturating_add(load.entries * 2));
    let weak = WeakRegistry::<K, [u8; 128]>::default();
    for (key, value) in load.entries() {
        strong.insert(key, value);
    }
    for (key, value) in load.entries() {
        lru.insert(key, value);
    }
    let held = load.entries();
    for (key, value) in &held {
        weak.insert(key.clone(), Arc::clone(value));
    }
    vec![
        reader(STRONG, load, Arc::clone(&strong), |dict, key| dict.get(key)),
        reader(STRONG_CREATE, load, strong, |dict, key| dict.get_or_create(key, unwanted).ok()),
        reader("SyncDict weak", load, Arc::new((weak, held)), |(dict, _held), key| dict.get(key)),
        reader("SyncDict lru", load, Arc::new(lru), |dict, key| dict.get(key)),
    ]
}

fn caches<K: BenchKey>(load: &Load<K>) -> Vec<Contestant> {
    let namespace = memory(load);
    let clock = Arc::clone(namespace.clock());
    for (key, value) in load.entries() {
        let entry = Entry::new(Payload::Object(Arc::new(value)), clock.now()).ttl(Some(TTL));
        namespace.set(&key.to_key(), entry).expect("memory takes every entry");
    }
    let cache = Cache::<K, Value>::of_shared_objects(memory(load)).with_ttl(TTL);
    for (key, value) in load.entries() {
        cache.insert(&key, value).expect("memory takes every entry");
    }
    let cache = Arc::new(cache);
    vec![
        reader("Namespace memory, ttl", load, Arc::new(namespace), |namespace, key| {
            namespace.get(&Key::new(key)).ok().flatten()
        }),
        reader(CACHE, load, Arc::clone(&cache), |cache, key| cache.get(key).ok().flatten()),
        reader(CACHE_CREATE, load, cache, |cache, key| cache.get_or_create(key, unwanted).ok()),
    ]
}

/// The store as programs hold it: chosen when they run.
fn memory<K: BenchKey>(load: &Load<K>) -> Arc<dyn Namespace> {
    let config = MemoryConfig::new().max_entries(load.entries as u64 * 2);
    MemoryNamespace::anonymous(config).expect("the bound is not zero")
}

fn unwanted() -> Value {
    unreachable!("every request is a hit")
}
