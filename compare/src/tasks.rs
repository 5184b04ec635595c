//! Asynchronous callers, and functions whose results are kept.

use std::error::Error;
use std::future::Future;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use beaker_container::Cache;
use beaker_namespace::{MemoryConfig, MemoryNamespace};
use cached::Cached;
use cachet::CacheEntry;
use tokio::runtime::{Builder, Runtime};

use crate::args::Args;
use crate::measure::{self, Contestant, Rounds};
use crate::python::Python;
use crate::report::{Report, figure};

const OURS: &str = "Cache memory, ttl";
const FUNCTION: &str = "#[cached] of Beaker";
const CACHEDS_FUNCTION: &str = "#[cached] of cached";
const HOUR: Duration = Duration::from_secs(3600);

/// Keys that a hit goes round.
const KEYS: u64 = 1_000;

pub(crate) fn run(args: &Args, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let dogpile = Dogpile::start(report);
    hits(args, report, &dogpile)?;
    rush(args, report, &dogpile)?;
    cold(args, report, &dogpile)?;
    functions(args, report, &dogpile);
    Ok(())
}

/// Python's own, for scale, in the rounds of the others: it has no tasks, so threads stand for them, and its
/// times are those of the wall.
struct Dogpile(Option<Python>);

impl Dogpile {
    fn start(report: &mut Report) -> Self {
        match Python::of_script("dogpile_cache.py", "dogpile.cache", "dogpile.cache==1.5.0") {
            Ok(python) => {
                report.note(python.installed());
                Self(Some(python))
            }
            Err(reason) => {
                report.skipped(&reason);
                Self(None)
            }
        }
    }

    /// One that measures `what` with so many calls, or threads; it tells `made` how often its creator ran.
    fn contestant(
        &self,
        what: &'static str,
        number: usize,
        made: Option<&Arc<AtomicUsize>>,
    ) -> Option<Contestant> {
        let (python, made) = (self.0.clone()?, made.cloned());
        Some(Contestant::new("dogpile.cache, Python", move |_| {
            let figures = python.answer(&format!("{what} {number}")).expect("it goes on");
            if let (Some(made), Some(creations)) = (&made, figures.get(1)) {
                made.fetch_add(*creations as usize, Ordering::Relaxed);
            }
            figures[0]
        }))
    }
}

fn room(keys: u64) -> u64 {
    keys * 2
}

fn ours(keys: u64) -> Cache<u64, u64> {
    let config = MemoryConfig::new().max_entries(room(keys));
    let namespace = MemoryNamespace::anonymous(config).expect("the bound is not zero");
    Cache::of_objects(namespace).with_ttl(HOUR)
}

fn moka(keys: u64) -> moka::future::Cache<u64, u64> {
    moka::future::Cache::builder().max_capacity(room(keys)).time_to_live(HOUR).build()
}

type Quick = quick_cache::sync::Cache<u64, u64>;

fn quick(keys: u64) -> Quick {
    Quick::new(usize::try_from(room(keys)).unwrap_or(usize::MAX))
}

fn cachet() -> cachet::Cache<u64, u64> {
    let clock = tick::Clock::new_tokio();
    cachet::Cache::builder::<u64, u64>(clock).memory().ttl(HOUR).stampede_protection().build()
}

async fn quick_get(cache: &Quick, key: u64, create: impl Future<Output = u64>) -> u64 {
    let made = cache.get_or_insert_async(&key, async { Ok::<u64, ()>(create.await) }).await;
    made.unwrap_or(0)
}

async fn cachet_get<F>(cache: &cachet::Cache<u64, u64>, key: u64, create: F) -> u64
where
    F: Future<Output = u64> + Send,
{
    let entry = cache.get_or_insert_with(&key, || async { CacheEntry::new(create.await) }).await;
    entry.map_or(0, |entry| *entry.value())
}

fn one_thread() -> Result<Runtime, Box<dyn Error>> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

