//! What a hit and a creation cost, in memory and on files.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use beaker_container::Cache;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

const HOUR: Duration = Duration::from_secs(3600);

fn memory(c: &mut Criterion) {
    let cache = Cache::<u64, Arc<[u8; 128]>>::in_memory(100_000).expect("a limit").with_ttl(HOUR);
    for key in 0..1_000 {
        cache.insert(&key, Arc::new([0; 128])).expect("memory takes it");
    }
    let mut key = 0;
    let mut next = move || {
        key = (key + 7) % 1_000;
        key
    };
    let mut group = c.benchmark_group("memory");
    group.bench_function("get, hit", |b| b.iter(|| cache.get(black_box(&next()))));
    group.bench_function("get_or_create, hit", |b| {
        b.iter(|| cache.get_or_create(black_box(&next()), || unreachable!("all are there")));
    });
    group.bench_function("get, absent", |b| b.iter(|| cache.get(black_box(&(next() + 5_000_000)))));
    let mut fresh = 10_000_000;
    group.bench_function("get_or_create, miss", |b| {
        let value = Arc::new([0; 128]);
        b.iter(|| {
            fresh += 1;
            cache.get_or_create(&fresh, || Arc::clone(&value))
        });
    });
    group.finish();
}

fn file(c: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let url = format!("file://{}", dir.path().display());
    let cache = Cache::<u64, Vec<u8>>::open(&url, "bench").expect("it opens").with_ttl(HOUR);
    for key in 0..1_000 {
        cache.insert(&key, vec![7; 128]).expect("it is stored");
    }
    let mut key = 0;
    let mut next = move || {
        key = (key + 7) % 1_000;
        key
    };
    let mut group = c.benchmark_group("file");
    group.bench_function("get, hit", |b| b.iter(|| cache.get(black_box(&next()))));
    group.bench_function("insert", |b| {
        b.iter_batched(
            || vec![7; 128],
            |value| cache.insert(&next(), value),
            BatchSize::SmallInput,
        );
    });
    let mut fresh = 10_000_000;
    group.bench_function("get_or_create, miss", |b| {
        b.iter(|| {
            fresh += 1;
            cache.get_or_create(&fresh, || vec![7; 128])
        });
    });
    group.finish();
}

criterion_group!(benches, memory, file);
criterion_main!(benches);
