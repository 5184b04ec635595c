//! The most hits that any policy can have (Belady, 1966): evict what is asked for last.

use std::collections::{BinaryHeap, HashMap, HashSet};

pub(super) fn hits(requests: &[u32], room: usize) -> usize {
    let next = next_uses(requests);
    let mut held = HashSet::new();
    // The held keys by their next use; older uses of a key stay in the heap and are passed over.
    let mut farthest = BinaryHeap::new();
    let mut current = HashMap::new();
    let mut hits = 0;
    for (place, key) in requests.iter().enumerate() {
        if !held.insert(*key) {
            hits += 1;
        } else if held.len() > room {
            while let Some((use_at, victim)) = farthest.pop() {
                if current.get(&victim) == Some(&use_at) && held.contains(&victim) {
                    held.remove(&victim);
                    break;
                }
            }
        }
        current.insert(*key, next[place]);
        farthest.push((next[place], *key));
    }
    hits
}

/// For each request, the place of the next one for the same key.
fn next_uses(requests: &[u32]) -> Vec<usize> {
    let mut next = vec![usize::MAX; requests.len()];
    let mut seen = HashMap::new();
    for (place, key) in requests.iter().enumerate().rev() {
        if let Some(later) = seen.insert(*key, place) {
            next[place] = later;
        }
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn belady_keeps_what_is_asked_for_next() {
        // By hand, with room for two: 1 2 miss, 3 evicts 2 (asked for last), 1 hits, 2 misses and
        // evicts 1 or 3, whichever is never asked for again, 3 hits.
        assert_eq!(hits(&[1, 2, 3, 1, 2, 3], 2), 2);
        assert_eq!(hits(&[1, 2, 3, 1, 2, 3], 3), 3);
        assert_eq!(hits(&[1, 1, 1], 1), 2);
    }

    #[test]
    fn belady_on_a_loop_hits_in_proportion_to_the_room() {
        let requests: Vec<u32> = (0..100).cycle().take(10_000).collect();
        let part = hits(&requests, 50) as f64 / 9_900.0;
        assert!((part - 49.0 / 99.0).abs() < 0.02, "{part}");
    }
}