/// Goes round the keys in one task, and says how long a call took. The first round makes the values.
macro_rules! rounds_of {
    ($name:expr, $calls:expr, $cache:expr, |$c:ident, $key:ident| $call:expr) => {{
        let runtime = one_thread()?;
        let $c = runtime.block_on(async { $cache });
        let calls: u64 = $calls;
        Contestant::new($name, move |_| {
            let pass = |calls: u64| {
                measure::cpu_nanos(|| {
                    runtime.block_on(async {
                        for call in 0..calls {
                            let $key = call % KEYS;
                            assert_eq!(black_box($call.await), $key);
                        }
                    });
                })
            };
            pass(KEYS);
            pass(calls) / calls as f64
        })
    }};
}

fn hits(args: &Args, report: &mut Report, dogpile: &Dogpile) -> Result<(), Box<dyn Error>> {
    report.heading("tasks: a hit through get-or-create, ns per call, median (min)");
    report.note(
        "One task on a runtime of one thread goes round 1,000 keys. All but quick_cache, which has \
         none, check a time to live of an hour.",
    );
    let calls = args.size(1_000_000, 100_000) as u64;
    let mut contestants = vec![
        rounds_of!(OURS, calls, ours(KEYS), |cache, key| async {
            cache.get_or_create_async(&key, || async move { key }).await.unwrap_or(0)
        }),
        rounds_of!("moka::future", calls, moka(KEYS), |cache, key| cache
            .get_with(key, async move { key })),
        rounds_of!("quick_cache", calls, quick(KEYS), |cache, key| quick_get(
            &cache,
            key,
            async move { key }
        )),
        rounds_of!("cachet", calls, cachet(), |cache, key| cachet_get(
            &cache,
            key,
            async move { key }
        )),
        rounds_of!(CACHEDS_FUNCTION, calls, (), |_cache, key| peer_task(key)),
    ];
    contestants.extend(dogpile.contestant("hit", args.size(10_000, 1_000), None));
    let rounds = Rounds::measure(&mut contestants, 1, args.rounds);
    report.table(&measure::table("hit", &[("1 task".to_owned(), rounds)]));
    Ok(())
}

/// Tasks that all ask for one absent key, in rounds of a key each.
macro_rules! rush_of {
    ($name:expr, $tasks:expr, $made:expr, $cache:expr, |$c:ident, $key:ident, $create:ident| $call:expr) => {{
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let cache = Arc::new(runtime.block_on(async { $cache }));
        let (tasks, made): (usize, Arc<AtomicUsize>) = ($tasks, Arc::clone(&$made));
        let mut next = 0_u64;
        Contestant::new($name, move |_| {
            next += 1;
            let $key = next;
            let began = Instant::now();
            runtime.block_on(async {
                let running: Vec<_> = (0..tasks)
                    .map(|_| {
                        let ($c, made) = (Arc::clone(&cache), Arc::clone(&made));
                        tokio::spawn(async move {
                            let $create = async move {
                                made.fetch_add(1, Ordering::Relaxed);
                                tokio::time::sleep(Duration::from_millis(1)).await;
                                $key
                            };
                            $call.await
                        })
                    })
                    .collect();
                for task in running {
                    assert_eq!(task.await.expect("no task panics"), $key);
                }
            });
            began.elapsed().as_nanos() as f64
        })
    }};
}

