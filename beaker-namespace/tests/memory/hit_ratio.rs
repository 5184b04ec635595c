//! How often a full namespace still has what is asked for, against LRU.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use beaker_namespace::{Key, MemoryConfig, Namespace};

use super::{Random, memory, object};

/// Keys asked for, in order; each miss is followed by a set.
fn hit_percent(capacity: u64, trace: &[u64]) -> f64 {
    let namespace = memory(MemoryConfig::new().max_entries(capacity));
    let mut hits = 0;
    for id in trace {
        let key = Key::new(id);
        if namespace.get(&key).unwrap().is_some() {
            hits += 1;
        } else {
            namespace.set(&key, object(Arc::new(()))).unwrap();
        }
    }
    f64::from(hits) * 100.0 / trace.len() as f64
}

/// The same for an exact LRU.
fn lru_percent(capacity: u64, trace: &[u64]) -> f64 {
    let (mut used, mut order) = (HashMap::new(), BTreeMap::new());
    let mut hits = 0;
    for (now, &id) in trace.iter().enumerate() {
        if let Some(before) = used.insert(id, now) {
            hits += 1;
            order.remove(&before);
        } else if used.len() as u64 > capacity {
            let (_, oldest) = order.pop_first().unwrap();
            used.remove(&oldest);
        }
        order.insert(now, id);
    }
    f64::from(hits) * 100.0 / trace.len() as f64
}

/// `length` keys below `keys`, the n-th most frequent with a probability of about 1/n^exponent.
fn zipf(keys: u64, exponent: f64, length: usize, seed: u64) -> Vec<u64> {
    let mut sum = 0.0;
    let weight = |n: u64| {
        sum += (n as f64).powf(-exponent);
        sum
    };
    let cumulated: Vec<f64> = (1..=keys).map(weight).collect();
    let mut random = Random(seed);
    let mut draw = || {
        let at = (random.next() >> 11) as f64 / (1_u64 << 53) as f64 * sum;
        cumulated.partition_point(|&upto| upto < at) as u64
    };
    (0..length).map(|_| draw()).collect()
}

/// Every so often a run of keys that are asked for once.
fn with_scans(trace: &[u64], every: usize, length: u64) -> Vec<u64> {
    let mut fresh = 1 << 40;
    let mut mixed = Vec::new();
    for part in trace.chunks(every) {
        mixed.extend(part);
        mixed.extend(fresh..fresh + length);
        fresh += length;
    }
    mixed
}

fn compare(name: &str, capacity: u64, trace: &[u64]) -> (f64, f64) {
    let (ours, lru) = (hit_percent(capacity, trace), lru_percent(capacity, trace));
    println!("{name}, {capacity} entries: {ours:.1} % against {lru:.1} % of LRU");
    (ours, lru)
}

#[test]
fn skewed_keys_are_hit_more_often_than_with_lru() {
    let trace = zipf(50_000, 0.9, 400_000, 1);
    for capacity in [100, 1_000, 5_000, 20_000] {
        let (ours, lru) = compare("zipf", capacity, &trace);
        assert!(ours > lru, "{ours} against {lru} at {capacity}");
    }
}

#[test]
fn scans_do_not_wash_out_what_is_used() {
    let trace = with_scans(&zipf(50_000, 0.9, 300_000, 2), 10_000, 5_000);
    for capacity in [1_000, 5_000] {
        let (ours, lru) = compare("zipf with scans", capacity, &trace);
        assert!(ours > lru + 3.0, "{ours} against {lru} at {capacity}");
    }
}

#[test]
fn a_loop_longer_than_the_namespace_is_hit_nevertheless() {
    let trace: Vec<u64> = (0..300_000).map(|n| n % 11_000).collect();
    let (ours, lru) = compare("loop of 11,000", 10_000, &trace);
    assert!(lru < 0.1, "the loop is longer than the cache: {lru}");
    assert!(ours > 60.0, "{ours}");
}

#[test]
fn a_change_of_what_is_popular_is_followed() {
    let mut trace = Vec::new();
    for phase in 0..6 {
        let part = zipf(20_000, 0.9, 60_000, phase + 3);
        trace.extend(part.iter().map(|id| id + phase * 1_000_000));
    }
    let (ours, lru) = compare("six popularities", 2_000, &trace);
    assert!(ours > lru - 1.0, "{ours} against {lru}");
}

#[test]
fn a_small_bound_is_a_cache_too() {
    let trace = zipf(100, 1.0, 50_000, 9);
    let (ours, lru) = compare("a hundred keys", 10, &trace);
    assert!(ours > lru - 1.0, "{ours} against {lru}");
}
