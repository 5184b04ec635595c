//! Creation of absent keys, each once.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use beaker_container::Cache;
use beaker_namespace::{MemoryConfig, MemoryNamespace};
use beaker_syncdict::SyncDict;
use foldhash::fast::RandomState;

use crate::args::Args;
use crate::load::BenchKey;
use crate::measure::{self, Contestant, Rounds};
use crate::peers::OnceMap;
use crate::report::{Report, figure};

const ONCE: &str = "dashmap<Arc<OnceLock>>";
const DICT: &str = "SyncDict";

/// Fresh stores in one round: each is done in a millisecond.
const STORES: usize = 5;

pub(crate) fn run(args: &Args, report: &mut Report) {
    report.heading("miss: 10,000 new keys in an empty store, ns per call, median (min)");
    report.note(
        "A creator that does nothing; all threads ask for the same keys in the same order. Stores \
         that want a capacity get 20,000; the others grow.",
    );
    let keys = args.size(10_000, 2_000);
    let mut contestants = contestants(keys);
    // Short rounds: many, so that a disturbed one does not count.
    let rounds = args.rounds * args.size(5, 1);
    let mut columns = Vec::new();
    for &threads in &args.threads {
        let rounds = Rounds::measure(&mut contestants, threads, rounds);
        columns.push((format!("{threads} thr"), rounds));
    }
    report.table(&measure::table("miss", &columns));
    for (&threads, (_, rounds)) in args.threads.iter().zip(&columns) {
        judge(report, threads, rounds);
    }
}

fn judge(report: &mut Report, threads: usize, rounds: &Rounds) {
    let name = format!("miss, {threads} thr: {DICT} / {ONCE}");
    let aside = format!(
        "{} / {} ns; of the quickest rounds {}; / the same with foldhash {}",
        figure(rounds.median(DICT)),
        figure(rounds.median(ONCE)),
        figure(rounds.ratio_of_mins(DICT, ONCE)),
        figure(rounds.ratio(DICT, "dashmap<Arc<OnceLock>>+fold")),
    );
    report.at_most(&name, rounds.ratio(DICT, ONCE), 1.1, " x", &aside);
}

fn contestants(keys: usize) -> Vec<Contestant> {
    let keys: Arc<[u64]> = (0..keys).map(u64::of_rank).collect();
    let room = keys.len() * 2;
    type Quick = quick_cache::sync::Cache<u64, u64>;
    type Moka = moka::sync::Cache<u64, u64>;
    vec![
        creator(ONCE, &keys, OnceMap::<u64, u64, std::hash::RandomState>::new, |map, key| {
            map.get_or_create(key, || *key)
        }),
        creator(
            "dashmap<Arc<OnceLock>>+fold",
            &keys,
            OnceMap::<u64, u64, RandomState>::new,
            |map, key| map.get_or_create(key, || *key),
        ),
        creator(
            "quick_cache",
            &keys,
            move || Quick::new(room),
            |cache, key| cache.get_or_insert_with(key, || Ok::<_, ()>(*key)).unwrap_or(0),
        ),
        creator(
            "moka",
            &keys,
            move || Moka::new(room as u64),
            |cache, key| cache.get_with(*key, || *key),
        ),
        creator(DICT, &keys, SyncDict::<u64, u64>::new, |dict, key| {
            dict.get_or_create(key, || *key).unwrap_or(0)
        }),
        creator(
            "Cache memory, ttl",
            &keys,
            move || cache(room),
            |cache, key| cache.get_or_create(key, || *key).unwrap_or(0),
        ),
    ]
}

fn cache(room: usize) -> Cache<u64, u64> {
    let config = MemoryConfig::new().max_entries(room as u64);
    let namespace = MemoryNamespace::anonymous(config).expect("the bound is not zero");
    Cache::of_objects(namespace).with_ttl(Duration::from_secs(3600))
}

fn creator<S: Sync>(
    name: &str,
    keys: &Arc<[u64]>,
    empty: impl Fn() -> S + 'static,
    create: impl Fn(&S, &u64) -> u64 + Copy + Sync + 'static,
) -> Contestant {
    let keys = Arc::clone(keys);
    Contestant::new(name, move |threads| {
        let once = || {
            let store = empty();
            measure::nanos(threads, |_thread| pass(&store, &keys, create))
        };
        let nanos: f64 = (0..STORES).map(|_| once()).sum();
        nanos / (STORES * keys.len() * threads) as f64
    })
}

#[inline(never)]
fn pass<S>(store: &S, keys: &[u64], create: impl Fn(&S, &u64) -> u64) {
    for key in keys {
        assert_eq!(black_box(create(store, key)), *key);
    }
}
