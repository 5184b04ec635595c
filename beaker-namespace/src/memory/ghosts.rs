//! The keys evicted last, by hash alone.
//
// Idea: the set-associative ghost table with insertion stamps that CacheLib's S3-FIFO keeps in place
// of a linked list of ghosts. One look touches one cache line.

const WAYS: usize = 8;

/// One cache line of slots: a fingerprint above, the stamp of its insertion below; zero is empty.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Line([u64; WAYS]);

/// The hashes of the last keys that were evicted, about half as many as there are entries.
#[derive(Debug, Default)]
pub(super) struct Ghosts {
    lines: Box<[Line]>,
    capacity: u32,
    stamp: u32,
}

impl Ghosts {
    /// Notes that the key of `hash` was evicted from among `entries`.
    pub(super) fn add(&mut self, hash: u64, entries: usize) {
        self.fit(entries);
        self.stamp = self.stamp.wrapping_add(1).max(1);
        let stamp = self.stamp;
        if let Some(line) = self.line(hash) {
            let age =
                |slot: u64| if slot == 0 { u32::MAX } else { stamp.wrapping_sub(slot as u32) };
            if let Some(oldest) = line.0.iter_mut().max_by_key(|slot| age(**slot)) {
                *oldest = fingerprint(hash) | u64::from(stamp);
            }
        }
    }

    /// Whether the key of `hash` was evicted lately; forgets it.
    pub(super) fn take(&mut self, hash: u64) -> bool {
        let (stamp, capacity) = (self.stamp, self.capacity);
        let Some(line) = self.line(hash) else { return false };
        let same = |slot: &&mut u64| **slot >> 32 == fingerprint(hash) >> 32 && **slot != 0;
        match line.0.iter_mut().find(same) {
            Some(slot) => stamp.wrapping_sub(std::mem::take(slot) as u32) < capacity,
            None => false,
        }
    }

    /// Makes the table anew when it is much too small. What it knew is lost, which costs a few
    /// entries a second chance.
    fn fit(&mut self, entries: usize) {
        let wanted = u32::try_from(entries / 2).unwrap_or(u32::MAX).max(8);
        if self.lines.len() * WAYS < wanted as usize {
            let lines = (wanted as usize / (WAYS / 2)).next_power_of_two();
            self.lines = vec![Line([0; WAYS]); lines].into_boxed_slice();
        }
        self.capacity = wanted;
    }

    fn line(&mut self, hash: u64) -> Option<&mut Line> {
        let mask = self.lines.len().wrapping_sub(1);
        self.lines.get_mut(hash as usize & mask)
    }
}

fn fingerprint(hash: u64) -> u64 {
    hash & 0xffff_ffff_0000_0000
}
