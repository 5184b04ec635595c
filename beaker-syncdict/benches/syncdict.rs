//! What a hit, a miss and a bystander cost, next to a bare hash map (the floor).
//!
//! `cargo bench -p beaker-syncdict --bench syncdict` lets criterion time each contender, then
//! prints a table of ratios from interleaved rounds (A B C, C B A), which noise of the machine
//! touches alike: these are the figures to quote. `-- --ratios` prints the table alone.

use std::collections::HashMap as StdHashMap;
use std::hash::Hash;
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use std::{env, iter, thread};

use beaker_syncdict::{Flights, Join, Lru, SyncDict, WeakRegistry};
use criterion::{Criterion, Throughput};
use foldhash::fast::RandomState;
use hashbrown::HashMap;

type Value = Arc<[u8; 128]>;

const HOT: usize = 1_000;
const MANY: usize = 100_000;
const MISSES: u64 = 10_000;
const LOOKUPS: usize = 200_000;
const ROUNDS: usize = 15;

/// Something to time: `run` makes `group.operations` of it.
struct Contender<'a> {
    name: &'static str,
    run: Box<dyn Fn() + 'a>,
}

/// Contenders for one job; the first is the floor.
struct Group<'a> {
    name: &'static str,
    operations: usize,
    contenders: Vec<Contender<'a>>,
}

fn main() {
    let ratios_only = env::args().any(|arg| arg == "--ratios");
    let mut criterion = (!ratios_only).then(|| {
        let short = Criterion::default().warm_up_time(Duration::from_millis(500));
        short.measurement_time(Duration::from_secs(2)).configure_from_args()
    });
    let mut measure = |group: Group<'_>| {
        if let Some(criterion) = &mut criterion {
            group.bench(criterion);
        }
        group.print_ratios();
    };
    let hot: Vec<u64> = (0..HOT as u64).collect();
    hits("hit u64, hot set of 1,000", &hot, &even(HOT), &mut measure);
    let many: Vec<u64> = (0..MANY as u64).collect();
    let order = zipf(MANY, 0.99);
    hits("hit u64, 100,000 Zipf 0.99", &many, &order, &mut measure);
    let texts: Vec<String> = many.iter().map(|n| format!("{n:024}")).collect();
    hits("hit str24, 100,000 Zipf 0.99", &texts, &order, &mut measure);
    measure(misses());
    print_stall();
}

impl Group<'_> {
    fn bench(&self, criterion: &mut Criterion) {
        let mut group = criterion.benchmark_group(self.name);
        group.throughput(Throughput::Elements(self.operations as u64)).sample_size(10);
        for contender in &self.contenders {
            group.bench_function(contender.name, |bencher| bencher.iter(&contender.run));
        }
        group.finish();
    }

    fn print_ratios(&self) {
        let mut times = vec![Vec::new(); self.contenders.len()];
        for round in 0..ROUNDS {
            for index in 0..times.len() {
                let index = if round % 2 == 0 { index } else { times.len() - 1 - index };
                times[index].push(self.time(&self.contenders[index]));
            }
        }
        println!("{} (ns, median and least of {ROUNDS} rounds; times the floor)", self.name);
        times.iter_mut().for_each(|times| times.sort_by(f64::total_cmp));
        let floor = (times[0][ROUNDS / 2], times[0][0]);
        for (contender, times) in self.contenders.iter().zip(&times) {
            let (median, least) = (times[ROUNDS / 2], times[0]);
            let (by_median, by_least) = (median / floor.0, least / floor.1);
            let name = contender.name;
            println!("  {name:24} {median:7.1} {by_median:5.2}x   {least:7.1} {by_least:5.2}x");
        }
    }

    fn time(&self, contender: &Contender<'_>) -> f64 {
        let start = Instant::now();
        (contender.run)();
        start.elapsed().as_nanos() as f64 / self.operations as f64
    }
}

fn value() -> Value {
    Arc::new([7; 128])
}

/// Gets of keys that are all there, in the order given.
fn hits<K: Hash + Eq + Clone>(
    name: &'static str,
    keys: &[K],
    order: &[usize],
    measure: &mut impl FnMut(Group<'_>),
) {
    let mut floor = HashMap::<K, Value, RandomState>::default();
    let strong = SyncDict::<K, Value>::new();
    let weak = WeakRegistry::<K, [u8; 128]>::weak();
    let lru = SyncDict::<K, Value, Lru>::lru(NonZeroUsize::MIN.saturating_add(2 * keys.len()));
    let fill = |put: &mut dyn FnMut(K, Value)| keys.iter().for_each(|k| put(k.clone(), value()));
    fill(&mut |key, value| drop(floor.insert(key, value)));
    fill(&mut |key, value| drop(strong.insert(key, value)));
    let mut held = Vec::new();
    fill(&mut |key, value| {
        held.push(Arc::clone(&value));
        weak.insert(key, value);
    });
    fill(&mut |key, value| drop(lru.insert(key, value)));
    let asked: Vec<K> = order.iter().map(|&index| keys[index].clone()).collect();
    let contenders = vec![
        each("hashbrown + foldhash", &asked, |key| floor.get(key).cloned()),
        each("strong get", &asked, |key| strong.get(key)),
        each("strong get_or_create", &asked, |key| strong.get_or_create(key, value).ok()),
        each("weak get", &asked, |key| weak.get(key)),
        each("lru get", &asked, |key| lru.get(key)),
    ];
    measure(Group { name, operations: asked.len(), contenders });
}

fn each<'a, K>(
    name: &'static str,
    asked: &'a [K],
    get: impl Fn(&K) -> Option<Value> + 'a,
) -> Contender<'a> {
    let run = move || {
        asked.iter().for_each(|key| {
            black_box(get(key));
        });
    };
    Contender { name, run: Box::new(run) }
}