fn rush(args: &Args, report: &mut Report, dogpile: &Dogpile) -> Result<(), Box<dyn Error>> {
    let tasks = args.size(1_000, 100);
    report.heading("tasks: many at one absent key, microseconds for all, median (min)");
    report.note(
        "1,000 tasks on two threads; the creator sleeps for a millisecond, which is the floor. \
         The creations are those of all rounds.",
    );
    let made: Vec<Arc<AtomicUsize>> = (0..6).map(|_| Arc::default()).collect();
    let mut contestants = vec![
        rush_of!(OURS, tasks, made[0], ours(KEYS), |cache, key, create| async move {
            cache.get_or_create_async(&key, || create).await.unwrap_or(0)
        }),
        rush_of!("moka::future", tasks, made[1], moka(KEYS), |cache, key, create| async move {
            cache.get_with(key, create).await
        }),
        rush_of!("quick_cache", tasks, made[2], quick(KEYS), |cache, key, create| async move {
            quick_get(&cache, key, create).await
        }),
        rush_of!("cachet", tasks, made[3], cachet(), |cache, key, create| async move {
            cachet_get(&cache, key, create).await
        }),
        rush_of!("cached, by_key", tasks, made[4], (), |_cache, key, create| peer_rush(
            key, create
        )),
    ];
    contestants.extend(dogpile.contestant("rush", tasks, Some(&made[5])));
    let count = args.rounds * args.size(5, 1);
    let rounds = Rounds::measure(&mut contestants, 1, count);
    let in_micros = |name: &str, made: usize| {
        let (median, min) = (rounds.median(name) / 1e3, rounds.min(name) / 1e3);
        vec![name.to_owned(), format!("{} ({})", figure(median), figure(min)), made.to_string()]
    };
    let mut table = crate::report::Table::new(&[
        "rush".to_owned(),
        "us for all".to_owned(),
        format!("creations in {count} rounds"),
    ]);
    for (name, made) in rounds.names().iter().zip(&made) {
        table.row(in_micros(name, made.load(Ordering::Relaxed)));
    }
    report.table(&table);
    let each = made[0].load(Ordering::Relaxed) as f64 / count as f64;
    report.at_most("rush: creations of a key", each, 1.0, "", "Cache");
    let moka = rounds.ratio(OURS, "moka::future");
    report.at_most("rush: Cache / moka::future", moka, 1.1, " x", "a millisecond of both is sleep");
    Ok(())
}

#[cached::macros::cached(max_size = 2000, ttl_secs = 3600)]
async fn peer_task(key: u64) -> u64 {
    key
}

#[cached::macros::cached(
    key = "u64",
    convert = r#"{ key }"#,
    sync_writes = "by_key",
    max_size = 2000,
    ttl_secs = 3600
)]
async fn peer_rush<F: Future<Output = u64>>(key: u64, create: F) -> u64 {
    let _in_the_key_alone = key;
    create.await
}

/// Creates absent keys, one after the other, in a cache that is new each time.
macro_rules! cold_of {
    ($name:expr, $keys:expr, $cache:expr, |$c:ident, $key:ident| $call:expr) => {{
        let runtime = one_thread()?;
        let keys: u64 = $keys;
        Contestant::new($name, move |_| {
            let $c = runtime.block_on(async { $cache });
            let nanos = measure::cpu_nanos(|| {
                runtime.block_on(async {
                    for $key in 0..keys {
                        assert_eq!(black_box($call.await), $key);
                    }
                });
            });
            nanos / keys as f64
        })
    }};
}

fn cold(args: &Args, report: &mut Report, dogpile: &Dogpile) -> Result<(), Box<dyn Error>> {
    let keys = args.size(10_000, 1_000) as u64;
    report.heading("tasks: absent keys, each once, ns per call, median (min)");
    report.note(
        "One task, 10,000 keys, a creator that does nothing; an empty cache each round. The rows of threads, \
         and dogpile.cache, are calls of a thread. The caches of cached are statics: they are emptied, and \
         keep their room.",
    );
    let mut contestants = vec![
        cold_of!(OURS, keys, ours(keys), |cache, key| async {
            cache.get_or_create_async(&key, || async move { key }).await.unwrap_or(0)
        }),
        cold_of!("moka::future", keys, moka(keys), |cache, key| cache
            .get_with(key, async move { key })),
        cold_of!("quick_cache", keys, quick(keys), |cache, key| quick_get(
            &cache,
            key,
            async move { key }
        )),
        cold_of!("cachet", keys, cachet(), |cache, key| cachet_get(
            &cache,
            key,
            async move { key }
        )),
    ];
    contestants.extend(cold_on_threads(keys));
    contestants.extend(dogpile.contestant("absent", args.size(10_000, 1_000), None));
    let rounds = Rounds::measure(&mut contestants, 1, args.rounds);
    report.table(&measure::table("absent", &[("1 task".to_owned(), rounds)]));
    Ok(())
}

