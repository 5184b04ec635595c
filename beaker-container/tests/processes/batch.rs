//! A batch in one process and single calls in another make each key once between them.

use std::path::Path;
use std::thread;
use std::time::Instant;

use beaker_container::Cache;

use crate::children::{HANG, Me, Other, Store};
use crate::log::{Creations, Log};

const KEYS: [u32; 3] = [1, 2, 3];

fn cache(store: Store, dir: &Path) -> Cache<u32, u32> {
    Cache::new(store.open(dir))
}

fn single(cache: &Cache<u32, u32>, log: &Log, held: impl FnOnce()) -> u32 {
    let create = || {
        let _creating = log.creating(2);
        held();
        20
    };
    cache.get_or_create(&2, create).unwrap()
}

fn batch(cache: &Cache<u32, u32>, log: &Log, mut made: impl FnMut(&[u32])) -> Vec<u32> {
    let create = |missing: Vec<&u32>| {
        let missing: Vec<u32> = missing.into_iter().copied().collect();
        let _creating: Vec<_> = missing.iter().map(|key| log.creating(key)).collect();
        made(&missing);
        missing.iter().map(|key| key * 100).collect()
    };
    cache.get_or_create_many(&KEYS, create).unwrap()
}

#[cfg(feature = "tokio")]
fn batch_in_a_task(cache: &Cache<u32, u32>, log: &Log, mut made: impl FnMut(&[u32])) -> Vec<u32> {
    let create = |missing: Vec<&u32>| {
        let missing: Vec<u32> = missing.into_iter().copied().collect();
        let creating: Vec<_> = missing.iter().map(|key| log.creating(key)).collect();
        made(&missing);
        async move {
            let _creating = creating;
            Ok::<_, ()>(missing.iter().map(|key| key * 100).collect())
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(cache.get_or_try_create_many_async(&KEYS, create)).unwrap()
}

/// Not a test by itself: what the child process runs.
#[test]
fn child_holds_a_key() {
    let Some(me) = Me::as_child() else { return };
    let (store, call) = me.words.split_once(' ').unwrap();
    let (cache, log) = (cache(Store::parse(store), &me.dir), Log::open(&me.dir));
    let hold = || {
        Me::tell("holds");
        Me::await_line("go on");
    };
    match call {
        "single" => Me::tell(&single(&cache, &log, hold).to_string()),
        _ => Me::tell(&format!("{:?}", batch(&cache, &log, |_| hold()))),
    }
}

type Batch = fn(&Cache<u32, u32>, &Log, &mut dyn FnMut(&[u32])) -> Vec<u32>;

/// A batch beside another process that creates key 2, and goes on once the batch has created.
fn beside_a_single_call(store: Store, batch: Batch) -> (Vec<u32>, Creations) {
    let dir = tempfile::tempdir().unwrap();
    let words = format!("{} single", store.word());
    let mut other = Other::start("batch::child_holds_a_key", dir.path(), &words);
    other.await_line("holds");
    let (cache, log) = (cache(store, dir.path()), Log::open(dir.path()));
    let began = Instant::now();
    let values = batch(&cache, &log, &mut |_| {
        assert!(began.elapsed() < HANG / 4, "it waits before it creates its own keys");
        other.say("go on");
    });
    other.await_line("20");
    other.end();
    (values, Creations::read(dir.path()))
}

#[test]
fn a_batch_leaves_the_key_that_another_process_creates_to_it() {
    let batches: &[Batch] = &[
        |cache, log, made| batch(cache, log, made),
        #[cfg(feature = "tokio")]
        |cache, log, made| batch_in_a_task(cache, log, made),
    ];
    for &batch in batches {
        let (values, creations) = beside_a_single_call(Store::Shared, batch);
        assert_eq!(values, [100, 20, 300]);
        assert_eq!((creations.total(), creations.repeated()), (3, 0), "{creations:?}");
    }
}

#[test]
fn a_single_call_takes_what_another_process_s_batch_creates() {
    let dir = tempfile::tempdir().unwrap();
    let mut other = Other::start("batch::child_holds_a_key", dir.path(), "shared batch");
    other.await_line("holds");
    let (cache, log) = (cache(Store::Shared, dir.path()), Log::open(dir.path()));
    let waiting = thread::scope(|scope| {
        let waiting = scope.spawn(|| single(&cache, &log, || ()));
        other.say("go on");
        waiting.join().unwrap()
    });
    assert_eq!(waiting, 200);
    other.await_line("[100, 200, 300]");
    other.end();
    let creations = Creations::read(dir.path());
    assert_eq!((creations.total(), creations.repeated()), (3, 0), "{creations:?}");
}

#[test]
fn the_check_catches_a_key_that_two_processes_make() {
    let (values, creations) =
        beside_a_single_call(Store::Own, |cache, log, made| batch(cache, log, made));
    assert_eq!(values, [100, 200, 300]);
    assert_eq!((creations.total(), creations.repeated()), (4, 1), "{creations:?}");
}
