//! Counting what a store does.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::Stats;

/// The counts of [`Stats`], for a store to count with; all its threads share one.
///
/// # Examples
///
/// ```
/// use beaker_namespace::Counts;
///
/// let counts = Counts::default();
/// counts.hits.add(2);
/// assert_eq!(counts.stats().hits, 2);
/// ```
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Counts {
    /// See [`Stats::hits`].
    pub hits: Count,
    /// See [`Stats::misses`].
    pub misses: Count,
    /// See [`Stats::sets`].
    pub sets: Count,
    /// See [`Stats::removes`].
    pub removes: Count,
    /// See [`Stats::evictions`].
    pub evictions: Count,
    /// See [`Stats::expirations`].
    pub expirations: Count,
    /// See [`Stats::corrupt`].
    pub corrupt: Count,
    /// See [`Stats::superseded`].
    pub superseded: Count,
}

impl Counts {
    /// What was counted so far; sizes are left out.
    pub fn stats(&self) -> Stats {
        Stats {
            hits: self.hits.get(),
            misses: self.misses.get(),
            sets: self.sets.get(),
            removes: self.removes.get(),
            evictions: self.evictions.get(),
            expirations: self.expirations.get(),
            corrupt: self.corrupt.get(),
            superseded: self.superseded.get(),
            ..Stats::default()
        }
    }
}

/// One count.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Counts `more`.
    pub fn add(&self, more: u64) {
        // Relaxed: a count publishes nothing.
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// What was counted so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
