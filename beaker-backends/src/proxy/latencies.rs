//! How long calls took: counts in buckets that double.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A bucket for each power of two of nanoseconds; the last, from 9 minutes, has no end.
const BUCKETS: usize = 40;

/// Counts calls by their length, for threads to write to at the same time.
#[derive(Debug)]
pub(super) struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    total_nanos: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: [const { AtomicU64::new(0) }; BUCKETS], total_nanos: AtomicU64::new(0) }
    }
}

impl Histogram {
    #[inline]
    pub(super) fn record(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.buckets[bucket_of(nanos)].fetch_add(1, Ordering::Relaxed);
        self.total_nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// Adds what was counted to `sum`.
    pub(super) fn add_to(&self, sum: &mut Latencies) {
        for (sum, bucket) in sum.buckets.iter_mut().zip(&self.buckets) {
            *sum += bucket.load(Ordering::Relaxed);
        }
        sum.total_nanos += u128::from(self.total_nanos.load(Ordering::Relaxed));
    }
}

#[inline]
fn bucket_of(nanos: u64) -> usize {
    (nanos.max(1).ilog2() as usize).min(BUCKETS - 1)
}

/// How long the calls of one [`Operation`](super::Operation) took.
#[derive(Clone, PartialEq, Eq)]
pub struct Latencies {
    buckets: [u64; BUCKETS],
    total_nanos: u128,
}

impl Default for Latencies {
    fn default() -> Self {
        Self { buckets: [0; BUCKETS], total_nanos: 0 }
    }
}

impl Latencies {
    /// The number of calls, failed ones too.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The mean; `None` without a call.
    pub fn mean(&self) -> Option<Duration> {
        let mean = self.total_nanos.checked_div(u128::from(self.count()))?;
        Some(Duration::from_nanos(u64::try_from(mean).unwrap_or(u64::MAX)))
    }

    /// A time that the fraction `q` of the calls (0.5: half of them) did not exceed; `None` without a
    /// call. `q` is brought into the range from 0 to 1.
    ///
    /// The true quantile is at most this, and more than half of it: calls are counted in buckets
    /// that double, and this is the end of the bucket. What took more than 18 minutes is reported as
    /// 18 minutes.
    pub fn quantile(&self, q: f64) -> Option<Duration> {
        let count = self.count();
        let rank = ((count as f64 * q.clamp(0.0, 1.0)).ceil() as u64).clamp(1, count.max(1));
        let mut seen = 0;
        let bucket = self.buckets.iter().position(|bucket| {
            seen += bucket;
            seen >= rank
        })?;
        Some(Duration::from_nanos((2 << bucket) - 1))
    }
}

impl fmt::Debug for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Latencies")
            .field("count", &self.count())
            .field("mean", &self.mean())
            .field("p50", &self.quantile(0.5))
            .field("p99", &self.quantile(0.99))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latencies(nanos: &[u64]) -> Latencies {
        let histogram = Histogram::default();
        nanos.iter().for_each(|&nanos| histogram.record(Duration::from_nanos(nanos)));
        let mut sum = Latencies::default();
        histogram.add_to(&mut sum);
        sum
    }

    #[test]
    fn a_quantile_is_at_least_the_true_one_and_less_than_twice_it() {
        let nanos: Vec<u64> = (1..=1_000).map(|n| n * n).collect();
        let latencies = latencies(&nanos);
        for q in [0.001, 0.1, 0.25, 0.5, 0.9, 0.99, 1.0] {
            let exact = nanos[(1_000.0 * q) as usize - 1];
            let told = latencies.quantile(q).unwrap().as_nanos() as u64;
            assert!(told >= exact && told < 2 * exact, "q {q}: {told} for {exact}");
        }
    }

    #[test]
    fn the_shortest_and_the_longest_call_are_counted() {
        let latencies = latencies(&[0, u64::MAX]);
        assert_eq!(latencies.count(), 2);
        assert_eq!(latencies.quantile(0.0), Some(Duration::from_nanos(1)));
        assert_eq!(latencies.quantile(1.0), Some(Duration::from_nanos((1 << 40) - 1)));
    }

    #[test]
    fn nothing_has_no_quantile_and_no_mean() {
        assert_eq!((latencies(&[]).quantile(0.5), latencies(&[]).mean()), (None, None));
        assert_eq!(latencies(&[10, 30]).mean(), Some(Duration::from_nanos(20)));
    }
}