/// The same on a thread.
fn cold_on_threads(keys: u64) -> [Contestant; 4] {
    [
        cold_on_thread(
            "Cache memory, ttl, on a thread",
            keys,
            move || ours(keys),
            |cache, key| cache.get_or_create(&key, || key).unwrap_or(0),
        ),
        cold_on_thread(
            "moka::sync, on a thread",
            keys,
            move || {
                moka::sync::Cache::builder().max_capacity(room(keys)).time_to_live(HOUR).build()
            },
            |cache: &moka::sync::Cache<u64, u64>, key| cache.get_with(key, || key),
        ),
        cold_on_thread(
            "#[cached] of cached, on a thread",
            keys,
            || PEER_COLD.write().cache_clear(),
            |(), key| peer_cold(key),
        ),
        cold_on_thread(
            "the same, by_key",
            keys,
            || PEER_COLD_BY_KEY.write().cache_clear(),
            |(), key| peer_cold_by_key(key),
        ),
    ]
}

fn cold_on_thread<S: 'static>(
    name: &str,
    keys: u64,
    empty: impl Fn() -> S + 'static,
    call: impl Fn(&S, u64) -> u64 + 'static,
) -> Contestant {
    Contestant::new(name, move |_| {
        let store = empty();
        let nanos = measure::cpu_nanos(|| {
            for key in 0..keys {
                assert_eq!(black_box(call(&store, key)), key);
            }
        });
        nanos / keys as f64
    })
}

#[cached::macros::cached(max_size = 20000, ttl_secs = 3600)]
fn peer_cold(key: u64) -> u64 {
    key
}

#[cached::macros::cached(max_size = 20000, ttl_secs = 3600, sync_writes = "by_key")]
fn peer_cold_by_key(key: u64) -> u64 {
    key
}

#[beaker_cache::cached(name = "compare", ttl = "1h", objects)]
fn our_function(key: u64) -> u64 {
    key
}

#[cached::macros::cached(max_size = 2000, ttl_secs = 3600)]
fn peer_function(key: u64) -> u64 {
    key
}

#[cached::macros::concurrent_cached(max_size = 2000, ttl_secs = 3600)]
fn sharded_peer_function(key: u64) -> u64 {
    key
}

fn functions(args: &Args, report: &mut Report, dogpile: &Dogpile) {
    report.heading("functions: a hit of a cached function, ns per call, median (min)");
    report.note("1,000 arguments in turn, a time to live of an hour, one thread.");
    let calls = args.size(1_000_000, 100_000) as u64;
    let hit = |name: &str, call: Box<dyn Fn(u64) -> u64>| {
        Contestant::new(name, move |_| {
            let pass = |calls: u64| {
                measure::cpu_nanos(|| {
                    for number in 0..calls {
                        let key = number % KEYS;
                        assert_eq!(black_box(call(black_box(key))), key);
                    }
                })
            };
            pass(KEYS);
            pass(calls) / calls as f64
        })
    };
    let cache = ours(KEYS);
    let mut contestants = vec![
        hit(OURS, Box::new(move |key| cache.get_or_create(&key, || key).unwrap_or(0))),
        hit(
            "moka::sync, get_with",
            Box::new({
                let cache = moka::sync::Cache::builder()
                    .max_capacity(room(KEYS))
                    .time_to_live(HOUR)
                    .build();
                move |key| cache.get_with(key, || key)
            }),
        ),
        hit(FUNCTION, Box::new(our_function)),
        hit(CACHEDS_FUNCTION, Box::new(peer_function)),
        hit("#[concurrent_cached] of cached", Box::new(sharded_peer_function)),
    ];
    contestants.extend(dogpile.contestant("function", args.size(10_000, 1_000), None));
    let rounds = Rounds::measure(&mut contestants, 1, args.rounds);
    let ratio = rounds.ratio(FUNCTION, OURS);
    let peer = rounds.ratio(FUNCTION, CACHEDS_FUNCTION);
    report.table(&measure::table("function", &[("1 thr".to_owned(), rounds)]));
    report.at_most("function hit: #[cached] / Cache", ratio, 1.5, " x", "");
    report.at_most("function hit: #[cached] / cached's", peer, 1.0, " x", "");
}