/// Keys that are not there yet, in a new map each time, with a creator that does nothing.
fn misses() -> Group<'static> {
    let shared = value();
    let made = move || Arc::clone(&shared);
    let contender = |name, run: Box<dyn Fn()>| Contender { name, run };
    let (floor, cells, strong, weak, flight) =
        (made.clone(), made.clone(), made.clone(), made.clone(), made.clone());
    let contenders = vec![
        contender(
            "hashbrown insert",
            Box::new(move || {
                let mut map = HashMap::<u64, Value, RandomState>::default();
                (0..MISSES).for_each(|key| drop(black_box(map.insert(key, floor()))));
            }),
        ),
        contender(
            "Mutex<map of OnceLock>",
            Box::new(move || {
                let map =
                    Mutex::new(StdHashMap::<u64, Arc<OnceLock<Value>>, RandomState>::default());
                for key in 0..MISSES {
                    let mut locked = map.lock().unwrap_or_else(PoisonError::into_inner);
                    let cell = Arc::clone(locked.entry(key).or_default());
                    drop(locked);
                    black_box(Arc::clone(cell.get_or_init(&cells)));
                }
            }),
        ),
        contender(
            "strong get_or_create",
            Box::new(move || {
                let dict = SyncDict::<u64, Value>::new();
                (0..MISSES).for_each(|key| drop(black_box(dict.get_or_create(&key, &strong))));
            }),
        ),
        contender(
            "weak get_or_create",
            Box::new(move || {
                let dict = WeakRegistry::<u64, [u8; 128]>::weak();
                (0..MISSES).for_each(|key| drop(black_box(dict.get_or_create(&key, &weak))));
            }),
        ),
        contender(
            "lru get_or_create",
            Box::new(move || {
                let capacity = NonZeroUsize::MIN.saturating_add(MISSES as usize * 2);
                let dict = SyncDict::<u64, Value, Lru>::lru(capacity);
                (0..MISSES).for_each(|key| drop(black_box(dict.get_or_create(&key, &made))));
            }),
        ),
        contender(
            "Flights join, finish",
            Box::new(move || {
                let flights = Flights::<u64, Value>::new();
                for key in 0..MISSES {
                    if let Join::Lead(leader) = flights.join(&key, None) {
                        black_box(leader.finish(flight()));
                    }
                }
            }),
        ),
    ];
    Group { name: "miss, 10,000 keys", operations: MISSES as usize, contenders }
}

/// The longest that other keys are held up by one creator of 20 ms.
fn print_stall() {
    let dict = SyncDict::<u64, Value>::new();
    (1..=MISSES).for_each(|key| drop(dict.insert(key, value())));
    let (mut gets, mut creates): (Vec<_>, Vec<_>) =
        iter::repeat_with(|| stall(&dict)).take(9).unzip();
    println!("longest stall of another key by a creator of 20 ms, median and least of 9");
    for (name, stalls) in [("get", &mut gets), ("create", &mut creates)] {
        stalls.sort();
        println!("  {name:24} {:?}   {:?}", stalls[4], stalls[0]);
    }
}

fn stall(dict: &SyncDict<u64, Value>) -> (Duration, Duration) {
    let (begun, done) = (Barrier::new(2), AtomicBool::new(false));
    dict.remove(&0);
    thread::scope(|scope| {
        scope.spawn(|| {
            let created = dict.get_or_create(&0, || {
                begun.wait();
                thread::sleep(Duration::from_millis(20)); // the creator's work, orders nothing
                value()
            });
            done.store(true, Ordering::Release);
            created
        });
        begun.wait();
        let mut longest = (Duration::ZERO, Duration::ZERO);
        let keys = iter::repeat(1..=MISSES).flatten();
        for key in keys.take_while(|_| !done.load(Ordering::Acquire)) {
            let start = Instant::now();
            black_box(dict.get(&key));
            let got = Instant::now();
            dict.remove(&key);
            let _ = black_box(dict.get_or_create(&key, value));
            longest = (longest.0.max(got - start), longest.1.max(got.elapsed()));
        }
        longest
    })
}

/// Random numbers that are the same in every run (xorshift64).
fn random() -> impl Iterator<Item = u64> {
    iter::successors(Some(0x9E37_79B9_7F4A_7C15_u64), |&x| {
        let x = x ^ (x << 13);
        let x = x ^ (x >> 7);
        Some(x ^ (x << 17))
    })
}

fn even(count: usize) -> Vec<usize> {
    random().skip(1).take(LOOKUPS).map(|number| (number % count as u64) as usize).collect()
}

/// Indices below `count`, the `n`-th most frequent one `1 / n^theta` as often as the first; which
/// index is how frequent is random too.
fn zipf(count: usize, theta: f64) -> Vec<usize> {
    let mut names: Vec<usize> = (0..count).collect();
    for (index, number) in (1..count).rev().zip(random()) {
        names.swap(index, (number % (index as u64 + 1)) as usize);
    }
    let mut sum = 0.0;
    let weights = (1..=count).map(|rank| (rank as f64).powf(-theta));
    let sums: Vec<f64> = weights
        .map(|weight| {
            sum += weight;
            sum
        })
        .collect();
    let points = random().skip(count).map(|number| number as f64 / u64::MAX as f64 * sum);
    let rank = |point| sums.partition_point(|&below| below < point).min(count - 1);
    points.take(LOOKUPS).map(|point| names[rank(point)]).collect()
}
