//! What `#[cached]` adds to a hit of the cache below it.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use beaker_cache::{Cache, cached};
use criterion::{Criterion, criterion_group, criterion_main};

type Page = Arc<[u8; 128]>;

#[cached(ttl = "1h", objects)]
fn plain(key: u64) -> Page {
    black_box(key);
    Arc::new([0; 128])
}

#[cached(ttl = "1h", objects)]
fn generic<T: Into<u64> + 'static>(key: u64) -> Page {
    black_box(key);
    Arc::new([0; 128])
}

struct Store(u64);

impl Store {
    #[cached(ttl = "1h", objects, key = (self.0, key))]
    fn method(&self, key: u64) -> Page {
        black_box(key);
        Arc::new([0; 128])
    }
}

fn hits(c: &mut Criterion) {
    let cache = Cache::<u64, Page>::in_memory(100_000).expect("a limit");
    let cache = cache.with_ttl(Duration::from_secs(3600));
    let pairs = Cache::<(u64, u64), Page>::in_memory(100_000).expect("a limit");
    let pairs = pairs.with_ttl(Duration::from_secs(3600));
    let mut key = 0;
    let mut next = move || {
        key = (key + 7) % 1_000;
        key
    };
    let make = || Arc::new([0; 128]);
    let store = Store(1);
    let mut group = c.benchmark_group("hit");
    group.bench_function("get_or_create", |b| {
        b.iter(|| cache.get_or_create(black_box(&next()), make));
    });
    group.bench_function("cached function", |b| b.iter(|| plain(black_box(next()))));
    group.bench_function("generic function", |b| b.iter(|| generic::<u32>(black_box(next()))));
    group.bench_function("get_or_create, pair", |b| {
        b.iter(|| pairs.get_or_create(black_box(&(1, next())), make));
    });
    group.bench_function("method", |b| b.iter(|| store.method(black_box(next()))));
    group.finish();
}

criterion_group!(benches, hits);
criterion_main!(benches);
