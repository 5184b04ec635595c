//! Failures that are remembered, so that a source that is down is left alone for a while.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use beaker_namespace::{Key, Timestamp};
use parking_lot::Mutex;

use crate::policy::Policy;

/// More failures than this are not remembered: memory is bounded whatever fails.
const MAX: usize = 10_000;

/// The last failures in one namespace, by key, in this process.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    /// The number in `by_key`, so that a miss where nothing failed costs one load.
    count: AtomicUsize,
    by_key: Mutex<HashMap<Key, Failure>>,
}

/// A creation that failed.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    /// The creator's, as an `Arc<E>`; `None` for a time-out.
    pub(crate) error: Option<Arc<dyn Any + Send + Sync>>,
    at: Timestamp,
    /// How long nobody tries again.
    back_off: Duration,
    /// How long the error is given to all who ask.
    told: Duration,
}

impl Failure {
    pub(crate) fn new(
        error: Option<Arc<dyn Any + Send + Sync>>,
        at: Timestamp,
        policy: &Policy,
        has_default: bool,
    ) -> Self {
        let back_off = policy.back_off_or_default(has_default);
        Self { error, at, back_off, told: policy.error_ttl.max(back_off) }
    }

    pub(crate) fn backs_off(&self, now: Timestamp) -> bool {
        self.lasts(now, self.back_off)
    }

    pub(crate) fn is_told(&self, now: Timestamp) -> bool {
        self.lasts(now, self.told)
    }

    /// A clock that was set back ends it.
    fn lasts(&self, now: Timestamp, how_long: Duration) -> bool {
        now >= self.at && now.saturating_duration_since(self.at) < how_long
    }

    fn is_over(&self, now: Timestamp) -> bool {
        !self.backs_off(now) && !self.is_told(now)
    }
}

impl Failures {
    /// Whether something failed lately.
    pub(crate) fn any(&self) -> bool {
        // Relaxed: who misses a failure of this moment tries once more, as if it came before.
        self.count.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn recent(&self, key: &Key, now: Timestamp) -> Option<Failure> {
        if !self.any() {
            return None;
        }
        let failure = self.by_key.lock().get(key).cloned()?;
        (!failure.is_over(now)).then_some(failure)
    }

    pub(crate) fn record(&self, key: &Key, failure: Failure) {
        let now = failure.at;
        if failure.is_over(now) {
            return;
        }
        let mut by_key = self.by_key.lock();
        let mut gone = Vec::new();
        if by_key.len() >= MAX {
            gone.extend(by_key.extract_if(|_, old| old.is_over(now)).map(|(_, old)| old));
        }
        if by_key.len() < MAX || by_key.contains_key(key) {
            gone.extend(by_key.insert(key.clone(), failure));
        }
        self.count.store(by_key.len(), Ordering::Relaxed);
        drop(by_key);
        // The errors' own drop is user code.
        drop(gone);
    }

    /// The key was made, set or removed.
    pub(crate) fn forget(&self, key: &Key) {
        if !self.any() {
            return;
        }
        let mut by_key = self.by_key.lock();
        let gone = by_key.remove(key);
        self.count.store(by_key.len(), Ordering::Relaxed);
        drop(by_key);
        // The error's own drop is user code.
        drop(gone);
    }

    pub(crate) fn forget_all(&self) {
        let mut by_key = self.by_key.lock();
        let gone = std::mem::take(&mut *by_key);
        self.count.store(0, Ordering::Relaxed);
        drop(by_key);
        drop(gone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn failure(seconds: i64) -> Failure {
        let policy =
            Policy::new().back_off(Duration::from_secs(2)).error_ttl(Duration::from_secs(5));
        Failure::new(None, at(seconds), &policy, false)
    }

    #[test]
    fn a_failure_is_over_when_both_its_times_are() {
        let failures = Failures::default();
        let key = Key::new("k");
        failures.record(&key, failure(10));
        let found = failures.recent(&key, at(11)).unwrap();
        assert!(found.backs_off(at(11)) && found.is_told(at(11)));
        let found = failures.recent(&key, at(12)).unwrap();
        assert!(!found.backs_off(at(12)) && found.is_told(at(12)));
        assert!(failures.recent(&key, at(15)).is_none());
        assert!(failures.recent(&key, at(9)).is_none(), "the clock was set back");
    }

    #[test]
    fn what_is_over_makes_room() {
        let failures = Failures::default();
        for number in 0..MAX as u64 {
            failures.record(&Key::new(&number), failure(0));
        }
        failures.record(&Key::new("late"), failure(1));
        assert!(failures.recent(&Key::new("late"), at(1)).is_none(), "no room");
        failures.record(&Key::new("later"), failure(100));
        assert!(failures.recent(&Key::new("later"), at(100)).is_some());
        assert_eq!(failures.by_key.lock().len(), 1);
    }

    #[test]
    fn without_times_nothing_is_remembered() {
        let failures = Failures::default();
        failures.record(&Key::new("k"), Failure::new(None, at(0), &Policy::new(), false));
        assert!(failures.recent(&Key::new("k"), at(0)).is_none());
    }
}
