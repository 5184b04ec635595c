//! Wall time in entries, read from a clock that can be replaced.

use std::any::Any;
use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::second;

/// A moment of wall time, in microseconds since 1970-01-01 UTC; earlier moments are negative.
///
/// Arithmetic saturates, so no duration overflows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The moment that never comes.
    pub const NEVER: Self = Self(i64::MAX);

    /// The moment `micros` microseconds after the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// The moment `seconds` after the epoch, to the microsecond.
    pub fn from_secs_f64(seconds: f64) -> Self {
        Self((seconds * 1e6).round() as i64)
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Seconds since the epoch.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// Whether this is [`NEVER`](Self::NEVER).
    #[inline]
    pub const fn is_never(self) -> bool {
        self.0 == i64::MAX
    }

    /// The moment `later` after this one, at most [`NEVER`](Self::NEVER).
    #[must_use]
    pub fn saturating_add(self, later: Duration) -> Self {
        Self(self.0.saturating_add(micros(later)))
    }

    /// The moment `earlier` before this one.
    #[must_use]
    pub fn saturating_sub(self, earlier: Duration) -> Self {
        if self.is_never() { self } else { Self(self.0.saturating_sub(micros(earlier))) }
    }

    /// The time from `earlier` to this moment; zero if `earlier` is later.
    pub fn saturating_duration_since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0).max(0).unsigned_abs())
    }

    /// Microseconds from `earlier` to this moment, negative if `earlier` is later.
    #[inline]
    pub(crate) fn micros_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// The same moment for the operating system's clock type.
impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Self(micros(after)),
            Err(before) => Self(micros(before.duration()).saturating_neg()),
        }
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// Where a namespace and the containers on it read the time.
pub trait Clock: Any + fmt::Debug + Send + Sync {
    /// The current wall time, precisely.
    fn now(&self) -> Timestamp;

    /// The current wall time, cheaply: never ahead of [`now`](Self::now), and behind it by at most
    /// the clock's resolution. What reads an entry uses this, or sets one on what was read; what
    /// stamps one uses `now`.
    fn coarse(&self) -> Timestamp {
        self.now()
    }

    /// Whether `from <= now < until`, for the `now` of [`coarse`](Self::coarse).
    ///
    /// A clock that can tell so without being read to the tick does it here; it gives the same answer.
    fn is_between(&self, from: Timestamp, until: Timestamp) -> bool {
        (from..until).contains(&self.coarse())
    }
}

/// The operating system's wall clock.
///
/// [`coarse`](Clock::coarse) reads `CLOCK_REALTIME_COARSE` on Linux: its resolution is one tick of
/// the kernel, 1 to 10 ms, and it costs a few nanoseconds where the precise clock costs about 30.
/// [`is_between`](Clock::is_between) costs a third of that unless one of the two moments is less than a
/// second away.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        SystemTime::now().into()
    }

    #[cfg(target_os = "linux")]
    fn coarse(&self) -> Timestamp {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
        Timestamp(time.tv_sec.saturating_mul(1_000_000).saturating_add(time.tv_nsec / 1_000))
    }

    #[inline]
    fn is_between(&self, from: Timestamp, until: Timestamp) -> bool {
        second::is_surely_between(from, until) || (from..until).contains(&self.coarse())
    }
}

/// A clock that stands still until a test moves it.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use beaker_namespace::{Clock, ManualClock, Timestamp};
///
/// let clock = ManualClock::new(Timestamp::from_micros(0));
/// clock.advance(Duration::from_secs(5));
/// assert_eq!(clock.now(), Timestamp::from_micros(5_000_000));
/// ```
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows `start`.
    pub const fn new(start: Timestamp) -> Self {
        Self(AtomicI64::new(start.0))
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(micros(by), Ordering::SeqCst);
    }

    /// Sets the clock, backwards too.
    pub fn set(&self, to: Timestamp) {
        self.0.store(to.0, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_1970_are_negative() {
        let time = UNIX_EPOCH - Duration::from_secs(2);
        assert_eq!(Timestamp::from(time), Timestamp::from_micros(-2_000_000));
    }

    #[test]
    fn adding_the_longest_duration_is_never() {
        let now = SystemClock.now();
        assert_eq!(now.saturating_add(Duration::MAX), Timestamp::NEVER);
        assert_eq!(Timestamp::NEVER.saturating_sub(Duration::from_secs(1)), Timestamp::NEVER);
    }

    #[test]
    fn the_coarse_clock_is_at_most_a_tick_behind() {
        let before = SystemClock.now();
        let coarse = SystemClock.coarse();
        assert!(coarse >= before.saturating_sub(Duration::from_millis(20)));
        assert!(coarse <= SystemClock.now());
    }

    #[test]
    fn between_is_what_the_coarse_clock_says() {
        // Around the present in steps that meet the second's borders; what the clock passes meanwhile
        // is left out.
        let steps = || (-25..=25).map(|step: i64| step * 100_003);
        for (from, until) in steps().flat_map(|from| steps().map(move |until| (from, until))) {
            let before = SystemClock.coarse();
            let moment = |step| Timestamp(before.0 + step);
            let (from, until) = (moment(from), moment(until));
            let is_between = SystemClock.is_between(from, until);
            let after = SystemClock.coarse();
            let told = (from..until).contains(&before);
            if told == (from..until).contains(&after) {
                assert_eq!(is_between, told, "{from:?}..{until:?} at {before:?}");
            }
        }
    }
}
