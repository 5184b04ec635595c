//! The file namespace: a hit, a miss, and a write, among 50,000 entries.

use std::hint::black_box;
use std::time::{Duration, Instant};

use beaker_namespace::{
    Durability, Entry, FileConfig, FileNamespace, Key, Mark, Namespace, Payload, Wait,
};
use criterion::{Criterion, criterion_group, criterion_main};

const ENTRIES: u64 = 50_000;
const VALUE_BYTES: usize = 256;

fn key(number: u64) -> Key {
    Key::new(&("key", number))
}

fn entry(store: &FileNamespace) -> Entry {
    Entry::new(Payload::raw(vec![7; VALUE_BYTES]), store.clock().now())
}

/// Keys in an order that visits every directory.
fn scattered(step: &mut u64) -> Key {
    *step = (*step + 7_919) % ENTRIES;
    key(*step)
}

fn filled(dir: &std::path::Path) -> FileNamespace {
    let store = FileNamespace::open("bench", FileConfig::new(dir)).expect("it opens");
    for number in 0..ENTRIES {
        store.set(&key(number), entry(&store)).expect("set");
    }
    store
}

/// Prints the middle, and the time that one in a hundred exceeds.
fn print_quantiles(name: &str, mut run: impl FnMut()) {
    let mut times: Vec<Duration> = (0..5_000)
        .map(|_| {
            let began = Instant::now();
            run();
            began.elapsed()
        })
        .collect();
    times.sort();
    println!("{name}: p50 {:?}, p99 {:?}", times[times.len() / 2], times[times.len() * 99 / 100]);
}

fn file(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a directory");
    let store = filled(dir.path());
    let mut group = criterion.benchmark_group("file, 50,000 entries of 256 B");
    let mut step = 0;
    let mut hit = || drop(black_box(store.get(&scattered(&mut step)).expect("get")));
    print_quantiles("hit", &mut hit);
    group.bench_function("hit", |bencher| bencher.iter(&mut hit));

    let absent = Key::new("absent");
    group.bench_function("miss", |bencher| {
        bencher.iter(|| black_box(store.get(&absent).expect("get").is_none()));
    });

    let mut step = 0;
    let mut set = || store.set(&scattered(&mut step), entry(&store)).expect("set");
    print_quantiles("set", &mut set);
    group.bench_function("set", |bencher| bencher.iter(&mut set));

    let mut step = 0;
    let mut create = || {
        let key = scattered(&mut step);
        let claim = store.claim(&key, Wait::Never).expect("claim").expect("it is free");
        let _stored = black_box(store.fulfil(&key, entry(&store), claim).expect("fulfil"));
    };
    print_quantiles("claim and fulfil", &mut create);
    group.bench_function("claim and fulfil", |bencher| bencher.iter(&mut create));

    let found = || black_box(store.marks(&mut ["name"].into_iter()).expect("marks").is_empty());
    group.bench_function("marks of a name, not marked", |bencher| bencher.iter(found));
    let mut mark = || store.mark("name", Mark::hard(store.clock().now())).expect("mark");
    group.bench_function("mark", |bencher| bencher.iter(&mut mark));
    group.bench_function("marks of a name, marked", |bencher| bencher.iter(found));

    let config = FileConfig::new(dir.path()).durability(Durability::Durable);
    let durable = FileNamespace::open("durable", config).expect("it opens");
    group.sample_size(10).bench_function("durable set", |bencher| {
        bencher.iter(|| durable.set(&absent, entry(&durable)).expect("set"));
    });
    group.finish();
}

criterion_group!(benches, file);
criterion_main!(benches);
