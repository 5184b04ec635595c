//! A hit, an absent key, a set and a batch of each store, as a URL opens it. `cargo xtask compare stores`
//! puts the engines by themselves beside them.

#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]
#![allow(clippy::unwrap_used, reason = "a benchmark fails by a panic")]

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use beaker_backends::stores;
use beaker_namespace::{Entry, Key, Namespace, Payload};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const ENTRIES: u64 = 10_000;
const BATCH: u64 = 1_000;
const VALUE_BYTES: usize = 256;

/// The store of `scheme` in a folder of its own, if it is compiled in.
fn open(scheme: &str, dir: &Path) -> Option<Arc<dyn Namespace>> {
    if !stores().schemes().any(|known| known == scheme) {
        return None;
    }
    let url = match scheme {
        "memory" | "null" => format!("{scheme}:"),
        _ => format!("{scheme}:{}", dir.join(scheme).display()),
    };
    Some(stores().open(&url.parse().unwrap(), "bench").unwrap())
}

fn entry(store: &dyn Namespace) -> Entry {
    Entry::new(Payload::raw(vec![7; VALUE_BYTES]), store.clock().now())
}

fn batch(store: &dyn Namespace, first: u64) -> Vec<(Key, Entry)> {
    (0..BATCH).map(|number| (key((first + number * 7) % ENTRIES), entry(store))).collect()
}

fn key(number: u64) -> Key {
    Key::new(&("key", number))
}

/// Keys in an order that is not that of the store.
fn scattered() -> impl FnMut() -> Key {
    let mut step = 0;
    move || {
        step = (step + 7_919) % ENTRIES;
        key(step)
    }
}

fn bench_store(c: &mut Criterion, scheme: &str, store: &dyn Namespace) {
    let mut group = c.benchmark_group(scheme);
    for first in (0..ENTRIES).step_by(BATCH as usize) {
        let entries = (first..first + BATCH).map(|number| (key(number), entry(store)));
        store.set_many(entries.collect()).unwrap();
    }
    let mut next = scattered();
    group.bench_function("hit", |b| b.iter(|| black_box(store.get(&next()).unwrap())));
    let absent = Key::new("absent");
    group.bench_function("absent", |b| b.iter(|| black_box(store.get(&absent).unwrap())));
    let mut next = scattered();
    group.bench_function("set", |b| b.iter(|| store.set(&next(), entry(store)).unwrap()));
    let mut first = 0;
    group.throughput(Throughput::Elements(BATCH)).sample_size(10);
    group.bench_function("batch of 1,000 sets", |b| {
        b.iter(|| {
            first += 1;
            store.set_many(batch(store, first)).unwrap();
        });
    });
    group.finish();
}

fn all(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    for scheme in ["memory", "file", "sqlite", "redb", "sled", "dbm"] {
        if let Some(store) = open(scheme, dir.path()) {
            bench_store(c, scheme, &*store);
        }
    }
}

criterion_group!(benches, all);
criterion_main!(benches);
