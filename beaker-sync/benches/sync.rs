//! What a lock costs when nobody else wants it.

#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]
#![allow(clippy::unwrap_used, reason = "a benchmark fails by a panic")]

use std::hint::black_box;

use beaker_sync::{
    BiasedRwLock, CreationLock, FileSynchronizerOptions, NameLock, Retention, Synchronizer, clean,
    lock_path,
};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use parking_lot::RwLock;

fn name_lock(c: &mut Criterion) {
    let mut group = c.benchmark_group("name_lock");
    let plain = NameLock::plain("bench").unwrap();
    group.bench_function("plain", |b| b.iter(|| drop(black_box(plain.lock()))));
    let recursive = NameLock::anonymous_recursive();
    group.bench_function("recursive", |b| b.iter(|| drop(black_box(recursive.lock()))));
    group.bench_function("find", |b| b.iter(|| NameLock::plain(black_box("bench")).unwrap()));
    group.bench_function("find_new", |b| b.iter(|| NameLock::plain(black_box("new")).unwrap()));
    group.finish();
}

fn synchronizer(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let kinds = [
        ("null", Synchronizer::null()),
        ("process", Synchronizer::in_process("bench")),
        ("file", Synchronizer::file("bench", dir.path()).unwrap()),
    ];
    for (name, lock) in kinds {
        let mut group = c.benchmark_group(format!("synchronizer/{name}"));
        group.bench_function("read", |b| b.iter(|| drop(black_box(lock.read().unwrap()))));
        group.bench_function("write", |b| b.iter(|| drop(black_box(lock.write().unwrap()))));
        let _held = lock.write().unwrap();
        group.bench_function("nested", |b| b.iter(|| drop(black_box(lock.write().unwrap()))));
        group.finish();
    }
    let mut group = c.benchmark_group("synchronizer/open_write_close");
    for (name, retention) in [("keep", Retention::Keep), ("remove", Retention::Remove)] {
        let options = FileSynchronizerOptions::new().retention(retention);
        group.bench_function(name, |b| {
            b.iter(|| drop(options.open(name, dir.path()).unwrap().write().unwrap()));
        });
    }
    group.finish();
}

/// Beside the lock it is made of. `write_after_reads` shuts out readers that pass the lock.
fn biased(c: &mut Criterion) {
    let (plain, biased) = (RwLock::new(1), BiasedRwLock::new(1));
    let mut group = c.benchmark_group("rw_lock");
    group.bench_function("plain/read", |b| b.iter(|| *black_box(plain.read())));
    group.bench_function("plain/write", |b| b.iter(|| *black_box(plain.write()) += 1));
    group.bench_function("biased/read", |b| b.iter(|| *black_box(biased.read())));
    group.bench_function("biased/write", |b| b.iter(|| *black_box(biased.write()) += 1));
    let reads = || (0..2_000).for_each(|_| drop(black_box(biased.read())));
    group.bench_function("biased/write_after_reads", |b| {
        b.iter_batched(reads, |()| *black_box(biased.write()) += 1, BatchSize::PerIteration);
    });
    group.finish();
}

fn creation_lock(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let mut group = c.benchmark_group("creation_lock");
    let lock = CreationLock::at(lock_path(dir.path(), "bench"));
    group.bench_function("cycle", |b| b.iter(|| drop(black_box(lock.lock().unwrap()))));
    let held = lock.lock().unwrap();
    group.bench_function("try_lock_held", |b| b.iter(|| lock.try_lock().unwrap().is_none()));
    group.bench_function("is_superseded", |b| b.iter(|| held.is_superseded().unwrap()));
    drop(held);
    group.bench_function("supersede_absent", |b| b.iter(|| lock.supersede().unwrap()));
    group.bench_function("clean_empty", |b| b.iter(|| clean(dir.path()).unwrap().removed));
    group.finish();
}

criterion_group!(benches, name_lock, synchronizer, biased, creation_lock);
criterion_main!(benches);
