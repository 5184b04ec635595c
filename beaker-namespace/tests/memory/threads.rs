//! Many threads at once, against what each of them knows.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use beaker_namespace::{
    Condition, ConditionalSet, Fulfilled, Key, MemoryConfig, Namespace, Payload, Wait,
};

use super::{Random, entries, memory, raw, text};

const THREADS: u64 = 8;

#[test]
fn each_of_eight_threads_finds_what_it_wrote_last() {
    let namespace = memory(MemoryConfig::new());
    let left: usize = thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS)
            .map(|thread| {
                let namespace = &namespace;
                scope.spawn(move || {
                    let mut model = HashMap::new();
                    let mut random = Random(thread + 1);
                    for step in 0..20_000_u64 {
                        let id = (thread, random.below(200));
                        let key = Key::new(&id);
                        match random.below(5) {
                            0 => {
                                let there = model.remove(&id).is_some();
                                assert_eq!(namespace.remove(&key).unwrap(), there);
                            }
                            1 | 2 => {
                                namespace.set(&key, raw(&**namespace, step)).unwrap();
                                model.insert(id, step);
                            }
                            _ => {
                                let known = model.get(&id).map(u64::to_string);
                                assert_eq!(text(&**namespace, &key), known);
                            }
                        }
                    }
                    model.len()
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    assert_eq!(entries(&*namespace), left as u64);
}

#[test]
fn a_counter_kept_by_conditional_sets_loses_no_increment() {
    let namespace = memory(MemoryConfig::new());
    let key = Key::new("counter");
    namespace.set(&key, raw(&*namespace, 0)).unwrap();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..500 {
                    loop {
                        let entry = namespace.get(&key).unwrap().unwrap();
                        let condition = Condition::Generation(entry.generation());
                        let Payload::Bytes { bytes, .. } = entry.into_payload() else { panic!() };
                        let count: u64 = std::str::from_utf8(&bytes).unwrap().parse().unwrap();
                        let next = raw(&*namespace, count + 1);
                        let stored = namespace.set_if(&key, next, condition).unwrap();
                        if matches!(stored, ConditionalSet::Stored { .. }) {
                            break;
                        }
                    }
                }
            });
        }
    });
    assert_eq!(text(&*namespace, &key), Some((THREADS * 500).to_string()));
}

/// Creators read a source and store what they read under a claim; writers change the source and
/// then remove the key. Once a removal has returned, nothing older than it may be stored.
#[test]
fn no_creation_brings_back_what_was_invalidated() {
    let namespace = memory(MemoryConfig::new().max_entries(64));
    let source: Vec<AtomicU64> = (0..16).map(|_| AtomicU64::new(0)).collect();
    let stored = AtomicU64::new(0);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (namespace, source, stored) = (&namespace, &source, &stored);
            scope.spawn(move || {
                let mut random = Random(thread + 1);
                for _ in 0..20_000 {
                    let id = random.below(16) as usize;
                    let key = Key::new(&id);
                    if thread == 0 {
                        source[id].fetch_add(1, Ordering::SeqCst);
                        namespace.remove(&key).unwrap();
                        // Only this thread invalidates: what is there now was read after it.
                        let known = source[id].load(Ordering::SeqCst);
                        if let Some(found) = text(&**namespace, &key) {
                            assert_eq!(found, known.to_string());
                        }
                        continue;
                    }
                    let claim = namespace.claim(&key, Wait::Never).unwrap().unwrap();
                    let made = raw(&**namespace, source[id].load(Ordering::SeqCst));
                    if namespace.fulfil(&key, made, claim).unwrap() == Fulfilled::Stored {
                        stored.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert!(stored.load(Ordering::Relaxed) > 0, "some creation was stored");
}

#[test]
fn generations_never_repeat() {
    let namespace = memory(MemoryConfig::new().max_entries(1_000));
    let seen: Vec<u64> = thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS)
            .map(|thread| {
                let namespace = Arc::clone(&namespace);
                scope.spawn(move || {
                    let written = |n| {
                        let key = Key::new(&(n % 300));
                        let entry = raw(&*namespace, thread);
                        namespace.remove(&key).unwrap();
                        match namespace.set_if(&key, entry, Condition::Absent).unwrap() {
                            ConditionalSet::Stored { generation } => Some(generation),
                            ConditionalSet::Conflict => None,
                        }
                    };
                    (0..5_000_u64).filter_map(written).collect::<Vec<_>>()
                })
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    let mut distinct = seen.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), seen.len());
}
