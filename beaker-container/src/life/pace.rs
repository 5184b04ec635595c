//! How long creations take, and when a fresh value is made anew all the same.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use beaker_namespace::Timestamp;

use crate::policy::Policy;

/// The mean time of the creations in one namespace, in this process; the last eight weigh most.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// In microseconds; zero before the first.
    mean: AtomicU64,
}

impl Pace {
    // Relaxed throughout: it is a rough mean, and one that is lost in a race is no harm.
    pub(crate) fn learn(&self, took: Duration) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
        let mean = match self.mean.load(Ordering::Relaxed) {
            0 => took,
            mean => mean - mean / 8 + took / 8,
        };
        self.mean.store(mean.max(1), Ordering::Relaxed);
    }

    fn mean(&self) -> Duration {
        Duration::from_micros(self.mean.load(Ordering::Relaxed))
    }

    /// Whether a value that lives from `began` to `expires`, fresh at `now`, is to be made anew.
    pub(crate) fn is_due(
        &self,
        policy: &Policy,
        began: Timestamp,
        expires: Timestamp,
        now: Timestamp,
    ) -> bool {
        if expires.is_never() {
            return false;
        }
        let left = expires.saturating_duration_since(now);
        if let Some(part) = policy.refresh_at {
            let whole = expires.saturating_duration_since(began);
            if now.saturating_duration_since(began) >= whole.mul_f64(part) {
                return true;
            }
        }
        policy.early_refresh > 0.0
            && early(self.mean(), policy.early_refresh, left, fastrand::f64())
    }
}

/// XFetch: whether the time left is below a creation's time, drawn out by chance. `chance` is in
/// 0..1.
fn early(mean: Duration, beta: f64, left: Duration, chance: f64) -> bool {
    // 1 - chance is in 0..=1 without the zero, whose logarithm has no end.
    mean.as_secs_f64() * beta * -(1.0 - chance).ln() >= left.as_secs_f64() && !mean.is_zero()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn a_value_is_due_from_the_stated_part_of_its_life_on() {
        let policy = Policy::new().refresh_at(0.8);
        let due = |now| Pace::default().is_due(&policy, at(0), at(100), at(now));
        assert!(!due(79));
        assert!(due(80));
        assert!(!Pace::default().is_due(&policy, at(0), Timestamp::NEVER, at(1_000)));
    }

    #[test]
    fn early_is_rarer_the_more_time_is_left() {
        // With as much time left as a creation takes, one in e reads is early.
        let share = |left: u32| {
            let draws = 10_000;
            let drawn = |n: i32| early(SECOND, 1.0, SECOND * left, f64::from(n) / f64::from(draws));
            f64::from((0..draws).filter(|n| drawn(*n)).count() as u32) / f64::from(draws)
        };
        assert!((share(1) - (-1.0_f64).exp()).abs() < 0.001, "{}", share(1));
        assert!((share(3) - (-3.0_f64).exp()).abs() < 0.001, "{}", share(3));
    }

    #[test]
    fn nothing_is_early_before_the_first_creation() {
        assert!(!early(Duration::ZERO, 1.0, Duration::ZERO, 0.99));
    }

    #[test]
    fn the_mean_follows_what_creations_take() {
        let pace = Pace::default();
        pace.learn(SECOND);
        assert_eq!(pace.mean(), SECOND);
        for _ in 0..64 {
            pace.learn(SECOND * 3);
        }
        assert!(pace.mean() > Duration::from_millis(2_900), "{:?}", pace.mean());
    }
}
